# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a guest's cards are plugged in: each in a small bridge that hangs on the segment's bridge all the time.

One that is routed has no outlet but its tap (`routed.py`).

A bridge with a spanning tree lets nothing pass through a new port for twice its forward delay, which is 4 s at the
least. A guest that goes on elsewhere would be silent for so long; so each candidate has the port beforehand.

    segment's bridge -- okg-HASH-o ==veth== okg-HASH-i -- okg-HASH-b (no spanning tree) -- okg-HASH-t, the guest's tap
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..runner import CommandFailed, output, parsed_json, reason

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping
    from pathlib import Path

    from ..guest.machine import Network
    from ..runner import Runner
    from ..values import Shape

_LIST = ("ip", "-j", "link", "show")
_BATCH = ("ip", "-batch", "-")
_LINKS: Shape = [{"ifname": str, "ifalias?": str, "master?": str}]


@dataclass(frozen=True)
class Outlet:
    """The devices of one card, whose names no other guest of this host has."""

    tap: str
    bridge: str
    inner: str
    outer: str


def outlet(folder: Path, network: str) -> Outlet:
    """Give the devices for a guest's card in a network; `folder` is the guest's."""
    digest = hashlib.sha256(f"{folder}/{network}".encode()).hexdigest()[:6]
    return Outlet(*(f"okg-{digest}-{what}" for what in "tbio"))


def have(runner: Runner, folder: Path, networks: Mapping[str, Network]) -> None:
    """Have what isn't there of a guest's outlets, all but the taps. Raises `CommandFailed` if a bridge is missing."""
    if any(not network.routed for network in networks.values()):
        run_lines(runner, _all_missing({folder: networks}, _there(runner)))


def plug_in(runner: Runner, folder: Path, networks: Mapping[str, Network]) -> None:
    """Plug the taps in, which QEMU made, and which are gone when QEMU is."""
    run_lines(runner, [line for name in networks if not networks[name].routed for line in _plug(outlet(folder, name))])


def keep(runner: Runner, above: Path, guests: Mapping[Path, Mapping[str, Network]]) -> None:
    """Have the outlets of these guests, by their folders, and of no others whose folders are or were in `above`."""
    kept, there = {str(folder) for folder in guests}, _there(runner)
    aliases = {name: str(link.get("ifalias", "")) for name, link in there.items()}
    gone = [name for name, alias in aliases.items() if alias.startswith(f"{above}/") and alias not in kept]
    run_lines(runner, [*(f"link del dev {name}" for name in gone), *_all_missing(guests, there)])


def _all_missing(
    guests: Mapping[Path, Mapping[str, Network]], there: Mapping[str, Mapping[str, Any]]
) -> list[str]:  # fmt: skip
    return [
        line
        for folder, networks in guests.items()
        for name, network in networks.items()
        if not network.routed
        for line in _missing(outlet(folder, name), folder, network, there)
    ]


def _missing(own: Outlet, folder: Path, network: Network, there: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    if own.bridge not in there:
        yield f"link add {own.bridge} type bridge stp_state 0 forward_delay 0 mcast_snooping 0"
        yield from _up(own.bridge, network, f"alias {folder}")
    if own.outer not in there:
        yield f"link add {own.outer} type veth peer name {own.inner}"
        yield f"link set dev {own.outer} alias {folder}"
    if there.get(own.inner, {}).get("master") != own.bridge:
        yield from _up(own.inner, network, f"master {own.bridge}")
    if there.get(own.outer, {}).get("master") != network.bridge:
        yield from _up(own.outer, network, f"master {network.bridge}")


def _plug(own: Outlet) -> Iterator[str]:
    yield f"link set dev {own.tap} master {own.bridge} addrgenmode none"
    yield f"link set dev {own.tap} up"


def _up(name: str, network: Network, words: str) -> Iterator[str]:
    # Hosts have no address there, not even one that a kernel gives by itself, as soon as it is up.
    yield f"link set dev {name} {words} mtu {network.mtu} addrgenmode none"
    yield f"link set dev {name} up"


def _there(runner: Runner) -> dict[str, dict[str, Any]]:
    return {link["ifname"]: link for link in parsed_json(_LIST, output(runner, _LIST), _LINKS)}


def run_lines(runner: Runner, lines: Collection[str]) -> None:
    """Have `ip` do these lines, in this order. Raises `CommandFailed` at the first that it doesn't take."""
    if not lines:
        return
    done = runner.run(_BATCH, input="".join(f"{line}\n" for line in lines))
    if done.rc:
        raise CommandFailed(f"{'; '.join(lines)}: {reason(done)}")
