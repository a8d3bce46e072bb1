# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the pool holds, in which order, for how long, and in how much memory, whatever comes."""

from __future__ import annotations

import gc
import math
import tracemalloc
from typing import TYPE_CHECKING, Any

import pytest
from ansible_collections.okiagari.testbed.plugins.module_utils.errors import BadValue
from ansible_collections.okiagari.testbed.plugins.module_utils.logpool import Event, Pool, Query, from_wire
from ansible_collections.okiagari.testbed.plugins.module_utils.logpool.pool import AHEAD_KEY
from hypothesis import given, settings
from hypothesis import strategies as st

if TYPE_CHECKING:
    from collections.abc import Callable

BEGIN = 1_795_262_400.0
RETENTION_S = 100.0
AHEAD_S = 10.0
ALL = Query("")
TRACES = ("", "t1", "t2", "t3")

numbers = st.tuples(st.sampled_from(["naist/r1", "osaka/r1", "osaka/r2"]), st.integers(1, 40))
coming = st.builds(
    lambda number, time, trace, host, size, important: Event(
        number[0], number[1], BEGIN + time, trace, host, "agent", {"pad": "x" * size}, important
    ),
    numbers,
    st.floats(-150, 30).map(lambda time: round(time, 1)),
    st.sampled_from(TRACES),
    st.sampled_from(["naist-kvm1", "osaka-kvm1"]),
    st.sampled_from([0, 500, 3000]),
    st.booleans(),
)
moves = st.lists(coming | st.sampled_from([1.0, 40.0, "sweep"]), max_size=60)


class Machine:
    """A pool, and a list of what has come, which says what the pool should do."""

    def __init__(self, most_bytes: int) -> None:
        self.now = BEGIN
        self.pool = Pool(lambda: self.now, retention_s=RETENTION_S, most_bytes=most_bytes, ahead_s=AHEAD_S)
        self.come: dict[str, Event] = {}
        self.expected = {"added": 0, "twice": 0, "late": 0, "ahead": 0}

    def held(self) -> list[Event]:
        """Give what the pool holds, the expired too, from its own books."""
        return [view.event() for view in self.pool.found(ALL, self.now)]

    def do(self, move: Event | float | str) -> None:
        if isinstance(move, Event):
            self.add(move)
        elif move == "sweep":
            self.pool.sweep()
            assert len(self.pool) == len(self.held())
        else:
            self.now += float(move)

    def add(self, event: Event) -> None:
        event = self.come.get(event.id, event)  # what has the same id is a copy
        before, is_late = self.held(), event.time < self.now - RETENTION_S
        has_come, is_ahead = event.id in self.come, event.time > self.now + AHEAD_S
        taken = self.pool.add(event)
        outcome = "late" if is_late else "twice" if has_come else "added"
        self.expected[outcome] += 1
        assert taken == (outcome == "added")
        if taken:
            self.come[event.id] = event
            self.expected["ahead"] += is_ahead
            if is_ahead:
                late = {**event.values, AHEAD_KEY: round(event.time - self.now, 3)}
                event = event._replace(time=self.now, values=late)
            self.check_dropped([*before, event])

    def check_dropped(self, had: list[Event]) -> None:
        """Only the oldest are dropped, and an important one only when no other is left."""
        has = self.held()
        gone = [event for event in had if event not in has]
        for important in (False, True):
            group = sorted((event for event in had if event.important == important), key=by_time)
            dropped = [event for event in gone if event.important == important]
            assert sorted(dropped, key=by_time) == group[: len(dropped)]
        if any(event.important for event in gone):
            assert all(event.important for event in has)

    def check(self) -> None:
        pool, counts = self.pool, self.pool.counts
        assert pool.size <= pool.most_bytes
        held = self.held()
        assert [event.time for event in held] == sorted((event.time for event in held), reverse=True)
        assert all(event.time >= self.now - RETENTION_S for event in held)
        assert len({event.id for event in held}) == len(held)
        for trace in TRACES[1:]:
            found = pool.found(Query(f"where trace = {trace}"), self.now)
            assert [view.event() for view in found] == [event for event in held if event.trace == trace]
        assert {key: getattr(counts, key) for key in self.expected} == self.expected
        assert len(pool) == counts.added - counts.expired - counts.dropped - counts.dropped_important
        assert len(held) <= len(pool)
        marked = [event for _position, event in pool.important(limit=1000)]
        assert sorted(event.id for event in held if event.important) == sorted(
            event.id for event in marked if event.time >= self.now - RETENTION_S
        )


def by_time(event: Event) -> tuple[float, int]:
    return event.time, event.sequence


@settings(max_examples=150)
@given(moves, st.sampled_from([12_000, 24_000, 10**6]))
def test_whatever_comes_the_pool_keeps_its_promises(moves: list[Any], most_bytes: int) -> None:
    machine = Machine(most_bytes)
    for move in moves:
        machine.do(move)
        machine.check()


@given(st.lists(coming, max_size=30))
def test_the_order_in_which_they_come_makes_no_difference(events: list[Event]) -> None:
    unique = list({event.id: event for event in events}.values())
    answers = []
    for order in (unique, unique[::-1], sorted(unique, key=by_time)):
        machine = Machine(10**7)
        for event in order:
            machine.pool.add(event)
        answers.append(sorted(machine.held(), key=lambda event: (by_time(event), event.id)))
    assert answers[0] == answers[1] == answers[2]


@given(moves)
def test_an_empty_pool_has_given_back_all_it_took(moves: list[Any]) -> None:
    machine = Machine(10**7)
    for move in moves:
        machine.do(move)
    machine.now += 10 * RETENTION_S
    machine.pool.sweep()
    assert (len(machine.pool), machine.pool.size, machine.pool.important()) == (0, 0, [])


SHAPES: dict[str, Callable[[int], dict[str, Any]]] = {
    "usual": lambda number: {"trace": f"trace-{number // 20}", "origin": f"host{number % 9}/r1"},
    "one trace": lambda number: {"trace": "all"},
    "a trace each": lambda number: {"trace": f"trace-{number}"},
    "no trace, no values": lambda number: {"values": {}},
    "a source each": lambda number: {"source": f"connection {number}"},
    "an origin each": lambda number: {"origin": f"naist-kvm1/run-{number}"},
    "with gaps": lambda number: {"sequence": 2 * number + 1},
    "important": lambda number: {"important": True},
    "newest first": lambda number: {"time": BEGIN - number / 100, "trace": "all"},
}


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_the_memory_that_it_reckons_is_what_it_takes(
    event: Callable[..., Event], shape: Callable[[int], dict[str, Any]]
) -> None:
    """From below it has to be kept, since the bound is, and from above, since the pool would hold too little."""
    lines = [
        event(**{"sequence": number + 1, "values": {"ms": number, "state": "ok"}, **shape(number)}).wire()
        for number in range(3000)
    ]
    pool = Pool(lambda: BEGIN, most_bytes=10**9)
    pool.add(event(10**6))
    gc.collect()
    tracemalloc.start()
    try:
        for line in lines:
            pool.add(from_wire(line))
        gc.collect()
        taken = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert len(pool) == 3001
    assert taken <= pool.size <= 2 * taken


def test_what_was_dropped_is_told(event: Callable[..., Event]) -> None:
    now = BEGIN
    pool = Pool(lambda: now, retention_s=RETENTION_S, most_bytes=10_000)
    assert pool.complete_from == BEGIN
    for number in range(1, 201):
        now += 0.1
        pool.add(event(number, time=now, important=number < 3))
    oldest = [view.time for view in pool.found(Query("where not important"), now)][-1]
    assert pool.counts.dropped == 200 - len(pool) > 0
    assert BEGIN + 0.2 < pool.complete_from == pytest.approx(oldest - 0.1)
    assert [event.sequence for _position, event in pool.important()] == [1, 2]
    now += 1.5 * RETENTION_S
    assert pool.complete_from == now - RETENTION_S
    assert list(pool.run(ALL)) == []


def test_an_important_event_is_handed_on_in_the_order_of_coming(event: Callable[..., Event]) -> None:
    pool = Pool(lambda: BEGIN)
    assert (pool.position, pool.important()) == (0, [])
    for number, time in enumerate([5, 1, 9, 3], 1):
        pool.add(event(number, time=BEGIN + time, important=True))
        pool.add(event(100 + number, time=BEGIN + time))
    pool.add(event(1, time=BEGIN, important=True))
    assert [(place, one.sequence) for place, one in pool.important()] == [(1, 1), (2, 2), (3, 3), (4, 4)]
    assert [place for place, _one in pool.important(after=1, limit=2)] == [2, 3]
    assert pool.important(after=4) == pool.important(after=400) == []
    assert pool.position == 4
    assert [pool.at(position) for position, _event in pool.important()] == [each for _place, each in pool.important()]
    assert pool.at(0) is pool.at(pool.position + 1) is None
    assert pool.knows(pool.at(1).origin, 1)
    assert not pool.knows(pool.at(1).origin, 99)
    assert not pool.knows("nobody/1", 1)


def test_positions_of_what_was_removed_are_left_out(event: Callable[..., Event]) -> None:
    now = BEGIN
    pool = Pool(lambda: now, retention_s=RETENTION_S)
    for number, time in enumerate([50, 0, 30], 1):
        pool.add(event(number, time=BEGIN + time, important=True))
    now += 1.2 * RETENTION_S
    pool.sweep()
    assert [place for place, _one in pool.important()] == [1, 3]
    now += 2 * RETENTION_S
    pool.sweep()
    pool.add(event(4, time=now, important=True))
    assert [(place, one.sequence) for place, one in pool.important()] == [(4, 4)]


def test_a_copy_of_what_was_dropped_is_known(event: Callable[..., Event]) -> None:
    pool = Pool(lambda: BEGIN, most_bytes=3_000)
    sent = [event(number) for number in range(1, 100)]
    for one in sent:
        pool.add(one)
    assert pool.counts.dropped > 50
    assert not any(pool.add(one) for one in sent)
    assert pool.counts.twice == 99


@pytest.mark.parametrize("pad", [0, 65_000])
def test_a_clock_that_is_ahead_is_told(event: Callable[..., Event], pad: int) -> None:
    pool = Pool(lambda: BEGIN, ahead_s=60)
    values = {"pad": "x" * (65_536 - len('{"pad":""}'))} if pad else {}
    pool.add(event(1, time=BEGIN + 60, values=values))
    pool.add(event(2, time=BEGIN + 86_400, values=values))
    pool.add(event(3, time=BEGIN + 1))
    rows = list(pool.run(Query(f"where has values.{AHEAD_KEY} | select sequence, time, values.{AHEAD_KEY} as ahead")))
    assert rows == [{"sequence": 2, "time": BEGIN, "ahead": 86_400.0}]
    assert [row["sequence"] for row in pool.run(Query("select sequence"))] == [1, 3, 2]


def test_results_go_on_while_events_come_and_go(event: Callable[..., Event]) -> None:
    now = BEGIN
    pool = Pool(lambda: now, retention_s=RETENTION_S)
    for number in range(1, 2001):
        pool.add(event(number, time=BEGIN + number / 100, trace="t", important=number % 3 == 0))
    for text in ("select sequence", "where trace = t | select sequence"):
        rows = pool.run(Query(text))
        found = [next(rows)["sequence"] for _count in range(700)]
        assert found == list(range(2000, 1300, -1))
    pool.add(event(3000, time=BEGIN + 30, host="other"))
    now = BEGIN + RETENTION_S + 5
    pool.sweep()
    rest = [row["sequence"] for row in rows]
    assert rest == sorted(rest, reverse=True)
    assert set(range(500, 1301)) <= set(rest) <= set(range(1, 1301))


def test_a_portion_may_be_empty_and_none_is_long(event: Callable[..., Event]) -> None:
    pool = Pool(lambda: BEGIN)
    for number in range(1, 3001):
        pool.add(event(number, time=BEGIN - number))
    portions = list(pool.steps(Query("where sequence in (1, 3000)")))
    assert len(portions) > 5
    assert [row["id"] for rows in portions for row in rows] == ["naist-kvm1/r1:1", "naist-kvm1/r1:3000"]


def test_a_number_that_is_used_again_is_not_taken_for_what_it_was(event: Callable[..., Event]) -> None:
    """Contexts have numbers; a query remembers about each whether it fits."""
    pool = Pool(lambda: BEGIN)
    pool.add(event(1, host="other"))
    for number in range(2, 1502):
        pool.add(event(number, time=BEGIN - number, important=True))
    steps = pool.steps(Query("where host = naist-kvm1 | select source"))
    assert len(next(steps)) > 100
    pool.most_bytes = pool.size - 1
    pool.add(event(2000, source="last straw", time=BEGIN - 1000, important=True))
    assert (pool.counts.dropped, pool.counts.dropped_important > 0) == (1, True)
    pool.most_bytes = 10**9
    for number in (2001, 2002):
        pool.add(event(number, source=f"new {number}", time=BEGIN - 1000, important=True))
    sources = {row["source"] for rows in steps for row in rows}
    assert sources == {"agent", "last straw", "new 2001", "new 2002"}


def test_what_expires_goes_by_itself(event: Callable[..., Event]) -> None:
    now = BEGIN
    pool = Pool(lambda: now, retention_s=RETENTION_S)
    for number in range(1, 3001):
        now += 1
        pool.add(event(number, time=now))
    assert len(pool) < RETENTION_S + 600
    assert pool.counts.expired == 3000 - len(pool)


def test_a_copy_from_a_clock_that_is_ahead_is_known_for_long(event: Callable[..., Event]) -> None:
    now = BEGIN
    pool = Pool(lambda: now, retention_s=RETENTION_S)
    assert pool.add(event(1, time=BEGIN + 86_400))
    now += 2 * RETENTION_S
    pool.sweep()
    assert not pool.add(event(1, time=BEGIN + 86_400))


@pytest.mark.parametrize("wrong", [{"time": math.nan}, {"host": ""}, {"values": {"a": math.inf}}, {"values": {1, 2}}])
def test_what_is_no_event_is_refused_and_leaves_nothing(event: Callable[..., Event], wrong: dict[str, Any]) -> None:
    pool = Pool(lambda: BEGIN)
    with pytest.raises(BadValue):
        pool.add(event(**wrong))
    assert (len(pool), pool.size) == (0, 0)
    assert pool.add(event())


@pytest.mark.parametrize("wrong", [{"retention_s": 0}, {"most_bytes": 0}, {"ahead_s": -1}, {"retention_s": math.nan}])
def test_a_pool_that_can_not_hold_anything_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(BadValue, match="can't hold anything"):
        Pool(lambda: BEGIN, **wrong)


def test_a_bound_that_nothing_fits_in_is_kept_too(event: Callable[..., Event]) -> None:
    pool = Pool(lambda: BEGIN, most_bytes=1)
    for number in range(1, 10):
        assert pool.add(event(number, trace="t", important=number % 2 == 0))
        assert (len(pool), pool.size, pool.important()) == (0, 0, [])
    assert (pool.counts.dropped, pool.counts.dropped_important) == (5, 4)
