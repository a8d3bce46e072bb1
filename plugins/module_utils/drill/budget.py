# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A drill's budget: the most that each figure of a run may be. All figures are in milliseconds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..units import duration
from .reader import Reader


@dataclass(frozen=True)
class Measure:
    """A figure that every run has: its name for people, and where a report holds it."""

    title: str
    path: tuple[str, ...]


MEASURES: Mapping[str, Measure] = {
    "outage": Measure("longest outage", ("outage_ms",)),
    "restored": Measure("restored after the last undo", ("timing", "restore_ms")),
    "arm": Measure("time to arm", ("timing", "arm_ms")),
    "skew": Measure("largest skew of a fault", ("timing", "skew_ms")),
}


def read(top: Reader) -> dict[str, float]:
    """Give the limits that a drill sets: name of a measure to milliseconds. Its problems go to those of `top`."""
    entry = Reader(top.values.get("budget", {}), "budget", MEASURES, top.problems)
    if entry.has("outage") and not top.values.get("traffic"):
        entry.problem("outage", "there is no traffic to measure it with")
    limits = {name: entry.maybe(name, duration) for name in MEASURES}
    return {name: 1000.0 * limit for name, limit in limits.items() if limit is not None}


def measured(report: Mapping[str, Any]) -> dict[str, float]:
    """Give the figures that a report knows."""
    found = {name: _at(report, measure.path) for name, measure in MEASURES.items()}
    return {name: float(value) for name, value in found.items() if isinstance(value, (int, float))}


def judge(limits: Mapping[str, float], report: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Compare each limit with what was measured; `ok` is None where nothing was."""
    known = measured(report)
    return {
        name: {
            "limit_ms": limit,
            "measured_ms": known.get(name),
            "ok": known[name] <= limit if name in known else None,
        }
        for name, limit in limits.items()
    }


def excesses(judged: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Give a sentence for each limit that wasn't kept, or of which that isn't known."""
    return [
        f"budget: {MEASURES[name].title} is {_words(each['measured_ms'])}, at most {each['limit_ms']:g} ms is allowed"
        for name, each in judged.items()
        if not each["ok"]
    ]


def _words(measured_ms: float | None) -> str:
    return "not known" if measured_ms is None else f"{measured_ms:g} ms"


def _at(report: Mapping[str, Any], path: tuple[str, ...]) -> Any:
    value: Any = report
    for key in path:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value
