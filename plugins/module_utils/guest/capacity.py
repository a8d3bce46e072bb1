# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host can carry: one virtual CPU per core, no memory twice. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from ..errors import OkiagariError, Problem

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

_WORDS: Final = {
    "vcpus": "vCPUs are",
    "memory_mib": "MiB of memory are",
    "disk_mib": "MiB of disk are",
    "guests": "places for guests are",
}
RESOURCES: Final = tuple(_WORDS)


@dataclass(frozen=True)
class Capacity:
    """What a host gives to guests, with what it keeps for itself already taken off.

    `cpus` are the host's processors that guests are pinned to; empty: guests aren't pinned.
    """

    vcpus: int
    memory_mib: int
    guests: int
    cpus: tuple[int, ...] = ()

    @classmethod
    def from_dict(cls, facts: Mapping[str, Any]) -> Capacity:
        """Read what the role kvm_host publishes as `ansible_local.okiagari.capacity`."""
        try:
            return cls(
                int(facts["vcpus"]),
                int(facts["memory_mib"]),
                int(facts["guests"]),
                tuple(int(cpu) for cpu in facts.get("cpus", ())),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise OkiagariError("the host's capacity isn't known: run the role kvm_host on it first") from error


@dataclass(frozen=True)
class Held:
    """What one guest holds, running or not. `pins` are the processors it is pinned to."""

    name: str
    vcpus: int
    memory_mib: int
    pins: tuple[int, ...] = ()


def free(total: Mapping[str, int], taken: Mapping[str, int]) -> dict[str, int]:
    """Give what is left of each resource that `total` names, never less than nothing."""
    return {key: max(total[key] - taken.get(key, 0), 0) for key in RESOURCES if key in total}


def lacking(total: Mapping[str, int], taken: Mapping[str, int], asked: Mapping[str, int]) -> list[str]:
    """Say what is short when `asked` comes beside `taken`. A resource that `total` doesn't name has no limit."""
    return [
        f"{left} of {total[key]} {_WORDS[key]} free, {asked[key]} asked"
        for key, left in free(total, taken).items()
        if asked.get(key, 0) > left
    ]


def shortages(host: str, capacity: Capacity, held: Iterable[Held], asked: Iterable[Held]) -> list[Problem]:
    """Say what is short when `asked` come beside the other guests; a guest of the same name isn't counted twice."""
    wanted = list(asked)
    names = {guest.name for guest in wanted}
    total = {"vcpus": capacity.vcpus, "memory_mib": capacity.memory_mib, "guests": capacity.guests}
    said = lacking(total, _sum(guest for guest in held if guest.name not in names), _sum(wanted))
    return [Problem("", None, host, words) for words in said]


def choose_pins(capacity: Capacity, held: Iterable[Held], asked: Sequence[Held]) -> dict[str, tuple[int, ...]]:
    """Give each asked guest processors of its own, the lowest free ones; a guest keeps those that it has.

    Where something is short there may be too few processors: then a guest that gets none is pinned to none.
    """
    if not capacity.cpus:
        return {guest.name: () for guest in asked}
    wanted = {guest.name: guest for guest in asked}
    standing = {guest.name: guest.pins for guest in held}
    kept = {name: standing.get(name, ()) for name, guest in wanted.items()}
    kept = {name: pins if len(pins) == wanted[name].vcpus else () for name, pins in kept.items()}
    taken = {cpu for name, pins in standing.items() if name not in wanted for cpu in pins}
    taken |= {cpu for pins in kept.values() for cpu in pins}
    idle = [cpu for cpu in capacity.cpus if cpu not in taken]
    for name, guest in wanted.items():
        if not kept[name] and len(idle) >= guest.vcpus:
            kept[name], idle = tuple(idle[: guest.vcpus]), idle[guest.vcpus :]
    return kept


def _sum(guests: Iterable[Held]) -> dict[str, int]:
    every = list(guests)
    return {
        "vcpus": sum(guest.vcpus for guest in every),
        "memory_mib": sum(guest.memory_mib for guest in every),
        "guests": len(every),
    }
