# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from ansible_collections.okiagari.testbed.plugins.module_utils.logpool.seen import RANGES_MOST, Seen
from hypothesis import given
from hypothesis import strategies as st


@given(st.lists(st.integers(1, 40), max_size=60))
def test_it_knows_what_has_come(numbers: list[int]) -> None:
    seen, known = Seen(), set[int]()
    for number in numbers:
        assert (number in seen) == (number in known)
        if number not in known:
            seen.add(number)
            known.add(number)
        assert all((other in seen) == (other in known) for other in range(42))
        assert len(seen) == sum(1 for one in known if one + 1 not in known)


def test_it_stays_small() -> None:
    seen = Seen()
    for number in range(1, 10 * RANGES_MOST, 2):
        seen.add(number)
        assert number in seen
        assert number + 1 not in seen
    assert len(seen) == RANGES_MOST
    assert 2 in seen  # an old gap counts as come
    assert 10 * RANGES_MOST - 2 not in seen  # a recent one doesn't
