# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a drill can't have of its devices, on which nothing of Okiagari runs, and which keep one lease at a time."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from ..errors import Problem
from ..fault.able import lacks
from ..fault.kinds import KINDS
from .check import Asked

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .model import Drill, Fault

GUARD_S = 10.0
"""How long a device is left alone between two faults: it takes seconds for each change."""


def unfit(drill: Drill) -> list[Problem]:
    """Give a problem for each fault that a device can't have, and for each task that it would have to run itself."""
    made = [fault for fault in drill.faults if fault.target in drill.devices and not fault.by]
    return [*_unable(drill, made), *_at_once(made), *_busy(drill)]


def watched(drill: Drill, node: str) -> list[str]:
    """Give the state entries of a device that are compared: its interfaces, and what the drill's faults change."""
    device = drill.devices[node]
    claims = [KINDS[fault.kind].claim(fault.params) for fault in drill.faults if fault.target == node and not fault.by]
    return list(dict.fromkeys([*(f"link:{name}" for name in device.interfaces), *claims]))


def _unable(drill: Drill, faults: list[Fault]) -> Iterator[Problem]:
    told = set()
    for fault in faults:
        os = drill.devices[fault.target].os
        reason = lacks(os, fault.kind, fault.params)
        if not reason and fault.steps:
            reason = "a device is told of a fault once, so it has no ramp"
        if not reason and fault.when:
            reason = "its program is not on the device, and sees no event there, so it has no when"
        if reason and (reason, fault.target, fault.kind) not in told:
            told.add((reason, fault.target, fault.kind))
            yield Problem(
                "", None, fault.id, f"{fault.target} is a device ({os}), and can't have {fault.kind}: {reason}"
            )


def _at_once(faults: list[Fault]) -> Iterator[Problem]:
    for target in sorted({fault.target for fault in faults}):
        in_order = sorted((fault for fault in faults if fault.target == target), key=lambda fault: fault.at)
        for first, second in pairwise(in_order):
            if second.at < first.ends + GUARD_S:
                message = (
                    f"{target} is a device, which can take back one change at a time: the first is from "
                    f"{first.at:g} s to {first.ends:g} s, the second may begin at {first.ends + GUARD_S:g} s"
                )
                yield Problem("", None, f"{first.id} and {second.id}", message)


def _busy(drill: Drill) -> Iterator[Problem]:
    tasks = [(f"the stream {stream.name}", {stream.a, stream.b}) for stream in drill.traffic]
    tasks += [(f"the writer {writer.name}", {writer.node}) for writer in drill.writers]
    tasks += [(probe.name, probe.check.nodes) for probe in drill.probes if isinstance(probe.check, Asked)]
    for what, nodes in tasks:
        for node in sorted(nodes & drill.devices.keys()):
            yield Problem("", None, what, f"{node} is a device, on which nothing can run: choose a node behind it")
