# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What may be set, and what is refused with what to do."""

from __future__ import annotations

import pytest
from ansible_collections.okiagari.testbed.plugins.module_utils.errors import BadInput
from ansible_collections.okiagari.testbed.plugins.module_utils.watch import Watch


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"period_s": float("nan")}, "period_s: is not a number above 0"),
        ({"needed": 0}, "needed: is not a number above 0"),
        ({"needed": 2.5}, "needed: is not a whole number"),
        ({"grace_s": -1.0}, "grace_s: is not a number above 0"),
        ({"timeout_s": 1.5, "good_for_s": 4.0}, "timeout_s: is 1.5 s, and the next request goes out after 1 s"),
        ({"observers": 2}, "observers: is 2: .*; choose 3, and a longer period_s"),
        ({"good_for_s": 2.0}, "good_for_s: is 2 s: .*; choose 2.8 s or more"),
        ({"silence_s": 2.9}, "silence_s: is 2.9 s, and what was said is good for 3 s"),
        ({"suspect_at": 0.7}, "suspect_at: is 0.7: .* outweigh all the others; choose 0.66 or less"),
        ({"trust_at": 0.3}, "trust_at: is 0.3: one observer that is cut off .*; choose 0.34 or more"),
        ({"trust_at": 0.6}, r"trust_at: is not below suspect_at \(0.6\)"),
    ],
)
def test_what_can_not_work_is_refused(values, message) -> None:
    with pytest.raises(BadInput, match=message):
        Watch(**values)


def test_all_that_is_wrong_is_told_at_once() -> None:
    with pytest.raises(BadInput) as caught:
        Watch(timeout_s=2.0, good_for_s=1.0, silence_s=0.5, suspect_at=0.9, trust_at=0.1)
    assert [problem.key for problem in caught.value.problems] == [
        "timeout_s", "good_for_s", "silence_s", "suspect_at", "trust_at",
    ]  # fmt: skip


def test_no_grace_and_more_observers_are_fine() -> None:
    assert Watch(grace_s=0.0, observers=5, suspect_at=0.8, trust_at=0.2).suspected_s == pytest.approx(5.8)
