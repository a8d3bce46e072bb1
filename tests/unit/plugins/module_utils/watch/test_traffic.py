# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What passes by an observer: when it needn't ask, and when it has to before its time."""

from __future__ import annotations

from itertools import pairwise

import pytest
from ansible_collections.okiagari.testbed.plugins.module_utils.watch import Counts, Traffic
from ansible_collections.okiagari.testbed.plugins.module_utils.watch.traffic import LOOKS
from hypothesis import given
from hypothesis import strategies as st

PERIOD_S = 1.0


def seen(*counts: Counts | None) -> Traffic:
    """Give one that saw these, a fifth of a second apart and the last one just now."""
    traffic = Traffic(PERIOD_S)
    for number, each in enumerate(counts):
        traffic.saw(-(len(counts) - 1 - number) / 5, each)
    return traffic


@pytest.mark.parametrize(
    ("counts", "spared"),
    [
        ([Counts(), Counts(1)], True),
        ([Counts(7), Counts(8), Counts(8)], True),
        ([Counts(7), Counts(8), Counts(8), Counts(8)], False),  # two looks ago
        ([Counts(7)], False),  # whenever that was
        ([None, Counts(7)], False),
        ([Counts(7), None, Counts(8)], False),
        ([Counts(7), Counts(3)], False),  # HAProxy was started anew
        ([Counts(7), Counts(8, 1)], False),
        ([Counts(7), Counts(8), Counts(8, 1)], False),
        ([Counts(7), Counts(8, 1), Counts(9, 1)], True),
        ([Counts(7), Counts(7)], False),
        ([], False),
    ],
)
def test_answers_spare_a_question(counts: list[Counts | None], spared: bool) -> None:
    assert seen(*counts).spares(0.0) is spared


def test_nothing_is_known_of_another_holder() -> None:
    traffic = seen(Counts(7), Counts(8))
    traffic.begin()
    assert not traffic.spares(0.0)
    traffic.saw(0.2, Counts(9))
    assert not traffic.spares(0.2)


def test_who_was_spared_asks_as_soon_as_answers_end() -> None:
    traffic = seen(Counts(7), Counts(8))
    assert traffic.spares(0.0)
    assert not traffic.urges(0.2)
    assert traffic.urges(0.4)
    assert not traffic.spares(0.4)
    assert not traffic.urges(5.0)  # from now on every period


def test_a_failure_urges_at_once_but_not_more_than_twice_in_a_period() -> None:
    traffic = seen(Counts(7), Counts(8))
    assert traffic.spares(0.0)
    traffic.saw(0.2, Counts(9, 1))
    assert traffic.urges(0.2)
    assert not traffic.spares(0.2)
    assert not traffic.urges(0.4)
    traffic.saw(0.4, Counts(9, 2))
    assert not traffic.urges(0.4)
    assert traffic.urges(0.7)
    assert not traffic.spares(0.7)
    assert not traffic.urges(1.2)


PASSING = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 1)), max_size=60)


@given(PASSING, st.integers(0, 60))
def test_a_server_that_ends_is_asked_in_less_than_a_period(passing: list[tuple[int, int]], more: int) -> None:
    """And nobody asks more than twice in a period, whatever passes."""
    traffic, counts, asked, due = Traffic(PERIOD_S), Counts(), [], 0
    looks = [*passing, *[(0, 0)] * (2 * LOOKS)]
    for number, (answered, failed) in enumerate(looks):
        now = number * PERIOD_S / LOOKS
        counts = Counts(counts.answered + answered, counts.failed + failed)
        traffic.saw(now, counts)
        if number >= due or traffic.urges(now):
            due = number + LOOKS
            if not traffic.spares(now):
                asked.append(number)
    assert all(later - first >= LOOKS / 2 for first, later in pairwise(asked))
    ended = max((number for number, (answered, _failed) in enumerate(looks) if answered), default=0)
    assert any(ended <= number < ended + LOOKS for number in asked)
