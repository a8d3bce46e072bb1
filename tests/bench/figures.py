# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measured figures, as a table and as JSON."""

from __future__ import annotations

import json
import os
import statistics
from typing import Any

Row = dict[str, Any]
_LEAST_WIDTH = 42


def row(figure: str, unit: str, values: list[float], aim: float | None) -> Row:
    return {
        "figure": figure,
        "unit": unit,
        "min": min(values),
        "median": statistics.median(values),
        "p99": p99(values),
        "max": max(values),
        "values": values,
        "aim": aim,
    }


def judged(line: Row, by: str, *, least: bool = False) -> Row:
    """Say whether a row's aim is met, by this of its figures, which is to be at most the aim, or at `least`."""
    if line["aim"] is None:
        return line
    return {**line, "met": line[by] >= line["aim"] if least else line[by] <= line["aim"]}


def missing(figure: str, why: str) -> Row:
    """Give the row of a figure that can't be measured here."""
    return {"figure": figure, "missing": why}


def p99(values: list[float]) -> float:
    return statistics.quantiles(values, n=100, method="inclusive")[98] if len(values) > 1 else values[0]


def show(rows: list[Row], more: list[Row] | None = None) -> None:
    """Print a table, and the same as JSON, which has `more` rows."""
    width = max(_LEAST_WIDTH, *(len(each["figure"]) for each in rows))
    print(f"\n{'figure':<{width}} {'unit':<4} {'min':>9} {'median':>9} {'p99':>9} {'max':>9} {'aim':>7}")
    for each in rows:
        if "missing" in each:
            print(f"{each['figure']:<{width}} not measured: {each['missing']}")
            continue
        aim = "" if each["aim"] is None else f"{each['aim']:g}"
        figures = "".join(f"{each[key]:>10.2f}" for key in ("min", "median", "p99", "max"))
        met = f"  {'' if each['met'] else 'not '}met" if "met" in each else ""
        print(f"{each['figure']:<{width}} {each['unit']:<4}{figures} {aim:>7}{met}")
    print(_json([*rows, *(more or [])]))


def _json(rows: list[Row]) -> str:
    """Give a figure a line."""
    head = json.dumps({"schema": "okiagari.bench/1", "cores": os.cpu_count()})[:-1]
    return f'{head}, "figures": [\n' + ",\n".join(json.dumps(each) for each in rows) + "\n]}"
