# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults that wait for an event."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from ansible_collections.okiagari.testbed.plugins.module_utils.drill.blast import radii
from ansible_collections.okiagari.testbed.plugins.module_utils.drill.compile import programs
from ansible_collections.okiagari.testbed.plugins.module_utils.drill.conflicts import conflicts
from ansible_collections.okiagari.testbed.plugins.module_utils.drill.places import Places
from ansible_collections.okiagari.testbed.plugins.module_utils.drill.spec import parse
from ansible_collections.okiagari.testbed.plugins.module_utils.errors import BadInput
from ansible_collections.okiagari.testbed.plugins.module_utils.target.program import parse as parse_program

if TYPE_CHECKING:
    from ansible_collections.okiagari.testbed.plugins.module_utils.drill.model import Drill

CUT = {"for": "10s", "fault": "link_down", "circuit": "hiroshima-kanazawa"}
ROUTE = {"route": {"to": "naist", "via": "osaka"}, "within": "20s"}
LOG = {"log": {"unit": "frr.service", "matches": "BGP.*Down"}, "within": "20s"}


def read(lab: dict[str, Any], *timeline: Any) -> Drill:
    return parse({"name": "d", "hypothesis": "It holds.", "timeline": list(timeline)}, lab)


def test_each_target_waits_for_its_own_event(lab: dict[str, Any]) -> None:
    drill = read(lab, {**CUT, "when": ROUTE}, {**CUT, "at": 40, "from": "kanazawa", "when": LOG})
    here, there, later = drill.faults
    places = Places(lab)
    for fault in (here, there):
        assert fault.when is not None
        assert fault.when.event == {
            "type": "route", "prefix": "10.3.0.0/24", "via": [places.neighbour(fault.target, "osaka")],
        }  # fmt: skip
    assert (here.at, here.latest, here.ends) == (0, 20, 30)
    assert (later.at, later.latest, later.ends) == (40, 60, 70)
    assert later.when is not None
    assert later.when.text == "frr.service logs BGP.*Down"
    found = programs(drill, "d-1", places, 0.0, {})
    assert found["kanazawa-r1"]["faults"][1]["when"] == {
        "type": "log", "unit": "frr.service", "matches": "BGP.*Down", "within": 20.0,
    }  # fmt: skip
    read_there = parse_program(found["kanazawa-r1"]).faults
    assert [(planned.until, planned.fault.lease_s) for planned in read_there] == [(30, 31), (70, 31)]


def test_it_counts_for_all_the_time_that_it_may_stand(lab: dict[str, Any]) -> None:
    waiting = {**CUT, "at": 5, "when": {"route": {"to": "naist", "changed": True}, "within": 20}}
    drill = read(lab, waiting, {**CUT, "at": 35})
    assert [(radius.since, bool(radius.cut)) for radius in radii(drill, lab)] == [(5, True), (35, True), (45, False)]
    assert len(conflicts(drill.faults)) == 2
    assert conflicts(read(lab, waiting, {**CUT, "at": 36}).faults) == []


ONE = ": has to have exactly one of route and log"


@pytest.mark.parametrize(
    ("when", "told"),
    [
        ({"route": {"to": "naist", "via": "osaka"}}, [".within: is missing"]),
        ({"within": "5s"}, [ONE]),
        ({**ROUTE, **LOG}, [ONE]),
        (
            {"rute": {}, "within": 5},
            [".rute: there is no such key here, only route, log, within; did you mean route?", ONE],
        ),
        (7, [": is not a mapping", ".within: is missing", ONE]),
    ],
)
def test_what_is_wrong_with_an_event(lab: dict[str, Any], when: Any, told: list[str]) -> None:
    assert refused(lab, when) == [f"timeline[0].when{each}" for each in told]


@pytest.mark.parametrize(
    ("route", "told"),
    [
        ({"to": "naist"}, ": says either via, or changed: true"),
        ({"to": "naist", "via": "osaka", "changed": True}, ": says either via, or changed: true"),
        (
            {"to": "nasit", "changed": True},
            ".to: nasit is neither a site nor a node nor a prefix; did you mean naist?",
        ),
        (
            {"to": "naist", "via": "osakka"},
            ".via: osakka is no neighbour of hiroshima-r1; did you mean osaka?",
        ),
    ],
)
def test_what_is_wrong_with_a_route(lab: dict[str, Any], route: Any, told: str) -> None:
    assert refused(lab, {"route": route, "within": 5}) == [f"timeline[0].when.route{told}"]


@pytest.mark.parametrize(
    ("log", "told"),
    [
        ({"matches": "x"}, ": says either unit or file"),
        ({"unit": "a b", "matches": "x"}, ".unit: a b is not the name of a unit such as frr.service"),
        ({"file": "x.log", "matches": "x"}, ".file: x.log is not the absolute path of a file"),
        (
            {"file": "/x.log", "matches": "(x"},
            ".matches: (x is not a regular expression: missing ), unterminated subpattern at position 0",
        ),
    ],
)
def test_what_is_wrong_with_a_log(lab: dict[str, Any], log: Any, told: str) -> None:
    assert refused(lab, {"log": log, "within": 5}) == [f"timeline[0].when.log{told}"]


def refused(lab: dict[str, Any], when: Any) -> list[str]:
    with pytest.raises(BadInput) as error:
        read(lab, {**CUT, "from": "hiroshima", "when": when})
    return [str(problem) for problem in error.value.problems]


@pytest.mark.parametrize("key", ["every", "times", "flap"])
def test_what_waits_comes_once(lab: dict[str, Any], key: str) -> None:
    again = {"every": 20, "times": 2} if key != "flap" else {"flap": {"period": "4s"}}
    with pytest.raises(BadInput, match=rf"timeline\[0\].{key}: is for a fault that comes at an instant"):
        read(lab, {**CUT, "when": ROUTE, **again})
