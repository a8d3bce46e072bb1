# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Drills with a device: the real engine and maker, a simulated VyOS router over SSH, and simulated Linux targets."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from ansible_collections.okiagari.testbed.plugins.module_utils.proxy import open_proxy
from ansible_collections.okiagari.testbed.plugins.module_utils.topology import load
from ansible_collections.okiagari.testbed.plugins.plugin_utils.drill.remote import DeviceRemote

sys.path.insert(0, str(Path(__file__).parent))

from fault_rigs import PASSWORD, USER, DeviceRig, NetconfRig, VyosRig, XeRig, XrRig
from simulated_vyos import SimulatedVyos, beginnings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).parents[2]
SIMULATED = ROOT / "tests/unit/plugins/action/simulated_target.py"
DESCRIPTION = """
plugin: okiagari.testbed.testbed
name: three
sites:
  a: {number: 1, kvm_hosts: 1}
  b: {number: 2, kvm_hosts: 1, platform: vyos}
  c: {number: 3}
circuits:
  - {between: [a, b]}
  - {between: [b, c]}
  - {between: [a, c]}
"""
DEVICE = "b-r1"
PORTS = {"w-a-r1": "eth1", "w-c-r1": "eth2"}
# The controller takes a minute of the router for 60 s, so that the router's own undo comes this early.
MINUTE_S = 12.0
LAUNCH = """
import json, sys
from ansible_collections.okiagari.testbed.plugins.plugin_utils.drill.launch import launch
print(json.dumps(launch(json.load(sys.stdin), lambda _phase, _text: None)))
"""


class Bench:
    """A testbed of which one node is the router, and a drill that cuts a circuit at it."""

    def __init__(self, path: Path, router: SimulatedVyos) -> None:
        self.path = path
        self.router = router
        (path / "testbed.yml").write_text(DESCRIPTION)
        (path / "known_hosts").write_text(router.known_host())
        self.testbed = load(path / "testbed.yml").to_dict()
        login = {"user": USER, "password": PASSWORD, "known_hosts": str(path / "known_hosts")}
        self.device = {"os": "vyos", "host": "127.0.0.1", "port": router.port, **login}
        self.drill: dict[str, Any] = {
            "name": "cut",
            "hypothesis": "Nobody notices.",
            "watch": "1s",
            "traffic": [{"name": "a-b", "between": ["a-kvm1", "b-kvm1"], "rate": 20}],
            "timeline": [{"at": "4s", "for": "3s", "fault": "link_down", "circuit": "a-b"}],
            "probes": [{"phase": "continuous", "traffic": {"of": "a-b", "max_outage": "1s"}}],
        }

    def start(self) -> subprocess.Popen[str]:
        """Start what Ansible is to the engine."""
        work = {
            "drill": self.drill,
            "testbed": self.testbed,
            "power": {},
            "devices": {DEVICE: {"os": "vyos", "ports": PORTS}},
            "targets": {name: self._target(name) for name in self.testbed["nodes"]},
            "reports": str(self.path / "reports"),
            "consent": "",
            "parallel": 4,
        }
        launcher = subprocess.Popen(
            [sys.executable, "-c", LAUNCH], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            text=True, env={**os.environ, "PYTHONPATH": str(ROOT / ".collections")},
        )  # fmt: skip
        assert launcher.stdin
        launcher.stdin.write(json.dumps(work))
        launcher.stdin.close()
        launcher.stdin = None
        return launcher

    def run(self) -> dict[str, Any]:
        """Give the engine's result; its report is in `reports`."""
        out, err = self.start().communicate(timeout=180)
        assert out, err
        found: dict[str, Any] = json.loads(out)
        return found

    def _target(self, name: str) -> dict[str, Any]:
        if name == DEVICE:
            return {"okiagari_device": self.device}
        home = self.path / "targets" / name
        home.mkdir(parents=True, exist_ok=True)
        (home / "python").write_text(f"#!{sys.executable}\n{SIMULATED.read_text()}")
        (home / "python").chmod(0o755)
        return {
            "ansible_connection": "local",
            "ansible_python_interpreter": str(home / "python"),
            "okiagari_directory": str(home / "run"),
        }

    def report(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.path / "reports/latest/report.json").read_text())
        return found

    def on_device(self) -> dict[str, Any]:
        [fault] = [fault for fault in self.report()["faults"] if fault["target"] == DEVICE]
        return dict(fault)

    def down(self) -> bool:
        return ("interfaces", "ethernet", "eth1", "disable") in self.router.running

    def engine(self) -> int:
        """Give the number of the engine's process."""
        return int(json.loads((self.path / "reports/.lock").read_text())["pid"])


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    monkeypatch.setenv("OKIAGARI_STATE", str(tmp_path / "state"))
    router = SimulatedVyos(VyosRig.start, minute=MINUTE_S)
    router.users[USER] = PASSWORD
    yield Bench(tmp_path, router)
    router.stop()


def wait_for(condition: Callable[[], object]) -> None:
    """Wait for what processes of their own do."""
    deadline = time.monotonic() + 180
    while not condition():
        assert time.monotonic() < deadline, "it didn't come"
        time.sleep(0.05)


def test_a_circuit_is_cut_at_a_device_and_at_a_target(bench: Bench) -> None:
    before = bench.router.lines()
    result = bench.run()
    report = bench.report()
    assert (result["verdict"], report["reason"]) == ("held", None)
    assert (report["restored"], report["differences"]) == (True, [])
    fault = bench.on_device()
    assert fault["asked"] == {"interface": "eth1"}
    assert fault["installed"]["admin"] == "down"
    assert (fault["state"], fault["undone_by"], fault["error"]) == ("undone", "program", None)
    assert (fault["circuit"], fault["made_by"]) == ("a-b", DEVICE)
    assert fault["injected"] >= 4
    assert fault["undone"] >= 7
    assert [event["event"] for event in report["events"] if event["target"] == DEVICE] == [
        "started", "injected", "undone", "restored", "ended",
    ]  # fmt: skip
    assert bench.router.lines() == before
    assert not bench.router.waiting


@pytest.mark.soak
def test_two_faults_one_after_the_other(bench: Bench) -> None:
    before = bench.router.lines()
    loss = {"at": "14s", "for": "1s", "fault": "loss", "percent": "5%", "circuit": "b-c", "from": "b"}
    bench.drill["timeline"] = [
        {"at": "2s", "for": "1s", "fault": "route_blackhole", "node": DEVICE, "to": "10.9.0.0/16"},
        loss,
    ]
    assert bench.run()["verdict"] == "held", bench.report()["reason"]
    faults = bench.report()["faults"]
    assert [(fault["kind"], fault["state"], fault["undone_by"]) for fault in faults] == [
        ("route_blackhole", "undone", "program"),
        ("loss", "undone", "program"),
    ]
    assert faults[1]["asked"]["interface"] == "eth2"
    assert faults[1]["installed"]["netem"]["loss_percent"] == 5
    assert bench.router.lines() == before


def kill_controller(bench: Bench, launcher: subprocess.Popen[str]) -> None:
    """End at once whatever of the drill runs on the controller."""
    os.kill(bench.engine(), signal.SIGKILL)
    [unit] = (bench.path / "state/devices").glob("*/runners/*")
    os.kill(int(unit.read_text()), signal.SIGKILL)
    launcher.communicate()


def test_the_device_ends_what_a_killed_controller_leaves(bench: Bench) -> None:
    before = bench.router.lines()
    bench.drill["timeline"][0]["for"] = "30s"
    launcher = bench.start()
    wait_for(bench.down)
    kill_controller(bench, launcher)
    assert bench.router.waiting
    wait_for(lambda: not bench.down())
    assert bench.router.lines() == before
    assert not bench.router.waiting


@pytest.mark.soak
def test_what_a_killed_controller_leaves_is_healed(bench: Bench) -> None:
    before = bench.router.lines()
    bench.drill["timeline"][0]["for"] = "10min"
    launcher = bench.start()
    wait_for(bench.down)
    kill_controller(bench, launcher)
    maker = open_proxy(bench.device)
    report = maker.heal()
    maker.backend.close()
    assert [each["what"] for each in report["found"]] == ["fault"]
    assert report["left"] == []
    assert bench.router.lines() == before
    assert not bench.router.waiting


def test_an_abort_ends_the_fault_on_the_device_too(bench: Bench) -> None:
    before = bench.router.lines()
    bench.drill["timeline"][0]["for"] = "10min"
    launcher = bench.start()
    wait_for(bench.down)
    os.kill(bench.engine(), signal.SIGTERM)
    launcher.communicate(timeout=180)
    report = bench.report()
    assert (report["verdict"], report["restored"]) == ("aborted", True)
    assert (bench.on_device()["state"], bench.on_device()["undone_by"]) == ("undone", "abort")
    assert bench.router.lines() == before
    assert not bench.router.waiting


@pytest.mark.soak
def test_a_drill_is_stopped_where_its_devices_maker_is(bench: Bench) -> None:
    bench.drill["timeline"][0]["for"] = "10min"
    launcher = bench.start()
    wait_for(bench.down)
    maker = open_proxy(bench.device)
    [drill] = maker.drills()
    maker.abort(drill, "somebody")
    maker.backend.close()
    assert not bench.down()
    launcher.communicate(timeout=180)
    assert bench.report()["reason"] == [f"the drill was stopped on {DEVICE} by somebody"]


def test_what_the_device_lacks_is_told_before_anything_is_armed(bench: Bench) -> None:
    bench.router.running = frozenset(path for path in bench.router.running if "config-management" not in path)
    assert bench.run()["verdict"] == "infrastructure"
    assert f"{DEVICE}: link_down needs lease, which the target lacks" in bench.report()["reason"]
    assert not list(bench.path.glob("targets/*/program.json"))


@pytest.mark.soak
def test_a_foreign_state_of_the_device_keeps_all_from_coming(bench: Bench) -> None:
    """Nothing comes anywhere: what was armed elsewhere is ended."""
    bench.drill["timeline"] = [
        {"at": "4s", "for": "3s", "fault": "loss", "percent": "5%", "circuit": "b-c"},
    ]
    bench.router.commit(
        bench.router.running, bench.router.running | beginnings([("qos", "interface", "eth2", "egress", "LIBRARY")])
    )
    before = bench.router.lines()
    assert bench.run()["verdict"] == "infrastructure"
    assert "foreign qos policy LIBRARY" in str(bench.report()["reason"])
    assert bench.router.lines() == before
    assert [fault["injected"] for fault in bench.report()["faults"]] == [None, None]


@pytest.mark.soak
def test_a_session_that_ends_meanwhile_is_made_anew(bench: Bench) -> None:
    before = bench.router.lines()
    bench.router.minute = 60.0
    bench.drill["timeline"][0]["for"] = "10s"
    launcher = bench.start()
    wait_for(bench.down)
    bench.router.hang_up()
    launcher.communicate(timeout=180)
    assert (bench.on_device()["error"], bench.on_device()["undone_by"]) == (None, "program")
    assert (bench.on_device()["state"], bench.report()["verdict"]) == ("undone", "held")
    assert bench.router.lines() == before


@pytest.mark.soak
@pytest.mark.parametrize(("system", "kind"), [("netconf", NetconfRig), ("ios", XeRig), ("iosxr", XrRig)])
def test_the_maker_does_the_same_for_every_device(
    system: str, kind: type[DeviceRig], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OKIAGARI_STATE", str(tmp_path / "state"))
    # No lease ends meanwhile.
    rig = type("Patient", (kind,), {"unit": 60.0})(tmp_path)
    try:
        params = rig.faults[0]["params"]
        remote = DeviceRemote("r1", {"os": system, **rig.options()}, [f"link:{params['interface']}"])
        before, state = remote.call("snapshot"), rig.state()
        fault = {"id": "d-1", "kind": "link_down", "params": params, "at": 1.0, "for": 2.0}
        program = {"drill": "d", "t0": time.time() + 20, "ends": 3.0, "faults": [fault], "before": before}
        remote.call("arm", program)
        assert remote.call("status", {"drill": "d"})["running"]
        wait_for(lambda: not remote.call("status", {"drill": "d"})["running"])
        told = remote.call("collect", {"drill": "d"})
        assert [event["event"] for event in told["events"]] == ["started", "injected", "undone", "restored", "ended"]
        [receipt] = told["faults"]
        assert (receipt["state"], receipt["undone_by"], receipt["installed"]["admin"]) == ("undone", "program", "down")
        assert (remote.call("snapshot"), rig.state()) == (before, state)
        assert remote.call("heal", {"check": True})["found"] == []
    finally:
        rig.stop()
