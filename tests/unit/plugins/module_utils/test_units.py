# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import math

import pytest
from ansible_collections.okiagari.testbed.plugins.module_utils import units
from ansible_collections.okiagari.testbed.plugins.module_utils.errors import BadValue
from hypothesis import given
from hypothesis import strategies as st

READERS = [units.seconds, units.milliseconds, units.percent, units.bits_per_second, units.mebibytes]


@pytest.mark.parametrize(
    ("reader", "value", "expected"),
    [
        (units.seconds, "20s", 20.0),
        (units.seconds, " 1.5 min ", 90.0),
        (units.seconds, "200ms", 0.2),
        (units.seconds, 3, 3.0),
        (units.seconds, "1H", 3600.0),
        (units.milliseconds, "5ms", 5.0),
        (units.milliseconds, "250us", 0.25),
        (units.milliseconds, "1s", 1000.0),
        (units.milliseconds, 0, 0.0),
        (units.percent, "30%", 30.0),
        (units.percent, "0.5 %", 0.5),
        (units.percent, 100, 100.0),
        (units.bits_per_second, "1gbit", 1_000_000_000),
        (units.bits_per_second, "1.5mbit", 1_500_000),
        (units.bits_per_second, 9600, 9600),
        (units.mebibytes, "4gib", 4096),
        (units.mebibytes, 512, 512),
    ],
)
def test_quantities_are_read(reader, value, expected):
    assert reader(value) == expected
    assert type(reader(value)) is type(expected)


@pytest.mark.parametrize(
    ("reader", "value", "message"),
    [
        (units.milliseconds, "5msec", "unknown unit msec, not one of us, ms, s, min, h; did you mean ms"),
        (units.milliseconds, 5, "not a duration with its unit"),
        (units.seconds, "-1s", "negative"),
        (units.seconds, True, "not a duration"),
        (units.seconds, None, "not a duration"),
        (units.seconds, "soon", "soon is not a duration"),
        (units.seconds, math.nan, "not a duration"),
        pytest.param(units.seconds, 10**5000, "huge", id="huge"),
        (units.percent, "101%", "more than 100%"),
        (units.percent, "5ms", "unknown unit"),
        (units.bits_per_second, "1gbps", "unknown unit gbps, not one of bit, kbit"),
        (units.bits_per_second, ["1gbit"], "a list is not a rate"),
        (units.seconds, "٣s", "not a duration"),
    ],
)
def test_what_is_no_quantity_is_refused(reader, value, message):
    with pytest.raises(BadValue, match=message):
        reader(value)


@given(
    st.sampled_from(READERS), st.one_of(st.text(), st.integers(), st.floats(), st.none(), st.booleans(), st.binary())
)
def test_every_value_is_read_or_refused(reader, value):
    try:
        number = reader(value)
    except BadValue as error:
        assert len(str(error)) < 200  # noqa: PT017 - either outcome is right
    else:
        assert number >= 0
        assert math.isfinite(number)
