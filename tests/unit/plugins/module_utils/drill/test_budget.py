# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A drill's budget: how it is read, and how a run is held against it."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.okiagari.testbed.plugins.module_utils.drill.budget import MEASURES, excesses, judge, measured
from ansible_collections.okiagari.testbed.plugins.module_utils.drill.spec import parse
from ansible_collections.okiagari.testbed.plugins.module_utils.errors import BadInput
from hypothesis import given
from hypothesis import strategies as st

REPORT = {"outage_ms": 212.0, "timing": {"arm_ms": 900.0, "skew_ms": 3.1, "restore_ms": 640.0}}
amounts = st.floats(0, 1e6)


def test_limits_are_read_in_milliseconds(lab: dict[str, Any], arguments: dict[str, Any]) -> None:
    assert parse(arguments, lab).budget == {}
    arguments["budget"] = {"outage": "1s", "restored": 3, "arm": "0.5 min", "skew": "100ms"}
    assert parse(arguments, lab).budget == {"outage": 1000.0, "restored": 3000.0, "arm": 30000.0, "skew": 100.0}


@pytest.mark.parametrize(
    ("budget", "told"),
    [
        (["outage"], "budget: is not a mapping"),
        (
            {"outages": "1s"},
            "budget.outages: there is no such key here, only outage, restored, arm, skew; did you mean outage?",
        ),
        ({"arm": "soon"}, "budget.arm: soon is not a duration such as 20s"),
        ({"skew": "-1ms"}, "budget.skew: -1ms is negative"),
        ({"restored": "2000min"}, "budget.restored: 2000min is more than a day"),
    ],
)
def test_a_budget_that_is_wrong_is_refused(
    lab: dict[str, Any], arguments: dict[str, Any], budget: Any, told: str
) -> None:
    with pytest.raises(BadInput) as refused:
        parse({**arguments, "budget": budget}, lab)
    assert [str(problem) for problem in refused.value.problems] == [told]


def test_an_outage_needs_traffic(lab: dict[str, Any], arguments: dict[str, Any]) -> None:
    with pytest.raises(BadInput, match=r"budget\.outage: there is no traffic to measure it with"):
        parse({**arguments, "traffic": [], "probes": [], "budget": {"outage": "1s"}}, lab)


def test_a_report_has_every_measure() -> None:
    assert measured(REPORT) == {"outage": 212.0, "restored": 640.0, "arm": 900.0, "skew": 3.1}
    assert measured({"outage_ms": None, "timing": None}) == {}


@given(st.dictionaries(st.sampled_from(list(MEASURES)), st.tuples(amounts, st.none() | amounts)))
def test_exactly_what_is_over_its_limit_or_not_known_is_told(figures: dict[str, tuple[float, float | None]]) -> None:
    known = {name: found for name, (_limit, found) in figures.items()}
    report = {
        "outage_ms": known.get("outage"),
        "timing": {"restore_ms": known.get("restored"), "arm_ms": known.get("arm"), "skew_ms": known.get("skew")},
    }
    judged = judge({name: limit for name, (limit, _found) in figures.items()}, report)
    kept = [name for name, (limit, found) in figures.items() if found is not None and found <= limit]
    assert [name for name, each in judged.items() if each["ok"]] == kept
    assert len(excesses(judged)) == len(figures) - len(kept)


def test_what_is_told() -> None:
    assert excesses(judge({"outage": 200.0, "arm": 1000.0}, REPORT)) == [
        "budget: longest outage is 212 ms, at most 200 ms is allowed"
    ]
    assert excesses(judge({"skew": 100.0}, {})) == [
        "budget: largest skew of a fault is not known, at most 100 ms is allowed"
    ]
