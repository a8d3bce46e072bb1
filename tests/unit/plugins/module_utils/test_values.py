# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import math
import re
from typing import Any

import pytest
from ansible_collections.okiagari.testbed.plugins.module_utils import values
from ansible_collections.okiagari.testbed.plugins.module_utils.errors import BadValue, shown
from ansible_collections.okiagari.testbed.plugins.module_utils.values import mismatch

LINK: values.Shape = [
    {"name": re.compile("[a-z]+"), "mtu?": int, "share?": (int, float), "up?": bool, "peers?": {"*": str}}
]


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ([], None),
        ([{"name": "lo", "mtu": 1, "share": 0.5, "up": True, "peers": {"a": "b"}, "more": None}], None),
        ({}, "it is not a list, but a mapping"),
        ([3], "it[0] is not a mapping, but 3"),
        ([{"name": "lo"}, {}], "it[1].name is missing"),
        ([{"name": "-x"}], "it[0].name is -x"),
        ([{"name": None}], "it[0].name is nothing"),
        ([{"name": "lo", "mtu": True}], "it[0].mtu is true"),
        ([{"name": "lo", "mtu": 1.0}], "it[0].mtu is 1.0"),
        ([{"name": "lo", "up": 1}], "it[0].up is 1"),
        ([{"name": "lo", "peers": {"a": "b", "c": [1]}}], "it[0].peers.c is a list"),
    ],
)
def test_the_first_place_of_another_shape_is_named(value: Any, found: str | None) -> None:
    assert mismatch(value, LINK) == found


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "nothing"), ("", "nothing"), (True, "true"), (1.5, "1.5"), ("a\nb", "a?b"), ("x" * 50, "x" * 37 + "..."),
        ({}, "a mapping"), ([], "a list"), ((1,), "a list"), (b"", "a bytes"),
        pytest.param(10**5000, "a huge number", id="huge"),
    ],
)  # fmt: skip
def test_a_value_in_a_message_is_short_and_for_people(value: object, text: str) -> None:
    assert shown(value) == text


def test_what_is_read() -> None:
    assert (values.whole(1, 9)("7"), values.number(0, 9)("0.5"), values.number(0, 9)(3)) == (7, 0.5, 3.0)
    assert values.text(" a  b ") == "a b"
    assert values.file_path("/srv/x") == "/srv/x"
    assert values.choice(["a", "b"], "letter")("a") == "a"
    assert values.from_json('{"a": [1]}') == {"a": [1]}


@pytest.mark.parametrize(
    ("reader", "value", "message"),
    [
        (values.flag, "yes", "neither true nor false"),
        (values.whole(1, 9), 10, "10 is not a whole number from 1 to 9"),
        (values.whole(1, 9), True, "true is not a whole number"),
        (values.number(0, 9), math.nan, "nan is not a number from 0 to 9"),
        pytest.param(values.number(0, 9), 10**400, "a huge number is not a number", id="huge"),
        (values.text, " ", "is not a text"),
        (values.file_path, "/a/../b", "not the absolute path of a file"),
        (values.file_path, "/a\0", "not the absolute path of a file"),
        (values.items, "ab", "ab is not a list"),
        (values.mapping, [], "a list is not a mapping"),
        (values.choice(["alpha"], "letter"), "alpa", "there is no letter alpa; did you mean alpha?"),
        (values.choice(["alpha"], "letter"), "x", "there is no letter x; there are alpha"),
        (values.choice(["alpha"], "letter"), ["alpha"], "a list is not a text"),
        (values.from_json, "NaN", "is not JSON: NaN is no number there"),
        (values.from_json, "[" * 10**5, "nested too deeply"),
        (values.from_json, "9" * 5000, "a number in it is too long"),
        (values.from_json, "{", "is not JSON: "),
    ],
)
def test_what_is_refused(reader: Any, value: object, message: str) -> None:
    with pytest.raises(BadValue, match=re.escape(message)):
        reader(value)
