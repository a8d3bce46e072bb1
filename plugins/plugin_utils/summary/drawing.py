# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Drawings of many runs: the calendar, the strip of verdicts, and a figure's trend against its limit."""

from __future__ import annotations

from datetime import date, timedelta
from statistics import median
from typing import TYPE_CHECKING

from ..report.svg import Element, element, group, markup, title
from ..report.wording import milliseconds, several
from .standing import worst

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from .runs import Run

STRIP = 60
"""How many of the latest runs a strip shows."""
TREND = 120
"""How many of the latest runs a trend shows."""

_CELL, _PITCH = 13, 17
_WEEKS = 53
_LEFT, _TOP = 34, 18
_WIDE, _HIGH = 240.0, 64.0
_DAYS = ("Mon", "", "Wed", "", "Fri", "", "")


def calendar(runs: Sequence[Run], today: date, link: Callable[[Run], str]) -> str:
    """Draw the year that ends today, a column a week; a day has the colour of its worst verdict."""
    monday = today - timedelta(days=today.weekday(), weeks=_WEEKS - 1)
    by_day: dict[date, list[Run]] = {}
    for run in runs:
        by_day.setdefault(run.started.date(), []).append(run)
    cells = [
        _day(day, by_day.get(day, ()), monday, link)
        for offset in range((today - monday).days + 1)
        for day in (monday + timedelta(days=offset),)
    ]
    names = [element("text", {"x": 0, "y": _TOP + row * _PITCH + 11}, name) for row, name in enumerate(_DAYS) if name]
    width, height = _LEFT + _WEEKS * _PITCH, _TOP + 7 * _PITCH
    words = f"{several(sum(day >= monday for day in by_day), 'day')} with drills in the year until {today}"
    attributes = {"class": "calendar", "viewBox": f"0 0 {width} {height}", "role": "img", "aria-label": words}
    return markup(element("svg", attributes, *_months(monday, today), *names, *cells))


def _months(monday: date, today: date) -> list[Element]:
    weeks = [monday + timedelta(weeks=week) for week in range((today - monday).days // 7 + 1)]
    return [
        element("text", {"x": _LEFT + week * _PITCH, "y": 11}, f"{day:%b}")
        for week, day in enumerate(weeks)
        if day.day <= 7 and week < _WEEKS - 1
    ]


def _day(day: date, runs: Sequence[Run], monday: date, link: Callable[[Run], str]) -> Element:
    week, row = divmod((day - monday).days, 7)
    x, y = _LEFT + week * _PITCH, _TOP + row * _PITCH
    if not runs:
        return _cell(x, y, "none")
    held = sum(run.held for run in runs)
    worst_one = worst(runs)
    words = f"{day:%a} {day}: {held} of {several(len(runs), 'run')} held"
    if not worst_one.held:
        words += f"; {worst_one.drill}: {worst_one.verdict.word.lower()}"
    return _linked(link(worst_one), _cell(x, y, worst_one.verdict.tone, words))


def strip(runs: Sequence[Run], link: Callable[[Run], str]) -> str:
    """Draw the verdicts of the latest runs, the newest on the right."""
    shown = runs[-STRIP:]
    cells = [
        _linked(
            link(run),
            _cell(index * _PITCH, 0, run.verdict.tone, f"{run.started:%Y-%m-%d %H:%M} UTC: {run.verdict.word}"),
        )
        for index, run in enumerate(shown, STRIP - len(shown))
    ]
    words = f"The verdicts of the last {several(len(shown), 'run')}: {sum(run.held for run in shown)} held"
    size = f"0 0 {STRIP * _PITCH - _PITCH + _CELL} {_CELL}"
    return markup(element("svg", {"class": "strip", "viewBox": size, "role": "img", "aria-label": words}, *cells))


def trend(runs: Sequence[Run], measure: str, limit: float | None) -> str:
    """Draw a figure over the latest runs that have it, with its limit as a line; above the limit it is marked."""
    points = [(run, run.measured[measure]) for run in runs if measure in run.measured][-TREND:]
    values = [value for _run, value in points]
    top = max([*values, limit or 0.0]) * 1.12 or 1.0
    step = (_WIDE - 8) / max(len(points) - 1, 1)

    def at(index: int, value: float) -> tuple[float, float]:
        return 4 + index * step, _HIGH - 3 - value / top * (_HIGH - 6)

    drawn = [element("line", {"class": "ground", "x1": 0, "x2": _WIDE, "y1": _HIGH - 3, "y2": _HIGH - 3})]
    if limit is not None:
        y = at(0, limit)[1]
        drawn.append(element("line", {"class": "limit", "x1": 0, "x2": _WIDE, "y1": y, "y2": y}))
    path = "L".join(f"{x:.1f} {y:.1f}" for x, y in (at(index, value) for index, value in enumerate(values)))
    if path:
        drawn.append(element("path", {"class": "course", "d": f"M{path}"}))
    for index, (run, value) in enumerate(points):
        over = limit is not None and value > limit
        if over or index == len(points) - 1:
            x, y = at(index, value)
            words = f"{run.started:%Y-%m-%d}: {milliseconds(value)}"
            drawn.append(
                element("circle", {"class": "over" if over else "last", "cx": x, "cy": y, "r": 3}, title(words))
            )
    words = f"Over {several(len(points), 'run')}: median {milliseconds(median(values))}" if values else "Never measured"
    attributes = {"class": "trend", "viewBox": f"0 0 {_WIDE:g} {_HIGH:g}", "role": "img", "aria-label": words}
    return markup(element("svg", attributes, *drawn))


def _cell(x: int, y: int, tone: str, words: str = "") -> Element:
    """Draw one run or day. What is bad has a cross too: not everybody tells colours apart."""
    box = element("rect", {"x": x, "y": y, "width": _CELL, "height": _CELL, "rx": 3})
    cross = element("path", {"d": f"M{x + 4} {y + 4}l5 5M{x + 9} {y + 4}l-5 5"}) if tone == "bad" else None
    return group(f"cell {tone}", title(words) if words else None, box, cross)


def _linked(href: str, drawn: Element) -> Element:
    return element("a", {"href": href}, drawn) if href else drawn
