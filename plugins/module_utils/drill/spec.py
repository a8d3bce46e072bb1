# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading of a drill as a person writes it; docs/reference/drill.md is its manual."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from ..errors import BadInput, Problem
from ..fault.model import span
from ..target.writers import LARGEST, SMALLEST
from ..units import duration
from ..values import choice, file_path, flag, text, whole
from . import budget
from .conflicts import GUARD_S
from .model import Drill, Fault, Traffic, Writer
from .placement import COMMON_KEYS, FAULTS, keys_of, place
from .places import Places, Power
from .probes import read_probes
from .reader import Reader, name, one_or_more, refuse_twins

KEYS = (
    "name",
    "title",
    "hypothesis",
    "traffic",
    "writers",
    "timeline",
    "probes",
    "expects_isolated",
    "expects_no_majority",
    "watch",
    "recover_timeout",
    "budget",
    "reports",
    "testbed",
)


def parse(arguments: object, testbed: Mapping[str, Any], power: Mapping[str, Power] | None = None) -> Drill:
    """Give the drill that the arguments of the task describe, in the resolved testbed, with what gives nodes `power`.

    The keys `reports` and `testbed` are for the task itself. Whether the drill may run there is for `conflicts` and
    `blast`. Raises `BadInput` with everything that is wrong with it.
    """
    problems: list[Problem] = []
    top = Reader(arguments, "", KEYS, problems)
    top.maybe("reports", text)
    places = Places(testbed, power)
    drill_name = top.need("name", name) or "drill"
    traffic = _traffic(top, places, problems)
    writers = _writers(top, places, problems)
    faults = _timeline(top, drill_name, places, problems)
    drill = Drill(
        name=drill_name,
        title=top.take("title", text, drill_name.replace("_", " ").capitalize()),
        hypothesis=top.need("hypothesis", text) or "",
        traffic=traffic,
        faults=faults,
        probes=read_probes(top, places, traffic, writers, faults, problems),
        writers=writers,
        expects_isolated=top.maybe("expects_isolated", one_or_more(places.site)) or (),
        expects_no_majority=top.take("expects_no_majority", flag, default=False),
        watch_s=top.take("watch", duration, 10.0),
        recover_timeout_s=top.take("recover_timeout", duration, 30.0),
        budget=budget.read(top),
    )
    if problems:
        raise BadInput(problems)
    return drill


def _traffic(top: Reader, places: Places, problems: list[Problem]) -> tuple[Traffic, ...]:
    found: list[Traffic] = []
    for index, item in enumerate(top.items("traffic")):
        entry = Reader(item, f"traffic[{index}]", ("name", "between", "rate"), problems)
        stream, between = entry.need("name", name), entry.need("between", places.two_nodes)
        rate = entry.take("rate", whole(1, 1000), 100)
        if stream is not None and between is not None:
            found.append(Traffic(stream, between[0], between[1], rate))
    refuse_twins("traffic", [stream.name for stream in found], problems)
    return tuple(found)


def _writers(top: Reader, places: Places, problems: list[Problem]) -> tuple[Writer, ...]:
    found: list[Writer] = []
    for index, item in enumerate(top.items("writers")):
        entry = Reader(item, f"writers[{index}]", ("name", "node", "path", "rate", "size"), problems)
        writer, node, path = entry.need("name", name), entry.need("node", places.node), entry.need("path", file_path)
        rate, size = entry.take("rate", whole(1, 1000), 10), entry.take("size", _size, 4096)
        if writer and node and path:
            found.append(Writer(writer, node, path, float(rate), size))
    refuse_twins("writers", [writer.name for writer in found], problems)
    problems += [
        Problem("", None, "writers", f"{count} of them write to {path}")
        for path, count in Counter(writer.path for writer in found).items()
        if count > 1
    ]
    return tuple(found)


def _timeline(top: Reader, drill: str, places: Places, problems: list[Problem]) -> tuple[Fault, ...]:
    found: list[Fault] = []
    for index, item in enumerate(top.items("timeline")):
        where = f"timeline[{index}]"
        fault = item.get("fault") if isinstance(item, Mapping) else None
        allowed = (*COMMON_KEYS, *(keys_of(fault) if isinstance(fault, str) and fault in FAULTS else _all_keys()))
        entry = Reader(item, where, allowed, problems)
        at, lasts = entry.need("at", duration), entry.need("for", span)
        rounds = _rounds(entry, lasts)
        known = entry.need("fault", choice(FAULTS, "kind of fault"))
        if known is None:
            continue
        placed = place(known, entry, places)
        if at is None or lasts is None:
            continue
        for turn, begin in enumerate(rounds):
            targets: Counter[str] = Counter()
            for share in placed:
                targets[share.target] += 1
                fault_id = f"{drill}-{index + 1}-{share.target}"
                fault_id += f"-{targets[share.target]}" if targets[share.target] > 1 else ""
                fault_id += f"-r{turn + 1}" if turn else ""
                found.append(
                    Fault(
                        fault_id, share.kind, share.target, share.params, at + begin, lasts, share.circuit,
                        share.by, share.silences, share.ends_programs,
                    )
                )  # fmt: skip
    return tuple(found)


def _rounds(entry: Reader, lasts: float | None) -> list[float]:
    """When a fault comes again, in seconds after the first time: `times` times, one `every` so often."""
    every, times = entry.maybe("every", duration), entry.maybe("times", whole(2, 1000))
    if entry.has("every") != entry.has("times"):
        entry.problem("times" if entry.has("every") else "every", "is missing; the two go together")
    if every is None or times is None or lasts is None:
        return [0.0]
    if every < lasts + GUARD_S:
        entry.problem("every", f"is too often: each time lasts {lasts:g} s, and the next may begin {GUARD_S:g} s later")
        return [0.0]
    return [round(turn * every, 6) for turn in range(times)]


def _size(value: object) -> int:
    """A size in bytes, or as 64kib or 4mib."""
    for unit, factor in (("kib", 2**10), ("mib", 2**20)):
        if isinstance(value, str) and value.strip().lower().endswith(unit):
            return whole(1, LARGEST // factor)(value.strip()[: -len(unit)].strip()) * factor
    return whole(SMALLEST, LARGEST)(value)


def _all_keys() -> tuple[str, ...]:
    return tuple(sorted({key for fault in FAULTS for key in keys_of(fault)}))
