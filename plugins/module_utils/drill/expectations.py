# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether probes hold: what was expected against what was answered or measured."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .check import Judgement

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .check import Asked, Context, Measured, Measurements
    from .model import Probe

Outcome = dict[str, Any]


def answered(
    probe: Probe, check: Asked, result: Mapping[str, Any] | None, at: float | None, context: Context
) -> Outcome:
    """Judge a probe by the target program's result (None: there is no answer). `at` goes into the outcome as it is."""
    if result is None:
        return _outcome(probe, Judgement(False, "no answer from the target that was to ask", at, None))
    value = dict(result.get("value") or {})
    faults = check.faults(bool(result["ok"]), value, context)
    detail = check.words(value, str(result.get("detail", "")), context)
    return _outcome(probe, Judgement(not faults, "; ".join([*faults, detail]), at, value))


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
