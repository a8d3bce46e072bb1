# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whole drills on the simulated testbed of conftest.py."""

from __future__ import annotations

import re
import threading
from typing import Any

import pytest
from ansible_collections.okiagari.testbed.plugins.module_utils.errors import BadInput, Problem
from ansible_collections.okiagari.testbed.plugins.module_utils.logpool import Query


def test_a_drill_that_holds(simulate: Any, circuit_cut: dict[str, Any]) -> None:
    simulation = simulate(circuit_cut)
    report = simulation.engine.run()
    assert report["reason"] is None
    assert (report["verdict"], report["exit_code"], report["restored"]) == ("held", 0, True)
    assert report["outage_ms"] == pytest.approx(200, abs=20)
    assert report["timing"]["skew_ms"] == pytest.approx(2, abs=0.2)
    assert report["timing"]["restore_ms"] == 640.0
    assert [phase["name"] for phase in report["phases"]] == [
        "check", "gather", "before", "arm", "run", "recover", "after", "compare",
    ]  # fmt: skip
    assert {fault["target"] for fault in report["faults"]} == {"hiroshima-r1", "kanazawa-r1"}
    assert all(fault["state"] == "undone" and fault["undone_by"] == "program" for fault in report["faults"])
    assert all(probe["ok"] for probe in report["probes"])
    assert len(report["probes"]) == 6
    assert [probe["at"] < 0 for probe in report["probes"] if probe["phase"] == "before"] == [True, True]
    assert report["differences"] == []
    assert {item["target"] for item in report["during"]} == {"hiroshima-r1", "kanazawa-r1"}
    assert ("run", "link_down at hiroshima-kanazawa in 3 s") in simulation.said
    assert "abort" not in simulation.commands()


def test_nobody_is_asked_just_before_a_fault_comes_or_goes(simulate: Any, circuit_cut: dict[str, Any]) -> None:
    asked: list[float] = []

    def on_call(_target: str, command: str) -> None:
        if command == "status":
            asked.append(simulation.pace.now() - simulation.engine.state.t0)

    circuit_cut["timeline"][0]["at"] = 6.5
    simulation = simulate(circuit_cut, on_call=on_call)
    simulation.engine.run()
    assert len(asked) > 5
    assert not [since for since in asked if 5.5 < since <= 6.5 or 25.5 < since <= 26.5]


def test_latencies_are_free_of_the_clocks_offsets(simulate: Any, circuit_cut: dict[str, Any]) -> None:
    report = simulate(circuit_cut).engine.run()
    for stream in report["streams"]:
        assert stream["series"][0]["latency_ms"] == pytest.approx(8.0, abs=0.01)
        assert stream["recovered_s"] == pytest.approx(0.2, abs=0.02)
        assert (stream["sent"], stream["received"]) == (3500, 3480)


def test_loss_is_measured_in_its_direction_only(simulate: Any, circuit_cut: dict[str, Any]) -> None:
    circuit_cut["timeline"] = [
        {"at": 5, "for": 20, "fault": "loss", "percent": "30%", "circuit": "hiroshima-kanazawa", "from": "hiroshima"}
    ]
    circuit_cut["probes"] = [
        {"phase": "continuous", "traffic": {"of": "h-k", "from": "hiroshima-kvm1", "loss": "26..34%"}},
        {"phase": "continuous", "traffic": {"of": "h-k", "from": "kanazawa-kvm1", "loss": "0%"}},
    ]
    report = simulate(circuit_cut).engine.run()
    assert report["verdict"] == "held", report["reason"]
    assert 26 < report["faults"][0]["measured"]["loss_percent"] < 34
    assert "hiroshima-kvm1 to kanazawa-kvm1" in report["faults"][0]["measured"]["text"]


def test_what_was_left_to_chance_and_how_it_changed_is_reported(simulate: Any, circuit_cut: dict[str, Any]) -> None:
    circuits = ["hiroshima-kanazawa", "hiroshima-osaka"]
    ramp = {"ramp": {"from": "10%", "to": "20%", "steps": 2}}
    loss = {"at": 5, "for": 20, "fault": "loss", "percent": ramp, "circuit": {"one_of": circuits}, "from": "hiroshima"}
    circuit_cut |= {"timeline": [loss], "seed": 4711, "probes": circuit_cut["probes"][-1:]}
    report = simulate(circuit_cut).engine.run()
    assert report["seed"] == 4711
    assert report["choices"] == {"timeline[0].circuit": report["faults"][0]["circuit"]}
    [step] = report["faults"][0]["steps"]
    assert step["at"] == pytest.approx(15)
    assert step["asked"]["percent"] == 20


def test_a_fault_that_waits_is_not_late(simulate: Any, circuit_cut: dict[str, Any]) -> None:
    del circuit_cut["timeline"][0]["at"]
    event = {"route": {"to": "naist", "changed": True}, "within": "20s"}
    circuit_cut["timeline"][0]["when"] = event
    simulation = simulate(circuit_cut, event_s=4.0)
    report = simulation.engine.run()
    assert (report["verdict"], report["reason"]) == ("held", None)
    assert report["faults"][0]["injected"] == pytest.approx(4, abs=0.01)
    assert report["faults"][0]["when"] == "its route to naist changes"
    assert report["timing"]["skew_ms"] is None
    assert ("run", "link_down at hiroshima-r1 waits, 20 s at most: its route to naist changes") in simulation.said


def test_a_fault_whose_event_does_not_come_says_nothing_of_the_hypothesis(
    simulate: Any, circuit_cut: dict[str, Any]
) -> None:
    circuit_cut["timeline"][0]["when"] = {"route": {"to": "naist", "changed": True}, "within": "20s"}
    report = simulate(circuit_cut, fails_to_inject={"circuit_cut-1-hiroshima-r1"}).engine.run()
    assert report["verdict"] == "infrastructure"


def test_a_slow_detour_fails(simulate: Any, circuit_cut: dict[str, Any]) -> None:
    report = simulate(circuit_cut, outage_s=1.5).engine.run()
    assert (report["verdict"], report["exit_code"], report["restored"]) == ("failed", 1, True)
    assert len(report["reason"]) == 2


def test_a_failing_probe_before_means_that_nothing_is_armed(simulate: Any, circuit_cut: dict[str, Any]) -> None:
    simulation = simulate(circuit_cut, unanswered={"probe-1"})
    report = simulation.engine.run()
    assert (report["verdict"], report["exit_code"], report["restored"]) == ("aborted", 2, None)
    assert simulation.commands() == {"hello", "claim", "snapshot", "probe", "release"}
    assert [fault["state"] for fault in report["faults"]] == ["not armed", "not armed"]


def test_storage_without_a_majority_means_that_nothing_is_armed(simulate: Any, circuit_cut: dict[str, Any]) -> None:
    circuit_cut["timeline"] = [
        {"at": 5, "for": 20, "fault": "link_down", "circuit": circuit} for circuit in ("naist-osaka", "naist-otemachi")
    ]
    circuit_cut |= {
        "expects_isolated": "naist",
        "probes": [{"phase": "continuous", "traffic": {"of": "h-k", "loss": "0%"}}],
    }
    simulation = simulate(circuit_cut, members={"kanazawa-kvm1", "naist-kvm1"})
    report = simulation.engine.run()
    assert (report["verdict"], report["exit_code"], report["restored"]) == ("aborted", 2, None)
    assert "only 1 of the storage's 2 members reach each other" in report["reason"][0]
    assert simulation.commands() == {"hello", "claim", "snapshot", "release"}


def test_a_scar_is_not_restored(simulate: Any, circuit_cut: dict[str, Any]) -> None:
    report = simulate(circuit_cut, scarred=True).engine.run()
    assert (report["verdict"], report["exit_code"], report["restored"]) == ("not_restored", 3, False)
    assert report["differences"][0]["path"] == "routes"


@pytest.mark.parametrize(("flaps_s", "verdict"), [(2, "held"), (100, "not_restored")])
def test_what_changes_once_more_may_come_back(
    simulate: Any, circuit_cut: dict[str, Any], flaps_s: float, verdict: str
) -> None:
    """A session that flaps while the probes after the fault are asked is no scar, unless it stays away."""
    flap: list[float] = []

    def on_call(_target: str, command: str) -> None:
        now = simulation.pace.now()
        if command == "probe" and simulation.testbed.faults():
            flap.append(now)
        simulation.testbed.behaviour.scarred = bool(flap) and now < flap[0] + flaps_s

    simulation = simulate(circuit_cut, on_call=on_call)
    assert simulation.engine.run()["verdict"] == verdict


def test_what_heal_finds_is_healed_and_not_restored(simulate: Any, circuit_cut: dict[str, Any]) -> None:
    simulation = simulate(circuit_cut, heal_finds=True)
    assert simulation.engine.run()["verdict"] == "not_restored"
    assert simulation.testbed.calls.count(("osaka", "heal")) == 2


def test_not_restored_beats_failed(simulate: Any, circuit_cut: dict[str, Any]) -> None:
    report = simulate(circuit_cut, scarred=True, outage_s=2.0).engine.run()
    assert report["verdict"] == "not_restored"
    assert any("back after" in reason for reason in report["reason"])


@pytest.mark.parametrize("unreadable", [False, True])
def test_a_drill_that_may_not_run_contacts_nobody(simulate: Any, circuit_cut: dict[str, Any], unreadable: bool) -> None:
    refused = [Problem("", None, "drills.windows", "outside the windows"), Problem("", None, "", "no consent")]

    def gate() -> list[Problem]:
        if unreadable:
            raise BadInput(refused)
        return refused

    simulation = simulate(circuit_cut, gate=gate)
    report = simulation.engine.run()
    assert (report["verdict"], report["exit_code"]) == ("aborted", 2)
    assert report["reason"] == ["drills.windows: outside the windows", "no consent"]
    assert simulation.testbed.calls == []


def test_a_drill_has_every_target_for_itself_until_it_is_over(simulate: Any, circuit_cut: dict[str, Any]) -> None:
    simulation = simulate(circuit_cut)
    sim = simulation.testbed
    report = simulation.engine.run()
    assert report["verdict"] == "held"
    assert sim.claims == {}
    commands = [command for _target, command in sim.calls]
    assert commands.count("claim") == commands.count("release") == len(sim.testbed["nodes"])
    last = {command: max(at for at, each in enumerate(commands) if each == command) for command in commands}
    assert last["claim"] < commands.index("snapshot")
    assert last["heal"] < commands.index("release")


def test_another_controllers_drill_refuses_and_says_whose_it_is(simulate: Any, circuit_cut: dict[str, Any]) -> None:
    simulation = simulate(circuit_cut)
    sim = simulation.testbed
    sim.claims |= dict.fromkeys(("osaka", "naist-r1"), ("lossy-1", "bperson@ctl2", sim.pace.now() + 90.0))
    report = simulation.engine.run()
    assert (report["verdict"], report["exit_code"]) == ("infrastructure", 4)
    [reason] = report["reason"]
    assert reason == (
        "naist-r1: another drill is running on this testbed: lossy-1, until 2026-11-21T12:01:30.000Z at the latest "
        "(bperson@ctl2); wait for its end, or end it with playbooks/stop_drills.yml, "
        "or heal_all.yml if its controller is gone"
    )
    assert simulation.commands() == {"hello", "claim", "release"}
    assert set(sim.claims) == {"osaka", "naist-r1"}


@pytest.mark.parametrize("number", range(1, 9))
def test_of_two_controllers_that_start_together_one_at_most_gets_through(
    simulate: Any, circuit_cut: dict[str, Any], number: int
) -> None:
    """The second one does all that it does while the first one is about to claim its target of that number."""
    first = simulate(circuit_cut, parallel=1)
    second = simulate(circuit_cut, testbed=first.testbed, who="bperson@ctl2")
    assert first.engine.state.name == second.engine.state.name
    claimed: list[str] = []
    verdicts: list[str] = []

    def on_call(target: str, command: str) -> None:
        claimed.extend([target] * (command == "claim"))
        if len(claimed) == number and not verdicts:
            verdicts.append("running")
            verdicts.append(second.engine.run()["verdict"])

    first.testbed.behaviour.on_call = on_call
    verdicts.append(first.engine.run()["verdict"])
    assert verdicts[1:] == (["infrastructure", "held"] if number > 1 else ["held", "held"])
    assert first.testbed.claims == {}


def test_the_claim_of_a_drill_that_took_long_to_get_ready_is_renewed(
    simulate: Any, circuit_cut: dict[str, Any]
) -> None:
    def on_call(_target: str, command: str) -> None:
        if command == "probe" and not simulation.testbed.faults():
            simulation.pace.time += 100

    simulation = simulate(circuit_cut, on_call=on_call)
    assert simulation.engine.run()["verdict"] == "held"
    commands = [command for _target, command in simulation.testbed.calls]
    assert commands.count("claim") == 2 * len(simulation.testbed.testbed["nodes"])


def test_an_unreachable_target_is_infrastructure(simulate: Any, circuit_cut: dict[str, Any]) -> None:
    simulation = simulate(circuit_cut, unreachable={"naist-kvm1"})
    report = simulation.engine.run()
    assert (report["verdict"], report["exit_code"]) == ("infrastructure", 4)
    assert report["targets"]["naist-kvm1"]["reached"] is False
    assert simulation.commands() == {"hello"}


def test_a_fault_of_an_earlier_run_is_infrastructure(simulate: Any, circuit_cut: dict[str, Any]) -> None:
    report = simulate(circuit_cut, stale=True).engine.run()
    assert report["verdict"] == "infrastructure"
    assert "run heal_all first" in report["reason"][0]


def test_one_target_that_does_not_arm_stops_all(simulate: Any, circuit_cut: dict[str, Any]) -> None:
    simulation = simulate(circuit_cut, refuses_to_arm={"kanazawa-r1"})
    report = simulation.engine.run()
    assert (report["verdict"], report["restored"]) == ("infrastructure", True)
    assert simulation.testbed.calls.count(("hiroshima-r1", "abort")) == 1
    assert all(fault["injected"] is None for fault in report["faults"])


def test_a_fault_that_cannot_be_injected_ends_the_run_early(simulate: Any, circuit_cut: dict[str, Any]) -> None:
    simulation = simulate(circuit_cut, fails_to_inject={"circuit_cut-1-kanazawa-r1"})
    report = simulation.engine.run()
    assert (report["verdict"], report["restored"]) == ("infrastructure", True)
    assert simulation.pace.now() < (report["t0_epoch"] or 0) + 20


@pytest.mark.parametrize("missing", ["timeline", "probes"])
def test_nothing_tested(simulate: Any, circuit_cut: dict[str, Any], missing: str) -> None:
    circuit_cut[missing] = []
    if missing == "timeline":
        circuit_cut["probes"] = circuit_cut["probes"][:2]
    simulation = simulate(circuit_cut)
    report = simulation.engine.run()
    assert (report["verdict"], report["exit_code"]) == ("nothing_tested", 5)
    assert simulation.testbed.calls == []


@pytest.mark.parametrize(
    ("command", "aborts"),
    [("hello", False), ("probe", False), ("arm", True), ("status", True), ("collect", True)],
)
def test_an_abort_in_any_phase_comes_to_a_report(
    simulate: Any, circuit_cut: dict[str, Any], command: str, aborts: bool
) -> None:
    simulation = simulate(circuit_cut)

    def on_call(_target: str, called: str) -> None:
        if called == command:
            simulation.engine.abort("SIGTERM to the engine")

    simulation.testbed.behaviour.on_call = on_call
    report = simulation.engine.run()
    assert (report["verdict"], report["exit_code"]) == ("aborted", 2)
    assert report["reason"][0] == "the drill was aborted: SIGTERM to the engine"
    assert ("abort" in simulation.commands()) is aborts
    assert report["restored"] is (True if aborts else None)


def test_an_abort_under_the_fault_undoes_it_at_once(simulate: Any, circuit_cut: dict[str, Any]) -> None:
    simulation = simulate(circuit_cut)

    def on_call(_target: str, _called: str) -> None:
        if simulation.testbed.faults():
            simulation.engine.abort("Ansible has gone away")

    simulation.testbed.behaviour.on_call = on_call
    report = simulation.engine.run()
    assert (report["verdict"], report["restored"]) == ("aborted", True)
    assert {fault["undone_by"] for fault in report["faults"]} == {"abort"}
    assert all(fault["undone"] < 12 for fault in report["faults"])
    assert [event["target"] for event in report["events"] if event["event"] == "aborted"] == ["controller"]


@pytest.mark.parametrize("hangs", ["hello", "snapshot", "probe", "arm", "status"])
def test_an_abort_waits_for_no_answer(simulate: Any, circuit_cut: dict[str, Any], hangs: str) -> None:
    """By order of events: osaka answers only when the drill has been ended everywhere else, or is over."""
    simulation = simulate(circuit_cut)
    ended, hung = threading.Event(), []
    asked = {"hello": "osaka", "snapshot": "osaka", "probe": "hiroshima-kvm1", "arm": "kanazawa-kvm1"}

    def on_call(target: str, command: str) -> None:
        if command == hangs and target == asked.get(hangs, target) and not hung and not simulation.engine._closing:
            hung.append(target)
            simulation.engine.abort("stopped by reports/STOP")
            assert ended.wait(20)
        if command == "abort" and target not in hung:
            ended.set()

    simulation.testbed.behaviour.on_call = on_call
    report = simulation.engine.run()
    assert hung
    assert ended.is_set() is (hangs in ("arm", "status"))
    ended.set()
    assert (report["verdict"], report["reason"][0]) == ("aborted", "the drill was aborted: stopped by reports/STOP")
    assert report["reason"][0] in [phase["detail"] for phase in report["phases"]]


@pytest.mark.parametrize("moment", ["arm", "run", "collect"])
def test_a_drill_that_is_ended_on_its_targets_is_aborted(
    simulate: Any, circuit_cut: dict[str, Any], moment: str
) -> None:
    """As by playbooks/stop_drills.yml, from whichever controller."""

    def on_call(target: str, command: str) -> None:
        sim = simulation.testbed
        since = simulation.pace.now() - (simulation.engine.state.t0 or simulation.pace.now())
        if not sim.stopped and (command == moment or (moment == "run" and since > 7)):
            sim.stopped = "stop_drills.yml of aperson"
            sim.aborted |= dict.fromkeys(sim.programs, simulation.pace.now())

    simulation = simulate(circuit_cut, on_call=on_call)
    report = simulation.engine.run()
    assert (report["verdict"], report["exit_code"], report["restored"]) == ("aborted", 2, True)
    assert re.fullmatch("the drill was stopped on .* by stop_drills.yml of aperson", report["reason"][0])
    if moment == "run":
        assert simulation.pace.now() < (report["t0_epoch"] or 0) + 15
        assert {fault["undone_by"] for fault in report["faults"]} == {"abort"}


def test_an_abort_at_the_very_end_changes_nothing(simulate: Any, circuit_cut: dict[str, Any]) -> None:
    simulation = simulate(circuit_cut)

    def on_close() -> None:
        simulation.engine.abort("stopped by reports/STOP")

    for remote in simulation.engine._fleet.remotes.values():
        remote.close = on_close
    assert simulation.engine.run()["verdict"] == "held"


def test_a_mistake_in_the_engine_still_ends_the_faults(simulate: Any, circuit_cut: dict[str, Any]) -> None:
    simulation = simulate(circuit_cut)

    def on_call(_target: str, called: str) -> None:
        if called == "status":
            raise RuntimeError("a mistake")

    simulation.testbed.behaviour.on_call = on_call
    report = simulation.engine.run()
    assert (report["verdict"], report["restored"]) == ("infrastructure", True)
    assert report["reason"] == ["the engine failed: RuntimeError: a mistake"]
    assert "abort" in simulation.commands()


def test_an_abort_that_a_target_does_not_hear_is_told(simulate: Any, circuit_cut: dict[str, Any]) -> None:
    simulation = simulate(circuit_cut)

    def on_call(target: str, called: str) -> None:
        if called == "status":
            simulation.testbed.behaviour.unreachable.add("kanazawa-r1")
            simulation.engine.abort("SIGINT to the engine")

    simulation.testbed.behaviour.on_call = on_call
    report = simulation.engine.run()
    assert report["verdict"] == "not_restored"
    assert simulation.testbed.calls.count(("kanazawa-r1", "abort")) == 3
    assert any("end by themselves with their leases" in reason for reason in report["reason"])


@pytest.fixture
def with_writers(circuit_cut: dict[str, Any]) -> dict[str, Any]:
    """A drill with a writer at each of two sites, of which the first is fenced."""
    circuit_cut["writers"] = [
        {"name": "h", "node": "hiroshima-kvm1", "path": "/shared/h", "rate": 10},
        {"name": "k", "node": "kanazawa-kvm1", "path": "/shared/k", "rate": 10},
    ]
    circuit_cut["probes"] = [
        {"phase": "continuous", "writes": {"of": "h", "rate": "..0.5"}},
        {"phase": "continuous", "writes": {"of": "k", "max_pause": "1s"}},
        {"phase": "recover_within", "within": "21s", "writes": "h"},
        {"phase": "on_fault", "readback": {"of": "h", "from": "kanazawa-kvm1"}},
        {"phase": "after", "readback": {"of": "h", "from": "kanazawa-kvm1"}},
        {"phase": "after", "readback": {"of": "k", "from": "hiroshima-kvm1"}},
    ]
    return circuit_cut


def test_writers_that_lose_nothing(simulate: Any, with_writers: dict[str, Any]) -> None:
    report = simulate(with_writers, fenced={"hiroshima-kvm1"}).engine.run()
    assert report["reason"] is None
    h, k = report["writers"]
    assert (h["name"], h["records_per_s"]["faults"], k["records_per_s"]["faults"]) == (
        "h",
        pytest.approx(0, abs=0.1),
        pytest.approx(10, abs=0.1),
    )
    assert h["pause_ms"] == pytest.approx(20100, abs=100)
    on_fault, after = (probe for probe in report["probes"] if probe["name"].startswith("what h wrote"))
    assert on_fault["value"]["acknowledged"] == 50
    assert after["value"]["acknowledged"] == h["acknowledged"] > 50


def test_one_lost_record_is_a_failure(simulate: Any, with_writers: dict[str, Any]) -> None:
    report = simulate(with_writers, fenced={"hiroshima-kvm1"}, forgets=1).engine.run()
    assert report["verdict"] == "failed"
    assert "1 of 50 acknowledged records are lost or wrong, from number 49 on" in str(report["reason"])


def test_a_writer_that_should_be_fenced_and_is_not(simulate: Any, with_writers: dict[str, Any]) -> None:
    report = simulate(with_writers).engine.run()
    assert report["verdict"] == "failed"
    assert "10 records/s, expected at most 0.5 records/s" in str(report["reason"])


@pytest.mark.parametrize(
    ("limit", "verdict", "reason"),
    [
        ("500ms", "held", None),
        ("50ms", "failed", ["budget: longest outage is 200 ms, at most 50 ms is allowed"]),
    ],
)
def test_a_run_over_its_budget_has_failed(
    simulate: Any, circuit_cut: dict[str, Any], limit: str, verdict: str, reason: list[str] | None
) -> None:
    report = simulate({**circuit_cut, "budget": {"outage": limit, "arm": "20s"}}).engine.run()
    assert (report["verdict"], report["reason"]) == (verdict, reason)
    assert [report["budget"][name]["ok"] for name in ("outage", "arm")] == [verdict == "held", True]


def test_an_aborted_run_is_not_held_against_its_budget(simulate: Any, circuit_cut: dict[str, Any]) -> None:
    report = simulate({**circuit_cut, "budget": {"outage": "50ms"}}, unanswered={"probe-1"}).engine.run()
    assert report["verdict"] == "aborted"
    assert report["budget"]["outage"] == {"limit_ms": 50.0, "measured_ms": None, "ok": None}
    assert "budget" not in str(report["reason"])


CONNECTS = {"tcp": {"from": "hiroshima-kvm1", "to": "kanazawa-kvm1", "port": 22}}


@pytest.mark.parametrize(
    ("probe", "deaf_s", "verdict", "said"),
    [
        ({"phase": "continuous"}, 0.0, "held", "0 of 36 answers were wrong"),
        ({"phase": "continuous"}, 2.5, "failed", "3 of 36 answers were wrong, expected at most 0"),
        ({"phase": "continuous", "every": "500ms", "max_outage": "4s"}, 3.2, "held", "a right answer 3.5 s"),
        ({"phase": "recover_within", "within": "3s", "every": "500ms"}, 2.2, "held", "it held again after 2.5 s"),
        (
            {"phase": "recover_within", "within": "2s", "every": "500ms"},
            2.2,
            "failed",
            "after 2.5 s, expected within 2 s",
        ),
        ({"phase": "on_fault", "at": 6, "deadline": "3s"}, 3.0, "held", "2 of 4 answers were wrong"),
        ({"phase": "on_fault", "at": 6, "deadline": "3s"}, 9.0, "failed", "4 of 4 answers were wrong"),
        ({"phase": "on_fault", "at": 6, "tries": 3, "tolerate": 2}, 3.0, "held", "2 of 3 answers were wrong"),
    ],
)
def test_questions_that_are_asked_again_and_again(
    simulate: Any, circuit_cut: dict[str, Any], probe: dict[str, Any], deaf_s: float, verdict: str, said: str
) -> None:
    circuit_cut["probes"] = [{**CONNECTS, **probe}]
    report = simulate(circuit_cut, deaf_s=deaf_s).engine.run()
    assert (report["verdict"], said in report["probes"][0]["detail"]) == (verdict, True), report["probes"]


def test_after_the_faults_a_probe_is_asked_until_it_holds(simulate: Any, circuit_cut: dict[str, Any]) -> None:
    circuit_cut["probes"] = [{**CONNECTS, "phase": "after", "deadline": "60s", "every": "5s"}]
    report = simulate(circuit_cut, deaf_s=60.0).engine.run()
    assert report["verdict"] == "held", report["reason"]
    assert "answers were wrong" in report["probes"][0]["detail"]


def test_a_probe_with_stop_ends_the_drill(simulate: Any, circuit_cut: dict[str, Any]) -> None:
    circuit_cut["probes"] = [
        {**CONNECTS, "phase": "on_fault", "at": 6, "stop": True},
        {"phase": "on_fault", "at": 20, "ping": {"from": "hiroshima-kvm1", "to": "kanazawa-kvm1"}},
    ]
    simulation = simulate(circuit_cut, deaf_s=10.0)
    report = simulation.engine.run()
    assert (report["verdict"], report["restored"]) == ("failed", True)
    [reason] = report["reason"]
    assert reason.endswith("it does not connect; simulated; the drill was ended for it")
    assert [fault["undone_by"] for fault in report["faults"]] == ["abort", "abort"]
    assert all(fault["undone"] < 9 for fault in report["faults"])
    assert [probe["ok"] for probe in report["probes"]] == [False]


def test_a_probe_with_stop_that_holds_ends_nothing(simulate: Any, circuit_cut: dict[str, Any]) -> None:
    circuit_cut["probes"] = [{**CONNECTS, "phase": "on_fault", "at": 6, "stop": True, "deadline": "4s"}]
    assert simulate(circuit_cut, deaf_s=2.0).engine.run()["verdict"] == "held"


AS_BEFORE = {"phase": "after", "file": {"node": "hiroshima-kvm1", "path": "/data", "same_as": "before"}}


def test_a_file_is_compared_with_what_it_was_before(simulate: Any, circuit_cut: dict[str, Any]) -> None:
    circuit_cut["probes"] = [AS_BEFORE]
    assert simulate(circuit_cut).engine.run()["verdict"] == "held"
    report = simulate(circuit_cut, rewrites=str).engine.run()
    assert (report["verdict"], "expected the SHA-256" in report["reason"][0]) == ("failed", True)


def test_what_cannot_be_compared_later_is_told_before_anything_is_armed(
    simulate: Any, circuit_cut: dict[str, Any]
) -> None:
    circuit_cut["probes"] = [AS_BEFORE]
    report = simulate(circuit_cut, unanswered={"probe-1"}).engine.run()
    assert (report["verdict"], report["t0"]) == ("aborted", None)
    assert report["reason"] == ["before the faults: /data on hiroshima-kvm1 is as before: simulated"]


def test_agents_hear_of_the_drill_and_the_report_of_them(simulate: Any, circuit_cut: dict[str, Any]) -> None:
    agents = {"hiroshima-kvm1", "kanazawa-kvm1"}
    simulation = simulate(circuit_cut, agents=agents, silent_agents={"hiroshima-kvm1"})
    report = simulation.engine.run()
    assert [(row["event"], row["host"], row["source"]) for row in report["log"]] == [
        ("service_started", "kanazawa-kvm1", "service/db"), ("later", "kanazawa-kvm1", "service/db"),
    ]  # fmt: skip
    assert report["log"][0]["detail"] == "token 3, after hiroshima-kvm1"
    assert [row["t"] for row in report["log"]] == [pytest.approx(7, abs=0.01), pytest.approx(8, abs=0.01)]
    (silent, asked), (told, _query) = simulation.testbed.asked_log
    assert (silent, told) == ("hiroshima-kvm1", "kanazawa-kvm1")
    assert f"since {report['started']} until {report['ended']} | last 500" in asked
    Query(asked)
    events = simulation.testbed.log
    assert {event["trace"] for event in events} == {f"circuit_cut-{report['run']}"}
    assert len({event["id"][1] for event in events}) == len(events) == len(report["events"]) + 2
    begun, injected, *_more, ended = events
    assert (begun["values"]["event"], begun["values"]["hypothesis"]) == ("drill_begun", report["hypothesis"])
    assert (injected["host"], injected["values"]["event"]) == (report["events"][0]["target"], "injected")
    assert injected["time"] == pytest.approx(report["t0_epoch"] + report["events"][0]["t"])
    assert (ended["values"]["verdict"], ended["important"]) == ("held", True)
    assert begun["time"] < injected["time"] < ended["time"]
    assert simulation.testbed.claims == {}


def test_one_that_a_fault_strikes_is_asked_last(simulate: Any, circuit_cut: dict[str, Any]) -> None:
    agents = {"hiroshima-r1", "kanazawa-r1", "osaka"}
    simulation = simulate(circuit_cut, agents=agents, silent_agents=agents)
    report = simulation.engine.run()
    assert (report["verdict"], report["log"]) == ("held", [])
    assert [target for target, _query in simulation.testbed.asked_log] == ["osaka", "hiroshima-r1", "kanazawa-r1"]


def test_what_an_agent_says_never_costs_the_report(simulate: Any, circuit_cut: dict[str, Any]) -> None:
    simulation = simulate(circuit_cut, agents={"osaka"})
    simulation.engine._fleet.remotes["osaka"]._log = lambda _request: {"rows": [{"time": "x"}]}
    report = simulation.engine.run()
    assert report["verdict"] == "held"
    assert "log" not in report
    assert any("nothing is known of the agents' log" in text for _phase, text in simulation.said)


def test_without_agents_nothing_is_asked_and_the_report_is_as_ever(simulate: Any, circuit_cut: dict[str, Any]) -> None:
    simulation = simulate(circuit_cut)
    assert "log" not in simulation.engine.run()
    assert "log" not in simulation.commands()
