# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the streams show: loss, latency and silence, per direction, with the clocks put right.

All instants that leave this file are seconds since T0 by the controller's clock.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .check import Windows
    from .model import Traffic

BIN_S = 0.1
_SETTLED_INTERVALS = 2
_FROZEN_S = 1.0
_ON_THE_WAY_S = 0.03
"""A packet that was lost may have been sent so long before the last one that arrived."""
_ROUNDING_S = 1e-6


@dataclass(frozen=True)
class Clock:
    """A target's clock against the controller's: `offset` s ahead, give or take `uncertainty` s."""

    offset: float = 0.0
    uncertainty: float = 0.0


@dataclass(frozen=True)
class Packet:
    """One packet that was sent at `sent`; it took `latency_ms`, or was lost (None)."""

    sent: float
    latency_ms: float | None


@dataclass(frozen=True)
class Direction:
    """One direction of a stream. `packets` are in the order of sending, `arrivals` in that of arrival."""

    name: str
    source: str
    to: str
    rate: int
    packets: tuple[Packet, ...]
    arrivals: tuple[float, ...]

    @property
    def interval(self) -> float:
        return 1.0 / self.rate

    @property
    def lost(self) -> int:
        return sum(packet.latency_ms is None for packet in self.packets)

    @property
    def end(self) -> float:
        """When the last packet arrived or would have arrived."""
        last_sent = self.packets[-1].sent if self.packets else 0.0
        known = [packet.latency_ms for packet in self.packets if packet.latency_ms is not None]
        return last_sent + (min(known) / 1000 if known else 0.0)


def directions(
    traffic: Sequence[Traffic], streams: Sequence[Mapping[str, Any]], clocks: Mapping[str, Clock], t0: float
) -> list[Direction]:
    """Give both directions of each traffic whose sender and receiver have both been collected.

    `streams` are those of all targets, each with its `target`; `t0` is T0 by the controller's clock.
    """
    records = {(str(stream["id"]), str(stream["target"])): stream for stream in streams}
    found: list[Direction] = []
    for flow in traffic:
        one, other = records.get((flow.name, flow.a)), records.get((flow.name, flow.b))
        if one is None or other is None:
            continue
        a, b = clocks.get(flow.a, Clock()), clocks.get(flow.b, Clock())
        skew = _residual(one, other, a, b)
        found.append(_direction(flow, flow.a, flow.b, one, other, t0 + a.offset, t0 + b.offset + skew))
        found.append(_direction(flow, flow.b, flow.a, other, one, t0 + b.offset + skew, t0 + a.offset))
    return found


def loss_percent(direction: Direction, windows: Sequence[tuple[float, float]]) -> float | None:
    """Give the share of the packets sent within the windows that was lost, or None if none was sent."""
    sent = _within(direction, windows)
    return 100.0 * sum(packet.latency_ms is None for packet in sent) / len(sent) if sent else None


def latency_ms(direction: Direction, windows: Sequence[tuple[float, float]]) -> float | None:
    """Give the mean latency of the packets sent within the windows, or None if none arrived."""
    known = [packet.latency_ms for packet in _within(direction, windows) if packet.latency_ms is not None]
    return sum(known) / len(known) if known else None


def count(direction: Direction, windows: Sequence[tuple[float, float]]) -> int:
    """Give how many packets were sent within the windows."""
    return len(_within(direction, windows))


@dataclass(frozen=True)
class Silence:
    """The longest silence: how long beyond the packets' own interval, and when it ended (None: it didn't)."""

    seconds: float
    until: float | None


def silence(direction: Direction, since: float, begun_by: float = math.inf) -> Silence:
    """Give the longest gap in arrivals that lasts beyond `since` and begins before `begun_by`, less the interval.

    In a gap packets were lost, or it lasts a second: packets that are only late are latency, not an outage. A gap of
    less than two intervals is none. The time from the last arrival to the end of sending is a gap too.
    """
    arrivals = direction.arrivals
    first = bisect_left(arrivals, since)
    before = arrivals[first - 1] if first else (direction.packets[0].sent if direction.packets else since)
    lost = [packet.sent for packet in direction.packets if packet.latency_ms is None]
    gaps = []
    for arrival in arrivals[first:]:
        gaps.append((before, arrival))
        before = arrival
    ends = [(arrival - start, arrival) for start, arrival in gaps if start < begun_by and _broken(start, arrival, lost)]
    longest, until = max(ends, default=(0.0, since), key=lambda gap: gap[0])
    last = direction.end - before
    if direction.packets and before < begun_by and last > max(longest, _SETTLED_INTERVALS * direction.interval):
        return Silence(last - direction.interval, None)
    if longest < _SETTLED_INTERVALS * direction.interval - _ROUNDING_S:
        return Silence(0.0, since)
    return Silence(longest - direction.interval, until)


def _broken(start: float, end: float, lost: Sequence[float]) -> bool:
    """Whether a gap in arrivals is an outage; `lost` are the instants at which lost packets were sent, in order."""
    at = bisect_left(lost, start - _ON_THE_WAY_S)
    return end - start >= _FROZEN_S or (at < len(lost) and lost[at] <= end)


def series(direction: Direction) -> list[dict[str, Any]]:
    """Give the report's bins of `BIN_S`, by the instant of sending; latencies are None where nothing arrived."""
    bins: dict[int, list[Packet]] = {}
    for packet in direction.packets:
        # The tolerance keeps a packet sent at 0.3 s out of the bin before, which 0.3 / 0.1 < 3 would put it in.
        bins.setdefault(math.floor(packet.sent / BIN_S + 1e-6), []).append(packet)
    found = []
    for number, packets in sorted(bins.items()):
        known = [packet.latency_ms for packet in packets if packet.latency_ms is not None]
        found.append(
            {
                "t": round(number * BIN_S, 1),
                "loss_percent": round(100.0 * (len(packets) - len(known)) / len(packets), 2),
                "latency_ms": round(sum(known) / len(known), 3) if known else None,
                "latency_max_ms": round(max(known), 3) if known else None,
            }
        )
    return found


def _within(direction: Direction, windows: Sequence[tuple[float, float]]) -> list[Packet]:
    return [packet for packet in direction.packets if any(start <= packet.sent < end for start, end in windows)]


def _direction(
    flow: Traffic,
    source: str,
    to: str,
    sender: Mapping[str, Any],
    receiver: Mapping[str, Any],
    send_t0: float,
    arrive_t0: float,
) -> Direction:
    first_at, interval, number = sender["sent"]
    scheduled = [first_at + sequence * interval - send_t0 for sequence in range(int(number))]
    arrived: dict[int, tuple[float, float]] = {}
    for sequence, sent_at, received_at in receiver["received"]:
        # A packet that the network doubled counts once, with its first arrival.
        if 0 <= int(sequence) < len(scheduled) and int(sequence) not in arrived:
            arrived[int(sequence)] = (sent_at - send_t0, received_at - arrive_t0)
    # A receiver that was stopped early hears no longer: what was sent to it then says nothing about the network.
    heard_until = receiver["sent"][0] + receiver["sent"][1] * receiver["sent"][2] - arrive_t0
    packets = []
    for sequence, due in enumerate(scheduled):
        if sequence in arrived:
            sent, received = arrived[sequence]
            packets.append(Packet(sent, 1000.0 * (received - sent)))
        elif due <= heard_until:
            packets.append(Packet(due, None))
    return Direction(
        flow.name, source, to, flow.rate, tuple(packets), tuple(sorted(time for _sent, time in arrived.values()))
    )


def _residual(one: Mapping[str, Any], other: Mapping[str, Any], a: Clock, b: Clock) -> float:
    """What the clock of b is further ahead of that of a than their offsets say.

    The shortest way there and back is taken as equally long, as far as the uncertainty of the offsets leaves that open.
    """
    there = [float(received - sent) for _sequence, sent, received in other["received"]]
    back = [float(received - sent) for _sequence, sent, received in one["received"]]
    if not there or not back:
        return 0.0
    apparent = (min(there) - min(back)) / 2 - (b.offset - a.offset)
    room = a.uncertainty + b.uncertainty
    return max(-room, min(room, apparent))


def first_end(windows: Windows) -> float:
    """Give when the first fault ends: what falls silent afterwards is the way back, not the detour."""
    return min((end for _start, end in windows.get("faults", ())), default=math.inf)
