# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the writers show: how many records were acknowledged, how fast, and for how long none was.

All instants that leave this file are seconds since T0 by the controller's clock.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .statistics import Clock, Silence

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .model import Writer

BIN_S = 1.0
_SETTLED_INTERVALS = 2


@dataclass(frozen=True)
class Written:
    """What one writer did. `acks` are the instants of acknowledgement in order, `took` how long each record took."""

    writer: Writer
    acks: tuple[float, ...]
    took: tuple[float, ...]
    errors: tuple[tuple[float, float, str, int], ...]
    until: float

    def before(self, instant: float) -> int:
        """Give how many records were acknowledged before an instant."""
        return bisect_left(self.acks, instant)

    def within(self, windows: Sequence[tuple[float, float]]) -> int:
        """Give how many records were acknowledged within the windows."""
        return sum(bisect_left(self.acks, end) - bisect_left(self.acks, start) for start, end in windows)


def written(
    writers: Sequence[Writer],
    results: Sequence[Mapping[str, Any]],
    clocks: Mapping[str, Clock],
    t0: float,
    until: float,
) -> list[Written]:
    """Give what each writer did whose target has been collected; `results` are those of all targets."""
    known = {str(result["id"]): result for result in results}
    found = []
    for writer in writers:
        result = known.get(writer.name)
        if result is None:
            continue
        zero = t0 + clocks.get(writer.node, Clock()).offset
        acks = [(float(begun) - zero, float(acked) - zero) for begun, acked in result["acks"]]
        errors = [(first - zero, last - zero, str(name), int(count)) for first, last, name, count in result["errors"]]
        found.append(
            Written(
                writer,
                tuple(acked for _begun, acked in acks),
                tuple(acked - begun for begun, acked in acks),
                tuple(errors),
                until,
            )
        )
    return found


def rate(one: Written, windows: Sequence[tuple[float, float]]) -> float | None:
    """Give the acknowledged records a second within the windows; None if the windows are empty."""
    length = sum(end - start for start, end in windows)
    return one.within(windows) / length if length > 0 else None


def pause(one: Written, since: float, begun_by: float = math.inf) -> Silence:
    """Give the longest time without an acknowledgement that lasts beyond `since` and begins before `begun_by`.

    Two of the writer's own intervals are none. The time from the last acknowledgement to the end of writing is one too.
    """
    first = bisect_right(one.acks, since)
    before = one.acks[first - 1] if first else 0.0
    least = _SETTLED_INTERVALS / one.writer.rate
    longest = Silence(0.0, since)
    for ack in (*one.acks[first:], None):
        until = one.until if ack is None else ack
        if before < begun_by and until - before > max(least, longest.seconds):
            longest = Silence(until - before, ack)
        before = until
    return longest


def summary(
    one: Written, windows: Mapping[str, Sequence[tuple[float, float]]], injected: float | None
) -> dict[str, Any]:
    """Give a writer as the report has it."""
    rates = {name: rate(one, windows.get(name, ())) for name in ("before", "faults", "after")}
    speeds = {name: None if value is None else round(value * one.writer.size) for name, value in rates.items()}
    longest = None if injected is None else pause(one, injected)
    return {
        "name": one.writer.name,
        "node": one.writer.node,
        "path": one.writer.path,
        "size": one.writer.size,
        "rate": one.writer.rate,
        "acknowledged": len(one.acks),
        "records_per_s": {name: value if value is None else round(value, 3) for name, value in rates.items()},
        "bytes_per_s": speeds,
        "pause_ms": None if longest is None else round(1000 * longest.seconds, 1),
        "slowest_ms": round(1000 * max(one.took), 1) if one.took else None,
        "errors": [
            {"from": round(first, 3), "to": round(last, 3), "error": name, "times": count}
            for first, last, name, count in one.errors
        ],
        "series": _series(one),
    }


def _series(one: Written) -> list[dict[str, Any]]:
    bins: dict[int, int] = dict.fromkeys(range(math.ceil(one.until / BIN_S)), 0)
    for ack in one.acks:
        if ack >= 0:
            bins[math.floor(ack / BIN_S)] = bins.get(math.floor(ack / BIN_S), 0) + 1
    return [{"t": number * BIN_S, "records": count} for number, count in sorted(bins.items())]
