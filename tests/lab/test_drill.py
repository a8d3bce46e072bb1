# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The drill's promises: what it leaves with, and what it leaves behind when somebody kills it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from ansible_collections.okiagari.testbed.tests.lab.default_lab import PROJECT, DefaultLab
from ansible_collections.okiagari.testbed.tests.lab.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.lab

SHORT = PROJECT / "tests" / "lab" / "drills" / "short.yml"
ENDS = ("hiroshima-r1", "kanazawa-r1")
INTERFACES = {"hiroshima-r1": "w-kanazawa-r1", "kanazawa-r1": "w-hiroshima-r1"}
LEASE_S = 6.0
PHASES = ("gather", "before", "arm", "run", "recover")
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGKILL)
IN_CI = {("run", signal.SIGKILL)}


class Controller:
    """An `ansible-playbook` with a drill, in a process group of its own as on a terminal."""

    def __init__(self, reports: Path, **variables: str) -> None:
        self.reports = reports
        extra = [word for name, value in variables.items() for word in ("-e", f"{name}={value}")]
        self.log = reports.parent / "ansible.log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                ["ansible-playbook", str(SHORT), "-e", f"short_reports={reports}", *extra],
                cwd=PROJECT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def leave(self, timeout: float = 150) -> int:
        """Wait for the end and give the exit code."""
        return self.process.wait(timeout)

    def wait_for_phase(self, phase: str) -> None:
        """Wait until the phase before this one has been reported."""
        before = {"gather": "check", "before": "gather  8", "arm": "before", "run": "fault on", "recover": "fault off"}
        pattern = re.compile(re.escape(before[phase]))
        wait_for(f"{phase} begins", lambda: bool(pattern.search(self.log.read_text())), 90)

    def engine(self) -> int | None:
        """Give the process of the engine, which runs in a session of its own."""
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    words = (entry / "cmdline").read_bytes().split(b"\0")
                except OSError:
                    continue
                if any(b"plugin_utils.drill" in word for word in words):
                    return int(entry.name)
        return None

    def report(self) -> dict[str, Any]:
        """Give the report, waiting for the engine to finish it."""
        path = self.reports / "latest" / "report.json"
        wait_for("there is a report", path.is_file, 60)
        wait_for("the engine has left", lambda: self.engine() is None, 60)
        loaded: dict[str, Any] = json.loads(path.read_text())
        return loaded


@pytest.fixture(scope="module")
def lab() -> DefaultLab:
    return DefaultLab()


def _left(lab: DefaultLab, node: str) -> Any:
    return lab.program(node, "heal", {"check": True})["left"]


@pytest.fixture(autouse=True)
def clean(lab: DefaultLab) -> Iterator[None]:
    """Begin routed, and end with nothing of the drill anywhere."""
    wait_for("the lab is routed", lab.routed, 90)
    yield
    # The runner of a drill that lost its controller goes on watching until the drill's end.
    wait_for("nothing of the drill is left", lambda: all(_left(lab, node) == [] for node in ENDS), 30)
    for node in ENDS:
        assert "state DOWN" not in lab.say(node, f"ip -o link show {INTERFACES[node]}")
    # A controller that was killed has its targets until its drill would be over.
    lab.everywhere("heal", {"check": False})


@pytest.fixture
def reports(tmp_path: Path) -> Path:
    directory = tmp_path / "reports"
    directory.mkdir()
    return directory


@pytest.mark.soak
def test_a_drill_that_holds_leaves_with_0(lab: DefaultLab, reports: Path) -> None:
    controller = Controller(reports)
    assert controller.leave() == 0, controller.log.read_text()
    report = controller.report()
    assert (report["verdict"], report["restored"]) == ("held", True)
    assert {fault["undone_by"] for fault in report["faults"]} == {"program"}
    assert report["outage_ms"] > 0
    assert (reports / "latest" / "report.html").stat().st_size > 10_000
    assert "<testsuite" in (reports / "latest" / "junit.xml").read_text()


def test_a_probe_that_fails_beforehand_injects_nothing_and_leaves_with_2(lab: DefaultLab, reports: Path) -> None:
    lab.say("kanazawa-kvm1", "ip link set lan0 down")
    try:
        controller = Controller(reports)
        assert controller.leave() == 2, controller.log.read_text()
    finally:
        lab.say("kanazawa-kvm1", "ip link set lan0 up && networkctl reconfigure lan0")
    report = controller.report()
    assert report["verdict"] == "aborted"
    assert {fault["injected"] for fault in report["faults"]} == {None}


@pytest.mark.soak
def test_a_testbed_that_is_not_as_before_leaves_with_3(lab: DefaultLab, reports: Path) -> None:
    controller = Controller(reports)
    controller.wait_for_phase("run")
    lab.say("naist-kvm1", "ip link set lo mtu 60000")
    try:
        assert controller.leave() == 3, controller.log.read_text()
    finally:
        lab.say("naist-kvm1", "ip link set lo mtu 65536")
    report = controller.report()
    assert (report["verdict"], report["restored"]) == ("not_restored", False)
    assert [(item["target"], item["path"]) for item in report["differences"]] == [("naist-kvm1", "links.lo.mtu")]


@pytest.mark.soak
def test_the_file_stop_ends_the_drill(lab: DefaultLab, reports: Path) -> None:
    controller = Controller(reports)
    controller.wait_for_phase("run")
    (reports / "STOP").touch()
    assert controller.leave() == 2, controller.log.read_text()
    report = controller.report()
    assert report["reason"][0] == "the drill was aborted: stopped by reports/STOP"
    assert {fault["undone_by"] for fault in report["faults"]} == {"abort"}


@pytest.mark.soak
def test_a_drill_that_is_ended_on_a_target_is_aborted(lab: DefaultLab, reports: Path) -> None:
    """What playbooks/stop_drills.yml does on each."""
    controller = Controller(reports)
    controller.wait_for_phase("run")
    for node in ENDS:
        assert len(lab.program(node, "abort", {"all": True, "by": "a test"})["drills"]) == 1
    assert controller.leave() == 2, controller.log.read_text()
    assert re.fullmatch("the drill was stopped on .* by a test", controller.report()["reason"][0])


@pytest.mark.soak
def test_a_second_controller_is_told_whose_the_testbed_is(lab: DefaultLab, reports: Path, tmp_path: Path) -> None:
    first = Controller(reports)
    first.wait_for_phase("run")
    (tmp_path / "other" / "reports").mkdir(parents=True)
    second = Controller(tmp_path / "other" / "reports")
    assert second.leave() == 4, second.log.read_text()
    assert "another drill is running on this testbed: short-" in second.log.read_text()
    assert first.leave() == 0, first.log.read_text()


@pytest.mark.parametrize(
    ("phase", "number"),
    [
        pytest.param(
            phase, number, id=f"{number.name}-{phase}", marks=() if (phase, number) in IN_CI else pytest.mark.soak
        )
        for phase in PHASES
        for number in SIGNALS
    ],
)
def test_a_killed_controller_leaves_a_clean_testbed(
    lab: DefaultLab, reports: Path, phase: str, number: signal.Signals
) -> None:
    controller = Controller(reports)
    controller.wait_for_phase(phase)
    engine = controller.engine()
    assert controller.process.poll() is None
    os.killpg(controller.process.pid, number)
    if number == signal.SIGKILL and engine is not None:
        os.kill(engine, signal.SIGKILL)
    controller.leave()
    if number == signal.SIGKILL:
        # Nobody undoes anything now but the targets.
        time.sleep(LEASE_S + 2 + 8)
    else:
        assert controller.report()["verdict"] == "aborted"
