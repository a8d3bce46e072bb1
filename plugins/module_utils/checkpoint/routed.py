# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A guest's address that goes along from site to site: its host has a route to it while the guest runs there.

The card's tap is a link between the host and the guest alone. The host is the gateway, with the same addresses at all
hosts, so that a guest which goes on elsewhere finds it where it was. Whoever else is in the prefix, the host answers
for. The route is over the tap, which is gone when QEMU is, whoever ended that: a host that has a route has the guest.
A routing daemon announces it (role `guest_routing`); nobody tells that daemon anything.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..runner import output
from .outlet import outlet, run_lines

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from ..guest.machine import Network
    from ..runner import Runner

PROTOCOL = 79
"""By this number of its origin (`ip route show proto 79`) such a route is known; no daemon has it."""
_GATEWAY_MAC = "02:00:00:00:00:01"


def connect(runner: Runner, folder: Path, networks: Mapping[str, Network]) -> None:
    """Make the host the gateway of a guest, whose QEMU has made the taps. Raises `CommandFailed`."""
    taps = dict(_taps(folder, networks))
    run_lines(runner, [line for tap, network in taps.items() for line in _gateway(tap, network)])
    settings = [setting for tap in taps for setting in _settings(tap)]
    if settings:
        output(runner, ["sysctl", "--quiet", "--write", *settings])


def route(runner: Runner, folder: Path, networks: Mapping[str, Network]) -> None:
    """Have routes to a guest that runs. Raises `CommandFailed` also where there is one that isn't ours."""
    lines = [
        f"route add {_host(network.address)}/32 dev {tap} proto {PROTOCOL}" for tap, network in _taps(folder, networks)
    ]
    run_lines(runner, lines)


def _taps(folder: Path, networks: Mapping[str, Network]) -> Iterator[tuple[str, Network]]:
    for name, network in networks.items():
        if network.routed:
            yield outlet(folder, name).tap, network


def _gateway(tap: str, network: Network) -> Iterator[str]:
    yield f"link set dev {tap} address {_GATEWAY_MAC} mtu {network.mtu} addrgenmode none"
    yield f"link set dev {tap} up"
    yield f"address add {network.gateway}/32 dev {tap}"


def _settings(tap: str) -> Iterator[str]:
    yield f"net/ipv4/conf/{tap}/forwarding=1"
    yield f"net/ipv4/conf/{tap}/proxy_arp=1"
    # Else an answer for others takes up to 0.8 s, lest many who give the same do so at once. Here is but one.
    yield f"net/ipv4/neigh/{tap}/proxy_delay=0"


def _host(address: str | None) -> str:
    return str(address).partition("/")[0]
