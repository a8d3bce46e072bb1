# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A drill's runner over a simulated kernel, by a clock that only moves when something takes time."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from ansible_collections.okiagari.testbed.plugins.module_utils.errors import OkiagariError
from ansible_collections.okiagari.testbed.plugins.module_utils.target.program import parse
from ansible_collections.okiagari.testbed.plugins.module_utils.target.runtime import Runtime
from ansible_collections.okiagari.testbed.tests.unit.plugins.module_utils.fault.simulated_kernel import SimulatedTarget

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

LONG_S = 2.5
CUT = {"id": "a", "kind": "link_down", "params": {"interface": "w-a"}, "at": 5, "for": 20}


def run(target: SimulatedTarget, folder: Path, **more: Any) -> dict[str, Any]:
    """Run a drill on a target whose snapshots take long, and give its events by name."""

    def look(_parts: Collection[str]) -> dict[str, Any]:
        target.clock.sleep(LONG_S)
        return shown(target)

    program = parse({"drill": "d", "t0": target.clock.now() + 4, "ends": 40, "faults": [CUT], **more})
    target.keeper.arm("d", [(program.faults[0].fault, 30.0)])
    Runtime(program, target.keeper, target.kernel, target.clock, folder, look).run()
    lines = (folder / "events.jsonl").read_text().splitlines()
    return {"t0": program.t0} | {event["event"]: event for event in map(json.loads, lines)}


def shown(target: SimulatedTarget) -> dict[str, Any]:
    """Give a snapshot as it comes over the wire."""
    state: dict[str, Any] = json.loads(json.dumps({"state": target.kernel.state()}))
    return state


def test_a_slow_snapshot_delays_no_fault(tmp_path: Path) -> None:
    target = SimulatedTarget(tmp_path)
    events = run(target, tmp_path, before=shown(target))
    assert events["injected"]["at"] == pytest.approx(events["t0"] + 5, abs=0.01)
    assert events["undone"]["at"] == pytest.approx(events["t0"] + 25, abs=0.01)
    assert events["restored"]["took"] == pytest.approx(LONG_S, abs=0.01)


def test_faults_that_are_undone_under_the_runner_stay_undone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = SimulatedTarget(tmp_path)
    before = target.kernel.state()
    prepare = target.keeper.prepare

    def overtaken(fault_id: str) -> None:
        prepare(fault_id)
        target.keeper.abort("d", "A. Person")

    monkeypatch.setattr(target.keeper, "prepare", overtaken)
    events = run(target, tmp_path)
    assert events["note"]["detail"] == "the fault a is already over"
    assert "injected" not in events
    assert "ended" in events
    assert target.kernel.state() == before


def test_a_scar_is_told(tmp_path: Path) -> None:
    events = run(SimulatedTarget(tmp_path), tmp_path, before={"state": "another"})
    assert "restored" not in events
    assert events["not_restored"]["detail"] == "not as before 30 s after the last undo: state"


def test_what_comes_back_last_is_told(tmp_path: Path) -> None:
    target = SimulatedTarget(tmp_path)
    sessions = iter(["down", "down"])

    looked: list[set[str]] = []

    def look(parts: Collection[str]) -> dict[str, Any]:
        looked.append(set(parts))
        target.clock.sleep(0.1 if parts else 0.5)
        return {"bfd": {"192.0.2.1": next(sessions, "up"), "192.0.2.5": "up"}, **({} if parts else {"rules": ["a"]})}

    program = parse(
        {
            "drill": "d",
            "t0": target.clock.now() + 4,
            "ends": 40,
            "faults": [CUT],
            "before": {"bfd": {"192.0.2.1": "up", "192.0.2.5": "up"}, "rules": ["a"]},
        }
    )
    target.keeper.arm("d", [(program.faults[0].fault, 30.0)])
    Runtime(program, target.keeper, target.kernel, target.clock, tmp_path, look).run()
    events = {event["event"]: event for event in map(json.loads, (tmp_path / "events.jsonl").read_text().splitlines())}
    assert events["restored"]["detail"].endswith("after the last undo; bfd.192.0.2.1 came last")
    # What is missing is looked at by itself; what is whole again is believed after a look at everything.
    assert looked == [set(), {"bfd"}, {"bfd"}, set()]
    assert events["restored"]["took"] == pytest.approx(0.5 + 0.5 + 0.1 + 0.1 + 0.1, abs=0.01)


def test_what_goes_again_meanwhile_is_waited_for_too(tmp_path: Path) -> None:
    target = SimulatedTarget(tmp_path)
    answers = iter(["down", "up", "down", "up", "up"])

    def look(_parts: Collection[str]) -> dict[str, Any]:
        target.clock.sleep(0.1)
        return {"bfd": {"192.0.2.1": next(answers)}}

    program = parse(
        {
            "drill": "d",
            "t0": target.clock.now() + 4,
            "ends": 40,
            "faults": [CUT],
            "before": {"bfd": {"192.0.2.1": "up"}},
        }
    )
    target.keeper.arm("d", [(program.faults[0].fault, 30.0)])
    Runtime(program, target.keeper, target.kernel, target.clock, tmp_path, look).run()
    events = [json.loads(line)["event"] for line in (tmp_path / "events.jsonl").read_text().splitlines()]
    assert events.count("restored") == 1
    assert next(answers, "none left") == "none left"


def test_restoration_is_not_watched_without_knowing_how_it_was(tmp_path: Path) -> None:
    assert not {"restored", "not_restored"} & run(SimulatedTarget(tmp_path), tmp_path).keys()


def test_a_snapshot_that_fails_delays_no_fault_and_ends_no_runner(tmp_path: Path) -> None:
    target = SimulatedTarget(tmp_path)
    before, taken = shown(target), iter([False, False])

    def look(_parts: Collection[str]) -> dict[str, Any]:
        target.clock.sleep(LONG_S)
        if next(taken, True):
            return shown(target)
        raise OkiagariError("no snapshot: simulated")

    program = parse({"drill": "d", "t0": target.clock.now() + 4, "ends": 40, "faults": [CUT], "before": before})
    target.keeper.arm("d", [(program.faults[0].fault, 30.0)])
    Runtime(program, target.keeper, target.kernel, target.clock, tmp_path, look).run()
    events = [json.loads(line)["event"] for line in (tmp_path / "events.jsonl").read_text().splitlines()]
    assert events == ["started", "injected", "undone", "restored", "ended"]
