# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from bisect import bisect_left

import pytest
from ansible_collections.okiagari.testbed.plugins.module_utils.logpool import timeline
from ansible_collections.okiagari.testbed.plugins.module_utils.logpool.timeline import Timeline, below, newest, remove
from hypothesis import given
from hypothesis import strategies as st

records = st.lists(st.binary(min_size=1, max_size=3), unique=True, max_size=60)


@pytest.fixture(autouse=True)
def _short_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timeline, "BLOCK", 4)


def descending(*sources: Timeline | list[bytes]) -> list[bytes]:
    found: list[bytes] = []
    bound = b"\xff" * 4
    while block := newest([one.below(bound) if isinstance(one, Timeline) else below(one, bound) for one in sources]):
        found += block
        bound = block[-1]
    return found


@given(records)
def test_any_order_of_coming_is_put_right(coming: list[bytes]) -> None:
    line = Timeline()
    for record in coming:
        line.add(record)
        assert line
    assert descending(line) == sorted(coming, reverse=True)
    oldest = []
    while line:
        some = list(line.oldest())
        count = min(len(some), 3)
        oldest += some[:count]
        line.drop(count)
    assert oldest == sorted(coming)
    assert list(line.oldest()) == []


@given(records, st.lists(st.integers(0, 3), min_size=60, max_size=60))
def test_several_sources_are_joined(coming: list[bytes], to: list[int]) -> None:
    first, second = Timeline(), Timeline()
    third: list[bytes] = []
    for record, place in zip(coming, to, strict=False):
        if place == 2:
            third.insert(bisect_left(third, record), record)
        else:
            (first if place else second).add(record)
    assert descending(first, second, third) == sorted(coming, reverse=True)


@given(records.filter(bool), st.data())
def test_what_is_removed_from_a_list_is_gone(coming: list[bytes], data: st.DataObject) -> None:
    gone = sorted(data.draw(st.lists(st.sampled_from(coming), unique=True, min_size=1)))
    left = sorted(coming)
    remove(left, gone)
    assert left == sorted(set(coming) - set(gone))
