# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Benchmarks of storage as files: one table, and one picture of it."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, Any

from ..report.svg import Element, element, group, markup, title

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

COLUMNS = ("run", "pattern", "block_kib", "size_kib", "kib_per_s", "seconds")
_COLOURS = ("#2f6f9f", "#c8553d", "#588b3c", "#8a5aa8")
_LEFT, _RIGHT, _TOP, _LINE, _GAP, _WIDTH = 150.0, 110.0, 64.0, 18.0, 12.0, 860.0
_STYLE = "text{font:13px system-ui,sans-serif;fill:#222}.t{font-size:16px;font-weight:600}.n{fill:#555}"


def table(runs: Mapping[str, Sequence[Mapping[str, Any]]]) -> str:
    """Give the rows of all runs as CSV."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for name, rows in runs.items():
        writer.writerows([name, *(row.get(column) for column in COLUMNS[1:])] for row in rows)
    return text.getvalue()


def picture(runs: Mapping[str, Sequence[Mapping[str, Any]]], heading: str) -> str:
    """Give the throughput of each pattern as an SVG, one bar a run.

    The fastest run of each pattern has the full length: beside what is read from memory nothing else would be seen.
    """
    patterns = list(dict.fromkeys(str(row["pattern"]) for rows in runs.values() for row in rows))
    speeds = {(name, str(row["pattern"])): float(row["kib_per_s"]) for name, rows in runs.items() for row in rows}
    block = len(runs) * _LINE + _GAP
    height = _TOP + len(patterns) * block + _GAP
    drawn: list[Element] = [_legend(list(runs))]
    for place, pattern in enumerate(patterns):
        top = _TOP + place * block
        most = max(speed for (_name, of), speed in speeds.items() if of == pattern) or 1.0
        label = {"x": _LEFT - 10, "y": top + block / 2, "text-anchor": "end"}
        drawn.append(element("text", label, pattern.replace("_", " ")))
        for line, name in enumerate(runs):
            if (name, pattern) in speeds:
                drawn.append(_bar(line, top + line * _LINE, speeds[name, pattern], most, name))
    head = element("text", {"x": 12.0, "y": 24.0, "class": "t"}, heading)
    size = {"viewBox": f"0 0 {_WIDTH:g} {height:g}", "width": _WIDTH, "height": height, "role": "img"}
    background = element("rect", {"width": "100%", "height": "100%", "fill": "#fff"})
    root = element(
        "svg", {"xmlns": "http://www.w3.org/2000/svg", **size}, element("style", None, _STYLE), background, head, *drawn
    )
    return markup(root) + "\n"


def _legend(names: Sequence[str]) -> Element:
    drawn = []
    for place, name in enumerate(names):
        left = _LEFT + 170 * place
        drawn.append(element("rect", {"x": left, "y": 36.0, "width": 12.0, "height": 12.0, "fill": _colour(place)}))
        drawn.append(element("text", {"x": left + 18, "y": 46.0}, name))
    return group("legend", *drawn)


def _bar(line: int, top: float, speed: float, most: float, name: str) -> Element:
    length = max(1.0, (_WIDTH - _LEFT - _RIGHT) * speed / most)
    words = f"{speed / 1024:.1f} MiB/s"
    box = {"x": _LEFT, "y": top, "width": length, "height": _LINE - 3, "fill": _colour(line)}
    return group(
        "bar",
        element("rect", box, title(f"{name}: {words}")),
        element("text", {"x": _LEFT + length + 6, "y": top + _LINE - 6, "class": "n"}, words),
    )


def _colour(place: int) -> str:
    return _COLOURS[place % len(_COLOURS)]
