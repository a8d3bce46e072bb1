# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All observers together: domains, hysteresis, expiry and silence."""

from __future__ import annotations

import pytest
from ansible_collections.okiagari.testbed.plugins.module_utils.watch import Observation, Suspicion, Watch
from hypothesis import given
from hypothesis import strategies as st

WATCH = Watch()
SITES = {"a": "A", "b": "B", "b2": "B", "b3": "B", "c": "C", "d": "D", "e": "E"}


def said(observer: str, level: float, sequence: int = 1, holder: str = "a", good_for_s: float = 3.0) -> Observation:
    return Observation("web", holder, observer, SITES[observer], sequence, level, "", good_for_s)


def suspicion(levels: dict[str, float] | None = None, now: float = 0.0) -> Suspicion:
    made = Suspicion("web", WATCH)
    made.begin(now, "a")
    for observer, level in (levels or {}).items():
        made.heard(now, said(observer, level))
    made.changed(now)
    return made


@pytest.mark.parametrize(
    ("levels", "level", "suspected"),
    [
        ({"a": 0, "b": 0, "c": 0}, 0.0, False),
        ({"a": 0, "b": 1, "c": 0}, 1 / 3, False),  # one can't reach it, and others do
        ({"a": 0, "b": 1, "c": 1, "d": 0, "e": 0}, 0.4, False),
        ({"a": 0, "b": 1, "c": 1}, 2 / 3, True),  # its own host alone says that it is well
        ({"a": 1, "b": 0, "c": 0}, 1 / 3, False),
        ({"a": 1, "b": 1, "c": 1}, 1.0, True),
        ({"a": 2 / 3, "b": 2 / 3, "c": 2 / 3}, 2 / 3, True),
        ({"a": 0, "b": 1, "b2": 1, "b3": 1}, 0.5, False),  # they are one witness
        ({"b": 1, "b2": 1, "c": 0.5}, 0.75, False),  # high, but in one domain only
        ({"b": 1, "b2": 0.25, "c": 1}, 0.8125, True),  # a busy host doesn't silence its site
        ({"b": 1, "b2": 0, "c": 1}, 0.75, False),
        ({"b": 1}, 1.0, True),  # nobody else is heard
        ({"b": 0.9}, 0.9, False),  # and it doubts itself
        ({"b": 1, "b2": 0.4}, 0.7, True),
    ],
)
def test_who_suffices_for_a_suspicion(levels, level, suspected) -> None:
    made = suspicion(levels)
    assert made.level(0.0) == pytest.approx(level)
    assert not made.suspected
    made.changed(WATCH.period_s)
    assert made.suspected == suspected


def test_a_high_level_is_a_suspicion_after_a_period_only() -> None:
    made = suspicion({"a": 1, "b": 1, "c": 1})
    assert made.wake_at == WATCH.period_s
    assert made.changed(0.9) is None
    for observer in "ab":
        made.heard(0.9, said(observer, 0.0, 2))
    assert made.changed(0.9) is None
    assert made.changed(1.0) is None
    for observer in "ab":
        made.heard(1.5, said(observer, 1.0, 3))
    assert made.changed(1.5) is None
    assert made.changed(2.4) is None
    assert made.changed(2.5) is True
    assert made.changed(2.6) is None


@pytest.mark.parametrize(
    ("levels", "told"),
    [
        ({"a": 1, "b": 1, "c": 0}, None),
        ({"a": 0.5, "b": 0.5, "c": 0.5}, None),
        ({"a": 0, "b": 1, "c": 0}, False),  # an observer that stays cut off keeps no suspicion up
        ({"a": 0, "b": 0, "c": 0}, False),
    ],
)
def test_a_suspicion_ends_lower_than_it_began(levels, told) -> None:
    made = suspicion({"a": 1, "b": 1, "c": 1})
    assert made.changed(1.0) is True
    for observer, level in levels.items():
        made.heard(1.5, said(observer, level, 2))
    assert made.changed(1.5) is told


def test_an_observation_expires_by_the_clock_of_whoever_heard_it() -> None:
    made = suspicion({"a": 0}, now=100.0)
    made.heard(101.0, said("b", 1.0, good_for_s=50.0))
    made.heard(101.0, said("c", 1.0, good_for_s=0.5))
    assert made.level(101.0) == pytest.approx(2 / 3)
    assert made.level(101.5) == pytest.approx(1 / 2)
    assert made.level(103.0) == 1.0
    assert made.told(103.5) == (said("b", 1.0, good_for_s=0.5),)  # as long as this agent's own policy says
    assert made.told(104.0) == ()


def test_what_is_old_repeated_or_about_another_changes_nothing() -> None:
    made = suspicion()
    made.heard(0.0, said("b", 0.0, 5))
    for stale in (said("b", 1.0, 4), said("b", 1.0, 5), said("b", 1.0, 6, holder="c")):
        made.heard(0.0, stale)
    made.heard(0.0, Observation("mail", "a", "b", "B", 9, 1.0, "", 3.0))
    assert made.level(0.0) == 0.0
    made.heard(0.0, said("b", 1.0, 6))
    assert made.level(0.0) == 1.0


def test_neighbours_keep_no_observation_alive_among_themselves() -> None:
    one, other = suspicion({"b": 1}), suspicion()
    for now in (2.9, 2.95, 3.0, 3.05, 3.1, 3.15, 3.2):
        for giver, taker in ((one, other), (other, one)):
            for each in giver.told(now):
                taker.heard(now + 0.1, each)
    assert one.told(3.3) == other.told(3.3) == ()


def test_an_observer_whose_numbers_begin_anew_is_heard_again_in_the_end() -> None:
    made = suspicion()
    made.heard(0.0, said("b", 1.0, 500))
    again = WATCH.good_for_s + WATCH.silence_s
    made.heard(again - 0.1, said("b", 0.0, 1))
    assert made.told(again - 0.1) == ()
    made.heard(again, said("b", 0.0, 1))
    assert made.told(again) == (said("b", 0.0, 1),)


def test_silence_is_a_suspicion_and_never_trust() -> None:
    made = suspicion({"a": 0, "b": 0, "c": 0})
    assert made.wake_at == WATCH.good_for_s
    assert made.changed(3.0) is None
    assert made.level(3.0) == pytest.approx(3 / 5)
    assert made.wake_at == WATCH.silence_s
    assert made.changed(5.0) is True
    assert made.level(5.0) == 1.0
    assert made.changed(60.0) is None
    made.heard(61.0, said("b", 0.0, 70))
    assert made.changed(61.0) is False


def test_an_agent_that_slept_heard_nothing_because_it_slept() -> None:
    made = suspicion({"a": 0, "b": 0, "c": 0})
    assert made.changed(60.0) is None
    assert made.wake_at == 65.0
    assert made.changed(65.0) is True


def test_a_new_holder_is_not_suspected_and_nobody_never_is() -> None:
    made = suspicion({"a": 1, "b": 1, "c": 1})
    assert made.changed(1.0) is True
    made.begin(2.0, "b")
    assert not made.suspected
    assert made.level(2.0) == 0.0
    made.begin(3.0, None)
    assert made.changed(90.0) is None
    assert (made.level(90.0), made.wake_at) == (0.0, float("inf"))


steps = st.tuples(st.floats(0.0, 4.0), st.sampled_from([*SITES]), st.floats(0, 1), st.integers(1, 9), st.floats(0.1, 9))


@given(st.lists(steps, max_size=20))
def test_what_follows_is_told_once_and_the_next_time_to_look_lies_ahead(heard) -> None:
    made, now = suspicion(), 0.0
    for wait, observer, level, sequence, good_for_s in heard:
        now += wait
        made.heard(now, said(observer, level, sequence, good_for_s=good_for_s))
        before = made.suspected
        told = made.changed(now)
        assert made.suspected == (before if told is None else told)
        assert 0 <= made.level(now) <= 1
        assert made.wake_at > now
    for _look in range(99):
        if made.wake_at < float("inf"):
            now = made.wake_at
            made.changed(now)
            assert made.wake_at > now
    assert made.suspected  # nobody says anything any more
