# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The power of a lab's nodes: the real program, processes and namespace; each node is simulated by a process."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from ansible_collections.okiagari.testbed.plugins.module_utils.lab.node import LabNode
from ansible_collections.okiagari.testbed.plugins.module_utils.lab.space import LabSpace
from ansible_collections.okiagari.testbed.plugins.module_utils.target.lab_host import places_of
from ansible_collections.okiagari.testbed.plugins.module_utils.target.pack import install

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

NODES = ("a-r1", "a-kvm1", "x")
# It hears its power button, and doesn't obey.
NODE = """
import pathlib, socket, sys
console = pathlib.Path(sys.argv[1], "mconsole")
console.parent.mkdir(exist_ok=True)
console.unlink(missing_ok=True)
button = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
button.bind(str(console))
print("okiagari-ready", flush=True)
while True:
    button.recv(4096)
"""
KINDS = {"power_cut": "stopped", "pause": "paused", "reboot": "stopping"}


class SimulatedLab:
    """A lab whose nodes boot in no time and do nothing."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.space = LabSpace(directory)
        self.space.create()
        for name in NODES:
            node = LabNode(self.space, name)
            node.directory.mkdir(parents=True)
            command = [sys.executable, "-I", "-S", "-c", NODE, str(node.directory / name)]
            node.switch_on({"provider": "uml", "command": command, "environment": {}})
            wait_for(lambda node=node: node.ready)
        self.program = install(places_of(directory))

    def argv(self, command: str) -> list[str]:
        return [sys.executable, "-I", "-S", "-B", str(self.program), "--lab", str(self.directory), command]

    def call(self, command: str, request: dict[str, Any] | None = None) -> dict[str, Any]:
        done = subprocess.run(
            self.argv(command), input=json.dumps(request or {}), capture_output=True, text=True, check=False
        )
        assert not done.stderr, done.stderr
        answer: dict[str, Any] = json.loads(done.stdout)
        return answer

    def inject(self, kind: str, machine: str, lease_s: float = 600) -> dict[str, Any]:
        fault = {"id": f"{kind}-{machine}", "kind": kind, "params": {"machine": machine}, "lease_s": lease_s}
        receipt = self.call("inject", fault)
        assert receipt.get("state") == "injected", receipt
        return receipt

    def arm(self, kind: str, machine: str, lasts: float) -> str:
        fault = {"id": "d-1", "kind": kind, "params": {"machine": machine}, "at": 0.0, "for": lasts, "target": machine}
        armed = self.call("arm", {"drill": "d", "t0": time.time() + 6, "ends": lasts + 1, "faults": [fault]})
        assert armed.get("armed"), armed
        return str(armed["unit"])

    def state(self, name: str) -> str:
        return LabNode(self.space, name).state()

    def units(self) -> list[str]:
        return sorted(name for name in self.space.processes().values() if name.startswith("okiagari-"))


@pytest.fixture
def lab() -> Iterator[SimulatedLab]:
    if os.geteuid() != 0 or not shutil.which("unshare"):
        pytest.skip("needs root and util-linux, to make a network namespace")
    # A socket's path must be short.
    with tempfile.TemporaryDirectory(prefix="lab-") as folder:
        lab = SimulatedLab(Path(folder) / "lab")
        try:
            yield lab
        finally:
            lab.space.destroy()


def wait_for(condition: Callable[[], object]) -> None:
    """Wait for what the program does by itself."""
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "it didn't come"
        time.sleep(0.05)


@pytest.mark.parametrize("kind", KINDS)
def test_a_fault_ends_with_its_lease_and_leaves_no_process(lab: SimulatedLab, kind: str) -> None:
    before = lab.call("snapshot")
    receipt = lab.inject(kind, "a-r1", lease_s=2)
    assert (receipt["before"], receipt["installed"]) == (
        {"power": "on"},
        {"power": {"stopped": "off"}.get(KINDS[kind], KINDS[kind])},
    )
    assert [lab.state(name) for name in NODES] == [KINDS[kind], "running", "running"]
    wait_for(lambda: lab.state("a-r1") == "running")
    wait_for(lambda: not lab.units())
    ended = lab.call("undo", {"ids": [receipt["id"]]})["receipts"][0]
    assert (ended["undone_by"], ended["after"]) == ("lease", {"power": "on"})
    assert ended["undone_at"] >= receipt["lease_ends_at"]
    assert lab.call("snapshot") == before


def test_the_lease_ends_what_a_killed_runner_leaves(lab: SimulatedLab) -> None:
    lab.arm("power_cut", "a-r1", 3)
    wait_for(lambda: lab.state("a-r1") == "stopped")
    runners = [pid for pid, owner in lab.space.processes().items() if owner == "okiagari-drill-d.service"]
    for pid in runners:
        os.kill(pid, signal.SIGKILL)
    assert runners
    wait_for(lambda: lab.state("a-r1") == "running")
    wait_for(lambda: not lab.units())
    assert lab.call("status", {"drill": "d"})["faults"][0]["undone_by"] == "lease"


def test_a_drill_cuts_and_gives_back_on_time(lab: SimulatedLab) -> None:
    assert lab.arm("power_cut", "a-r1", 1.5) == "okiagari-drill-d"
    assert lab.units() == ["okiagari-drill-d.service", "okiagari-lease-d-1.timer", "okiagari-lease-d-1.timer"]
    wait_for(lambda: not lab.call("status", {"drill": "d"})["running"])
    found = lab.call("collect", {"drill": "d"})
    assert [event["event"] for event in found["events"]] == ["started", "injected", "undone", "ended"]
    assert (found["faults"][0]["target"], found["faults"][0]["undone_by"]) == ("a-r1", "program")
    assert lab.units() == []


def test_a_timer_outlives_the_session_that_armed_it(lab: SimulatedLab) -> None:
    fault = {"id": "p", "kind": "pause", "params": {"machine": "x"}, "lease_s": 3}
    session = subprocess.Popen(
        ["sh", "-c", '"$@" >/dev/null; exec sleep 600', "sh", *lab.argv("inject")],
        stdin=subprocess.PIPE,
        start_new_session=True,
    )
    assert session.stdin
    session.stdin.write(json.dumps(fault).encode())
    session.stdin.close()
    wait_for(lambda: lab.state("x") == "paused")
    os.killpg(session.pid, signal.SIGKILL)
    session.wait()
    wait_for(lambda: lab.state("x") == "running")


def test_heal_needs_only_the_journal(lab: SimulatedLab) -> None:
    lab.inject("power_cut", "a-r1")
    lab.inject("pause", "x")
    for pid, owner in lab.space.processes().items():
        if owner.startswith("okiagari-lease"):
            os.kill(pid, signal.SIGKILL)
    assert [each["name"] for each in lab.call("heal", {"check": True})["left"]] == ["power_cut-a-r1", "pause-x"]
    healed = lab.call("heal")
    assert [each["what"] for each in healed["healed"]] == ["fault", "fault"]
    assert healed["left"] == []
    wait_for(lambda: [lab.state(name) for name in NODES] == ["running"] * 3)


def test_an_abort_gives_the_power_back_at_once(lab: SimulatedLab) -> None:
    lab.arm("power_cut", "a-r1", 600)
    wait_for(lambda: lab.state("a-r1") == "stopped")
    assert lab.call("abort", {"drill": "d"})["faults"][0]["undone_by"] == "abort"
    wait_for(lambda: lab.state("a-r1") == "running")
    assert lab.units() == []


def test_a_renewed_lease_counts_alone(lab: SimulatedLab) -> None:
    lab.inject("pause", "x", lease_s=2)
    lab.inject("pause", "x", lease_s=600)
    assert set(lab.units()) == {"okiagari-lease-pause-x:1.timer"}
    assert lab.call("undo", {"ids": ["pause-x"]})["receipts"][0]["state"] == "undone"
    assert lab.units() == []


def test_the_lab_takes_its_timers_with_it(lab: SimulatedLab) -> None:
    lab.inject("power_cut", "a-r1")
    assert lab.units()
    lab.space.destroy()
    assert lab.space.processes() == {}
    assert not lab.directory.exists()


def test_what_it_starts_is_an_ordinary_process(lab: SimulatedLab) -> None:
    """The runner goes before others, and the node that it starts again must not."""
    lab.arm("power_cut", "a-r1", 1.5)
    runner = next(pid for pid, owner in lab.space.processes().items() if owner == "okiagari-drill-d.service")
    wait_for(lambda: os.sched_getscheduler(runner) & ~os.SCHED_RESET_ON_FORK == os.SCHED_RR)
    wait_for(lambda: not lab.call("status", {"drill": "d"})["running"])
    assert lab.call("status", {"drill": "d"})["faults"][0]["undone_by"] == "program"
    assert {os.sched_getscheduler(pid) for pid in lab.space.node_processes("a-r1")} == {os.SCHED_OTHER}


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ({"kind": "power_cut", "params": {"machine": "a-r2"}}, "there is no machine a-r2 on this target; did you mean"),
        ({"kind": "pause", "params": {"machine": "../x"}}, "../x is not the name of a machine"),
        ({"kind": "loss", "params": {"interface": "w-x", "percent": 5}}, "lacks the capability 'netem'"),
    ],
    ids=["unknown", "no name", "not of power"],
)
def test_refused(lab: SimulatedLab, fault: dict[str, Any], words: str) -> None:
    assert words in lab.call("inject", {"id": "f", "lease_s": 5, **fault})["error"]
    assert lab.units() == []


def test_what_is_off_already_is_not_ours(lab: SimulatedLab) -> None:
    LabNode(lab.space, "x").cut()
    fault = {"id": "f", "kind": "power_cut", "params": {"machine": "x"}, "lease_s": 5}
    assert "x is off already, and not by Okiagari" in lab.call("inject", fault)["error"]
    assert lab.call("heal", {"check": True})["found"] == []


def test_a_node_that_could_not_be_started_again_is_not_cut(lab: SimulatedLab) -> None:
    record = lab.directory / "nodes" / "x" / "node.json"
    record.write_text('{"provider": "uml"}')
    fault = {"id": "f", "kind": "power_cut", "params": {"machine": "x"}, "lease_s": 5}
    assert "it isn't known how x is started" in lab.call("inject", fault)["error"]
    assert lab.state("x") == "running"


def test_without_a_lab_nothing_is_made(tmp_path: Path, lab: SimulatedLab) -> None:
    lab.directory = tmp_path / "none"
    assert lab.call("hello") == {"error": f"there is no lab in {tmp_path}/none: run playbooks/lab_up.yml"}
    assert not lab.directory.exists()
    lab.directory = lab.space.directory
