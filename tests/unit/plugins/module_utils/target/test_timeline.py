# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults that change, and faults that wait, over a simulated kernel and by a clock that tests move."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from ansible_collections.okiagari.testbed.plugins.module_utils.target.program import parse
from ansible_collections.okiagari.testbed.plugins.module_utils.target.runtime import Runtime
from ansible_collections.okiagari.testbed.tests.unit.plugins.module_utils.fault.simulated_kernel import SimulatedTarget

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from ansible_collections.okiagari.testbed.plugins.module_utils.fault.journal import Record

PARAMS = {"interface": "w-b", "percent": 10}
LOSS: dict[str, Any] = {"id": "b", "kind": "loss", "params": PARAMS, "at": 5, "for": 20}
RAMP = {**LOSS, "steps": [{"after": after, "params": {**PARAMS, "percent": 3 * after}} for after in (5, 10, 15)]}
CUT: dict[str, Any] = {"id": "a", "kind": "link_down", "params": {"interface": "w-a"}, "at": 3, "for": 10}


class Played:
    """A program that has been run to its end on a simulated target."""

    def __init__(
        self,
        folder: Path,
        faults: list[dict[str, Any]],
        at: Callable[[SimulatedTarget, float], None] = lambda _target, _since: None,
    ) -> None:
        """`at` is called with the seconds since T0 whenever time has passed."""
        target = self.target = SimulatedTarget(folder)
        self.before = target.kernel.state()
        program = parse({"drill": "d", "t0": target.clock.now() + 4, "ends": 60, "faults": faults})
        target.keeper.arm("d", [(planned.fault, planned.until + 5) for planned in program.faults])
        self.armed = dict(target.timers.armed)
        self.leases: dict[str, float] = {}
        start, sleep = target.clock.monotonic() + 4, target.clock.sleep

        def passing(seconds: float) -> None:
            sleep(seconds)
            at(target, target.clock.monotonic() - start)
            self.leases.update({unit: delay for unit, (delay, _argv) in target.timers.armed.items()})

        target.clock.sleep = passing  # type: ignore[method-assign]
        Runtime(program, target.keeper, target.kernel, target.clock, folder, dict).run()
        lines = (folder / "events.jsonl").read_text().splitlines()
        self.events = [
            (round(event["at"] - program.t0, 1), event["event"], event["fault"])
            for event in map(json.loads, lines)
            if event["event"] not in ("started", "ended")
        ]

    def record(self, fault_id: str) -> Record:
        return next(record for record in self.target.store.load() if record.fault.id == fault_id)

    def ran(self, *words: str) -> list[tuple[str, ...]]:
        return [argv for argv in self.target.kernel.ran if argv[: len(words)] == words]


def test_a_ramp_changes_its_qdisc_in_place(tmp_path: Path) -> None:
    played = Played(tmp_path, [RAMP])
    assert played.events == [
        (5, "injected", "b"), (10, "changed", "b"), (15, "changed", "b"), (20, "changed", "b"), (25, "undone", "b"),
    ]  # fmt: skip
    changed = played.ran("tc", "qdisc", "change")
    assert [argv[argv.index("loss") + 1] for argv in changed] == ["15%", "30%", "45%"]
    assert len(played.ran("tc", "qdisc", "add")) == 1
    assert len(played.ran("tc", "qdisc", "del")) == 1
    record = played.record("b")
    receipt = record.receipt()
    assert [step["params"]["percent"] for step in receipt["steps"]] == [15, 30, 45]
    assert receipt["steps"][1]["installed"]["netem"]["loss_percent"] == 30
    assert (receipt["state"], receipt["undone_by"]) == ("undone", "program")
    assert played.target.kernel.state() == played.before


def test_its_lease_holds_all_the_time(tmp_path: Path) -> None:
    def look(target: SimulatedTarget, since: float) -> None:
        if 5 < since < 25:
            assert "okiagari-lease-b" in target.timers.armed

    assert Played(tmp_path, [RAMP], look).events[-1][1] == "undone"


def test_a_change_that_fails_ends_the_fault(tmp_path: Path) -> None:
    def breaks(target: SimulatedTarget, since: float) -> None:
        target.kernel.broken = lambda argv: argv[:3] == ("tc", "qdisc", "change") and since > 12

    played = Played(tmp_path, [RAMP], breaks)
    assert played.events == [(5, "injected", "b"), (10, "changed", "b"), (15, "failed", "b")]
    record = played.record("b")
    assert (record.state, record.live) == ("failed", False)
    assert "not changed: tc qdisc change dev w-b" in str(record.error)
    assert played.target.kernel.state() == played.before


def test_what_somebody_undid_does_not_change_any_more(tmp_path: Path) -> None:
    def undo(target: SimulatedTarget, since: float) -> None:
        record = target.store.get("b")
        if since > 7 and record and record.live:
            target.keeper.undo(["b"], "A. Person")

    played = Played(tmp_path, [RAMP], undo)
    assert [name for _at, name, _fault in played.events] == ["injected", "note", "note", "note", "note"]
    assert not played.ran("tc", "qdisc", "change")
    assert played.target.kernel.state() == played.before


def log(path: Path, **more: Any) -> dict[str, Any]:
    return {**CUT, "when": {"type": "log", "file": str(path), "matches": "Down", "within": 20, **more}}


def writes(path: Path, at: float) -> Callable[[SimulatedTarget, float], None]:
    def write(_target: SimulatedTarget, since: float) -> None:
        if since >= at and not path.exists():
            path.write_text("Down\n")

    return write


def test_a_fault_comes_with_its_event(tmp_path: Path) -> None:
    path = tmp_path / "log"
    played = Played(tmp_path, [log(path), {**LOSS, "at": 30}], writes(path, 8))
    assert [name for _at, name, _fault in played.events] == ["seen", "injected", "undone", "injected", "undone"]
    seen, injected, undone = (at for at, _name, _fault in played.events[:3])
    assert 8 <= seen <= 8.2
    assert seen <= injected <= 8.3
    assert undone == pytest.approx(injected + 10, abs=0.11)
    assert played.target.kernel.state() == played.before


def test_its_lease_is_armed_before_and_shortened_when_it_comes(tmp_path: Path) -> None:
    path = tmp_path / "log"
    played = Played(tmp_path, [log(path)], writes(path, 8))
    assert played.armed["okiagari-lease-a"][0] == 3 + 20 + 10 + 5
    assert played.leases["okiagari-lease-a:1"] == pytest.approx(11, abs=0.2)
    assert played.target.timers.armed == {}


def test_a_lease_that_can_not_be_shortened_stays(tmp_path: Path) -> None:
    path = tmp_path / "log"

    def refuses(target: SimulatedTarget, since: float) -> None:
        target.timers.refuse = lambda unit: unit.endswith(":1")
        assert since > 13 or "okiagari-lease-a" in target.timers.armed
        writes(path, 8)(target, since)

    played = Played(tmp_path, [log(path)], refuses)
    assert [name for _at, name, _fault in played.events] == ["seen", "injected", "note", "undone"]


def test_a_fault_whose_event_does_not_come_is_not_injected(tmp_path: Path) -> None:
    path = tmp_path / "log"
    played = Played(tmp_path, [log(path)], writes(path, 24))
    assert played.events == [(23, "failed", "a")]
    record = played.record("a")
    assert (record.state, record.error) == ("failed", "not injected: its event did not come within 20 s")
    assert played.target.timers.armed == {}
    assert played.target.kernel.state() == played.before


def test_two_may_wait_for_the_same(tmp_path: Path) -> None:
    path = tmp_path / "log"
    there = {**log(path), "id": "c", "params": {"interface": "w-b"}}
    played = Played(tmp_path, [log(path), there], writes(path, 8))
    assert [name for _at, name, _fault in played.events] == ["seen", "seen", *["injected"] * 2, *["undone"] * 2]


def test_an_event_that_can_not_be_watched_for(tmp_path: Path) -> None:
    when = {"type": "log", "unit": "frr.service", "matches": "Down", "within": 20}
    played = Played(tmp_path, [{**CUT, "when": when}])
    assert played.events == [(3, "failed", "a")]
    assert "its event can't be watched for: journalctl" in str(played.record("a").error)


def test_an_event_during_the_preparation_of_another_fault_is_answered_after_it(tmp_path: Path) -> None:
    path = tmp_path / "log"
    played = Played(tmp_path, [log(path), {**LOSS, "at": 9}], writes(path, 8.5))
    names = [(name, fault) for _at, name, fault in played.events]
    assert names[:3] == [("injected", "b"), ("seen", "a"), ("injected", "a")]
    assert played.events[0][0] == 9
    assert played.events[2][0] <= 9.2
