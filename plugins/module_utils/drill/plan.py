# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a drill would do, for people: its timeline, its blast radius, and the program of each target."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..errors import BadInput, Problem
from .blast import Radius, radii, refusals
from .compile import programs
from .conflicts import conflicts
from .devices import unfit
from .gantt import gantt
from .silence import impossible

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from .model import Drill, When
    from .places import Places


@dataclass(frozen=True)
class Plan:
    """A drill that may run. The programs have `t0` 0: they count from T0."""

    programs: Mapping[str, Mapping[str, Any]]
    radii: tuple[Radius, ...]


def plans(drill: Drill, testbed: Mapping[str, Any], places: Places) -> Plan:
    """Compile the drill without a clock.

    Raises `BadInput` for conflicts, for what devices can't, for what its own faults make impossible, and for unexpected
    isolation.
    """
    found = radii(drill, testbed)
    # A device has one fault at a time, on whatever.
    claiming = [fault for fault in drill.faults if fault.by or fault.target not in drill.devices]
    problems = [*conflicts(claiming), *unfit(drill), *impossible(drill), *refusals(drill, found)]
    if problems:
        raise BadInput(problems)
    return Plan(programs(drill, drill.name, places, 0.0, {}), tuple(found))


def timeline_text(drill: Drill, width: int = 80) -> str:
    """Draw the timeline, with what was chosen at random for it."""
    chosen = [f"  {place}: {value}" for place, value in drill.choices]
    lines = [f"chosen with the seed {drill.seed} (-e drill_seed={drill.seed} chooses the same)", *chosen, ""]
    return "\n".join([*(lines if chosen else ()), *gantt(drill.faults, width)])


def plan_text(drill: Drill, plan: Plan, refused: Iterable[Problem] = (), width: int = 80) -> str:
    """Write the plan as a diff does: what would be there and isn't now has a plus.

    `refused` is what stands against running it now.
    """
    names = {probe.id: probe.name for probe in drill.probes}
    lines = [f"drill {drill.name}: {drill.hypothesis}", "", "permission"]
    lines += [f"  not now: {problem}" for problem in refused] or ["  it may run now"]
    lines += ["", *timeline_text(drill, width).splitlines()]
    lines += ["", "blast radius", *_radius_lines(plan.radii)]
    waiting = {fault.id: fault.when for fault in drill.faults if fault.when}
    for target, program in sorted(plan.programs.items()):
        lines += ["", f"+++ {target}"]
        for fault in program["faults"]:
            lines += _fault_lines(fault, waiting.get(fault["id"]))
        for stream in program["streams"]:
            lines.append(
                f"+ {stream['from']:g} s to {stream['until']:g} s: {stream['rate']} packets/s to {stream['peer']}"
            )
        for writer in program["writers"]:
            span = f"{writer['from']:g} s to {writer['until']:g} s"
            lines.append(f"+ {span}: {writer['rate']:g} records/s of {writer['size']} bytes to {writer['path']}")
        for probe in program["probes"]:
            lines.append(f"+ {_when(probe)}: {names.get(probe['id'], probe['type'])}")
    return "\n".join(lines)


def _when(probe: Mapping[str, Any]) -> str:
    if "every" not in probe:
        return f"{probe['at']:g} s"
    return f"{probe['at']:g} s to {probe['until']:g} s, every {probe['every']:g} s"


def _fault_lines(fault: Mapping[str, Any], when: When | None) -> Iterator[str]:
    what = f"{fault['for']:g} s: {fault['kind']} {json.dumps(fault['params'], sort_keys=True)}"
    if when is None:
        yield f"+ {fault['at']:g} s for {what}"
    else:
        yield f"+ from {fault['at']:g} s on, within {when.within:g} s, when {when.text}, for {what}"
    for step in fault.get("steps", ()):
        yield f"+   {step['after']:g} s later {json.dumps(step['params'], sort_keys=True)}"


def _radius_lines(found: Iterable[Radius]) -> list[str]:
    lines: list[str] = []
    gone: tuple[tuple[str, ...], ...] = ((), ())
    for radius in found:
        if (radius.cut, radius.silent) != gone:
            gone = (radius.cut, radius.silent)
            silent = f"; silent: {', '.join(radius.silent)}" if radius.silent else ""
            isolated = f"; isolated: {', '.join(radius.isolated)}" if radius.isolated else ""
            lines.append(f"  from {radius.since:g} s: {', '.join(radius.cut) or 'nothing'} cut{silent}{isolated}")
    return lines or ["  no circuit is cut at any time"]
