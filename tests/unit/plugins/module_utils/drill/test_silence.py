# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Nodes and sites without power in a drill: where the faults land, what they take along, and what they rule out."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.okiagari.testbed.plugins.module_utils.drill.blast import radii, without_majority
from ansible_collections.okiagari.testbed.plugins.module_utils.drill.permission import undertaking
from ansible_collections.okiagari.testbed.plugins.module_utils.drill.places import Places, Power
from ansible_collections.okiagari.testbed.plugins.module_utils.drill.plan import plan_text, plans
from ansible_collections.okiagari.testbed.plugins.module_utils.drill.spec import parse
from ansible_collections.okiagari.testbed.plugins.module_utils.errors import BadInput

LAB = "lab@localhost"
KANAZAWA = ("kanazawa-kvm1", "kanazawa-r1")


def drill(lab: dict[str, Any], *timeline: dict[str, Any], probes: Any = (), **more: Any) -> Any:
    power = {node: Power(LAB, node) for node in lab["nodes"] if node != "osaka"}
    times = [{"at": "5s", "for": "20s", **entry} for entry in timeline]
    arguments = {"name": "dark", "hypothesis": "Nobody notices.", "timeline": times, "probes": list(probes), **more}
    return parse(arguments, lab, power)


def problems(lab: dict[str, Any], *timeline: dict[str, Any], probes: Any = (), **more: Any) -> list[str]:
    with pytest.raises(BadInput) as refused:
        plans(drill(lab, *timeline, probes=probes, **more), lab, Places(lab))
    return [str(problem) for problem in refused.value.problems]


DARK = {"fault": "site_down", "site": "kanazawa"}


def test_a_site_without_power_is_every_node_of_it(lab: dict[str, Any]) -> None:
    faults = drill(lab, DARK).faults
    assert sorted((fault.kind, fault.target, fault.maker, fault.params["machine"]) for fault in faults) == [
        ("power_cut", node, LAB, node) for node in KANAZAWA
    ]
    assert all(fault.silences and fault.ends_programs for fault in faults)


def test_what_gives_them_their_power_runs_the_faults(lab: dict[str, Any]) -> None:
    programs = plans(drill(lab, DARK, expects_isolated="kanazawa"), lab, Places(lab)).programs
    assert list(programs) == [LAB]
    assert [(fault["target"], fault["params"]) for fault in programs[LAB]["faults"]] == [
        ("kanazawa-r1", {"machine": "kanazawa-r1"}),
        ("kanazawa-kvm1", {"machine": "kanazawa-kvm1"}),
    ]


def test_a_guest_is_its_hosts_affair(lab: dict[str, Any]) -> None:
    fault = drill(lab, {"fault": "pause", "node": "naist-kvm1", "machine": "exp1-web-1"}).faults[0]
    assert (fault.target, fault.maker, fault.params) == ("naist-kvm1", "naist-kvm1", {"machine": "exp1-web-1"})
    assert not fault.silences
    assert not fault.ends_programs


def test_a_pause_ends_no_program(lab: dict[str, Any]) -> None:
    fault = drill(lab, {"fault": "pause", "node": "naist-r1"}).faults[0]
    assert (fault.silences, fault.ends_programs) == (True, False)


def test_a_reboot_ends_programs(lab: dict[str, Any]) -> None:
    fault = drill(lab, {"fault": "reboot", "node": "naist-r1"}).faults[0]
    assert (fault.maker, fault.params) == (LAB, {"machine": "naist-r1"})
    assert (fault.silences, fault.ends_programs) == (True, True)


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"fault": "power_cut", "node": "naist-r2"}, "timeline[0].node: there is no node naist-r2; did you mean"),
        ({"fault": "power_cut"}, "timeline[0].node: is missing"),
        ({"fault": "pause", "node": "osaka"}, "timeline[0].node: nothing is known that could cut the power of osaka"),
        (
            {"fault": "site_down", "site": "kanzawa"},
            "timeline[0].site: there is no site kanzawa; did you mean",
        ),
        ({"fault": "site_down", "node": "osaka"}, "timeline[0].node: there is no such key here"),
        ({"fault": "pause", "node": "naist-kvm1", "machine": "-x"}, "timeline[0].machine: -x is not the name"),
    ],
)
def test_what_makes_no_sense_is_refused(lab: dict[str, Any], entry: dict[str, Any], message: str) -> None:
    with pytest.raises(BadInput) as refused:
        drill(lab, entry)
    assert any(str(problem).startswith(message) for problem in refused.value.problems)


def test_a_node_without_power_takes_its_circuits_along(lab: dict[str, Any]) -> None:
    dark, lit = radii(drill(lab, {"fault": "power_cut", "node": "kanazawa-r1"}), lab)
    assert dark.cut == ("hiroshima-kanazawa", "kanazawa-osaka", "kanazawa-otemachi")
    assert (dark.silent, dark.isolated) == (("kanazawa-r1",), ("kanazawa",))
    assert (lit.cut, lit.silent, lit.isolated) == ((), (), ())


def test_a_site_is_not_isolated_unless_that_is_meant(lab: dict[str, Any]) -> None:
    found = problems(lab, {"fault": "power_cut", "node": "kanazawa-kvm1"})
    assert found == [
        (
            "timeline: kanazawa is cut off at 5 s, when kanazawa-kvm1 answers nobody; "
            "if that is the drill's purpose, say expects_isolated: [kanazawa]"
        )
    ]


def test_a_core_router_without_power_isolates_nobody(lab: dict[str, Any]) -> None:
    asked = drill(lab, {"fault": "power_cut", "node": "otemachi"})
    plan = plans(asked, lab, Places(lab))
    assert {radius.isolated for radius in plan.radii} == {()}
    assert "silent: otemachi" in plan_text(asked, plan)


def test_members_without_power_count_as_away(lab: dict[str, Any]) -> None:
    members = ["hiroshima-kvm1", "kanazawa-kvm1", "naist-kvm1"]
    alone = drill(lab, DARK)
    assert without_majority(alone, radii(alone, lab), lab, members) == []
    both = drill(lab, DARK, {"fault": "pause", "node": "naist-kvm1"})
    assert "only 1 of the storage's 3 members" in str(without_majority(both, radii(both, lab), lab, members)[0])


def test_what_others_make_for_a_node_waits_for_no_event(lab: dict[str, Any]) -> None:
    event = {"route": {"to": "naist", "changed": True}, "within": 5}
    with pytest.raises(BadInput, match=f"when: is for what a target does to itself; {LAB} does this"):
        drill(lab, {**DARK, "when": event})


def test_a_site_left_to_chance_is_without_power(lab: dict[str, Any]) -> None:
    found = drill(lab, {**DARK, "site": {"one_of": ["kanazawa"]}})
    assert [fault.target for fault in found.faults] == [fault.target for fault in drill(lab, DARK).faults]


def test_the_sites_without_power_are_touched(lab: dict[str, Any]) -> None:
    asked = drill(lab, DARK, expects_isolated="kanazawa")
    touched = undertaking(asked, plans(asked, lab, Places(lab)), lab).sites
    assert set(touched) == {"hiroshima", "kanazawa"}


def test_two_faults_on_one_machines_power_conflict(lab: dict[str, Any]) -> None:
    entries = [{"fault": kind, "node": "otemachi"} for kind in ("power_cut", "pause")]
    assert any("both claim the power otemachi of" in problem for problem in problems(lab, *entries))


@pytest.mark.parametrize(
    ("kind", "at", "refused"),
    [
        ("power_cut", 0, True),
        ("power_cut", 60, True),
        ("pause", 0, True),
        ("pause", 60, False),
    ],
)
def test_a_silent_target_sees_to_no_fault(lab: dict[str, Any], kind: str, at: int, refused: bool) -> None:
    cut = {"fault": "link_down", "circuit": "naist-otemachi", "from": "otemachi", "at": at}
    entries = [{"fault": kind, "node": "otemachi"}, cut]
    if refused:
        assert f"otemachi can't see to the link_down from {at} s" in problems(lab, *entries)[0]
    else:
        plans(drill(lab, *entries), lab, Places(lab))


STREAM = {"name": "h-k", "between": ["hiroshima-kvm1", "kanazawa-kvm1"]}
WRITER = {"name": "k", "node": "kanazawa-kvm1", "path": "/tmp/k"}
PING = {"from": "kanazawa-kvm1", "to": "naist-kvm1"}
TO_IT = {"from": "naist-kvm1", "to": "kanazawa-kvm1"}


@pytest.mark.parametrize(
    ("fault", "probe", "refused"),
    [
        ("power_cut", {"phase": "continuous", "traffic": {"of": "h-k", "max_outage": "1s"}}, True),
        ("power_cut", {"phase": "recover_within", "within": "1s", "writes": "k"}, True),
        ("power_cut", {"phase": "after", "readback": {"of": "k", "from": "naist-kvm1"}}, True),
        ("power_cut", {"phase": "on_fault", "at": 10, "ping": PING}, True),
        ("power_cut", {"phase": "after", "ping": PING}, False),
        ("pause", {"phase": "continuous", "traffic": {"of": "h-k", "max_outage": "30s"}}, False),
        ("pause", {"phase": "on_fault", "at": 10, "ping": PING}, True),
        ("pause", {"phase": "continuous", "ping": PING}, True),
        ("pause", {"phase": "recover_within", "within": "9s", "ping": PING}, True),
        ("pause", {"phase": "on_fault", "at": 10, "throughput": {**PING, "at_least": "1mbit"}}, True),
        ("pause", {"phase": "on_fault", "at": 10, "throughput": {**TO_IT, "at_least": "1mbit"}}, True),
    ],
)
def test_probes_need_somebody_who_can_answer(
    lab: dict[str, Any], fault: str, probe: dict[str, Any], refused: bool
) -> None:
    asked = {"traffic": [STREAM], "writers": [WRITER], "expects_isolated": "kanazawa", "probes": [probe]}
    entry = {"fault": fault, "node": "kanazawa-kvm1"}
    if refused:
        message = f"nothing would be known of it: kanazawa-kvm1 has a {fault} from 5 s on"
        assert [problem.partition(": ")[2] for problem in problems(lab, entry, **asked)] == [message]
    else:
        plans(drill(lab, entry, **asked), lab, Places(lab))
