# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A drill's program for one target: read, checked as a whole, with the instants at which its faults come and go."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ..errors import BadInput, BadValue, shown
from ..fault.kinds import find_kind
from ..fault.model import Fault, Problems, check_id, label, parse_fault, span
from ..fault.parameters import address
from ..units import duration, seconds
from ..values import file_path, items, mapping, number, text, whole
from . import probes
from .writers import LARGEST, SMALLEST

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

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
    """A fault of a program: from `at` for `lasts` seconds after T0."""

    fault: Fault
    at: float
    lasts: float

    @property
    def until(self) -> float:
        return self.at + self.lasts


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
            fault = parse_fault(each, in_program=True)
            faults.append(
                Planned(replace(fault, target=fault.target or target), duration(each["at"]), span(each["for"]))
            )
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


def _check_overlaps(faults: list[Planned], problems: Problems) -> None:
    ids = [planned.fault.id for planned in faults]
    for repeated in sorted({name for name in ids if ids.count(name) > 1}):
        problems.add(repeated, "two faults of this program have this id")
    for index, one in enumerate(faults):
        for other in faults[index + 1 :]:
            claim = find_kind(one.fault.kind).claim(one.fault.params)
            if (
                claim == find_kind(other.fault.kind).claim(other.fault.params)
                and one.at < other.until
                and other.at < one.until
            ):
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
