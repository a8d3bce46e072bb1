# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The drills of the scenarios with something wrong in them: each runs, or is refused in words and as a whole."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.okiagari.testbed.plugins.module_utils.drill.places import Places
from ansible_collections.okiagari.testbed.plugins.module_utils.drill.plan import plan_text, plans
from ansible_collections.okiagari.testbed.plugins.module_utils.drill.spec import parse
from ansible_collections.okiagari.testbed.plugins.module_utils.errors import BadInput, Problem
from ansible_collections.okiagari.testbed.plugins.module_utils.target import program
from ansible_collections.okiagari.testbed.plugins.module_utils.topology import load
from ansible_collections.okiagari.testbed.tests.unit.plugins.module_utils import mutation
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

ROOT = Path(__file__).parents[5]
TESTBEDS = {name: load(ROOT / f"inventory/{name}/testbed.yml").to_dict() for name in ("lab", "distcloud")}
# The scenarios are for the lab; the same circuits and routers by the names that they have there.
ELSEWHERE = {
    "hiroshima-kanazawa": "hiroshima-jgn-hiroshima",
    "hiroshima-osaka": "hiroshima-jgn-okayama",
    "otemachi": "jgn-hiroshima",
    "kanazawa-otemachi": "kanazawa-jgn-nagoya",
}
DRILLS = 1500
TIMELINE = {
    "name": "timeline",
    "hypothesis": "It holds.",
    "seed": 4711,
    "timeline": [
        {
            "at": "5s",
            "for": "20s",
            "parallel": [
                {"fault": "link_down", "circuit": "hiroshima-kanazawa", "flap": {"period": "4s", "duty": "50%"}},
                {"at": "2s", "for": "9s", "fault": "loss", "percent": {"ramp": {"from": "1%", "to": "30%", "steps": 5}},
                 "circuit": {"one_of": ["hiroshima-osaka", "kanazawa-osaka"]}},
            ],
        },
        {"for": "5s", "fault": "route_blackhole", "node": "osaka", "to": "naist",
         "when": {"route": {"to": "kanazawa", "via": "otemachi"}, "within": "20s"}},
        {"at": "60s", "for": "5s", "fault": "link_down", "node": "naist-r1", "interface": "w-osaka",
         "when": {"log": {"unit": "frr.service", "matches": "Down"}, "within": "20s"}},
    ],
}  # fmt: skip


def scenarios(testbed: str) -> list[dict[str, Any]]:
    """Give the drills of the scenarios that can be run in this testbed, as far as they are whole before they run."""
    found = []
    for file in sorted((ROOT / "scenarios").glob("*/drill.yml")):
        text = file.read_text(encoding="utf-8").replace("{{ shared }}", "/var/lib/okiagari/shared")
        plays = yaml.safe_load(text)
        if "okiagari.testbed.drill" not in plays[0].get("tasks", [{}])[0]:
            continue  # its drills are made for the host that holds a service at that time
        arguments = plays[0]["tasks"][0]["okiagari.testbed.drill"]
        if testbed != "lab":
            arguments = translated(arguments)
        if not refusal(arguments, TESTBEDS[testbed]):
            found.append(arguments)
    return found


def inquiry(testbed: dict[str, Any]) -> dict[str, Any]:
    """Give a drill that asks every kind of question in every way."""
    kvm = next(name for name, node in testbed["nodes"].items() if node["kind"] == "kvm_host")
    circuit, ends = next(iter(testbed["circuits"].items()))
    router, peer, to = ends["a"], ends["b"], {"from": kvm, "to": ends["a"]}
    return {
        "name": "inquiry",
        "hypothesis": "All is well.",
        "timeline": [{"at": "5s", "for": "20s", "fault": "loss", "percent": 10, "circuit": circuit}],
        "probes": [
            {"phase": "before", "tcp": {**to, "port": 22, "max_time": "50ms"}},
            {"phase": "on_fault", "throughput": {**to, "for": "2s", "at_least": "10mbit"}},
            {"phase": "before", "deadline": "5s", "http": {**to, "port": 80, "path": "/x", "contains": "well"}},
            {"phase": "on_fault", "tries": 3, "every": "500ms", "http": {"from": kvm, "url": "http://a.example/"}},
            {
                "phase": "on_fault",
                "stop": True,
                "dns": {"from": kvm, "server": kvm, "name": "a.example", "answers": []},
            },
            {"phase": "after", "tries": 5, "tolerate": 2, "bgp": {"node": router, "to": peer, "vrf": "storage"}},
            {"phase": "continuous", "every": "2s", "max_outage": "3s", "bfd": {"node": router, "neighbor": circuit}},
            {"phase": "recover_within", "within": "9s", "check": {"node": kvm, "script": "/x", "worst": "warning"}},
            {"phase": "continuous", "tolerate": 3, "service": {"node": kvm, "unit": "ssh.service"}},
            {"phase": "after", "command": {"node": kvm, "argv": ["echo", "x"], "matches": "^x$", "rc": 0}},
            {"phase": "after", "file": {"node": kvm, "path": "/etc/hosts", "sha256": "a1" * 32}},
            {"phase": "on_fault", "file": {"node": kvm, "path": "/etc/hosts", "same_as": "before"}},
            {"phase": "after", "storage": {"node": kvm, "quorum": True, "healed": False}},
        ],
    }


def translated(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: translated(item) for key, item in value.items()}
    return [translated(item) for item in value] if isinstance(value, list) else ELSEWHERE.get(value, value)


def refusal(arguments: Any, testbed: dict[str, Any]) -> tuple[Problem, ...]:
    """Give the problems of a drill, or none if it can be planned; then each target can read its program."""
    try:
        drill = parse(arguments, testbed)
        plan = plans(drill, testbed, Places(testbed))
    except BadInput as error:
        return error.problems
    assert drill.name in plan_text(drill, plan)
    for each in plan.programs.values():
        program.parse(each)
    return ()


def check_words(problems: tuple[Problem, ...]) -> None:
    for problem in problems:
        assert " " in problem.message.strip(), problem
        assert len(str(problem)) < 400, problem
        assert str(problem).isprintable(), problem
        assert not mutation.INTERNAL.search(str(problem)), problem


SCENARIOS = [
    *((testbed, drill) for testbed in TESTBEDS for drill in (*scenarios(testbed), inquiry(TESTBEDS[testbed]))),
    ("lab", TIMELINE),
]
IDS = [f"{testbed}-{drill['name']}" for testbed, drill in SCENARIOS]


def own_junk(testbed: dict[str, Any]) -> list[Any]:
    """What is wrong in a drill only, or right in another place of it."""
    nodes, circuits = list(testbed["nodes"]), list(testbed["circuits"])
    interfaces = sorted({item["name"] for node in testbed["nodes"].values() for item in node["interfaces"]})
    return [
        *mutation.junk(), "before", "during", "on_fault", "continuous", "recover_within", "never", "loss",
        "link_down",
        "route_blackhole", "-1s", "0s", "0.5s", "12s", "2h", "1e9h", "99999h", "200 years", "30", "101%",
        "..5%", "..-5%", *nodes, *circuits, *testbed["sites"], *interfaces,
        {"at": "5s", "for": "5s", "fault": "link_down", "circuit": circuits[0]},
        {"at": "6s", "for": "5s", "fault": "link_down", "circuit": circuits[0]},
        *({"at": "5s", "for": "5s", "fault": "link_down", "node": nodes[0], "interface": name} for name in interfaces),
        {"at": "5s", "for": "5s", "fault": "route_blackhole", "node": nodes[0], "to": nodes[-1]},
        {"name": "w", "node": nodes[0], "path": "/f\0", "rate": 1},
        {"phase": "on_fault", "ping": {"from": nodes[0], "to": "::1"}},
        {"one_of": circuits[:2]}, {"one_of": []}, {"ramp": {"from": "1ms", "to": "2", "steps": 4}}, {"ramp": {}},
        {"parallel": []}, {"period": "3s"}, {"log": {"file": "/f", "matches": "("}, "within": 1},
        {"route": {"to": nodes[0], "changed": True}, "within": "9s"},
    ]  # fmt: skip


def malformed(seed: int) -> tuple[dict[str, Any], Any]:
    """Give a testbed, and a drill of it with one to three things changed."""
    rng = random.Random(seed)
    testbed, drill = SCENARIOS[seed % len(SCENARIOS)]
    values = own_junk(TESTBEDS[testbed])
    for _change in range(rng.choice((1, 1, 2, 3))):
        drill = mutation.mutated(rng, drill, values)
    return TESTBEDS[testbed], drill


def test_the_scenarios_can_be_planned_in_both_testbeds() -> None:
    assert [testbed for testbed, _drill in SCENARIOS] == ["lab"] * 9 + ["distcloud"] * 6 + ["lab"]
    assert [refusal(drill, TESTBEDS[testbed]) for testbed, drill in SCENARIOS] == [()] * 16


def test_malformed_drills_are_planned_or_refused_in_words() -> None:
    refused = 0
    for seed in range(DRILLS):
        testbed, drill = malformed(seed)
        try:
            problems = refusal(drill, testbed)
        except Exception as error:
            error.add_note(f"seed {seed}")
            raise
        check_words(problems)
        refused += bool(problems)
    assert 0.6 * DRILLS < refused < 0.95 * DRILLS


@pytest.mark.parametrize(("testbed", "drill"), SCENARIOS, ids=IDS)
def test_what_is_nested_too_deeply_is_refused_in_words(testbed: str, drill: dict[str, Any]) -> None:
    for path in mutation.places(drill):
        problems = refusal(mutation.put(drill, path, mutation.nested()), TESTBEDS[testbed])
        assert problems
        check_words(problems)


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | mutation.words(20) | st.binary(max_size=5) | st.dates(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(mutation.words(8) | st.integers(), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=200, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(SCENARIOS), st.data(), anything)
def test_anything_in_any_place_is_planned_or_refused_in_words(
    scenario: tuple[str, dict[str, Any]], data: st.DataObject, value: Any
) -> None:
    testbed, drill = scenario
    path = data.draw(st.sampled_from(list(mutation.places(drill))))
    for problem in refusal(mutation.put(drill, path, value), TESTBEDS[testbed]):
        assert " " in problem.message.strip()


def names(testbed: dict[str, Any], drill: dict[str, Any]) -> set[str]:
    """Every word that has a meaning in this drill."""
    own = {each["name"] for key in ("traffic", "writers") for each in drill.get(key, ())}
    fixed = {
        "link_down",
        "loss",
        "route_override",
        "before",
        "after",
        "on_fault",
        "continuous",
        "recover_within",
        "faults",
        "run",
    }
    return {*testbed["nodes"], *testbed["circuits"], *testbed["sites"], *own, *fixed}


@pytest.mark.parametrize(("testbed", "drill"), SCENARIOS, ids=IDS)
def test_a_slip_of_the_finger_has_its_correction(testbed: str, drill: dict[str, Any]) -> None:
    rng = random.Random(drill["name"])
    words = names(TESTBEDS[testbed], drill)
    keys = {path[-1] for path in mutation.places(drill) if path and isinstance(path[-1], str)} | {
        "percent",
        "to",
        "interface",
    }
    wrong = []
    for path in mutation.places(drill):
        value = mutation.at(drill, path)
        if path and isinstance(path[-1], str):
            misspelt = mutation.slip(rng, path[-1])
            parent = {misspelt if key == path[-1] else key: item for key, item in mutation.at(drill, path[:-1]).items()}
            if misspelt and misspelt.strip("-_") and misspelt not in keys:
                wrong.append((path[-1], misspelt, mutation.put(drill, path[:-1], parent)))
        if isinstance(value, str) and value in words and path[-1] not in ("name", "title", "hypothesis"):
            misspelt = mutation.slip(rng, value)
            if misspelt not in words:
                wrong.append((value, misspelt, mutation.put(drill, path, misspelt)))
    assert len(wrong) > 20
    for meant, misspelt, arguments in wrong:
        problems = refusal(arguments, TESTBEDS[testbed])
        about = [problem for problem in problems if misspelt in f"{problem.key} {problem.message}"]
        corrections = {problem.suggestion for problem in about}
        assert meant in corrections or any(one_slip(misspelt, found) for found in corrections if found), (
            meant,
            problems,
        )


def one_slip(word: str, other: str) -> bool:
    """Whether the two words differ in one letter, or in the order of two neighbours."""
    return any(
        word[:index] + word[index + 1 :] == other
        or other[:index] + other[index + 1 :] == word
        or word[:index] + other[index : index + 1] + word[index + 1 :] == other
        or word[:index] + word[index : index + 2][::-1] + word[index + 2 :] == other
        for index in range(max(len(word), len(other)))
    )
