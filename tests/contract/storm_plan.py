# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Storms: random schedules of faults on the hosts of agents, as data, and what must hold of what the service did.

Where a storm blows is a `Place`: namespaces of one machine (`storms.py`), or the nodes of the lab (`tests/lab`).
"""

from __future__ import annotations

import json
import random
import time
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

HOLDER = "*"
"""As a fault's host: whoever serves when it begins."""
_LONGEST_DELAY_S = 0.4
_MOST_LOSS = 0.3


@dataclass(frozen=True)
class Fault:
    """What is done to `hosts` from `at` on, in seconds of the storm, and ends after `lasts` seconds.

    `cut` and `slow` concern what they send (`out`) to `others`, which are all the rest if none is named, what those
    send to them (`in`), or `both`. Of the other kinds, `stop` halts the agents, `kill` kills them until the end,
    `supervisor` and `store` the supervisors and the store's members there, and `power` all three.
    """

    kind: str
    at: float
    lasts: float
    hosts: tuple[str, ...]
    others: tuple[str, ...] = ()
    way: str = ""
    delay_s: float = 0.0
    loss: float = 0.0

    def __str__(self) -> str:
        return json.dumps({key: value for key, value in asdict(self).items() if value})

    def links(self, everybody: Iterable[str]) -> Iterator[tuple[str, str]]:
        """Give the ways that a cut or slow link is about: who sends, and to whom."""
        rest = [name for name in everybody if name not in self.hosts]
        for other in [name for name in rest if name in self.others] or rest:
            for host in self.hosts:
                if self.way != "in":
                    yield host, other
                if self.way != "out":
                    yield other, host


@dataclass(frozen=True, order=True)
class Run:
    """One instance of the service, by its own notes: its first and its last one, in seconds of one common clock."""

    first: float
    last: float
    host: str
    token: int
    pid: int = 0


class Place(Protocol):
    """Where a storm blows."""

    hosts: Sequence[str]

    def serving(self) -> str | None:
        """Give the host at which the service runs at present, by its own notes."""

    def begin(self, fault: Fault) -> None: ...

    def end(self, fault: Fault) -> None: ...


def storm(
    seed: object, hosts: Sequence[str], seconds: float, ttl_s: float, kinds: Sequence[str] = ()
) -> list[Fault]:  # fmt: skip
    """Make a storm of these kinds, or of all, the same for the same seed.

    How long faults last goes by the TTL of the service's lease.
    """
    chance = random.Random(f"storm {seed}")
    faults: list[Fault] = []
    for _fault in range(chance.randint(3, 6)):
        at = chance.uniform(0.0, 0.8 * seconds)
        lasts = min(ttl_s * chance.choice((0.2, 0.8, 2.0)) * chance.uniform(0.5, 1.5), seconds - at)
        faults += KINDS[chance.choice(kinds or list(KINDS))](chance, hosts, round(at, 2), round(lasts, 2))
    return sorted(faults, key=lambda fault: fault.at)


def blow(
    place: Place, faults: Sequence[Fault], seconds: float,
    clock: Callable[[], float] = time.monotonic, sleep: Callable[[float], object] = time.sleep,
) -> None:  # fmt: skip
    """Let a storm happen. What has not ended by itself when it is over, whoever heals the place ends."""
    begun = clock()
    steps = [(fault.at, number, "begin") for number, fault in enumerate(faults)]
    steps += [(fault.at + fault.lasts, number, "end") for number, fault in enumerate(faults)]
    met: dict[int, Fault] = {}
    for at, number, what in sorted(steps):
        sleep(max(0.0, begun + at - clock()))
        if what == "begin":
            met[number] = _resolved(faults[number], place)
            place.begin(met[number])
        else:
            place.end(met[number])
    sleep(max(0.0, begun + seconds - clock()))


def check(runs: Iterable[Run]) -> None:
    """Raise `AssertionError` if two instances ever ran at once, or one began by a token that wasn't the newest."""
    for before, after in pairwise(sorted(runs, key=lambda run: run.first)):
        assert before.last < after.first, (
            f"{after.host} began by token {after.token} {before.last - after.first:.3f} s before {before.host} had "
            f"ended with token {before.token}"
        )
        assert before.token < after.token, (
            f"{after.host} began by token {after.token} after {before.host} had run by token {before.token}"
        )


def _resolved(fault: Fault, place: Place) -> Fault:
    holder = place.serving() or place.hosts[0]
    return replace(fault, hosts=tuple(dict.fromkeys(holder if host == HOLDER else host for host in fault.hosts)))


def _cut(chance: random.Random, hosts: Sequence[str], at: float, lasts: float) -> list[Fault]:
    return [Fault("cut", at, lasts, _somebody(chance, hosts), _some_others(chance, hosts), _way(chance))]


def _flapping(chance: random.Random, hosts: Sequence[str], at: float, lasts: float) -> list[Fault]:
    somebody, others, way = _somebody(chance, hosts), _some_others(chance, hosts), _way(chance)
    period = round(chance.uniform(0.3, 3.0), 2)
    cut = round(min(period / 2, lasts), 2)
    times = max(1, int(lasts / period))
    return [Fault("cut", round(at + each * period, 2), cut, somebody, others, way) for each in range(times)]


def _slow(chance: random.Random, hosts: Sequence[str], at: float, lasts: float) -> list[Fault]:
    delay, loss = round(chance.uniform(0.02, _LONGEST_DELAY_S), 2), round(chance.uniform(0.0, _MOST_LOSS), 2)
    somebody, others = _somebody(chance, hosts), _some_others(chance, hosts)
    return [Fault("slow", at, lasts, somebody, others, _way(chance), delay, loss)]


def _to_somebody(kind: str) -> Callable[[random.Random, Sequence[str], float, float], list[Fault]]:
    return lambda chance, hosts, at, lasts: [Fault(kind, at, lasts, _somebody(chance, hosts))]


def _to_all(kind: str) -> Callable[[random.Random, Sequence[str], float, float], list[Fault]]:
    return lambda chance, hosts, at, lasts: [
        Fault(kind, at, round(min(lasts, chance.uniform(0.1, 3.0)), 2), tuple(hosts))
    ]


KINDS: dict[str, Callable[[random.Random, Sequence[str], float, float], list[Fault]]] = {
    "cut": _cut,
    "isolated holder": lambda chance, _hosts, at, lasts: [Fault("cut", at, lasts, (HOLDER,), (), _way(chance))],
    "flapping": _flapping,
    "slow": _slow,
    "agent stopped": _to_somebody("stop"),
    "holder's agent stopped": lambda _chance, _hosts, at, lasts: [Fault("stop", at, lasts, (HOLDER,))],
    "agent killed": _to_somebody("kill"),
    "supervisor killed": _to_somebody("supervisor"),
    "store's member killed": _to_somebody("store"),
    "power cut": _to_somebody("power"),
    "all agents killed": _to_all("kill"),
    "power cut everywhere": _to_all("power"),
}


def _somebody(chance: random.Random, hosts: Sequence[str]) -> tuple[str, ...]:
    return (chance.choice((*hosts, HOLDER)),)


def _some_others(chance: random.Random, hosts: Sequence[str]) -> tuple[str, ...]:
    return () if chance.random() < 0.5 else (chance.choice(hosts),)


def _way(chance: random.Random) -> str:
    return chance.choice(("out", "in", "both"))
