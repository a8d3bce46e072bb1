# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""junit.xml: one case an assertion, failure and error told apart, and the shape that readers of JUnit expect."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from typing import Any

import pytest
from ansible_collections.okiagari.testbed.plugins.plugin_utils.report import render_junit


def suite_of(report: dict[str, Any]) -> ET.Element:
    root = ET.fromstring(render_junit(report))
    assert root.tag == "testsuites"
    (suite,) = root
    return suite


def outcomes(suite: ET.Element) -> dict[str, str]:
    found = {}
    for case in suite.iter("testcase"):
        marks = [child.tag for child in case if child.tag != "system-out"]
        assert len(marks) <= 1
        found[f"{case.get('classname')}/{case.get('name')}"] = marks[0] if marks else "passed"
    return found


def test_shape(any_report: dict[str, Any]) -> None:
    suite = suite_of(any_report)
    cases = list(suite.iter("testcase"))
    assert [child.tag for child in suite] == ["properties"] + ["testcase"] * len(cases)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", suite.attrib["timestamp"])
    assert {"name", "tests", "failures", "errors", "skipped", "time", "timestamp", "hostname", "id", "package"} == set(
        suite.attrib
    )
    assert int(suite.attrib["tests"]) == len(cases)
    for tally, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        assert int(suite.attrib[tally]) == len(list(suite.iter(tag)))
    for case in cases:
        assert set(case.attrib) == {"classname", "name", "time"}
        assert float(case.attrib["time"]) >= 0
        assert case.attrib["classname"].startswith(any_report["drill"] + ".")
    names = [(case.get("classname"), case.get("name")) for case in cases]
    assert len(names) == len(set(names))


def test_held_has_one_case_for_each_assertion(held: dict[str, Any]) -> None:
    suite = suite_of(held)
    assert set(outcomes(suite).values()) == {"passed"}
    assert len(list(suite.iter("testcase"))) == 5 + 1 + 2 + 8 + 1
    properties = {found.get("name"): found.get("value") for found in suite.iter("property")}
    assert properties["outage_ms"] == "212.0"
    assert properties["run"] == "20261121T120000Z"
    assert properties["restored"] == "true"


@pytest.mark.parametrize(
    ("verdict", "outcome"),
    [
        ("failed", "failure"),
        ("not_restored", "failure"),
        ("aborted", "error"),
        ("infrastructure", "error"),
        ("nothing_tested", "error"),
    ],
)
def test_verdict_case(samples: Any, verdict: str, outcome: str) -> None:
    found = outcomes(suite_of(samples[verdict]()))
    assert [value for name, value in found.items() if ".verdict/" in name] == [outcome]


def test_failed_probe_is_a_failure_with_its_detail(samples: Any) -> None:
    suite = suite_of(samples["failed"]())
    failure = next(
        case.find("failure") for case in suite.iter("testcase") if case.get("name") == "during: Loss stays below 1 %"
    )
    assert failure is not None
    assert failure.get("message") == "3 of 5 answers, 40 % lost"


def test_difference_fails_its_target_only(samples: Any) -> None:
    found = outcomes(suite_of(samples["not_restored"]()))
    restoration = {name: value for name, value in found.items() if ".restoration/" in name}
    assert [name for name, value in restoration.items() if value != "passed"] == [
        "circuit_cut.restoration/osaka is as before"
    ]


def test_what_could_not_be_tried_is_error_or_skipped(samples: Any) -> None:
    found = outcomes(suite_of(samples["infrastructure"]()))
    assert found["circuit_cut.restoration/osaka is as before"] == "error"
    assert found["circuit_cut.restoration/naist-r1 is as before"] == "skipped"
    assert found["circuit_cut.fault/circuit_cut-1-hiroshima-r1: link_down on hiroshima-r1"] == "skipped"


def test_a_standing_fault_is_a_failure_and_a_refused_one_an_error(held: dict[str, Any]) -> None:
    held["faults"][0].update(undone=None, state="injected")
    held["faults"][1].update(injected=None, state="failed", error="foreign qdisc 1: on w-hiroshima-r1")
    found = [value for name, value in outcomes(suite_of(held)).items() if ".fault/" in name]
    assert found == ["failure", "error"]


def test_any_text_stays_xml(held: dict[str, Any]) -> None:
    held["probes"][0].update(name='<a>&"\x00\ud800', ok=False, detail="]]>\x1b[0m")
    held["summary"] = None
    assert 'before: <a>&"\ufffd\ufffd' in {case.get("name") for case in suite_of(held).iter("testcase")}


@pytest.mark.parametrize(("taken", "outcome"), [(999.0, "passed"), (1000.5, "failure"), (None, "skipped")])
def test_each_limit_of_the_budget_is_a_case(held: dict[str, Any], taken: float | None, outcome: str) -> None:
    held["budget"] = {"restored": {"limit_ms": 1000.0, "measured_ms": taken}}
    found = outcomes(suite_of(held))
    assert found["circuit_cut.budget/restored after the last undo: at most 1\u00a0s"] == outcome
