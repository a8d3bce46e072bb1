# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Boxes placed roughly as on a map, pushed apart until they neither overlap nor stand on a line between two others."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_ROUNDS = 400
_ANCHORED = 260
# How often a higher sheet is tried, and after how many the boxes on lines are put up with.
_STRETCHES = 12
_PATIENCE = 4


@dataclass(frozen=True)
class Box:
    """A rectangle by its centre and size; `position` is (latitude, longitude) or None."""

    name: str
    width: float
    height: float
    position: tuple[float, float] | None = None
    x: float = 0.0
    y: float = 0.0

    def overlaps(self, other: Box, gap: float = 0.0) -> bool:
        return (
            abs(self.x - other.x) < (self.width + other.width) / 2 + gap
            and abs(self.y - other.y) < (self.height + other.height) / 2 + gap
        )


def arrange(
    boxes: Sequence[Box], lines: Sequence[tuple[str, str]], width: float, height: float, gap: float
) -> tuple[list[Box], float]:
    """Place the boxes on a sheet of this width; gives them with their x and y, and the height that they take.

    The same input gives the same drawing. North is up, east is right; distances are stretched to fill the sheet.
    """
    pairs = sorted({(min(line), max(line)) for line in lines})
    tried: list[tuple[int, int, list[Box]]] = []
    for stretch in range(_STRETCHES):
        tall = height * 1.15**stretch
        placed = _settle(_projected(boxes, width, tall), pairs, width, tall, gap)
        tight = sum(a.overlaps(b, gap * 0.4) for i, a in enumerate(placed) for b in placed[i + 1 :])
        tried.append((tight, _crossings(placed, pairs), placed))
        if tried[-1][:2] == (0, 0) or (tight == 0 and stretch >= _PATIENCE):
            break
    # min() keeps the first of equals, thus the lowest sheet.
    placed = min(tried, key=lambda one: one[:2])[2]
    top = min((box.y - box.height / 2 for box in placed), default=0.0) - gap / 2
    bottom = max((box.y + box.height / 2 for box in placed), default=height) + gap / 2
    return [replace(box, y=box.y - top) for box in placed], bottom - top


def _crossings(boxes: Sequence[Box], lines: Sequence[tuple[str, str]]) -> int:
    """How many boxes stand on a line that isn't theirs."""
    at = {box.name: box for box in boxes}
    known = [(at[a], at[b]) for a, b in lines if a in at and b in at]
    return sum(
        crosses(box, (a.x, a.y), (b.x, b.y)) for a, b in known for box in boxes if box.name not in (a.name, b.name)
    )


def crosses(box: Box, start: tuple[float, float], end: tuple[float, float], gap: float = 0.0) -> bool:
    """Whether the straight line between two points passes through the box."""
    return clip(box, start, end, gap) is not None


def clip(
    box: Box, start: tuple[float, float], end: tuple[float, float], gap: float = 0.0
) -> tuple[float, float] | None:
    """The part of the line (0 at start, 1 at end) that lies in the box, or None."""
    low, high = 0.0, 1.0
    for origin, aim, centre, extent in (
        (start[0], end[0], box.x, box.width / 2 + gap),
        (start[1], end[1], box.y, box.height / 2 + gap),
    ):
        step = aim - origin
        if abs(step) < 1e-9:
            if abs(origin - centre) >= extent:
                return None
            continue
        first, last = sorted(((centre - extent - origin) / step, (centre + extent - origin) / step))
        low, high = max(low, first), min(high, last)
    return (low, high) if low < high else None


def _projected(boxes: Sequence[Box], width: float, height: float) -> list[Box]:
    known = [box.position for box in boxes if box.position is not None]
    south, north = min((p[0] for p in known), default=0.0), max((p[0] for p in known), default=0.0)
    west, east = min((p[1] for p in known), default=0.0), max((p[1] for p in known), default=0.0)
    placed = []
    for index, box in enumerate(boxes):
        if box.position is None:
            angle = 2 * math.pi * index / len(boxes)
            across, down = 0.5 + 0.4 * math.cos(angle), 0.5 + 0.4 * math.sin(angle)
        else:
            across = (box.position[1] - west) / (east - west) if east > west else 0.5
            down = (north - box.position[0]) / (north - south) if north > south else 0.5
        placed.append(
            replace(
                box,
                x=box.width / 2 + across * (width - box.width),
                y=box.height / 2 + down * (height - box.height),
            )
        )
    return placed


def _settle(boxes: list[Box], lines: Sequence[tuple[str, str]], width: float, height: float, gap: float) -> list[Box]:
    names = [box.name for box in boxes]
    index = {name: i for i, name in enumerate(names)}
    pairs = [(index[a], index[b]) for a, b in lines if a in index and b in index and a != b]
    xs, ys = [box.x for box in boxes], [box.y for box in boxes]
    for turn in range(_ROUNDS):
        for i in range(len(boxes)):
            for j in range(i + 1, len(boxes)):
                _part(boxes, xs, ys, i, j, gap)
        for a, b in pairs:
            for c in range(len(boxes)):
                if c not in (a, b):
                    _step_aside(boxes[c], xs, ys, a, b, c, gap * 0.45)
        for i, box in enumerate(boxes):
            if turn < _ANCHORED:
                xs[i] += (box.x - xs[i]) * 0.03
                ys[i] += (box.y - ys[i]) * 0.03
            xs[i] = min(width - box.width / 2, max(box.width / 2, xs[i]))
            ys[i] = min(height - box.height / 2, max(box.height / 2, ys[i]))
    return [replace(box, x=xs[i], y=ys[i]) for i, box in enumerate(boxes)]


def _part(boxes: list[Box], xs: list[float], ys: list[float], i: int, j: int, gap: float) -> None:
    dx, dy = xs[j] - xs[i], ys[j] - ys[i]
    short_x = (boxes[i].width + boxes[j].width) / 2 + gap - abs(dx)
    short_y = (boxes[i].height + boxes[j].height) / 2 + gap - abs(dy)
    if short_x <= 0 or short_y <= 0:
        return
    if short_x < short_y:
        push = math.copysign(short_x / 4, dx or 1.0)
        xs[i] -= push
        xs[j] += push
    else:
        push = math.copysign(short_y / 4, dy or 1.0)
        ys[i] -= push
        ys[j] += push


def _step_aside(box: Box, xs: list[float], ys: list[float], a: int, b: int, c: int, gap: float) -> None:
    start, end = (xs[a], ys[a]), (xs[b], ys[b])
    here = replace(box, x=xs[c], y=ys[c])
    if not crosses(here, start, end, gap):
        return
    dx, dy = end[0] - start[0], end[1] - start[1]
    length = math.hypot(dx, dy) or 1.0
    across, down = -dy / length, dx / length
    side = math.copysign(1.0, (here.x - start[0]) * across + (here.y - start[1]) * down or 1.0)
    xs[c] += side * across * 3.0
    ys[c] += side * down * 3.0
    for other in (a, b):
        xs[other] -= side * across
        ys[other] -= side * down
