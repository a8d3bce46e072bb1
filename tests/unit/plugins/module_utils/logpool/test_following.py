# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING, Any

import pytest
from ansible_collections.okiagari.testbed.plugins.module_utils.logpool import (
    Event,
    Following,
    Pool,
    Query,
    Subscriptions,
    Waiting,
    stages,
)
from hypothesis import given
from hypothesis import strategies as st

if TYPE_CHECKING:
    from collections.abc import Callable

NOW = 1_795_262_400.0


def follow(text: str, events: list[Event], now: float = NOW) -> list[dict[str, Any]]:
    following = Following(Query(text))
    return [row for event in events for row in following.push(event, now)]


def test_what_comes_is_asked_as_what_is_held(event: Callable[..., Event]) -> None:
    events = [event(number, time=NOW - number, values={"ms": 10 * number}) for number in range(1, 7)]
    assert follow("where values.ms > 20 since 5s until 4s | last per host", events) == [
        one.to_dict() for one in events[3:5]
    ]
    assert follow("select values.ms as ms | where ms = 30", events) == [{"ms": 30}]
    assert follow("last 2 | count by host | where count > 4", events) == [
        {"count": 5, "host": "naist-kvm1"}, {"count": 6, "host": "naist-kvm1"},
    ]  # fmt: skip


@given(st.lists(st.tuples(st.integers(0, 30), st.sampled_from("ab")), max_size=30))
def test_a_window_ends_with_each_event(coming: list[tuple[int, str]]) -> None:
    coming.sort()
    events = [Event("o", number, NOW + time, "", host, "agent", {}) for number, (time, host) in enumerate(coming, 1)]
    expected = []
    for place, (time, host) in enumerate(coming):
        times = [other for other, same in coming[: place + 1] if same == host]
        count = len(times) - bisect_right(times, time - 7)
        expected.append({"count": count, "from": NOW + time - 7, "to": NOW + time, "host": host})
    assert follow("count over 7s by host", events, NOW + 30) == expected


def test_late_events_count_in_windows_that_are_remembered(event: Callable[..., Event]) -> None:
    times = [10, 11, 9, 30, 31, 32, 10]
    events = [event(number, time=NOW + time) for number, time in enumerate(times, 1)]
    assert [row["count"] for row in follow("count over 5s", events, NOW + 40)] == [1, 2, 1, 1, 2, 3]


def test_a_host_whose_clock_is_ahead_makes_no_other_late(event: Callable[..., Event]) -> None:
    events = [event(number, time=NOW + ahead) for number, ahead in enumerate([30, 0, -1], 1)]
    assert [(row["count"], row["to"]) for row in follow("count over 5s", events)] == [(1, NOW), (2, NOW), (1, NOW - 1)]


def test_what_a_subscription_remembers_is_bounded(event: Callable[..., Event], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stages, "WINDOW_MOST", 5)
    monkeypatch.setattr(stages, "GROUPS_MOST", 2)
    events = [event(number, time=NOW + number) for number in range(1, 30)]
    counts = [row["count"] for row in follow("count over 1h", events, NOW + 30)]
    assert counts == [1, 2, 3, 4, 5] + [5] * 24
    hosts = [event(number, host=host) for number, host in enumerate("abcba", 1)]
    assert [row["count"] for row in follow("count by host", hosts)] == [1, 1, 1, 2, 1]
    assert [row["count"] for row in follow("count over 1h by host", hosts)] == [1, 1, 1, 2, 1]


def test_each_subscriber_is_told_what_it_asks_for(event: Callable[..., Event]) -> None:
    subscriptions = Subscriptions()
    first: list[Any] = []
    second: list[Any] = []
    number = subscriptions.add(Following(Query("where host = a | select sequence")), first.append)
    subscriptions.add(Following(Query("select sequence")), second.append)
    subscriptions.offer(event(1, host="a"), NOW)
    subscriptions.offer(event(2, host="b"), NOW)
    subscriptions.remove(number)
    subscriptions.remove(number)
    subscriptions.offer(event(3, host="a"), NOW)
    assert first == [{"sequence": 1}]
    assert second == [{"sequence": 1}, {"sequence": 2}, {"sequence": 3}]
    assert len(subscriptions) == 1


def test_a_subscriber_that_fails_takes_nothing_from_others(event: Callable[..., Event]) -> None:
    subscriptions = Subscriptions()
    told: list[Any] = []

    def full(_row: object) -> None:
        subscriptions.remove(1)
        raise OverflowError("the queue is full")

    subscriptions.add(Following(Query("")), full)
    subscriptions.add(Following(Query("")), told.append)
    with pytest.raises(OverflowError, match="the queue is full"):
        subscriptions.offer(event(), NOW)
    subscriptions.offer(event(2), NOW)
    assert [row["id"] for row in told] == ["naist-kvm1/r1:1", "naist-kvm1/r1:2"]


def test_waiting_ends_with_what_is_there_already(event: Callable[..., Event]) -> None:
    pool = Pool(lambda: NOW)
    for number in (1, 2):
        pool.add(event(number, time=NOW - 10 + number))
    waiting = Waiting(Query("where host = naist-kvm1 | select sequence"), deadline=NOW + 5)
    assert waiting.begin(pool, NOW) == {"sequence": 2}
    assert waiting.push(event(3), NOW) == {"sequence": 2}
    assert waiting.left_s(NOW) == 0


def test_waiting_ends_with_what_comes_or_with_its_deadline(event: Callable[..., Event]) -> None:
    waiting = Waiting(Query("where values.state = done"), deadline=NOW + 5)
    assert waiting.begin(Pool(lambda: NOW), NOW) is None
    assert waiting.left_s(NOW + 2) == 3
    assert waiting.push(event(1, values={"state": "begun"}), NOW + 2) is None
    done = event(2, values={"state": "done"})
    late = Waiting(Query("where values.state = done"), deadline=NOW + 5)
    assert late.push(done, NOW + 5.1) is None
    assert late.left_s(NOW + 5.1) == 0
    assert waiting.push(done, NOW + 5) == waiting.row == done.to_dict()


def test_a_count_goes_on_from_what_is_held(event: Callable[..., Event]) -> None:
    pool = Pool(lambda: NOW)
    for number, ago in enumerate([70, 50, 40], 1):
        pool.add(event(number, time=NOW - ago))
    text = "count over 1m by host | where count >= 3 | select count"
    waiting = Waiting(Query(text), deadline=NOW + 5)
    assert waiting.begin(pool, NOW) is None
    assert waiting.push(event(4, time=NOW), NOW) == {"count": 3}
    pool.add(event(4, time=NOW - 1))
    assert Waiting(Query(text), deadline=NOW + 5).begin(pool, NOW) == {"count": 3}


def test_a_total_counts_all_that_is_held(event: Callable[..., Event]) -> None:
    pool = Pool(lambda: NOW)
    for number in (1, 2):
        pool.add(event(number, time=NOW - 1000 * number))
    waiting = Waiting(Query("count | where count >= 3"), deadline=NOW + 5)
    assert waiting.begin(pool, NOW) is None
    assert waiting.push(event(3), NOW) == {"count": 3}
