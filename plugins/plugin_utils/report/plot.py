# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Loss and latency of the streams over time: both directions of a pair together, on the page's time axis."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from statistics import median
from typing import Any

from .budget import limit_of
from .reading import Report, entries, number, text
from .svg import Element, element, group
from .timebase import Axis, round_steps
from .timeline import Lane, canvas
from .wording import UNKNOWN, count, milliseconds, percent

# More points than a screen has columns only make the page heavy.
POINTS = 700
_ACROSS = 2000
_LOSS_HEIGHT = 44
_LATENCY_HEIGHT = 92

Point = tuple[float, float | None, float | None, float | None]


@dataclass(frozen=True)
class Direction:
    """One direction of a pair: its figures in words, its lane of loss, and its points for the pointer's readout."""

    way: str
    start: str
    end: str
    outage: str
    tone: str
    lost: str
    facts: str
    loss: Lane
    data: dict[str, list[float | None]]


@dataclass(frozen=True)
class Pair:
    """Two ends, with one or two directions and one lane of latency."""

    name: str
    directions: list[Direction]
    latency: Lane | None


def thinned(series: list[dict[str, Any]], limit: int = POINTS) -> list[Point]:
    """(t, loss, latency, highest latency), at most `limit` of them; where bins are joined the worst of each is kept."""
    points = [
        (at, number(item.get("loss_percent")), number(item.get("latency_ms")), number(item.get("latency_max_ms")))
        for item in series
        if (at := number(item.get("t"))) is not None
    ]
    points.sort(key=lambda point: point[0])
    size = -(-len(points) // limit) or 1
    return [_joined(points[index : index + size]) for index in range(0, len(points), size)]


def _joined(points: list[Point]) -> Point:
    return points[0][0], _worst([p[1] for p in points]), _worst([p[2] for p in points]), _worst([p[3] for p in points])


def _worst(values: list[float | None]) -> float | None:
    return max((value for value in values if value is not None), default=None)


def outage_of(stream: dict[str, Any]) -> tuple[float, float] | None:
    """When the stream's longest silence was: as the report says, else around the bins that lost most."""
    length = number(stream.get("outage_ms"))
    if not length:
        return None
    start = number(stream.get("outage_at"))
    if start is None:
        start = _worst_stretch(thinned(entries(stream.get("series"))))
    return None if start is None else (start, start + length / 1000)


def _worst_stretch(points: list[Point]) -> float | None:
    best, best_weight, begun, weight = None, 0.0, 0.0, 0.0
    for at, loss, _latency, _highest in points:
        if not loss:
            weight = 0.0
            continue
        begun = at if weight == 0.0 else begun
        weight += loss
        if weight > best_weight:
            best, best_weight = begun, weight
    return best


def stream_pairs(report: Report, axis: Axis) -> list[Pair]:
    """Every stream, the two directions between the same ends together, in the report's order."""
    grouped: list[tuple[frozenset[str], list[dict[str, Any]]]] = []
    for stream in entries(report.get("streams")):
        ends = frozenset((text(stream.get("from")), text(stream.get("to"))))
        for known, members in grouped:
            if known == ends and len(members) < 2 and members[0].get("from") != stream.get("from"):
                members.append(stream)
                break
        else:
            grouped.append((ends, [stream]))
    return [_pair(report, axis, members) for _ends, members in grouped]


def _pair(report: Report, axis: Axis, members: list[dict[str, Any]]) -> Pair:
    points = [thinned(entries(stream.get("series"))) for stream in members]
    ways = ["there", "back"]
    first = members[0]
    arrow = "\u21c4" if len(members) > 1 else "\u2192"
    name = f"{text(first.get('from'), '?')} {arrow} {text(first.get('to'), '?')}"
    directions = [
        _direction(report, axis, way, stream, own) for way, stream, own in zip(ways, members, points, strict=False)
    ]
    return Pair(name, directions, _latency(report, axis, members, points))


def _direction(report: Report, axis: Axis, way: str, stream: dict[str, Any], points: list[Point]) -> Direction:
    start, end = text(stream.get("from"), "?"), text(stream.get("to"), "?")
    outage = outage_of(stream)
    length = number(stream.get("outage_ms"))
    label = f"Loss from {start} to {end}: {percent(stream.get('loss_percent'))}, longest outage {milliseconds(length)}"
    content = [_ticks([(0.0, _LOSS_HEIGHT - 2.0, "0"), (100.0, 2.0, "100\u00a0%")])]
    if points:
        content.append(_stretched(_LOSS_HEIGHT, _loss_path(axis, points), f"loss {way}"))
    if outage:
        content.append(_flag(axis, outage, milliseconds(length)))
    lane = Lane(
        f"{start} \u2192 {end}",
        "loss",
        canvas(report, axis, _LOSS_HEIGHT, label, content, [outage] if outage else []),
        "loss",
    )
    recovered = number(stream.get("recovered_s"))
    facts = " \u00b7 ".join(
        part
        for part in (
            f"{count(stream.get('received'))} of {count(stream.get('sent'))} received",
            f"back after {milliseconds(recovered * 1000)}" if recovered is not None else "",
        )
        if part
    )
    data: dict[str, list[float | None]] = {
        "t": [round(p[0], 2) for p in points],
        "loss": [_digits(p[1]) for p in points],
        "ms": [_digits(p[2]) for p in points],
    }
    outage_words = "no outage" if length == 0 else milliseconds(length)
    limit = limit_of(report, "outage")
    tone = "good" if length == 0 else "plain" if length is None or (limit is not None and length <= limit) else "bad"
    lost = percent(stream.get("loss_percent"))
    return Direction(way, start, end, outage_words, tone, "" if lost == UNKNOWN else lost, facts, lane, data)


def _latency(report: Report, axis: Axis, members: list[dict[str, Any]], points: list[list[Point]]) -> Lane | None:
    highest = _worst([value for own in points for point in own for value in point[2:]])
    if not highest:
        return None
    steps = round_steps(0.0, highest * 1.08, 3)
    top = max(steps[-1], highest * 1.08)

    def down(value: float) -> float:
        return _LATENCY_HEIGHT - 3 - value / top * (_LATENCY_HEIGHT - 8)

    content = [_ticks([(value, down(value), f"{value:g}") for value in steps])]
    for way, own in zip(("there", "back"), points, strict=False):
        band = _band_path(axis, own, down)
        if band:
            content.append(_stretched(_LATENCY_HEIGHT, band, f"spread {way}"))
    for way, own in zip(("there", "back"), points, strict=False):
        content.append(_stretched(_LATENCY_HEIGHT, _line_path(axis, own, down), f"latency {way}"))
    outages = [outage for stream in members if (outage := outage_of(stream))]
    ends = f"{text(members[0].get('from'))} and {text(members[0].get('to'))}"
    label = f"One-way latency between {ends}, at most {milliseconds(highest)}"
    return Lane("Latency", "ms, one way", canvas(report, axis, _LATENCY_HEIGHT, label, content, outages), "latency")


def _digits(value: float | None) -> float | None:
    return None if value is None else round(value, 1)


def _ticks(marks: list[tuple[float, float, str]]) -> Element:
    """Horizontal lines with their figures in the gutter on the left."""
    drawn: list[Element] = []
    for _value, at, words in marks:
        drawn.append(element("line", {"class": "level", "x1": 0, "x2": "100%", "y1": at, "y2": at}))
        drawn.append(element("text", {"class": "figure", "x": -6, "y": max(at + 4, 9.0), "text-anchor": "end"}, words))
    return group("ticks", *drawn)


def _stretched(height: int, path: str, kind: str) -> Element:
    """A path can't be given in percent; its own sheet stretches with the lane instead."""
    return element(
        "svg",
        {
            "x": 0,
            "y": 0,
            "width": "100%",
            "height": height,
            "viewBox": f"0 0 {_ACROSS} {height}",
            "preserveAspectRatio": "none",
        },
        element("path", {"class": kind, "d": path}),
    )


def _flag(axis: Axis, outage: tuple[float, float], words: str) -> Element:
    late = axis.share(outage[1]) > 0.8
    at = axis.percent(outage[0] if late else outage[1])
    return element(
        "text",
        {"class": "flag", "x": at, "dx": -6 if late else 6, "y": 17, "text-anchor": "end" if late else "start"},
        f"{words} outage",
    )


def _step(points: list[Point]) -> float:
    gaps = [b[0] - a[0] for a, b in pairwise(points)]
    return median(gaps) if gaps else 0.1


def _across(axis: Axis, at: float) -> int:
    return round(axis.share(at) * _ACROSS)


def _loss_path(axis: Axis, points: list[Point]) -> str:
    """A filled staircase; equal neighbours are one step."""
    step, base = _step(points), _LOSS_HEIGHT - 2
    path, level = f"M{_across(axis, points[0][0])} {base}", float(base)
    for at, loss, _latency, _highest in points:
        height = base - (loss or 0.0) / 100 * (base - 2)
        if abs(height - level) > 0.05:
            path += f"H{_across(axis, at)}V{height:.4g}"
            level = height
    return path + f"H{_across(axis, points[-1][0] + step)}V{base}"


def _line_path(axis: Axis, points: list[Point], down: Any) -> str:
    """A line through the middles of the bins, broken where nothing arrived."""
    step, path, pen = _step(points), "", "M"
    for at, _loss, latency, _highest in points:
        if latency is None:
            pen = "M"
            continue
        path += f"{pen}{_across(axis, at + step / 2)} {down(latency):.1f}"
        pen = "L"
    return path


def _band_path(axis: Axis, points: list[Point], down: Any) -> str:
    """The area between the mean and the highest latency of each bin, one closed shape a stretch."""
    step, path = _step(points), ""
    stretch: list[tuple[int, float, float]] = []
    for point in [*points, (0.0, None, None, None)]:
        if point[2] is not None and point[3] is not None:
            stretch.append((_across(axis, point[0] + step / 2), down(point[2]), down(point[3])))
        elif stretch:
            over = "L".join(f"{x} {high:.1f}" for x, _low, high in stretch)
            under = "L".join(f"{x} {low:.1f}" for x, low, _high in reversed(stretch))
            path += f"M{over}L{under}Z"
            stretch = []
    return path
