# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What windows, blackouts and dates may look like; how a description holds them is tested with the schema."""

from __future__ import annotations

import zoneinfo
from datetime import UTC, date, datetime
from typing import Any

import pytest
from ansible_collections.okiagari.testbed.plugins.module_utils.errors import BadValue
from ansible_collections.okiagari.testbed.plugins.module_utils.topology import Testbed, loads
from ansible_collections.okiagari.testbed.plugins.module_utils.topology.timetable import (
    Blackout,
    Rules,
    Window,
    blackout,
    day,
    window,
    zone,
)
from hypothesis import given
from hypothesis import strategies as st

DESCRIPTION = """\
plugin: okiagari.testbed.testbed
name: lab
drills:
  timezone: Asia/Tokyo
  windows: [mon-fri 22:00-06:00, "sat,sun 00:00-24:00"]
  blackouts: [2026-11-03, 2026-12-24..2027-01-03]
  pause: 10min
sites:
  hiroshima: {number: 1}
  kanazawa: {number: 2, drills: {consent: ask, blackouts: [2026-12-10..2026-12-12]}}
"""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("mon-fri 22:00-06:00", Window((0, 1, 2, 3, 4), 1320, 1800)),
        ("sat,sun 00:00-24:00", Window((5, 6), 0, 1440)),
        ("Fri-Mon,wed 9:30 - 12:00", Window((0, 2, 4, 5, 6), 570, 720)),
        ("22:00-00:00", Window(tuple(range(7)), 1320, 1440)),
        ("tue 06:00-05:59", Window((1,), 360, 1799)),
    ],
)
def test_windows(text: str, expected: Window) -> None:
    assert window(text) == expected


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("mon-fri", "is not a window such as"),
        (2200, "is not a window such as"),
        ("mon 22:00-22:00", "the whole day is 00:00-24:00"),
        ("mon 24:00-06:00", "00:00 of the next day"),
        ("mon 24:00-00:00", "the whole day is 00:00-24:00"),
        ("mon 22:60-06:00", "22:60 is not a time"),
        ("mon 22:00-24:01", "24:01 is not a time"),
        ("mondy 22:00-06:00", "did you mean mon?"),
        ("mon-,tue 22:00-06:00", "there is no day"),
    ],
)
def test_what_is_no_window(value: object, message: str) -> None:
    with pytest.raises(BadValue) as raised:
        window(value)
    assert message in str(raised.value)


def test_dates() -> None:
    assert day("2026-12-24") == day(date(2026, 12, 24)) == date(2026, 12, 24)
    assert blackout(date(2026, 12, 24)) == Blackout("2026-12-24", "2026-12-24")
    assert blackout("2026-12-24..2027-01-03") == Blackout("2026-12-24", "2027-01-03")
    for value in ("2026-12-24..2026-12-23", "2026-12-24..", "20261224", "2026-13-01", datetime(2026, 1, 1, tzinfo=UTC)):
        with pytest.raises(BadValue):
            blackout(value)


def test_zones(monkeypatch: pytest.MonkeyPatch) -> None:
    assert zone("UTC") is UTC
    assert zone("Asia/Tokyo").utcoffset(datetime(2026, 1, 1)).total_seconds() == 9 * 3600  # type: ignore[union-attr]  # noqa: DTZ001
    for name in ("", "../UTC", "Asia", "\0", 9, "Asia/Tokio"):
        with pytest.raises(BadValue, match="is not a time zone"):
            zone(name)
    monkeypatch.setattr(zoneinfo, "available_timezones", set)
    with pytest.raises(BadValue, match="install the package tzdata"):
        zone("Asia/Tokio")


def test_the_resolved_testbed_holds_them() -> None:
    testbed = loads(DESCRIPTION)
    data = testbed.to_dict()
    assert data["drills"] == {
        "timezone": "Asia/Tokyo",
        "windows": [
            {"days": [0, 1, 2, 3, 4], "opens": 1320, "closes": 1800},
            {"days": [5, 6], "opens": 0, "closes": 1440},
        ],
        "blackouts": [{"first": "2026-11-03", "last": "2026-11-03"}, {"first": "2026-12-24", "last": "2027-01-03"}],
        "pause_s": 600.0,
    }
    assert data["sites"]["kanazawa"]["drills"]["consent"] == "ask"
    assert Testbed.from_dict(data) == testbed
    assert Rules.from_dict(data["drills"]) == testbed.drills


values: Any = st.one_of(
    st.text(alphabet="montuefri0123456789:-,. "), st.integers(), st.none(), st.dates(), st.datetimes()
)


@given(values)
def test_any_value_is_read_or_refused(value: object) -> None:
    for read in (window, blackout, day):
        try:
            read(value)
        except BadValue:
            continue
