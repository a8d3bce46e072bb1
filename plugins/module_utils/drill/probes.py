# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading of a drill's probes: when each is asked, and what it checks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..units import duration
from ..values import choice, text
from .check import Scope
from .checks import CHECKS
from .model import PHASES, Fault, Phase, Probe, Traffic, Writer
from .reader import Reader, refuse_twins

if TYPE_CHECKING:
    from ..errors import Problem
    from .check import Check
    from .places import Places


def read_probes(
    top: Reader,
    places: Places,
    traffic: tuple[Traffic, ...],
    writers: tuple[Writer, ...],
    faults: tuple[Fault, ...],
    problems: list[Problem],
) -> tuple[Probe, ...]:
    """Give the probes of a drill that has these streams, writers and faults."""
    found: list[Probe] = []
    streams = {stream.name: stream for stream in traffic}
    written = {writer.name: writer for writer in writers}
    for index, item in enumerate(top.items("probes")):
        entry = Reader(item, f"probes[{index}]", ("name", "phase", "at", "within", *CHECKS), problems)
        phase = entry.need("phase", _phase)
        check = _check(entry, Scope(places, streams, written, phase), problems)
        at = entry.maybe("at", duration)
        within = entry.maybe("within", duration)
        if phase is None:
            continue
        if entry.has("at") and phase != "on_fault":
            entry.problem("at", f"is for probes of the phase on_fault, not {phase}")
        if phase == "on_fault":
            at = _instant(entry, at, faults)
        if phase == "recover_within" and within is None and not entry.has("within"):
            entry.problem("within", "is missing")
        if entry.has("within") and phase != "recover_within":
            entry.problem("within", f"is for probes of the phase recover_within, not {phase}")
        if check is not None:
            label = entry.take("name", text, check.describe(phase, within))
            found.append(Probe(f"probe-{index + 1}", label, phase, check, at, within))
    refuse_twins("probes", [f"{probe.name} ({probe.phase})" for probe in found], problems)
    return tuple(found)


def _check(entry: Reader, scope: Scope, problems: list[Problem]) -> Check | None:
    given = [kind for name, kind in CHECKS.items() if entry.has(name)]
    if len(given) != 1:
        entry.problem("", f"has to have exactly one of {', '.join(CHECKS)}")
        return None
    [kind] = given
    if scope.phase and (why := kind.unfit(scope.phase)):
        entry.problem(kind.name, why)
    value = entry.values[kind.name]
    if kind.shorthand and isinstance(value, str):
        value = {kind.shorthand: value}
    return kind.read(Reader(value, f"{entry.where}.{kind.name}", kind.keys(scope.phase), problems), scope)


def _instant(entry: Reader, at: float | None, faults: tuple[Fault, ...]) -> float | None:
    """When a probe of the phase on_fault is asked: halfway through the first fault unless it says so."""
    if not faults:
        if at is None and not entry.problems:
            entry.problem("at", "is missing, and there is no fault to ask halfway through")
        return at
    if at is None:
        first = min(faults, key=lambda fault: fault.at)
        return first.at + first.lasts / 2
    if not any(fault.at <= at < fault.ends for fault in faults):
        entry.problem("at", f"no fault is on at {at:g} s")
    return at


def _phase(value: object) -> Phase:
    return next(phase for phase in PHASES if phase == choice(PHASES, "phase")(value))
