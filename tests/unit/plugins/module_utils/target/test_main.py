# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The target program's commands over a simulated kernel."""

from __future__ import annotations

import json
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from ansible_collections.okiagari.testbed.plugins.module_utils.errors import OkiagariError
from ansible_collections.okiagari.testbed.plugins.module_utils.target.main import Commands, answer
from ansible_collections.okiagari.testbed.tests.unit.plugins.module_utils.agent.agents import Listener
from ansible_collections.okiagari.testbed.tests.unit.plugins.module_utils.fault.simulated_kernel import SimulatedTarget

if TYPE_CHECKING:
    from pathlib import Path

CUT = {"id": "a", "kind": "link_down", "params": {"interface": "w-a"}, "at": 5, "for": 20}
LOSS = {"id": "b", "kind": "loss", "params": {"interface": "w-b", "percent": 30}, "at": 5, "for": 20}


class Program:
    def __init__(self, target: SimulatedTarget, capsys: pytest.CaptureFixture[str]) -> None:
        self.target = target
        self._capsys = capsys

    def __call__(self, *argv: str, text: str | None = None, **request: Any) -> dict[str, Any]:
        target = self.target
        commands = Commands(target.places, target.kernel, target.clock, ("python3", "p"), target.timers)
        commands.keeper = target.keeper
        code = answer(commands, argv, lambda: json.dumps(request) if text is None else text)
        result: dict[str, Any] = json.loads(self._capsys.readouterr().out)
        assert code == (1 if set(result) == {"error"} else 0)
        return result

    def arm(self, **changed: Any) -> dict[str, Any]:
        request = {"drill": "d", "t0": self.target.clock.now() + 2, "ends": 30, "faults": [CUT, LOSS], **changed}
        return self("arm", **request)


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Program:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    return Program(SimulatedTarget(tmp_path), capsys)


def test_hello_names_what_is_missing(program: Program) -> None:
    assert program("hello")["missing"] == []
    program.target.kernel.able = {"flower"}
    assert program("hello")["missing"] == ["drop", "netem"]


def test_arming_changes_nothing_but_the_journal_and_the_timers(program: Program) -> None:
    before = program.target.kernel.state()
    assert program.arm()["unit"] == "okiagari-drill-d"
    assert program.target.kernel.state() == before
    armed = program.target.timers.armed
    assert {unit: round(delay, 3) for unit, (delay, _command) in armed.items()} == {
        "okiagari-lease-a": 28.0,
        "okiagari-lease-b": 28.0,
    }
    assert program.target.timers.services == {"okiagari-drill-d": ("python3", "p", "run", "d")}
    status = program("status", drill="d")
    assert (status["running"], status["events"]) == (True, 0)
    assert [(each["state"], each["lease_s"]) for each in status["faults"]] == [("armed", 21.0), ("armed", 21.0)]
    assert {each["target"] for each in status["faults"]} == {os.uname().nodename}


def test_arming_again_is_fine_only_with_the_same_program(program: Program) -> None:
    program.arm()
    assert program.arm()["armed"]
    assert "already running" in program.arm(ends=31)["error"]


def test_nothing_stays_armed_if_the_runner_cant_be_started(program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_arguments: object) -> None:
        raise OkiagariError("simulated: no service")

    monkeypatch.setattr(program.target.timers, "start", refuse)
    assert program.arm() == {"error": "simulated: no service"}
    assert program.target.timers.armed == {}
    assert {each["state"] for each in program("status", drill="d")["faults"]} == {"failed"}


def test_t0_in_the_past_is_refused(program: Program) -> None:
    assert "T0 is in the past" in program.arm(t0=program.target.clock.now() - 6)["error"]
    assert program.target.timers.armed == {}


def test_a_drill_may_follow_another_after_abort(program: Program) -> None:
    program.arm()
    assert {each["undone_by"] for each in program("abort", drill="d")["faults"]} == {"abort"}
    assert program.target.timers.units() == []
    assert program.arm(drill="e")["armed"]


def test_a_module_and_a_drill_dont_touch_the_same_thing(program: Program) -> None:
    program.arm()
    error = program("inject", id="x", kind="link_down", params={"interface": "w-a"}, lease_s=5)["error"]
    assert error == "link:w-a is claimed by the fault a (armed): undo that first"
    program("abort", drill="d")
    program("inject", id="x", kind="link_down", params={"interface": "w-a"}, lease_s=5)
    assert "a: link:w-a is claimed by the fault x (injected)" in program.arm(drill="e")["error"]


def test_an_abort_undoes_before_it_waits_for_the_runner(program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    """The runner may be busy ending its writers for seconds."""
    target = program.target
    before = target.kernel.state()
    program.arm()
    target.keeper.prepare("a")
    target.keeper.strike(["a"])
    stop, seen = target.timers.stop, []

    def look(unit: str) -> None:
        seen.append((unit, target.kernel.state() == before))
        stop(unit)

    monkeypatch.setattr(target.timers, "stop", look)
    program("abort", drill="d")
    assert seen == [("okiagari-drill-d", True)]


def test_what_was_ended_is_over(program: Program) -> None:
    """A runner that is still ending, or a controller that was overtaken, brings nothing back."""
    program.arm()
    assert program("status", drill="d")["stopped"] is None
    program("abort", drill="d", by="A. Person")
    assert [program(command, drill="d")["stopped"] for command in ("status", "collect")] == ["A. Person"] * 2
    for command in (program.target.keeper.prepare, lambda fault: program.target.keeper.strike([fault])):
        with pytest.raises(OkiagariError, match="already over"):
            command("a")
    assert program.arm()["error"] == "the drill d was stopped by A. Person: start it anew"


def test_an_arming_that_is_overtaken_starts_no_runner(program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    start = program.target.timers.start

    def overtaken(unit: str, command: Any) -> None:
        program.target.keeper.abort("d", "A. Person")
        start(unit, command)

    monkeypatch.setattr(program.target.timers, "start", overtaken)
    assert "was stopped by A. Person" in program.arm()["error"]
    assert program.target.timers.units() == []


def test_one_drill_has_the_target(program: Program) -> None:
    me, they = {"drill": "d", "who": "a@ctl1"}, {"drill": "e", "who": "b@ctl2"}
    mine, theirs = {**me, "seconds": 60}, {**they, "seconds": 60}
    assert program("claim", **mine) == {**mine, "claimed": True}
    assert program("claim", **theirs) == {**mine, "claimed": False}
    # Two controllers may well give their runs of one second the same name.
    assert not program("claim", **(mine | {"who": "b@ctl2"}))["claimed"]
    assert "this target is that of the drill d (a@ctl1)" in program.arm(drill="e")["error"]
    program.target.clock.sleep(40)
    assert program("claim", **mine)["seconds"] == 60
    program("release", **they)
    assert not program("claim", **theirs)["claimed"]
    program("release", **me)
    assert program("claim", **theirs)["claimed"]


def test_a_claim_ends_by_itself(program: Program) -> None:
    mine, theirs = {"drill": "d", "who": "a@ctl1", "seconds": 60}, {"drill": "e", "who": "b@ctl2", "seconds": 60}
    program("claim", **mine)
    program.target.clock.sleep(59)
    assert program("claim", **theirs)["seconds"] == 1
    program.target.clock.sleep(1)
    assert program("claim", **theirs)["claimed"]
    program.target.boot("boot-2")
    assert program("claim", **mine)["claimed"]
    (program.target.places.run / "drill.lock").write_text("{")
    assert program("claim", **theirs)["claimed"]


@pytest.mark.parametrize("left", ["everything", "the runner", "a fault"])
def test_what_runs_without_a_claim_has_the_target_too(program: Program, left: str) -> None:
    program.arm()
    if left == "the runner":
        program.target.keeper.undo(["a", "b"], "module")
    if left == "a fault":
        program.target.timers.services.clear()
    theirs = program("claim", drill="e", who="b@ctl2", seconds=60)
    assert theirs == {"claimed": False, "drill": "d", "who": "", "seconds": None}
    assert program("claim", drill="d", who="a@ctl1", seconds=60)["claimed"]


def test_heal_lets_go_of_the_target_and_an_abort_does_not(program: Program) -> None:
    mine, theirs = {"drill": "d", "who": "a@ctl1", "seconds": 60}, {"drill": "e", "who": "b@ctl2", "seconds": 60}
    program("claim", **mine)
    assert program.target.keeper.drills() == ["d"]
    assert program("abort", all=True)["drills"] == ["d"]
    assert program.target.keeper.drills() == []
    assert not program("claim", **theirs)["claimed"]
    assert program("heal", check=True)["found"] == []
    assert not program("claim", **theirs)["claimed"]
    assert program("heal") == {"found": [], "healed": [], "left": []}
    assert program("claim", **theirs)["claimed"]


def test_only_one_of_many_that_claim_at_once_gets_the_target(program: Program) -> None:
    barrier = threading.Barrier(8)

    def claim(number: int) -> bool:
        barrier.wait(20)
        return program.target.keeper.claim("d", f"controller {number}", 60.0)[0]

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(claim, range(8))) == 1


def test_all_drills_are_ended_and_nothing_else(program: Program) -> None:
    program.arm(faults=[CUT])
    program.arm(drill="e", faults=[LOSS])
    program("inject", id="x", kind="route_blackhole", params={"prefix": "10.3.0.0/16"}, lease_s=5)
    ended = program("abort", all=True)
    assert ended["drills"] == ["d", "e"]
    assert {fault["undone_by"] for fault in ended["faults"]} == {"abort"}
    assert program.target.timers.units() == ["okiagari-lease-x"]
    assert program("abort", all=True) == {"drills": [], "faults": []}


@pytest.mark.parametrize(
    ("argv", "text", "error"),
    [
        ((), "", "'' is not a command"),
        (("snapshoot",), "", "did you mean snapshot?"),
        (("heal", "all"), "", "'heal' is not a command"),
        (("inject",), "{", "inject: the input is not JSON"),
        (("inject",), "[]", "inject: the input is not a JSON object"),
        (("undo",), "{}", "undo: ids is missing"),
        (("undo",), '{"ids": ["../x"]}', "../x is not an id"),
        (("status",), "{}", "status: drill is missing"),
        (("probe",), '{"probes": 1}', "probe: probes: 1 is not a list"),
    ],
)
def test_errors_are_json(program: Program, argv: tuple[str, ...], text: str, error: str) -> None:
    assert error in program(*argv, text=text)["error"]


def test_needs_root_to_change_anything(program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert program("heal") == {"error": "this needs root on the target: use become"}


def test_a_probe_that_cant_be_run_is_not_ok(program: Program) -> None:
    [result] = program("probe", probes=[{"id": "p", "type": "rout", "prefix": "10.2.0.0/16"}])["results"]
    assert not result["ok"]
    assert "did you mean route?" in result["detail"]


def test_route_probe(program: Program) -> None:
    probes = [{"id": each, "type": "route", "prefix": each} for each in ("10.2.0.0/16", "10.66.0.0/16", "10.77.0.0/16")]
    program.target.kernel.routes = [route for route in program.target.kernel.routes if route["dst"] != "10.77.0.0/16"]
    bgp, blackhole, _none = program("probe", probes=probes)["results"]
    assert (bgp["ok"], bgp["value"]) == (True, {"via": ["10.254.1.2"], "dev": ["w-b"], "protocol": "bgp"})
    assert (blackhole["ok"], blackhole["detail"]) == (False, "blackhole 10.66.0.0/16 proto static")


def test_the_log_of_this_hosts_agent(program: Program, tmp_path: Path) -> None:
    agent = Listener(tmp_path / "agent")
    program.target.places.agent = agent.run
    assert not program("hello")["agent"]
    event = {"source": "drill", "values": {"n": 1}, "id": ["x", 1]}
    assert "can't be reached" in program("log", tell=[event], query="last")["error"]
    with agent.there():
        assert program("hello")["agent"]
        assert program("log", tell=[event], query="last") == {"rows": [{"values": {"n": 1}}]}
    assert agent.values() == [{"n": 1}]
    assert "tell" in program("log", query="last")["error"]
