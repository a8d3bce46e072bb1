# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible_collections.okiagari.testbed.plugins.module_utils.suggest import nearest
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("hirosima", "hiroshima"),
        ("Kanazawa", "kanazawa"),
        ("kvm-hosts", "kvm_hosts"),
        ("zzz", None),
        ("", None),
        ("x" * 1000, None),
    ],
)
def test_the_nearest_word_is_found(word, expected):
    assert nearest(word, ["kanazawa", "hiroshima", "kvm_hosts"]) == expected


@pytest.mark.parametrize("word", ["t", "ta", "a", "att", "st", "AT"])
def test_one_slip_in_a_short_word_is_near(word):
    assert nearest(word, ["at", "for", "percent"]) == "at"


@given(st.text(max_size=20), st.lists(st.text(max_size=20)))
def test_the_result_is_a_choice_and_ignores_their_order(word, choices):
    found = nearest(word, choices)
    assert found is None or found in choices
    assert nearest(word, reversed(choices)) == found
