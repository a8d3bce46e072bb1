# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Entries of a timeline that are several faults: parallel ones, flapping ones, and those left to chance."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest
from ansible_collections.okiagari.testbed.plugins.module_utils.drill.conflicts import GUARD_S, conflicts
from ansible_collections.okiagari.testbed.plugins.module_utils.drill.spec import parse
from ansible_collections.okiagari.testbed.plugins.module_utils.errors import BadInput
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

if TYPE_CHECKING:
    from ansible_collections.okiagari.testbed.plugins.module_utils.drill.model import Drill

CUT = {"fault": "link_down", "circuit": "hiroshima-kanazawa", "from": "hiroshima"}
TOO_SHORT = (
    "is on for 0.5 s and off for 0.5 s: no lease guards less than 1 s on, and in between it has to be gone for 1 s"
)
TOS = ["naist", "osaka"]
CIRCUITS = ["hiroshima-kanazawa", "hiroshima-osaka", "kanazawa-osaka"]


def read(lab: dict[str, Any], *timeline: Any, **more: Any) -> Drill:
    return parse({"name": "d", "hypothesis": "It holds.", "timeline": list(timeline), **more}, lab)


def refused(lab: dict[str, Any], *timeline: Any, **more: Any) -> list[str]:
    with pytest.raises(BadInput) as error:
        read(lab, *timeline, **more)
    return [str(problem) for problem in error.value.problems]


def spans(drill: Drill) -> list[tuple[str, float, float]]:
    return [(fault.id, fault.at, fault.ends) for fault in drill.faults]


def test_parallel_faults_share_their_time_or_have_their_own(lab: dict[str, Any]) -> None:
    own = {"fault": "loss", "percent": 3, "circuit": "hiroshima-osaka", "from": "osaka", "at": "2s", "for": "3s"}
    twice = {"fault": "route_blackhole", "node": "osaka", "to": "naist", "every": 20, "times": 2}
    drill = read(lab, {**CUT, "at": 1, "for": 2}, {"parallel": [CUT, own, twice], "at": "5s", "for": "10s"})
    assert spans(drill) == [
        ("d-1-hiroshima-r1", 1, 3),
        ("d-2.1-hiroshima-r1", 5, 15),
        ("d-2.2-osaka", 7, 10),
        ("d-2.3-osaka", 5, 15),
        ("d-2.3-osaka-r2", 25, 35),
    ]


def test_a_flap_is_on_for_its_share_of_each_period(lab: dict[str, Any]) -> None:
    drill = read(lab, {**CUT, "at": 5, "for": "10s", "flap": {"period": "4s", "duty": "25%"}})
    assert spans(drill) == [
        ("d-1-hiroshima-r1", 5, 6),
        ("d-1-hiroshima-r1-r2", 9, 10),
        ("d-1-hiroshima-r1-r3", 13, 14),
    ]


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.floats(1, 300), st.floats(2, 60), st.integers(1, 99))
def test_a_flap_stays_within_its_time_and_leaves_time_for_its_leases(
    lab: dict[str, Any], lasts: float, period: float, duty: int
) -> None:
    entry = {**CUT, "at": 5, "for": round(lasts, 3), "flap": {"period": round(period, 3), "duty": duty}}
    on = round(round(period, 3) * duty / 100, 6)
    if on < 1 or round(period, 3) - on < GUARD_S or round(lasts, 3) < on:
        assert refused(lab, entry)
        return
    faults = read(lab, entry).faults
    assert faults[0].at == 5
    assert faults[-1].ends <= 5 + entry["for"] + 1e-6
    assert all(second.at - first.ends >= GUARD_S - 1e-6 for first, second in pairwise(faults))
    assert faults[-1].at + entry["flap"]["period"] + faults[-1].lasts > 5 + entry["for"] - 1e-6


@pytest.mark.parametrize(
    ("entry", "told"),
    [
        ({"parallel": []}, ["timeline[0].parallel: has no fault"]),
        ({"parallel": "all"}, ["timeline[0].parallel: all is not a list"]),
        (
            {"parallel": [3], "at": 1, "for": 2},
            [
                f"timeline[0].parallel[0]{each}"
                for each in (": is not a mapping", ".at: is missing", ".for: is missing", ".fault: is missing")
            ],
        ),
        (
            {"parallel": [{**CUT, "fault": "link_dwn"}], "untill": 3, "for": 2},
            [
                "timeline[0].untill: there is no such key here, only parallel, at, for",
                "timeline[0].parallel[0].fault: there is no kind of fault link_dwn; did you mean link_down?",
            ],
        ),
        ({"parallel": [CUT]}, ["timeline[0].parallel[0].for: is missing"]),
        (
            {**CUT, "at": 1, "for": 9, "flap": {"period": "1s"}},
            [f"timeline[0].flap.period: {TOO_SHORT}"],
        ),
        (
            {**CUT, "at": 1, "for": 9, "flap": {"perod": "4s"}},
            [
                "timeline[0].flap.perod: there is no such key here, only period, duty; did you mean period?",
                "timeline[0].flap.period: is missing",
            ],
        ),
        (
            {**CUT, "at": 1, "for": 2, "flap": {"period": "8s"}},
            ["timeline[0].for: is shorter than the 4 s that the fault is on each time"],
        ),
        (
            {**CUT, "at": 1, "for": "6h", "flap": {"period": "4s"}},
            ["timeline[0].flap.period: makes 5400 times, more than 1000"],
        ),
        (
            {**CUT, "at": 1, "for": 9, "times": 2, "flap": {"period": "4s"}},
            ["timeline[0].times: is another way to say flap: use one of them"],
        ),
        (
            {**CUT, "at": 1, "for": 9, "circuit": {"one_of": []}},
            ["timeline[0].circuit.one_of: has nothing to choose from"],
        ),
    ],
)
def test_what_is_wrong_is_told_once(lab: dict[str, Any], entry: Any, told: list[str]) -> None:
    assert refused(lab, entry) == told


def test_what_could_be_chosen_has_to_be_right_too(lab: dict[str, Any]) -> None:
    entry = {**CUT, "at": 1, "for": 2, "circuit": {"one_of": [*CIRCUITS, "hiroshima-kanzawa"]}, "from": "hiroshima"}
    for seed in range(8):
        assert sorted(refused(lab, entry, seed=seed)) == [
            "timeline[0].circuit: there is no circuit hiroshima-kanzawa; did you mean hiroshima-kanazawa?",
            "timeline[0].from: kanazawa-osaka does not end at hiroshima",
        ]


@given(st.integers(0, 999_999_999))
@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_seed_chooses_the_same_again_whatever_else_is_in_the_timeline(lab: dict[str, Any], seed: int) -> None:
    entry = {"at": 1, "for": 2, "fault": "link_down", "circuit": {"one_of": CIRCUITS}}
    later = {**entry, "at": 10}
    chosen, again = read(lab, entry, seed=seed), read(lab, entry, later, seed=seed)
    assert chosen.seed == seed
    assert again.choices[:1] == chosen.choices
    assert {fault.circuit for fault in chosen.faults} == {dict(chosen.choices)["timeline[0].circuit"]}


def test_every_choice_is_made_by_some_seed(lab: dict[str, Any]) -> None:
    nodes = ["hiroshima-r1", "kanazawa-r1"]
    entry = {
        "at": 1,
        "for": 2,
        "fault": "route_blackhole",
        "node": {"one_of": nodes},
        "to": {"one_of": ["naist", "osaka"]},
    }
    found = {read(lab, entry, seed=seed).choices for seed in range(40)}
    assert found == {(("timeline[0].node", node), ("timeline[0].to", to)) for node in nodes for to in TOS}


def test_impairments_that_meet_are_told_of_the_impairment(lab: dict[str, Any]) -> None:
    here = {"at": 1, "for": 5, "circuit": "hiroshima-osaka", "from": "osaka"}
    drill = read(lab, {**here, "fault": "loss", "percent": 3}, {**here, "fault": "delay", "delay": "9ms"})
    (problem,) = conflicts(drill.faults)
    assert str(problem).endswith("the second may begin at 7 s; or put both into one impairment")
