# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ways to save a guest's state, side by side: for each guest and load a table, with a line for each way."""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field
from itertools import groupby
from typing import TYPE_CHECKING

from figures import Row, missing, p99, row

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

ALONE = "left alone"
STILL, SILENCE, TOOK, SHIPPED, SPENT, DOES = "stands still", "silence", "took", "shipped", "processors", "does"
CACHED, UNCACHED = "restored", "restored from disk"
_UNITS = {STILL: "ms", SILENCE: "ms", TOOK: "ms", SHIPPED: "KiB", SPENT: "s", CACHED: "ms", UNCACHED: "ms"}
_HEAD = (
    ("", "way"), ("", "n"), ("stands still, ms", "p50 / p99"), ("silence, ms", "p50 / p99"), ("took, ms", "p50"),
    ("shipped, KiB", "p50"), ("processors, s", "p50"), ("guest does", "p50"), ("restored, ms", "from cache / disk"),
)  # fmt: skip


@dataclass
class Line:
    """What one way came to, for a guest of so many MiB under a load; `unit` is that of what the guest does then.

    `why` says why a way can't be measured at all, or why something of it can't.
    """

    mib: int
    load: str
    way: str
    unit: str
    why: str = ""
    values: dict[str, list[float]] = field(default_factory=dict)

    def note(self, figure: str, value: float | None) -> None:
        if value is not None:
            self.values.setdefault(figure, []).append(value)

    @property
    def name(self) -> str:
        return f"{self.mib} MiB, {self.load}, {self.way}"

    def row(self, figure: str, aim: float | None = None) -> Row:
        return row(f"{self.name}: {figure}", _UNITS.get(figure, self.unit), self.values[figure], aim)

    def rows(self) -> list[Row]:
        """Give all figures."""
        found = [self.row(figure) for figure in self.values]
        return [*found, *([missing(self.name, self.why)] if self.why else [])]


def show_lines(lines: Iterable[Line]) -> None:
    """Print a table for each guest and load."""
    for (mib, load, unit), found in groupby(lines, lambda line: (line.mib, line.load, line.unit)):
        ways = list(found)
        print(f"\n{mib} MiB, {load}{f'; what the guest does is in {unit}' if unit else ''}")
        _show([*zip(*_HEAD, strict=True), *map(_cells, ways)])
        for line in ways:
            if line.values and line.why:
                print(f"{line.way}: {line.why}")


def _cells(line: Line) -> Sequence[str]:
    if not line.values:
        return (line.way, "", f"not measured: {line.why}")
    pair = [_median(line, figure, 0) for figure in (CACHED, UNCACHED)]
    return (
        line.way, str(len(line.values.get(TOOK) or line.values[SILENCE])), _both(line, STILL), _both(line, SILENCE),
        _median(line, TOOK, 0), _median(line, SHIPPED, 1), _median(line, SPENT, 2), _median(line, DOES, 0),
        " / ".join(pair) if any(pair) else "",
    )  # fmt: skip


def _both(line: Line, figure: str) -> str:
    values = line.values.get(figure)
    return f"{statistics.median(values):.1f} / {p99(values):.1f}" if values else ""


def _median(line: Line, figure: str, places: int) -> str:
    values = line.values.get(figure)
    return f"{statistics.median(values):.{places}f}" if values else ""


def _show(lines: Sequence[Sequence[str]]) -> None:
    whole = [line for line in lines if len(line) == len(_HEAD)]
    widths = [max(len(line[column]) for line in whole) for column in range(len(_HEAD))]
    for line in lines:
        first, *others = line
        if len(line) == len(_HEAD):
            cells = [f"{cell:>{width}}" for cell, width in zip(others, widths[1:], strict=True)]
            print(f"{first:<16}", *cells, sep="  ")
        else:
            print(f"{first:<16}", *filter(None, others), sep="  ")
