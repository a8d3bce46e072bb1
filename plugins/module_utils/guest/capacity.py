# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host can carry: one virtual CPU per core, no memory twice. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..errors import OkiagariError, Problem

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence


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


def shortages(host: str, capacity: Capacity, held: Iterable[Held], asked: Iterable[Held]) -> list[Problem]:
    """Say what is short when `asked` come beside the other guests; a guest of the same name isn't counted twice."""
    wanted = list(asked)
    names = {guest.name for guest in wanted}
    others = [guest for guest in held if guest.name not in names]
    rows = (
        ("vCPUs are", capacity.vcpus, sum(g.vcpus for g in others), sum(g.vcpus for g in wanted)),
        (
            "MiB of memory are",
            capacity.memory_mib,
            sum(g.memory_mib for g in others),
            sum(g.memory_mib for g in wanted),
        ),
        ("places for guests are", capacity.guests, len(others), len(wanted)),
    )
    return [
        Problem("", None, host, f"{max(total - taken, 0)} of {total} {what} free, {more} are asked")
        for what, total, taken, more in rows
        if more and taken + more > total
    ]


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
    free = [cpu for cpu in capacity.cpus if cpu not in taken]
    for name, guest in wanted.items():
        if not kept[name] and len(free) >= guest.vcpus:
            kept[name], free = tuple(free[: guest.vcpus]), free[guest.vcpus :]
    return kept
