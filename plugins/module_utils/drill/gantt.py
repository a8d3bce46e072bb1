# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The timeline drawn in text: a bar for each fault, by target, over a scale of seconds."""

from __future__ import annotations

import json
import math
from itertools import count, groupby, pairwise
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from .model import Fault

_LABEL = 34
_TICK = 10
_HALVES = {(False, False): " ", (True, False): "▌", (False, True): "▐", (True, True): "█"}
_HEIGHTS = "▁▂▃▄▅▆▇█"
_WAITS, _MAY_STAND = "·", "░"
_NAMING = ("interface", "prefix", "neighbor")


def gantt(faults: Sequence[Fault], width: int) -> list[str]:
    """Draw the faults in lines of at most `width` characters; nothing if there are none.

    A character is 1, 2 or 5 times a power of ten seconds, so that the scale is exact. A fault that comes again has one
    row; one that ramps is drawn as high as it is; and the time in which one waits for its event is dotted.
    """
    if not faults:
        return []
    rows = [(target, [*of_target]) for target, of_target in groupby(_rows(faults), key=lambda row: row[0].target)]
    labels = {id(row): f"  {_label(row[0])}" for _target, of_target in rows for row in of_target}
    times = {id(row): _times(row) for _target, of_target in rows for row in of_target}
    left = min(_LABEL, max(map(len, labels.values())))
    last = max(fault.ends for fault in faults)
    unit = _unit(last, width - left - max(map(len, times.values())) - 4)
    cells = math.ceil(round(last / unit, 6))
    lines = [*_scale(left, cells, unit)]
    for target, of_target in rows:
        lines.append(target)
        lines += [
            f"{_cut(labels[id(row)], left):<{left}}  {_bar(row, cells, unit)}  {times[id(row)]}" for row in of_target
        ]
    legend = [f"{_WAITS} waits for its event", f"{_MAY_STAND} may still stand"] if any(f.when for f in faults) else []
    return [line.rstrip() for line in (*lines, "   ".join(legend)) if line]


def _rows(faults: Iterable[Fault]) -> list[list[Fault]]:
    """Give the faults by target and in the order of time, the turns of one that comes again together."""
    turns: dict[str, list[Fault]] = {}
    for fault in sorted(faults, key=lambda fault: (fault.target, fault.at)):
        again = [fault.target, fault.kind, dict(fault.params), fault.lasts, bool(fault.when), len(fault.steps)]
        turns.setdefault(json.dumps(again, sort_keys=True), []).append(fault)
    return list(turns.values())


def _label(fault: Fault) -> str:
    return " ".join([fault.kind, *(str(fault.params[key]) for key in _NAMING if key in fault.params)])


def _times(row: Sequence[Fault]) -> str:
    first, last = row[0], row[-1]
    if first.when:
        return f"for {first.lasts:g}, begun by {first.latest:g}"
    again = f", {len(row)} times" if len(row) > 1 else ""
    steps = f" in {len(first.steps) + 1} steps" if first.steps else ""
    return f"{first.at:g} to {last.ends:g}{steps}{again}"


def _unit(last: float, cells: int) -> float:
    """Give the smallest round number of seconds of which `cells` reach as far as `last`."""
    rounds = (factor * 10.0**power for power in count(-1) for factor in (1, 2, 5))
    return next(unit for unit in rounds if last <= unit * max(cells, 1))


def _scale(left: int, cells: int, unit: float) -> Iterator[str]:
    ticks = range(0, cells + 1, _TICK)
    numbers = "".join(f"{round(tick * unit, 6):<{_TICK}g}" for tick in ticks)
    line = "".join("┬" if cell % _TICK == 0 else "─" for cell in range(cells + 1))
    yield f"{'seconds':<{left}}  {numbers}"
    yield f"{'':<{left}}  {line}"


def _bar(row: Iterable[Fault], cells: int, unit: float) -> str:
    drawn = [" "] * cells
    for fault in row:
        if fault.when:
            _fill(drawn, fault.at / unit, fault.latest / unit, _WAITS)
            _fill(drawn, fault.latest / unit, fault.ends / unit, _MAY_STAND)
        elif fault.steps:
            _slope(drawn, fault, unit)
        else:
            _solid(drawn, fault.at / unit, fault.ends / unit)
    return "".join(drawn)


def _solid(drawn: list[str], start: float, end: float) -> None:
    """Draw in halves of characters, at least one of them."""
    first = min(_nearest(2 * start), 2 * len(drawn) - 1)
    last = max(first + 1, _nearest(2 * end))
    for cell in range(first // 2, min(len(drawn), math.ceil(last / 2))):
        halves = tuple(
            first <= half < last or drawn[cell] in taken for half, taken in ((2 * cell, "▌█"), (2 * cell + 1, "▐█"))
        )
        drawn[cell] = _HALVES[halves[0], halves[1]]


def _fill(drawn: list[str], start: float, end: float, letter: str) -> None:
    for cell in range(min(len(drawn) - 1, _nearest(start)), min(len(drawn), _nearest(end))):
        drawn[cell] = letter


def _nearest(value: float) -> int:
    return math.floor(value + 0.5)


def _slope(drawn: list[str], fault: Fault, unit: float) -> None:
    """Draw each step as high as it stands between the least and the most."""
    begins = [0.0, *(step.after for step in fault.steps), fault.lasts]
    falls = _falls(fault.params, fault.steps[-1].params)
    for number, (begin, end) in enumerate(pairwise(begins)):
        share = number / len(fault.steps)
        height = _HEIGHTS[round((len(_HEIGHTS) - 1) * (1 - share if falls else share))]
        _fill(drawn, (fault.at + begin) / unit, (fault.at + end) / unit, height)


def _falls(first: Any, last: Any) -> bool:
    """Say whether the first value that differs becomes smaller."""
    if isinstance(first, dict):
        return next((_falls(first[key], last[key]) for key in first if first[key] != last[key]), False)
    return bool(isinstance(first, (int, float)) and last < first)


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else f"{text[: longest - 1]}…"
