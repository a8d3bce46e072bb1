# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From a drill to one program per target; see docs/explanation/architecture.md, "The target program"."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .check import Asked

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .model import Drill, Fault, Probe
    from .places import Places

FIRST_PORT = 18700


def programs(
    drill: Drill, run: str, places: Places, t0: float, offsets: Mapping[str, float]
) -> dict[str, dict[str, Any]]:
    """Give the program of each target that has a part in the drill.

    `t0` is in epoch seconds of the controller's clock; `offsets` says by how many seconds each target's clock is ahead
    of it (absent: not at all).
    """
    found: dict[str, dict[str, Any]] = {}

    def program(target: str) -> dict[str, Any]:
        return found.setdefault(
            target,
            {
                "drill": run,
                "t0": t0 + offsets.get(target, 0.0),
                "ends": drill.ends,
                "faults": [],
                "streams": [],
                "writers": [],
                "probes": [],
            },
        )

    for fault in drill.faults:
        program(fault.maker)["faults"].append(_fault(fault))
    for number, traffic in enumerate(drill.traffic):
        for local, peer in ((traffic.a, traffic.b), (traffic.b, traffic.a)):
            program(local)["streams"].append(
                {
                    "id": traffic.name,
                    "local": places.address(local),
                    "peer": places.address(peer),
                    "port": FIRST_PORT + number,
                    "rate": traffic.rate,
                    "from": 0.0,
                    "until": drill.until,
                }
            )
    for writer in drill.writers:
        program(writer.node)["writers"].append(
            {
                "id": writer.name,
                "path": writer.path,
                "rate": writer.rate,
                "size": writer.size,
                "from": 0.0,
                "until": drill.until,
            }
        )
    for probe in drill.probes:
        if isinstance(probe.check, Asked) and probe.during:
            for node, question in probe.check.questions(probe.id, run):
                program(node)["probes"].append({**question, **_instants(probe, drill.until)})
    return found


def _instants(probe: Probe, end: float) -> dict[str, float]:
    """When a probe is asked: once, or `every` so often."""
    begin, until = probe.span(end)
    return {"at": begin, "every": probe.patience.every_s, "until": until} if until > begin else {"at": begin}


def _fault(fault: Fault) -> dict[str, Any]:
    found = {"id": fault.id, "kind": fault.kind, "params": dict(fault.params), "at": fault.at, "for": fault.lasts}
    if fault.by:
        found["target"] = fault.target
    if fault.when:
        found["when"] = {**fault.when.event, "within": fault.when.within}
    if fault.steps:
        found["steps"] = [{"after": step.after, "params": dict(step.params)} for step in fault.steps]
    return found
