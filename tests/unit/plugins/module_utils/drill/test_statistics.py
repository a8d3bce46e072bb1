# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.okiagari.testbed.plugins.module_utils.drill import statistics
from ansible_collections.okiagari.testbed.plugins.module_utils.drill.model import Traffic
from ansible_collections.okiagari.testbed.plugins.module_utils.drill.statistics import Clock, Direction
from hypothesis import given
from hypothesis import strategies as st

T0 = 1000.0
FLOW = Traffic("f", "a", "b", 100)


def stream(
    target: str, number: int, delays: dict[int, float], offset: float = 0.0, other: float = 0.0
) -> dict[str, Any]:
    """What `target`, whose clock is `offset` ahead, recorded of a sender's `other`; `delays` are in s."""
    received = [
        [sequence, T0 + sequence / 100 + other, T0 + sequence / 100 + delay + offset]
        for sequence, delay in delays.items()
    ]
    return {"id": "f", "target": target, "sent": [T0 + offset, 0.01, number], "received": received}


def one_way(number: int, delays: dict[int, float]) -> Direction:
    """The direction from a to b."""
    streams = [stream("a", number, {}), stream("b", number, delays)]
    return statistics.directions([FLOW], streams, {}, T0)[0]


arrivals = st.dictionaries(st.integers(0, 299), st.floats(0.001, 0.5), max_size=300)


@given(arrivals)
def test_what_is_lost_and_what_arrives_is_all_that_was_sent(delays: dict[int, float]) -> None:
    direction = one_way(300, delays)
    assert len(direction.packets) == 300
    assert direction.lost == 300 - len(delays)
    assert len(direction.arrivals) == len(delays)
    bins = statistics.series(direction)
    assert [item["t"] for item in bins] == [round(0.1 * number, 1) for number in range(30)]
    assert sum(item["loss_percent"] for item in bins) / len(bins) == pytest.approx(100 * direction.lost / 300, abs=0.1)


@given(arrivals, st.floats(0, 3))
def test_a_silence_is_never_longer_than_the_run_nor_negative(delays: dict[int, float], since: float) -> None:
    longest = statistics.silence(one_way(300, delays), since)
    assert 0 <= longest.seconds <= 3.6
    assert longest.until is None or longest.until >= since


@given(st.integers(10, 250), st.integers(2, 40))
def test_a_gap_is_measured_to_the_packet(first: int, length: int) -> None:
    direction = one_way(300, {number: 0.008 for number in range(300) if not first <= number < first + length})
    longest = statistics.silence(direction, 0.0)
    assert longest.seconds == pytest.approx(length * 0.01, abs=1e-6)
    assert longest.until == pytest.approx((first + length) * 0.01 + 0.008, abs=1e-6)


def test_one_lost_packet_is_a_silence_of_one_interval_and_none_lost_is_none() -> None:
    assert statistics.silence(one_way(100, dict.fromkeys(range(100), 0.008)), 0.0).seconds == 0.0
    found = statistics.silence(one_way(100, {number: 0.008 for number in range(100) if number != 50}), 0.0)
    assert found.seconds == pytest.approx(0.01)


def test_a_gap_before_the_fault_does_not_count() -> None:
    direction = one_way(300, {number: 0.008 for number in range(300) if not 20 <= number < 80})
    assert statistics.silence(direction, 1.5).seconds == 0.0


def test_a_silence_without_end() -> None:
    longest = statistics.silence(one_way(300, dict.fromkeys(range(100), 0.008)), 0.5)
    assert longest.until is None
    assert longest.seconds == pytest.approx(1.99, abs=0.01)


@given(st.floats(-5, 5), st.floats(-5, 5), st.floats(-0.01, 0.01))
def test_offsets_and_their_error_are_taken_out(a: float, b: float, error: float) -> None:
    streams = [
        stream("a", 100, dict.fromkeys(range(100), 0.008), a, b),
        stream("b", 100, dict.fromkeys(range(100), 0.008), b, a),
    ]
    clocks = {"a": Clock(a, 0.01), "b": Clock(b + error, 0.01)}
    for direction in statistics.directions([FLOW], streams, clocks, T0):
        assert statistics.latency_ms(direction, [(0, 1)]) == pytest.approx(8.0, abs=0.01)


def test_a_real_asymmetry_beyond_the_uncertainty_is_kept() -> None:
    streams = [
        stream("a", 100, dict.fromkeys(range(100), 0.008)),
        stream("b", 100, dict.fromkeys(range(100), 0.028)),
    ]
    there, back = statistics.directions([FLOW], streams, {"a": Clock(0, 0.001), "b": Clock(0, 0.001)}, T0)
    assert statistics.latency_ms(there, [(0, 1)]) == pytest.approx(26.0, abs=0.1)
    assert statistics.latency_ms(back, [(0, 1)]) == pytest.approx(10.0, abs=0.1)


def test_doubled_and_foreign_packets_count_once_or_not() -> None:
    record = stream("b", 100, dict.fromkeys(range(100), 0.008))
    record["received"] += [[5, T0 + 0.05, T0 + 0.9], [500, T0, T0]]
    (there, _back) = statistics.directions([FLOW], [stream("a", 100, {}), record], {}, T0)
    assert (len(there.packets), there.lost, len(there.arrivals)) == (100, 0, 100)


def test_what_was_sent_to_a_stopped_receiver_is_not_lost() -> None:
    (there, _back) = statistics.directions([FLOW], [stream("a", 300, {}), stream("b", 100, {0: 0.008})], {}, T0)
    assert len(there.packets) == 101


def test_loss_in_windows() -> None:
    direction = one_way(300, {number: 0.008 for number in range(300) if not 100 <= number < 150})
    assert statistics.loss_percent(direction, [(1.0, 2.0)]) == 50.0
    assert statistics.loss_percent(direction, [(0.0, 1.0), (2.0, 3.0)]) == 0.0
    assert statistics.loss_percent(direction, [(9.0, 10.0)]) is None
    assert statistics.latency_ms(direction, [(1.0, 1.5)]) is None


def test_a_stream_with_one_end_missing_is_left_out() -> None:
    assert statistics.directions([FLOW], [stream("a", 100, {})], {}, T0) == []
