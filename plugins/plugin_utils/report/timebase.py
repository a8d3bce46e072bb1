# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one time axis that the timeline and all plots of a page share."""

from __future__ import annotations

import math
from dataclasses import dataclass

from .reading import Report, entries, number

# Probes long before or after the run stand in their table; on the axis they would only squeeze what matters.
_MARGIN = 0.08


@dataclass(frozen=True)
class Axis:
    """Seconds since T0 from `first` to `last`."""

    first: float
    last: float

    def share(self, at: float) -> float:
        """Where an instant lies: 0 at the left end, 1 at the right, never outside."""
        return min(1.0, max(0.0, (at - self.first) / (self.last - self.first)))

    def percent(self, at: float) -> str:
        """The same as an SVG or CSS length."""
        return f"{self.share(at) * 100:.3f}".rstrip("0").rstrip(".") + "%"

    def covers(self, at: float) -> bool:
        return self.first <= at <= self.last

    def ticks(self) -> list[float]:
        """Round instants, about eight."""
        return round_steps(self.first, self.last, 8)


def round_steps(first: float, last: float, wanted: int) -> list[float]:
    """Multiples of 1, 2 or 5 times a power of ten from first to last, about as many as wanted."""
    span = last - first
    if span <= 0:
        return [first]
    base = 10.0 ** math.floor(math.log10(span / wanted))
    step = next(factor * base for factor in (1, 2, 5, 10) if span / (factor * base) <= wanted)
    start = math.ceil(first / step - 1e-9)
    return [index * step for index in range(start, math.floor(last / step + 1e-9) + 1)]


def axis_of(report: Report) -> Axis | None:
    """From the earliest to the latest that streams, faults and events know; None if nothing has a time."""
    core: list[float] = []
    for fault in entries(report.get("faults")):
        core += _known(fault.get("injected"), fault.get("undone"))
        at, length = number(fault.get("at")), number(fault.get("for"))
        if at is not None:
            core += [at, at + (length or 0.0)]
    for stream in entries(report.get("streams")):
        series = entries(stream.get("series"))
        if series:
            core += _known(series[0].get("t"), series[-1].get("t"))
    marks: list[float] = []
    for mark in entries(report.get("events")):
        marks += _known(mark.get("t"))
    for probe in entries(report.get("probes")):
        marks += _known(probe.get("at"))
    if not core:
        return None
    first, last = min([0.0, *core]), max(core)
    reach = max(last - first, 1.0) * _MARGIN
    near = [at for at in marks if first - reach <= at <= last + reach]
    first, last = min([first, *near]), max([last, *near])
    return Axis(first, last if last > first else first + 1.0)


def fault_windows(report: Report, axis: Axis) -> list[tuple[float, float]]:
    """When at least one fault was on, merged, in order; a fault that was never undone lasts to the axis' end."""
    spans = []
    for fault in entries(report.get("faults")):
        start, end = number(fault.get("injected")), number(fault.get("undone"))
        if start is not None:
            spans.append((start, axis.last if end is None else end))
    merged: list[tuple[float, float]] = []
    for start, end in sorted(spans):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], end))
        else:
            merged.append((start, end))
    return merged


def _known(*values: object) -> list[float]:
    return [known for known in map(number, values) if known is not None]
