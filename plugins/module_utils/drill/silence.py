# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What can't be done by a target that is silent, or on which everything has ended: make faults, and answer probes."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING

from ..errors import Problem
from .check import Asked
from .conflicts import GUARD_S
from .storage_checks import Readback
from .traffic_checks import TrafficCheck
from .write_checks import WriteCheck

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .model import Drill, Fault, Probe


def impossible(drill: Drill) -> list[Problem]:
    """Give a problem for each fault and each probe of the drill that its own faults keep from being seen to."""
    return [*_overtaken(drill), *_unanswerable(drill)]


def _overtaken(drill: Drill) -> Iterator[Problem]:
    silencing = [fault for fault in drill.faults if fault.silences]
    for silent, other in product(silencing, drill.faults):
        if other is not silent and other.maker == silent.target and _meets(silent, other.at, other.ends):
            message = (
                f"{silent.target} can't see to the {other.kind} from {other.at:g} s to {other.ends:g} s, because of "
                f"the {silent.kind} from {silent.at:g} s; the {other.kind} may last until {silent.at - GUARD_S:g} s"
            )
            yield Problem("", None, f"{silent.id} and {other.id}", message)


def _unanswerable(drill: Drill) -> Iterator[Problem]:
    for probe in drill.probes:
        for silent in drill.faults:
            node = _unable(drill, probe, silent)
            if node:
                message = f"nothing would be known of it: {node} has a {silent.kind} from {silent.at:g} s on"
                yield Problem("", None, probe.name, message)
                break


def _unable(drill: Drill, probe: Probe, silent: Fault) -> str | None:
    """Give the node that a probe needs, and that a fault keeps from answering."""
    needed = _measuring(drill, probe) if silent.ends_programs else set()
    if isinstance(probe.check, Asked) and probe.during and _meets(silent, *probe.span(drill.until)):
        needed |= probe.check.nodes
    return silent.target if silent.silences and silent.target in needed else None


def _measuring(drill: Drill, probe: Probe) -> set[str]:
    """Give the nodes that keep what a probe needs until the end of the run; a node's power takes it along."""
    check = probe.check
    if isinstance(check, TrafficCheck):
        return {end for stream in drill.traffic if stream.name == check.of for end in (stream.a, stream.b)}
    if isinstance(check, (Readback, WriteCheck)):
        return {writer.node for writer in drill.writers if writer.name == check.of}
    return set()


def _meets(silent: Fault, begin: float, end: float) -> bool:
    return end + GUARD_S > silent.at and (silent.ends_programs or begin < silent.ends + GUARD_S)
