# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading of a drill's probes: when each is asked, and what it checks."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from ..target.program import interval
from ..units import duration
from ..values import choice, flag, text, whole
from .check import Asked, Scope
from .checks import CHECKS
from .model import PHASES, Fault, Phase, Probe, Traffic, Writer
from .patience import ONCE, Patience
from .reader import Reader, refuse_twins

if TYPE_CHECKING:
    from ..errors import Problem
    from .check import Check
    from .places import Places

_REPEATING = ("every", "tries", "tolerate", "deadline", "max_outage")
_KEYS = ("name", "phase", "at", "within", "stop", *_REPEATING)


def read_probes(
    top: Reader,
    places: Places,
    traffic: tuple[Traffic, ...],
    writers: tuple[Writer, ...],
    faults: tuple[Fault, ...],
    watch_s: float,
    problems: list[Problem],
) -> tuple[Probe, ...]:
    """Give the probes of a drill that has these streams, writers and faults, and is watched so long after the last."""
    found: list[Probe] = []
    streams = {stream.name: stream for stream in traffic}
    written = {writer.name: writer for writer in writers}
    for index, item in enumerate(top.items("probes")):
        entry = Reader(item, f"probes[{index}]", (*_KEYS, *CHECKS), problems)
        phase = entry.need("phase", _phase)
        check = _check(entry, Scope(places, streams, written, phase), problems)
        patience, outage = _patience(entry, phase, check)
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
        stop = entry.take("stop", flag, False)
        if stop and phase != "on_fault":
            entry.problem("stop", f"is for probes of the phase on_fault, not {phase}")
        _mind_end(entry, phase, at, patience, faults)
        _mind_watch(entry, within, faults, watch_s)
        if check is not None:
            label = entry.take("name", text, check.describe(phase, within))
            found.append(Probe(f"probe-{index + 1}", label, phase, check, at, within, patience, outage, stop))
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


def _patience(entry: Reader, phase: Phase | None, check: Check | None) -> tuple[Patience, float | None]:
    """How often a question is asked, and the longest time without a right answer in the phase continuous."""
    every, tries = entry.maybe("every", interval), entry.maybe("tries", whole(2, 100))
    tolerate, deadline = entry.maybe("tolerate", whole(0, 1000)), entry.maybe("deadline", duration)
    outage = entry.maybe("max_outage", duration)
    given = [key for key in _REPEATING if entry.has(key)]
    if phase is None or check is None or not given:
        return ONCE, None
    if not isinstance(check, Asked):
        for key in given:
            entry.problem(key, "is for questions to a node, not for what is measured over the whole run")
        return ONCE, None
    fits = {"continuous": ("every", "tolerate", "max_outage"), "recover_within": ("every",)}
    for key in given:
        if key not in fits.get(phase, ("every", "tries", "tolerate", "deadline")):
            entry.problem(key, f"has no meaning in the phase {phase}")
    if entry.has("max_outage") and entry.has("tolerate"):
        entry.problem("tolerate", "counts wrong answers, which max_outage allows; give either the one or the other")
    if phase not in fits:
        if entry.has("tries") == entry.has("deadline"):
            entry.problem("tries", "is how often it is asked, or deadline until when; give the one or the other")
        if entry.has("tolerate") and tries is not None and (tolerate or 0) >= tries:
            entry.problem("tolerate", f"leaves nothing to hold: it is asked {tries} times")
        if entry.has("tolerate") and entry.has("deadline"):
            entry.problem("tolerate", "has no meaning with a deadline, until which every answer but one may be wrong")
    return Patience(tries or 1, every or 1.0, tolerate or 0, deadline), outage


def _mind_end(entry: Reader, phase: Phase, at: float | None, patience: Patience, faults: tuple[Fault, ...]) -> None:
    """A question about the faults has to be settled while one is on."""
    ends = max((fault.ends for fault in faults), default=math.inf)
    if phase == "on_fault" and at is not None and patience.lasts_s and at + patience.lasts_s > ends:
        key = "tries" if patience.deadline_s is None else "deadline"
        entry.problem(key, f"asks until {at + patience.lasts_s:g} s, and the last fault ends at {ends:g} s")


def _mind_watch(entry: Reader, within: float | None, faults: tuple[Fault, ...], watch_s: float) -> None:
    """What is to hold again has to be looked at for so long."""
    if within is None or not faults:
        return
    latest, ends = min(fault.at for fault in faults) + within, max(fault.ends for fault in faults)
    if latest > ends + watch_s:
        entry.problem(
            "within",
            f"is at {latest:g} s, and nothing is looked at after {ends + watch_s:g} s: give the drill a watch of "
            f"{latest - ends:g}s, or choose a shorter time",
        )


def _instant(entry: Reader, at: float | None, faults: tuple[Fault, ...]) -> float | None:
    """When a probe of the phase on_fault is asked: halfway through the first fault with an instant by default."""
    timed = [fault for fault in faults if not fault.when]
    if at is None and timed:
        first = min(timed, key=lambda fault: fault.at)
        return first.at + first.lasts / 2
    if at is None:
        if not entry.problems:
            entry.problem("at", "is missing, and there is no fault to ask halfway through")
    elif faults and not any(fault.at <= at < fault.ends for fault in faults):
        entry.problem("at", f"no fault is on at {at:g} s")
    return at


def _phase(value: object) -> Phase:
    return next(phase for phase in PHASES if phase == choice(PHASES, "phase")(value))
