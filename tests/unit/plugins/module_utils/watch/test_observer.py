# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One observer: failures in a row, its doubt in itself, and what it tells."""

from __future__ import annotations

import json

import pytest
from ansible_collections.okiagari.testbed.plugins.module_utils.errors import BadValue
from ansible_collections.okiagari.testbed.plugins.module_utils.watch import Observation, Observer, OwnHealth, Watch
from hypothesis import given
from hypothesis import strategies as st

WATCH = Watch()
TOLD = Observation("web", "a", "b", "kanazawa", 7, 0.5, "refused", 3.0).to_dict()


def observer(health: OwnHealth | None = None) -> Observer:
    made = Observer("web", "b", "kanazawa", WATCH, health or OwnHealth(WATCH.late_s))
    made.begin(0.0, "a")
    return made


def test_failures_in_a_row_raise_the_level_and_one_answer_ends_them() -> None:
    asking = observer()
    told = [asking.result(float(now), well == "w", "refused") for now, well in enumerate("wffffwf")]
    assert [each.level for each in told] == pytest.approx([0, 1 / 3, 2 / 3, 1, 1, 0, 1 / 3])
    assert [each.sequence for each in told] == [1, 2, 3, 4, 5, 6, 7]
    assert told[2].why == "refused (2 in a row, sure after 3)"
    assert {(each.service, each.holder, each.observer, each.domain) for each in told} == {("web", "a", "b", "kanazawa")}


def test_a_new_holder_begins_anew_and_has_time_to_start() -> None:
    asking = observer()
    for now, well in enumerate([True, False, False, False]):
        asking.result(float(now), well, "refused")
    asking.begin(10.0, "c")
    starting = asking.result(10.0 + WATCH.grace_s - 0.1, False, "refused")
    assert (starting.holder, starting.level, starting.why) == ("c", 0.0, "may still be starting: refused")
    assert asking.result(10.0 + WATCH.grace_s, False, "refused").level == pytest.approx(1 / 3)


def test_the_time_to_start_is_over_when_the_service_was_well() -> None:
    asking = observer()
    asking.result(1.0, True, "")
    assert asking.result(2.0, False, "refused").level > 0


def test_an_observer_in_doubt_needs_more_failures() -> None:
    health = OwnHealth(WATCH.late_s)
    asking = observer(health)
    asking.result(0.0, True, "")
    for _peer in range(20):
        health.unanswered()
    told = [asking.result(1.0, False, "no answer") for _time in range(12)]
    assert [each.level == 1 for each in told] == [False] * 11 + [True]
    assert told[0].why == "no answer (1 in a row, sure after 12)"


def happen(health: OwnHealth, event: str) -> None:
    """Unanswered, answered, late, or in time."""
    match event:
        case "u":
            health.unanswered()
        case "a":
            health.answered()
        case "l":
            health.late(0.21)
        case "t":
            health.late(0.2)


@pytest.mark.parametrize(
    ("events", "score"),
    [
        ("uu", 2),
        ("uuuuuuuuuuuu", 8),
        ("uuaaaa", 0),
        ("tututu", 3),  # in time but cut off: it doesn't fade
        ("lalala", 3),  # its peers answer, and it is late for them
        ("lalatata", 0),
    ],
)
def test_doubt_moves_by_one(events, score) -> None:
    health = OwnHealth(0.2)
    for event in events:
        {"u": health.unanswered, "a": health.answered, "l": lambda: health.late(0.3), "t": lambda: health.late(0.2)}[
            event
        ]()
    assert health.score == score


@given(st.text("ualt"))
def test_doubt_stays_within_its_bounds(events) -> None:
    health = OwnHealth(0.2)
    for event in events:
        before = health.score
        {"u": health.unanswered, "a": health.answered, "l": lambda: health.late(9.0), "t": lambda: health.late(0.0)}[
            event
        ]()
        assert abs(health.score - before) <= 1
        assert 0 <= health.score <= 8
        assert 1 <= health.multiplier <= 4


texts = st.text(max_size=9)


@given(
    st.builds(Observation, texts, texts, texts, texts, st.integers(0), st.floats(0, 1), texts, st.floats(0.001, 1e6))
)
def test_what_is_sent_comes_as_it_was(observation) -> None:
    assert Observation.from_dict(json.loads(json.dumps(observation.to_dict()))) == observation


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (None, "is not an observation: it is not a mapping, but nothing"),
        ([TOLD], "it is not a mapping"),
        ({**TOLD, "sequence": "7"}, "it.sequence is 7"),
        ({**TOLD, "level": True}, "it.level is true"),
        ({**TOLD, "level": 1.5}, "its level is 1.5"),
        ({**TOLD, "level": float("nan")}, "its level is nan"),
        ({**TOLD, "good_for_s": 0}, "it is good for 0 s"),
        ({name: each for name, each in TOLD.items() if name != "why"}, "it.why is missing"),
    ],
)
def test_what_is_no_observation_is_refused(wrong, message) -> None:
    with pytest.raises(BadValue, match=message):
        Observation.from_dict(wrong)
