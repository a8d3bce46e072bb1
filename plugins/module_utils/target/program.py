# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A drill's program for one target: read, checked as a whole, with the instants at which its faults come and go."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from ..errors import BadInput, BadValue, shown
from ..fault.kinds import find_kind
from ..fault.model import Fault, Problems, check_id, label, parse_fault, span
from ..fault.parameters import address
from ..units import duration, seconds
from ..values import file_path, items, mapping, number, text, whole
from . import events, probes
from .writers import LARGEST, SMALLEST

if TYPE_CHECKING:
    from collections.abc import Callable

_SHORTEST_S = 0.1

_READERS: dict[str, Callable[[object], Any]] = {
    "drill": check_id, "t0": seconds, "ends": seconds, "target": text,
    "faults": items, "streams": items, "writers": items, "probes": items, "before": mapping,
}  # fmt: skip
_OPTIONAL = ("target", "faults", "streams", "writers", "probes", "before")
_STREAM: dict[str, Callable[[object], Any]] = {
    "id": check_id, "local": address, "peer": address, "port": whole(1, 65535), "rate": number(0.001, 10000),
    "from": seconds, "until": seconds,
}  # fmt: skip
_WRITER: dict[str, Callable[[object], Any]] = {
    "id": check_id, "path": file_path, "rate": number(0.001, 1000), "size": whole(SMALLEST, LARGEST),
    "from": seconds, "until": seconds,
}  # fmt: skip


@dataclass(frozen=True)
class Planned:
    """A fault of a program: from `at` for `lasts` seconds after T0; with `when` from an event on, awaited from `at` on.

    `steps` are further parameters, each with the seconds after the injection from which on they hold.
    """

    fault: Fault
    at: float
    lasts: float
    when: Mapping[str, Any] | None = None
    steps: tuple[tuple[float, dict[str, Any]], ...] = ()

    @property
    def until(self) -> float:
        """The latest instant at which it may still stand."""
        return self.at + (self.when["within"] if self.when else 0.0) + self.lasts


@dataclass(frozen=True)
class Program:
    """What one target does in a drill. `t0` is in seconds since the epoch, by the target's own clock.

    `before` is the target's snapshot from before the drill: when it is like that again, all is restored.
    """

    drill: str
    t0: float
    ends: float
    target: str
    faults: tuple[Planned, ...]
    streams: tuple[Mapping[str, Any], ...]
    writers: tuple[Mapping[str, Any], ...]
    probes: tuple[Mapping[str, Any], ...]
    before: Mapping[str, Any]


def parse(data: object) -> Program:
    """Give the program that `data` describes. Raises `BadInput` with all that is wrong."""
    problems = Problems()
    found = problems.read("program", data, _READERS, _OPTIONAL)
    target = found.get("target", "")
    faults = []
    for each in found.get("faults", ()):
        try:
            faults.append(_planned(each, target))
        except BadInput as refused:
            problems.found.extend(refused.problems)
    _check_overlaps(faults, problems)
    streams = tuple(_working("stream", each, _STREAM, problems) for each in found.get("streams", ()))
    written = tuple(_working("writer", each, _WRITER, problems) for each in found.get("writers", ()))
    asked = tuple(_asked(each, problems) for each in found.get("probes", ()))
    problems.raise_if_any()
    return Program(
        found["drill"], found["t0"], found["ends"], target, tuple(faults), streams, written, asked,
        found.get("before", {}),
    )  # fmt: skip


def _planned(data: object, target: str) -> Planned:
    """Give a fault of a program. Raises `BadInput` with all that is wrong with it."""
    given = data if isinstance(data, Mapping) else {}
    own = {key: given[key] for key in ("when", "steps") if key in given}
    fault = parse_fault({key: given[key] for key in given if key not in own} or data, in_program=True)
    problems, name = Problems(), label("fault", given)
    rest = problems.read(name, own, {"when": events.read, "steps": items}, ("when", "steps"))
    steps = tuple(_step(name, each, fault, problems) for each in rest.get("steps", ()))
    lasts = span(given["for"])
    instants = [after for after, _params in steps]
    if instants != sorted({after for after in instants if 0 < after < lasts}):
        problems.add(name, "its steps are not in the order of time, or not while it is on")
    problems.raise_if_any()
    when = rest.get("when")
    lease = lasts + (when["within"] if when else 0.0) + 1.0
    fault = replace(fault, target=fault.target or target, lease_s=lease)
    return Planned(fault, duration(given["at"]), lasts, when, steps)


def _step(name: str, data: object, fault: Fault, problems: Problems) -> tuple[float, dict[str, Any]]:
    """Give the parameters of a step, which is the same fault with other values for what may change."""
    found = problems.read(f"{name}: step", data, {"after": duration, "params": mapping})
    kind = find_kind(fault.kind)
    try:
        params = kind.parse(f"{name}: step", found.get("params", {}))
    except BadInput as error:
        problems.found.extend(error.problems)
        return 0.0, {}
    fixed = [key for key in {*params, *fault.params} - {*kind.changeable()} if params.get(key) != fault.params.get(key)]
    for key in sorted(fixed):
        problems.add(name, f"{key} can't change while the fault stands")
    return found.get("after", 0.0), params


def _check_overlaps(faults: list[Planned], problems: Problems) -> None:
    for repeated, count in Counter(planned.fault.id for planned in faults).items():
        if count > 1:
            problems.add(repeated, "two faults of this program have this id")
    by_claim: dict[str, list[Planned]] = {}
    for planned in sorted(faults, key=lambda planned: planned.at):
        claim = find_kind(planned.fault.kind).claim(planned.fault.params)
        by_claim.setdefault(claim, []).append(planned)
    for claim, claiming in by_claim.items():
        for one, other in pairwise(claiming):
            if other.at < one.until:
                problems.add(other.fault.id, f"stands on {claim} at the same time as {one.fault.id}")


def _asked(data: object, problems: Problems) -> Mapping[str, Any]:
    """A probe that is asked once, or from one instant to another."""
    readers = {"id": check_id, "at": duration, "every": interval, "until": duration}
    found = probes.read(data, problems, readers, optional=("every", "until"))
    if ("every" in found) != ("until" in found):
        problems.add(label("probe", data), "every and until go together")
    return found


def interval(value: object) -> float:
    """Give how often something is asked, in seconds from one time to the next."""
    found = duration(value)
    if found < _SHORTEST_S:
        raise BadValue(f"{shown(value)} is less than {_SHORTEST_S:g} s")
    return found


def _working(
    what: str, data: object, readers: Mapping[str, Callable[[object], Any]], problems: Problems
) -> Mapping[str, Any]:
    """Something that works from one instant to another."""
    name = label(what, data)
    found = problems.read(name, data, readers)
    if {"from", "until"} <= found.keys() and found["from"] >= found["until"]:
        problems.add(name, "ends before it begins")
    return found
