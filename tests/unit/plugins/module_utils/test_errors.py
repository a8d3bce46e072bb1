# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible_collections.okiagari.testbed.plugins.module_utils.errors import BadInput, BadValue, OkiagariError, Problem


@pytest.mark.parametrize(
    ("problem", "text"),
    [
        (Problem("t.yml", 3, "sites.a", "unknown key", "b"), "t.yml:3: sites.a: unknown key; did you mean b?"),
        (Problem("t.yml", None, "", "cannot be read"), "t.yml: cannot be read"),
        (Problem("", None, "at", "is missing"), "at: is missing"),
        (Problem("", 7, "", "is missing"), "is missing"),
    ],
)
def test_a_problem_says_where_and_what(problem, text):
    assert str(problem) == text


def test_bad_input_lists_all_problems():
    error = BadInput([Problem("t.yml", 1, "a", "wrong"), Problem("t.yml", 2, "b", "wrong", "c")])
    assert str(error) == "t.yml:1: a: wrong\nt.yml:2: b: wrong; did you mean c?"
    assert isinstance(error, OkiagariError)


def test_bad_input_needs_a_problem():
    with pytest.raises(ValueError, match="at least one"):
        BadInput([])  # pylint: disable=pointless-exception-statement


def test_a_bad_value_is_a_value_error_with_its_suggestion():
    error = BadValue("no such unit", "ms")
    assert isinstance(error, (OkiagariError, ValueError))
    assert str(error) == "no such unit; did you mean ms?"
