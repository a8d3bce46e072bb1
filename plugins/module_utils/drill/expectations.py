# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether probes hold: what was expected against what was answered or measured."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .check import Answer, Judgement
from .samples import gaps, outage_s, recovered_s

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .check import Asked, Context, Measured, Measurements
    from .model import Probe

_TAIL_S = 10.0
"""What was asked so long before the end has been answered by then."""

Outcome = dict[str, Any]


def answered(
    probe: Probe, check: Asked, result: Mapping[str, Any] | None, at: float | None, context: Context
) -> Outcome:
    """Judge a probe by the target program's result (None: there is no answer). `at` goes into the outcome as it is."""
    if result is None:
        return _outcome(probe, Judgement(False, "no answer from the target that was to ask", at, None))
    answer = Answer(bool(result["ok"]), dict(result.get("value") or {}), str(result.get("detail", "")))
    faults = check.faults(answer, context)
    detail = "; ".join([*faults, check.words(answer, context)])
    return _outcome(probe, Judgement(not faults, detail, at, answer.value))


def repeated(probe: Probe, outcomes: Sequence[Outcome]) -> Outcome:
    """Judge a probe that was asked until it was known whether it holds. There is one outcome at least."""
    if len(outcomes) == 1:
        return outcomes[0]
    right = [bool(outcome["ok"]) for outcome in outcomes]
    held = probe.patience.holds(right)
    told = next((outcome for outcome in reversed(outcomes) if outcome["ok"] == held), outcomes[-1])
    counted = f"{right.count(False)} of {len(right)} answers were wrong"
    return {**told, "ok": held, "detail": f"{told['detail']}; {counted}"}


def sampled(probe: Probe, outcomes: Sequence[Outcome], measurements: Measurements) -> Outcome:
    """Judge a probe that was asked over the whole run, by its outcomes in the order of time."""
    if not outcomes:
        return _outcome(probe, Judgement(False, "no answer from the target that was to ask", None, None))
    if measurements.injected is None:
        return _outcome(probe, Judgement(False, "no fault was injected", None, None))
    wrong = [outcome for outcome in outcomes if not outcome["ok"]]
    counted = f"{len(wrong)} of {len(outcomes)} answers were wrong"
    facts: dict[str, Any] = {"asked": len(outcomes), "wrong": len(wrong)}
    faults: list[str] = []
    last, until = outcomes[-1]["at"], measurements.windows["run"][0][1]
    if last + probe.patience.every_s + _TAIL_S < until:
        faults.append(f"no answer after {last:.3g} s, though it was asked until {until:g} s")
    series = gaps(outcomes, measurements.injected)
    if probe.phase == "recover_within":
        taken = recovered_s(series, measurements)
        facts["recovered_s"] = None if taken is None else round(taken, 3)
        again = f"it held again after {taken:.3g} s" if taken else "it always held"
        words = "it never held again" if taken is None else again
        if taken is None or taken > (probe.within or 0.0):
            faults.append(f"{words}, expected within {probe.within or 0:g} s")
    elif probe.max_outage_s is not None:
        longest = outage_s(series, measurements)
        facts["outage_ms"] = round(1000 * longest, 1)
        words = f"longest time without a right answer {longest:.3g} s"
        if longest > probe.max_outage_s:
            faults.append(f"{words}, expected at most {probe.max_outage_s:g} s")
    else:
        words = counted
        if len(wrong) > probe.patience.tolerate:
            faults.append(f"{counted}, expected at most {probe.patience.tolerate}")
    example = f"at {wrong[0]['at']:.3g} s: {wrong[0]['detail']}" if wrong else outcomes[-1]["detail"]
    detail = "; ".join([*(faults or [words]), *([counted] if words != counted else []), example])
    return _outcome(probe, Judgement(not faults, detail, measurements.injected, facts))


def measured(probe: Probe, check: Measured, measurements: Measurements) -> Outcome:
    """Judge a probe by what was measured over the whole run."""
    return _outcome(probe, check.judge(probe.phase, probe.within, measurements))


def _outcome(probe: Probe, judgement: Judgement) -> Outcome:
    return {
        "name": probe.name,
        "phase": probe.phase,
        "ok": judgement.ok,
        "detail": judgement.detail,
        "at": judgement.at,
        "value": judgement.value,
    }
