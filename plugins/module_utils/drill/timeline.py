# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading of a drill's timeline as a person writes it: which fault comes when and where."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ..errors import shown
from ..fault.kinds import KINDS
from ..fault.model import span
from ..units import duration, percent
from ..values import choice, items, whole
from . import ramp
from .conflicts import GUARD_S
from .model import Fault, Step, When
from .placement import FAULTS, Placed, keys_of, place
from .reader import Reader
from .when import read_when

if TYPE_CHECKING:
    from ..errors import Problem
    from .places import Places

_KEYS = ("fault", "at", "for", "when", "every", "times", "flap")
_CHOSEN = ("circuit", "from", "node", "site", "machine", "interface", "to", "via", "neighbor")
_MOST = 1000
_LEAST_S = 1.0


@dataclass
class Timeline:
    """The faults in the order of the timeline, and what was chosen at random, each by its place there."""

    faults: list[Fault] = field(default_factory=list)
    choices: list[tuple[str, str]] = field(default_factory=list)


@dataclass(frozen=True)
class _Item:
    """An entry of the timeline, or a member of a parallel one, which begins at `begins`. `number` is for its ids."""

    where: str
    number: str
    value: object
    begins: float = 0.0
    further_keys: tuple[str, ...] = ()


def read_timeline(top: Reader, drill: str, places: Places, seed: int) -> Timeline:
    """Read the key `timeline`; what is wrong with it goes to the problems of `top`. The same seed chooses the same."""
    found = Timeline()
    for index, value in enumerate(top.items("timeline")):
        given = _Item(f"timeline[{index}]", str(index + 1), value, further_keys=("parallel",))
        for item in _items(given, top.problems):
            _read(item, drill, places, seed, top.problems, found)
    return found


def _items(item: _Item, problems: list[Problem]) -> Iterator[_Item]:
    """Give the members of a parallel entry, each with what they share, or the entry itself."""
    if not isinstance(item.value, Mapping) or "parallel" not in item.value:
        yield item
        return
    group = Reader(item.value, item.where, ("parallel", "at", "for"), problems)
    begins, members = group.take("at", duration, 0.0), group.need("parallel", items)
    if members is not None and not members:
        group.problem("parallel", "has no fault")
    shared = {"at": 0} | ({"for": group.values["for"]} if group.has("for") else {})
    for index, member in enumerate(members or ()):
        value = {**shared, **member} if isinstance(member, Mapping) else member
        yield _Item(f"{item.where}.parallel[{index}]", f"{item.number}.{index + 1}", value, begins)


def _read(item: _Item, drill: str, places: Places, seed: int, problems: list[Problem], found: Timeline) -> None:
    fault = item.value.get("fault") if isinstance(item.value, Mapping) else None
    allowed = (
        *_KEYS,
        *item.further_keys,
        *(keys_of(fault) if isinstance(fault, str) and fault in FAULTS else _all_keys()),
    )
    written = Reader(item.value, item.where, allowed, problems)
    options = _options(written)
    chosen = {key: _draw(seed, f"{item.where}.{key}", values) for key, values in options.items() if values}
    entry = written.with_values({**written.values, **chosen})
    at = entry.take("at", duration, 0.0) if entry.has("when") else entry.need("at", duration)
    lasts = entry.need("for", span)
    rounds = _rounds(entry, lasts)
    known = entry.need("fault", choice(FAULTS, "kind of fault"))
    if known is None or not all(options.values()):
        return
    placed = _placed(known, entry, places, rounds[0][1])
    for key, values in options.items():
        for other in values:
            _check(known, Reader({**entry.values, key: other}, item.where, allowed, []), places, rounds[0][1], problems)
    found.choices += [(f"{item.where}.{key}", shown(value)) for key, value in chosen.items()]
    events = _events(entry, [share for share, _steps in placed], places)
    if at is not None and lasts is not None:
        for turn, (begin, long) in enumerate(rounds):
            again = f"-r{turn + 1}" if turn else ""
            found.faults += _faults(f"{drill}-{item.number}", again, item.begins + at + begin, long, placed, events)


def _faults(
    name: str,
    again: str,
    at: float,
    lasts: float,
    placed: list[tuple[Placed, tuple[Step, ...]]],
    events: Mapping[str, When],
) -> Iterator[Fault]:
    targets: Counter[str] = Counter()
    for share, steps in placed:
        targets[share.target] += 1
        number = f"-{targets[share.target]}" if targets[share.target] > 1 else ""
        yield Fault(
            f"{name}-{share.target}{number}{again}", share.kind, share.target, share.params, at, lasts, share.circuit,
            share.by, share.silences, share.ends_programs, steps, events.get(share.target), share.interface,
        )  # fmt: skip


def _options(entry: Reader) -> dict[str, list[object]]:
    """Give what there is to choose from, for each key that leaves it to chance."""
    found = {}
    for key in _CHOSEN:
        value = entry.values.get(key)
        if isinstance(value, Mapping):
            inner = Reader(value, f"{entry.where}.{key}", ("one_of",), entry.problems)
            options = inner.need("one_of", items)
            if options is not None and not options:
                inner.problem("one_of", "has nothing to choose from")
            found[key] = list(options or ())
    return found


def _draw(seed: int, where: str, options: list[object]) -> object:
    """Choose by the place too, so that what is chosen there doesn't change with what stands in other places."""
    return random.Random(f"{seed} {where}").choice(options)


def _check(fault: str, entry: Reader, places: Places, lasts: float, problems: list[Problem]) -> None:
    """Tell what is wrong with an entry that wasn't chosen, unless that has been told."""
    _placed(fault, entry, places, lasts)
    problems += [problem for problem in dict.fromkeys(entry.problems) if problem not in problems]


def _placed(fault: str, entry: Reader, places: Places, lasts: float) -> list[tuple[Placed, tuple[Step, ...]]]:
    """Give the fault's share on each target as it begins, and how it goes on."""
    changeable = KINDS[fault].changeable() if fault in KINDS else ()
    before = len(entry.problems)
    ramped = ramp.read(entry, changeable)
    if ramped is None:
        return [(share, ()) for share in place(fault, entry, places)]
    if len(entry.problems) > before:
        return []
    if lasts < ramped.count * ramp.LEAST_S:
        entry.problem("for", f"is too short for {ramped.count} steps: each takes {ramp.LEAST_S:g} s at least")
    first = place(fault, entry.with_values(ramped.first), places)
    if len(entry.problems) > before:
        return []
    last = place(fault, entry.with_values(ramped.last), places)
    if len(entry.problems) > before:
        return []
    return [
        (share, ramp.steps(share.params, end.params, ramped.count, lasts))
        for share, end in zip(first, last, strict=True)
    ]


def _events(entry: Reader, placed: list[Placed], places: Places) -> dict[str, When]:
    """Give the event that each target waits for, if the entry has one."""
    if not entry.has("when"):
        return {}
    for key in ("every", "times", "flap"):
        if entry.has(key):
            entry.problem(key, "is for a fault that comes at an instant, not when something happens")
    if outside := next((share.by for share in placed if share.by), None):
        entry.problem("when", f"is for what a target does to itself; {outside} does this, and sees no event")
        return {}
    found = {}
    told: list[Problem] = []
    for target in sorted({share.target for share in placed}):
        event = read_when(
            Reader(entry.values["when"], f"{entry.where}.when", ("route", "log", "within"), told), target, places
        )
        if event is not None:
            found[target] = event
    entry.problems += dict.fromkeys(told)
    return found


def _rounds(entry: Reader, lasts: float | None) -> list[tuple[float, float]]:
    """When a fault is on: each time in seconds after the first, and how long. Always has the first."""
    once = [(0.0, lasts or 0.0)]
    if entry.has("flap"):
        return _flaps(entry, lasts) or once
    every, times = entry.maybe("every", duration), entry.maybe("times", whole(2, _MOST))
    if entry.has("every") != entry.has("times"):
        entry.problem("times" if entry.has("every") else "every", "is missing; the two go together")
    if every is None or times is None or lasts is None:
        return once
    if every < lasts + GUARD_S:
        entry.problem("every", f"is too often: each time lasts {lasts:g} s, and the next may begin {GUARD_S:g} s later")
        return once
    return [(round(turn * every, 6), lasts) for turn in range(times)]


def _flaps(entry: Reader, lasts: float | None) -> list[tuple[float, float]]:
    """Give the whole times that fit into `lasts` seconds."""
    flap = Reader(entry.values["flap"], f"{entry.where}.flap", ("period", "duty"), entry.problems)
    for key in ("every", "times"):
        if entry.has(key):
            entry.problem(key, "is another way to say flap: use one of them")
    period, duty = flap.need("period", duration), flap.take("duty", percent, 50.0)
    if period is None or lasts is None:
        return []
    on = round(period * duty / 100, 6)
    if on < _LEAST_S or period - on < GUARD_S:
        flap.problem(
            "period",
            f"is on for {on:g} s and off for {period - on:g} s: no lease guards less than {_LEAST_S:g} s on, "
            f"and in between it has to be gone for {GUARD_S:g} s",
        )
        return []
    if lasts < on:
        entry.problem("for", f"is shorter than the {on:g} s that the fault is on each time")
        return []
    times = int(round((lasts - on) / period, 6)) + 1
    if times > _MOST:
        flap.problem("period", f"makes {times} times, more than {_MOST}")
        return []
    return [(round(turn * period, 6), on) for turn in range(times)]


def _all_keys() -> tuple[str, ...]:
    return tuple(sorted({key for fault in FAULTS for key in keys_of(fault)}))
