# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults that change while they stand."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest
from ansible_collections.okiagari.testbed.plugins.module_utils.drill import ramp
from ansible_collections.okiagari.testbed.plugins.module_utils.drill.blast import radii
from ansible_collections.okiagari.testbed.plugins.module_utils.drill.spec import parse
from ansible_collections.okiagari.testbed.plugins.module_utils.errors import BadInput
from hypothesis import given
from hypothesis import strategies as st

if TYPE_CHECKING:
    from ansible_collections.okiagari.testbed.plugins.module_utils.drill.model import Drill, Fault

OSAKA = {"at": 5, "for": "10s", "circuit": "hiroshima-osaka", "from": "osaka"}


def read(lab: dict[str, Any], **entry: Any) -> Drill:
    return parse({"name": "d", "hypothesis": "It holds.", "timeline": [{**OSAKA, **entry}]}, lab)


def values(fault: Fault, *keys: str) -> list[tuple[float, Any]]:
    """Give a parameter at the beginning and after each step."""
    found = []
    for after, params in [(0.0, fault.params), *((step.after, step.params) for step in fault.steps)]:
        value: Any = params
        for key in keys:
            value = value[key]
        found.append((after, value))
    return found


def test_a_ramp_goes_from_one_end_to_the_other(lab: dict[str, Any]) -> None:
    [fault] = read(lab, fault="loss", percent={"ramp": {"from": "1%", "to": "29%", "steps": 5}}).faults
    assert values(fault, "percent") == [(0, 1), (2, 8), (4, 15), (6, 22), (8, 29)]
    assert (fault.at, fault.ends) == (5, 15)


def test_parts_of_an_impairment_ramp_together(lab: dict[str, Any]) -> None:
    delay = {"delay": {"ramp": {"from": "50ms", "to": "10ms", "steps": 3}}, "jitter": "2ms"}
    rate = {"ramp": {"from": "10mbit", "to": "1mbit", "steps": 3}}
    [fault] = read(lab, fault="impairment", delay=delay, rate=rate).faults
    assert [value for _after, value in values(fault, "delay")] == [
        {"delay": 0.05, "jitter": 0.002}, {"delay": 0.03, "jitter": 0.002}, {"delay": 0.01, "jitter": 0.002},
    ]  # fmt: skip
    assert [value["rate"] for _after, value in values(fault, "rate")] == [10_000_000, 5_500_000, 1_000_000]


def test_the_base_is_subtracted_from_every_step(lab: dict[str, Any]) -> None:
    delay = {"ramp": {"from": "12ms", "to": "42ms", "steps": 4}}
    [fault] = read(lab, fault="delay", base="subtract", delay=delay).faults
    assert [round(value * 1000) for _after, value in values(fault, "delay")] == [10, 20, 30, 40]


@given(st.integers(2, 200), st.floats(1, 1000), st.floats(0.001, 100), st.floats(0.001, 100))
def test_a_ramp_has_no_gap_and_does_not_leave_its_range(count: int, lasts: float, first: float, last: float) -> None:
    first, last = round(first, 3), round(last, 3)
    steps = ramp.steps({"percent": first}, {"percent": last}, count, lasts)
    assert len(steps) == count - 1
    begins = [0.0, *(step.after for step in steps), lasts]
    assert all(abs((end - begin) - lasts / count) < 1e-5 for begin, end in pairwise(begins))
    found = [first, *(step.params["percent"] for step in steps)]
    assert found[-1] == pytest.approx(last)
    assert found in (sorted(found), sorted(found, reverse=True))


def test_a_ramp_that_reaches_total_loss_cuts_for_all_its_time(lab: dict[str, Any]) -> None:
    drill = read(lab, fault="loss", percent={"ramp": {"from": "10%", "to": "100%"}})
    assert [(radius.since, radius.cut) for radius in radii(drill, lab)] == [(5, ("hiroshima-osaka",)), (15, ())]


@pytest.mark.parametrize(
    ("percent", "told"),
    [
        (
            {"from": "1%", "until": "9%"},
            [
                ".percent.ramp.until: there is no such key here, only from, to, steps",
                ".percent.ramp.to: is missing",
            ],
        ),
        ({"from": "0%", "to": "9%"}, [": percent: 0 % of the packets is no fault"]),
        ({"from": "1%", "to": "900%"}, [": percent: 900% is more than 100%"]),
        ({"from": 1, "to": 9, "steps": 21}, [".for: is too short for 21 steps: each takes 0.5 s at least"]),
        ({"from": 1, "to": 9, "steps": 1}, [".percent.ramp.steps: 1 is not a whole number from 2 to 1000"]),
        (9, [f".percent.ramp{wrong}" for wrong in (": is not a mapping", ".from: is missing", ".to: is missing")]),
    ],
)
def test_what_is_wrong_with_a_ramp(lab: dict[str, Any], percent: Any, told: list[str]) -> None:
    assert refused(lab, fault="loss", percent={"ramp": percent}) == [f"timeline[0]{each}" for each in told]


def test_what_can_not_ramp(lab: dict[str, Any]) -> None:
    ramp = {"ramp": {"from": 1400, "to": 600}}
    assert refused(lab, fault="mtu", mtu=ramp) == ["timeline[0]: mtu: a mapping is not a whole number from 68 to 65535"]
    assert "timeline[0]: limit: a mapping is not a whole number" in str(
        refused(lab, fault="loss", percent=1, limit=ramp)
    )


def test_ramps_of_one_fault_have_the_same_steps(lab: dict[str, Any]) -> None:
    loss = {"ramp": {"from": 1, "to": 2, "steps": 3}}
    rate = {"ramp": {"from": "1mbit", "to": "2mbit", "steps": 4}}
    assert refused(lab, fault="impairment", loss=loss, rate=rate) == [
        "timeline[0].rate.ramp.steps: is another number than that of this fault's other ramp: give both the same"
    ]


def refused(lab: dict[str, Any], **entry: Any) -> list[str]:
    with pytest.raises(BadInput) as error:
        read(lab, **entry)
    return [str(problem) for problem in error.value.problems]
