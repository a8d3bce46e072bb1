# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When a drill may run, and whose consent it needs."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from ansible_collections.okiagari.testbed.plugins.module_utils.drill.permission import (
    Approval,
    Approvals,
    Undertaking,
    refusals,
    undertaking,
)
from ansible_collections.okiagari.testbed.plugins.module_utils.drill.places import Places
from ansible_collections.okiagari.testbed.plugins.module_utils.drill.plan import plans
from ansible_collections.okiagari.testbed.plugins.module_utils.drill.spec import parse
from ansible_collections.okiagari.testbed.plugins.module_utils.topology import loads
from hypothesis import given, settings
from hypothesis import strategies as st

TOKYO = ZoneInfo("Asia/Tokyo")
NIGHTS = '{timezone: Asia/Tokyo, windows: ["mon-fri 22:00-06:00", "sat,sun 00:00-24:00"]}'
CUT = Undertaking("circuit_cut", ("hiroshima", "kanazawa"), 120.0)


def described(drills: str = "{}", kanazawa: str = "{}") -> dict[str, Any]:
    return loads(f"""
plugin: okiagari.testbed.testbed
name: lab
drills: {drills}
core: {{osaka: {{number: 1}}, otemachi: {{number: 2}}}}
sites:
  hiroshima: {{number: 1}}
  kanazawa: {{number: 2, drills: {kanazawa}}}
  naist: {{number: 3}}
circuits:
  - between: [hiroshima, osaka]
  - between: [kanazawa, osaka]
  - between: [naist, otemachi]
  - between: [osaka, otemachi]
  - between: [hiroshima, kanazawa]
""").to_dict()


def told(drills: str, at: str, kanazawa: str = "{}", lasts_s: float = 120.0, last: str | None = None) -> list[str]:
    asked = Undertaking("circuit_cut", ("hiroshima", "kanazawa"), lasts_s)
    found = refusals(asked, described(drills, kanazawa), Approvals(), tokyo(at), tokyo(last) if last else None)
    return [str(problem) for problem in found]


def ends(key: str, instant: str, until: str) -> str:
    late = f"{instant.rpartition(' ')[0]} {until} JST"
    return f"{key}: the time of the testbed ends at {instant} JST, and the drill may take until {late}"


def tokyo(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=TOKYO)


NEW_YEAR = "{timezone: Asia/Tokyo, blackouts: [2026-12-24..2027-01-03]}"
CHRISTMAS = "{timezone: Asia/Tokyo, blackouts: [2026-12-24]}"
NEVER = (
    "sites.kanazawa.drills.consent: kanazawa takes part in no drill: "
    "choose faults, traffic and probes that don't touch it"
)
OUTSIDE = "windows: outside the windows of the testbed"


# 2026-11-20 is a Friday.
@pytest.mark.parametrize(
    ("drills", "at", "why", "when"),
    [
        (NIGHTS, "2026-11-20 21:59:59", OUTSIDE, "Fri 2026-11-20 22:00"),
        (NIGHTS, "2026-11-22 23:59", ends("windows", "Mon 2026-11-23 00:00", "00:01"), "Mon 2026-11-23 22:00"),
        (NIGHTS, "2026-11-24 05:58:01", ends("windows", "Tue 2026-11-24 06:00", "06:00:01"), "Tue 2026-11-24 22:00"),
        ("{windows: [sun 01:00-01:01]}", "2026-11-20 12:00", OUTSIDE, None),
        (NEW_YEAR, "2026-12-24 00:00", "blackouts: 2026-12-24 to 2027-01-03 is a blackout of the testbed",
         "Mon 2027-01-04 00:00"),
        (CHRISTMAS, "2026-12-23 23:59", ends("blackouts", "Thu 2026-12-24 00:00", "00:01"), "Fri 2026-12-25 00:00"),
        ("{blackouts: [2026-01-01..2999-12-31]}", "2026-12-23 23:59",
         "blackouts: 2026-01-01 to 2999-12-31 is a blackout of the testbed", None),
    ],
)  # fmt: skip
def test_a_refusal_says_why_and_when(drills: str, at: str, why: str, when: str | None) -> None:
    never = "there is no time within a year for the 2 min that it may take"
    assert told(drills, at) == [f"drills.{why}: {f'it may run from {when} JST on' if when else never}"]


@pytest.mark.parametrize(
    ("drills", "at"),
    [
        ("{}", "2026-11-20 12:00"),
        (NIGHTS, "2026-11-20 22:00"),
        (NIGHTS, "2026-11-21 05:59"),
        (NIGHTS, "2026-11-21 23:59:30"),
        (NIGHTS, "2026-11-24 05:58"),
        (NEW_YEAR, "2026-12-23 23:58"),
        (NEW_YEAR, "2027-01-04 00:00"),
    ],
)
def test_a_drill_that_fits(drills: str, at: str) -> None:
    assert told(drills, at) == []


def test_everything_is_told_and_the_instant_suits_all() -> None:
    kanazawa = "{windows: [tue 03:00-05:00], blackouts: [2026-11-24], consent: never}"
    drills = "{timezone: Asia/Tokyo, windows: [mon-fri 22:00-04:00], blackouts: [2026-12-01], pause: 10min}"
    # Tuesdays from 3 to 4, but neither on the 24th nor on the 1st.
    when = "it may run from Tue 2026-12-08 03:00 JST on"
    assert told(drills, "2026-11-20 12:00", kanazawa, last="2026-11-20 11:55:00.5") == [
        "drills.pause: the drill before it ended at Fri 2026-11-20 11:55:01 JST, and the pause is 10 min: " + when,
        "drills.windows: outside the windows of the testbed: " + when,
        "sites.kanazawa.drills.windows: outside the windows of kanazawa: " + when,
        NEVER,
    ]


@pytest.mark.parametrize(("last", "refused"), [("11:50", False), ("11:50:01", True), ("11:59:59.9", True)])
def test_the_pause(last: str, refused: bool) -> None:
    drills = "{timezone: Asia/Tokyo, pause: 10min}"
    assert bool(told(drills, "2026-11-20 12:00", last=f"2026-11-20 {last}")) is refused


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ([], r"kanazawa must approve: add \{drill: circuit_cut, by: \.\.\., until: \.\.\.\} to .*/kanazawa.yml"),
        ([("lossy_circuit", "2027-01-01")], "kanazawa must approve: add"),
        (
            [("circuit_cut", "2026-11-19"), ("*", "2026-11-18")],
            r"kanazawa must approve \(it did so until 2026-11-19\): add",
        ),
        ([("circuit_cut", "2026-11-20")], None),
        ([("*", "2026-11-20")], None),
    ],
)
def test_a_site_that_wants_to_be_asked(given: list[tuple[str, str]], problem: str | None) -> None:
    approvals = Approvals(
        "inventory/lab/consent",
        {"kanazawa": [Approval(drill, "A. Person", date.fromisoformat(until)) for drill, until in given]},
    )
    bed = described("{timezone: Asia/Tokyo}", "{consent: ask}")
    found = refusals(CUT, bed, approvals, tokyo("2026-11-20 23:57"))
    assert [bool(re.search(problem or "", str(each))) for each in found] == ([True] if problem else [])
    # Who approves until a date doesn't approve what goes on until the next.
    assert refusals(CUT, bed, approvals, tokyo("2026-11-20 23:59"))
    assert refusals(Undertaking("circuit_cut", ("hiroshima",), 120.0), bed, approvals, tokyo("2026-11-21 23:57")) == []


FAULTS: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "both ends": ({"fault": "link_down", "circuit": "hiroshima-kanazawa"}, ("hiroshima", "kanazawa")),
    "one end": (
        {"fault": "loss", "percent": "10%", "circuit": "hiroshima-kanazawa", "from": "hiroshima"},
        ("hiroshima", "kanazawa"),
    ),
    "interface": (
        {"fault": "link_down", "node": "hiroshima-r1", "interface": "w-kanazawa-r1"},
        ("hiroshima", "kanazawa"),
    ),
    "core only": ({"fault": "loss", "percent": "10%", "circuit": "osaka-otemachi"}, ()),
    "cut off": ({"fault": "link_down", "circuit": "osaka-otemachi"}, ("naist",)),
    "route": ({"fault": "route_blackhole", "node": "otemachi", "to": "kanazawa"}, ("kanazawa",)),
    "foreign route": ({"fault": "route_blackhole", "node": "otemachi", "to": "192.0.2.0/24"}, ()),
    "IPv6 route": ({"fault": "route_blackhole", "node": "naist-r1", "to": "2001:db8::/32"}, ("naist",)),
}


@pytest.mark.parametrize(("fault", "sites"), FAULTS.values(), ids=FAULTS)
def test_what_a_drill_touches(fault: dict[str, Any], sites: tuple[str, ...]) -> None:
    assert touched({"timeline": [{"at": 5, "for": 10, **fault}], "expects_isolated": "naist"}, sites) == sites


def test_a_drill_also_touches_where_its_traffic_and_writers_are() -> None:
    between = {"name": "t", "between": ["naist-kvm1", "hiroshima-kvm1"]}
    assert touched({"traffic": [between]}) == ("hiroshima", "naist")
    assert touched({"writers": [{"name": "w", "node": "kanazawa-kvm1", "path": "/w"}]}) == ("kanazawa",)
    ping = {"phase": "before", "ping": {"from": "kanazawa-kvm1", "to": "naist-kvm1"}}
    assert touched({"probes": [ping]}) == ()


def touched(drill: dict[str, Any], sites: tuple[str, ...] = ()) -> tuple[str, ...]:
    bed = described()
    if "naist" not in sites or "timeline" not in drill or drill["timeline"][0]["fault"] != "link_down":
        drill.pop("expects_isolated", None)
    read = parse({"name": "d", "hypothesis": "h", **drill}, bed)
    asked = undertaking(read, plans(read, bed, Places(bed)), bed)
    assert asked.lasts_s >= 60 + read.ends + read.recover_timeout_s
    return asked.sites


ZONES = ("Asia/Tokyo", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Africa/Casablanca", "UTC")
texts = st.builds(
    lambda days, opens, closes: f"{days} {opens // 4:02}:{opens % 4 * 15:02}-{closes // 4:02}:{closes % 4 * 15:02}",
    st.sampled_from(["mon-fri", "sat,sun", "sun", "mon-sun", "wed"]),
    st.integers(0, 95),
    st.integers(0, 96),
).filter(lambda text: text.split()[1][:5] != text.split()[1][6:] and not text.endswith("00:00-24:00"))
instants = st.datetimes(datetime(2026, 1, 1), datetime(2027, 12, 31)).map(lambda at: at.replace(tzinfo=UTC))  # noqa: DTZ001


@settings(max_examples=60)
@given(st.sampled_from(ZONES), st.lists(texts, min_size=1, max_size=3), instants, st.integers(1, 4 * 3600))
def test_the_instant_that_is_told_is_inside_and_the_first(
    name: str, windows: list[str], at: datetime, lasts_s: int
) -> None:
    bed = described(f"{{timezone: {name}, windows: {windows}}}")
    asked = Undertaking("d", (), float(lasts_s))
    found = refusals(asked, bed, Approvals(), at)
    if not found:
        assert all(on_the_wall(bed, name, at + timedelta(seconds=lasts_s * part / 8)) for part in range(8))
        return
    told = re.search(r"may run from ... (\S+) (\S+) (\S+) on", str(found[0]))
    if not told:
        assert "no time within a year" in str(found[0])
        return
    text = f"{told[1]} {told[2]}"
    wall = datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(name))
    # Of a time that comes twice the zone's abbreviation says which it is.
    starts = [when for when in (wall, wall.replace(fold=1)) if f"{when:%Z}" == told[3]]
    assert any(refusals(asked, bed, Approvals(), when) == [] for when in starts)
    assert all(refusals(asked, bed, Approvals(), when - timedelta(seconds=1)) for when in starts[:1])


def on_the_wall(bed: dict[str, Any], name: str, at: datetime) -> bool:
    """Say whether the clock on the wall is inside a window; the obvious way, for one instant."""
    there = at.astimezone(ZoneInfo(name))
    minute = 60 * there.hour + there.minute
    return any(
        window["opens"] <= minute + more < window["closes"] and (there.weekday() - back) % 7 in window["days"]
        for window in bed["drills"]["windows"]
        for back, more in ((0, 0), (1, 1440))
    )


@pytest.mark.parametrize(
    ("at", "lasts_s", "fine"),
    [
        # In Berlin 02:00 to 03:00 comes twice on 2026-10-25, and never on 2026-03-29.
        ("2026-10-25 00:30+00:00", 60, False),
        ("2026-10-25 01:30+00:00", 1800, True),
        ("2026-10-25 01:30+00:00", 1801, False),
        ("2026-03-29 00:59+00:00", 60, False),
        ("2026-03-29 01:30+00:00", 60, True),
    ],
)
def test_clocks_that_are_changed(at: str, lasts_s: float, fine: bool) -> None:
    windows = "02:30-03:00" if "10-25" in at else "02:30-04:00"
    bed = described(f"{{timezone: Europe/Berlin, windows: [{windows}]}}")
    found = refusals(Undertaking("d", (), lasts_s), bed, Approvals(), datetime.fromisoformat(at))
    assert (found == []) is fine
