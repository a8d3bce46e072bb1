# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading of a drill as a person writes it; docs/reference/drill.md is its manual."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from ..errors import BadInput, Problem
from ..target.writers import LARGEST, SMALLEST
from ..units import duration
from ..values import file_path, flag, text, whole
from . import budget
from .model import Drill, Traffic, Writer
from .places import Device, Places, Power
from .probes import read_probes
from .reader import Reader, name, one_or_more, refuse_twins
from .timeline import read_timeline

if TYPE_CHECKING:
    from collections.abc import Mapping

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
    "seed",
    "reports",
    "testbed",
)
MOST_SEED = 999_999_999


def parse(
    arguments: object,
    testbed: Mapping[str, Any],
    power: Mapping[str, Power] | None = None,
    devices: Mapping[str, Device] | None = None,
) -> Drill:
    """Give the drill that the arguments of the task describe, in the resolved testbed.

    `power` is what gives nodes theirs, and `devices` are those on which no program can run.

    The keys `reports` and `testbed` are for the task itself. Whether the drill may run there is for `conflicts` and
    `blast`. Raises `BadInput` with everything that is wrong with it.
    """
    problems: list[Problem] = []
    top = Reader(arguments, "", KEYS, problems)
    top.maybe("reports", text)
    places = Places(testbed, power, devices)
    drill_name = top.need("name", name) or "drill"
    traffic = _traffic(top, places, problems)
    writers = _writers(top, places, problems)
    seed = top.take("seed", whole(0, MOST_SEED), 0)
    timeline = read_timeline(top, drill_name, places, seed)
    faults = tuple(timeline.faults)
    watch_s = top.take("watch", duration, 10.0)
    drill = Drill(
        name=drill_name,
        title=top.take("title", text, drill_name.replace("_", " ").capitalize()),
        hypothesis=top.need("hypothesis", text) or "",
        traffic=traffic,
        faults=faults,
        probes=read_probes(top, places, traffic, writers, faults, watch_s, problems),
        writers=writers,
        expects_isolated=top.maybe("expects_isolated", one_or_more(places.site)) or (),
        expects_no_majority=top.take("expects_no_majority", flag, default=False),
        watch_s=watch_s,
        recover_timeout_s=top.take("recover_timeout", duration, 30.0),
        budget=budget.read(top),
        seed=seed,
        choices=tuple(timeline.choices),
        devices=places.devices,
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


def _size(value: object) -> int:
    """A size in bytes, or as 64kib or 4mib."""
    for unit, factor in (("kib", 2**10), ("mib", 2**20)):
        if isinstance(value, str) and value.strip().lower().endswith(unit):
            return whole(1, LARGEST // factor)(value.strip()[: -len(unit)].strip()) * factor
    return whole(SMALLEST, LARGEST)(value)
