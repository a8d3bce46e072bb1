# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module over a host in memory, with its files in a real folder."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest
from ansible_collections.okiagari.testbed.plugins.module_utils.guest import facts, machines
from ansible_collections.okiagari.testbed.plugins.modules import virtual_machine
from ansible_collections.okiagari.testbed.tests.unit.plugins.module_utils.guest.simulated_host import (
    SimulatedHost,
    qcow2,
)
from ansible_collections.okiagari.testbed.tests.unit.plugins.modules.run_module import run_module

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Run = Callable[..., dict[str, Any]]

CARD = {"name": "lan", "bridge": "br100", "mac": "02:03:00:00:00:01", "address": "10.240.0.11/24", "mtu": 1400}
WEB = {"name": "web-1", "networks": [CARD]}
FOREIGN = "<domain type='kvm'><name>old</name><memory unit='KiB'>524288</memory><vcpu>2</vcpu></domain>"
CAPACITY = {"vcpus": 8, "memory_mib": 1024, "guests": 8, "cpus": []}


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> SimulatedHost:
    host = SimulatedHost()
    monkeypatch.setattr(
        "ansible.module_utils.basic.AnsibleModule.run_command", lambda module, argv, **options: host(argv, **options)
    )
    monkeypatch.setattr(machines, "_LINKS", tmp_path / "links")
    monkeypatch.setattr(machines, "console", lambda name: str(tmp_path / f"{name}.console"))
    monkeypatch.setattr(facts, "_LOCK", tmp_path / "lock")
    monkeypatch.setattr(facts.published, "__defaults__", (tmp_path / "fact",))
    (tmp_path / "links" / "br100" / "bridge").mkdir(parents=True)
    (tmp_path / "pool").mkdir()
    template = tmp_path / "tiny"
    template.mkdir()
    (template / "disk.qcow2").write_bytes(qcow2(256))
    described = {"chipset": "pc", "disk": "disk.qcow2", "kernel": "kernel", "initrd": "initrd", "cmdline": "quiet"}
    (template / "template.json").write_text(json.dumps(described))
    return host


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], tmp_path: Path, host: SimulatedHost) -> Run:
    defaults: dict[str, Any] = {
        "host": "hiroshima-kvm1", "pool": str(tmp_path / "pool"), "templates": {"tiny": str(tmp_path / "tiny")},
        "capacity": CAPACITY, "authorized_keys": ["ssh-ed25519 AAAA me"],
    }  # fmt: skip
    return lambda **options: run_module(virtual_machine.main, capsys, **{**defaults, **options})


def files(tmp_path: Path) -> list[str]:
    return sorted(path.name for path in (tmp_path / "pool").iterdir())


def test_life(host: SimulatedHost, run: Run, tmp_path: Path) -> None:
    would = run(machines=[WEB], check=True)
    assert (would["changed"], host.changes, files(tmp_path)) == (True, [], [])
    made = run(machines=[WEB])
    assert (made["changed"], made["diff"]) == (True, would["diff"])
    assert host.changes == ["define web-1", "disk web-1.qcow2", "start web-1"]
    assert files(tmp_path) == ["web-1.qcow2", "web-1.seed"]
    assert (tmp_path / "pool" / "web-1.seed").stat().st_mode & 0o777 == 0o600
    assert (made["machines"]["web-1"]["state"], made["restart_needed"]) == ("running", [])
    host.changes.clear()
    assert not run(machines=[WEB])["changed"]
    assert not run(machines=[WEB], check=True)["changed"]
    assert run(machines=[WEB], state="stopped")["changed"]
    assert not run(machines=[WEB], state="stopped")["changed"]
    assert run(machines=[WEB])["machines"]["web-1"]["state"] == "running"
    assert host.changes == ["shutdown web-1", "start web-1"]
    host.changes.clear()
    for name in ("web-1.log", "web-1.log.0", "web-1.console", "web-10.log"):
        (tmp_path / name).touch()
    assert run(machines=[{"name": "web-1"}], state="absent", check=True)["changed"]
    assert host.changes == []
    assert run(machines=[{"name": "web-1"}], state="absent")["machines"] == {}
    assert (host.changes, files(tmp_path)) == (["destroy web-1", "undefine web-1"], [])
    assert [path.name for path in tmp_path.glob("web-*")] == ["web-10.log"]
    assert not run(machines=[{"name": "web-1"}], state="absent")["changed"]


def test_the_definition_says_what_was_asked(host: SimulatedHost, run: Run, tmp_path: Path) -> None:
    run(machines=[WEB])
    text = host.definitions["web-1"]
    for part in (
        '<domain xmlns:okiagari="urn:okiagari:machine:1" type="qemu">',
        '<memory unit="KiB">98304</memory>',
        f"<kernel>{tmp_path}/tiny/kernel</kernel>",
        'error_policy="stop"',
        'cache="none"',
        '<source bridge="br100" />',
        '<mtu size="1400" />',
        '<rng model="virtio">',
        f'<source file="{tmp_path}/pool/web-1.qcow2" />',
    ):
        assert part in text
    assert "vcpupin" not in text
    host.kvm = True
    run(machines=[{"name": "web-2"}])
    assert 'type="kvm"' in host.definitions["web-2"]
    assert "host-model" in host.definitions["web-2"]
    # What stands isn't turned over.
    assert not run(machines=[WEB])["changed"]


def test_many_at_once_or_none(host: SimulatedHost, run: Run, tmp_path: Path) -> None:
    host.definitions["old"], host.states["old"] = FOREIGN, 5
    many = [{"name": f"web-{number}", "memory_mib": 128} for number in range(5)]
    refused = run(machines=[*many, {"name": "big", "vcpus": 2, "memory_mib": 96}])
    assert refused["msg"].splitlines() == [
        "hiroshima-kvm1: 6 of 8 vCPUs are free, 7 asked",
        "hiroshima-kvm1: 512 of 1024 MiB of memory are free, 736 asked",
    ]
    assert run(machines=many, check=True)["failed"]
    assert (host.changes, files(tmp_path)) == ([], [])
    assert list(run(machines=many[:4])["machines"]) == ["web-0", "web-1", "web-2", "web-3"]
    assert host.changes[-4:] == ["start web-0", "start web-1", "start web-2", "start web-3"]


def test_pins_are_chosen_and_kept(host: SimulatedHost, run: Run) -> None:
    capacity = {"vcpus": 3, "memory_mib": 1024, "guests": 8, "cpus": [1, 2, 3]}

    def pins(name: str) -> list[str]:
        return re.findall(r'cpuset="(\d+)"', host.definitions[name])

    run(machines=[{"name": "a"}, {"name": "b", "vcpus": 2}], capacity=capacity)
    assert (pins("a"), pins("b")) == (["1"], ["2", "3"])
    run(machines=[{"name": "a"}], state="absent")
    assert not run(machines=[{"name": "b", "vcpus": 2}], capacity=capacity)["changed"]
    run(machines=[{"name": "c"}], capacity=capacity)
    assert (pins("c"), pins("b")) == (["1"], ["2", "3"])
    refused = run(machines=[{"name": "d"}, {"name": "b", "vcpus": 2}], capacity=capacity)
    assert "hiroshima-kvm1: 2 of 3 vCPUs are free, 3 asked" in refused["msg"]


def test_the_capacity_that_the_host_publishes(host: SimulatedHost, run: Run, tmp_path: Path) -> None:
    unknown = run(machines=[WEB], capacity=None)
    assert "run the role kvm_host" in unknown["msg"]
    assert run(machines=[WEB], capacity=None, check=True)["changed"]
    (tmp_path / "fact").write_text(json.dumps({"capacity": {"vcpus": 1, "memory_mib": 96, "guests": 1}}))
    assert run(machines=[WEB, {"name": "b"}], capacity=None)["failed"]
    assert run(machines=[WEB], capacity=None)["changed"]


def test_foreign_guests_are_left_alone(host: SimulatedHost, run: Run) -> None:
    host.definitions["old"], host.states["old"] = FOREIGN, 1
    for state in ("running", "stopped", "absent"):
        refused = run(machines=[{"name": "old"}], state=state)
        assert refused["msg"] == "hiroshima-kvm1: there is a guest old that was not made here: it is left alone"
    assert host.changes == []


@pytest.mark.parametrize(
    ("machine", "prepare", "message"),
    [
        ({"name": "a", "networks": [{**CARD, "bridge": "br9"}]}, "", "a: the bridge br9 isn't there"),
        ({"name": "a", "disk_mib": 100}, "", "a: the template tiny alone needs 256 MiB of disk"),
        ({"name": "a"}, "pool/a.qcow2", "a.qcow2 is there, but no machine of this name"),
        ({"name": "a", "template": "tinny"}, "", "there is no template tinny; did you mean tiny?"),
    ],
)
def test_obstacles(
    host: SimulatedHost, run: Run, tmp_path: Path, machine: dict[str, Any], prepare: str, message: str
) -> None:
    if prepare:
        (tmp_path / prepare).write_bytes(qcow2(256))
    assert message in run(machines=[machine])["msg"]
    assert host.changes == []


def test_a_template_that_is_not_on_the_host(host: SimulatedHost, run: Run, tmp_path: Path) -> None:
    templates = {"tiny": str(tmp_path / "other")}
    assert "the template tiny isn't on the host" in run(machines=[WEB], templates=templates)["msg"]
    assert run(machines=[WEB], templates=templates, check=True)["changed"]


def test_what_was_left_half_done_is_finished(host: SimulatedHost, run: Run, tmp_path: Path) -> None:
    run(machines=[WEB])
    host.states["web-1"] = 5
    for name in ("web-1.qcow2", "web-1.seed"):
        (tmp_path / "pool" / name).unlink()
    (tmp_path / "pool" / "web-1.qcow2.new").write_bytes(b"")
    host.changes.clear()
    assert run(machines=[WEB])["changed"]
    assert host.changes == ["disk web-1.qcow2", "start web-1"]
    assert files(tmp_path) == ["web-1.qcow2", "web-1.seed"]


def test_a_running_machine_takes_its_new_definition_later(host: SimulatedHost, run: Run) -> None:
    run(machines=[WEB])
    host.changes.clear()
    larger = run(machines=[{**WEB, "memory_mib": 128}])
    assert (larger["changed"], host.changes, larger["restart_needed"]) == (True, ["define web-1"], ["web-1"])
    assert larger["machines"]["web-1"]["asked"]["memory_mib"] == 128


def test_a_new_version_of_a_template_is_for_new_machines(host: SimulatedHost, run: Run, tmp_path: Path) -> None:
    run(machines=[WEB])
    newer = tmp_path / "tiny-2"
    (tmp_path / "tiny").rename(newer)
    again = run(machines=[WEB], templates={"tiny": str(newer)}, check=True)
    assert not again["changed"]


def test_another_hand_on_the_definition_is_seen(host: SimulatedHost, run: Run) -> None:
    run(machines=[WEB])
    host.definitions["web-1"] = host.definitions["web-1"].replace('"stop"', '"report"')
    assert run(machines=[WEB])["changed"]
    assert not run(machines=[WEB])["changed"]


def test_a_disk_keeps_its_size(host: SimulatedHost, run: Run) -> None:
    run(machines=[{**WEB, "disk_mib": 512}])
    assert not run(machines=[{**WEB, "disk_mib": 512}])["changed"]
    assert (
        "web-1: its disk has 512 MiB; a disk's size can't be changed" in run(machines=[{**WEB, "disk_mib": 600}])["msg"]
    )


def test_a_paused_machine_is_resumed(host: SimulatedHost, run: Run) -> None:
    run(machines=[WEB])
    host.states["web-1"] = 3
    assert run(machines=[WEB])["machines"]["web-1"]["state"] == "running"
    assert host.changes[-1] == "resume web-1"


def test_who_does_not_hear_the_power_button(host: SimulatedHost, run: Run) -> None:
    run(machines=[WEB])
    host.deaf.add("web-1")
    assert "web-1 didn't shut down within 0 s" in run(machines=[WEB], state="stopped", timeout=0)["msg"]
    assert run(machines=[WEB], state="stopped", force=True)["machines"]["web-1"]["state"] == "stopped"


def test_a_host_without_libvirt(host: SimulatedHost, run: Run) -> None:
    host.installed = False
    assert not run(machines=[WEB], state="absent")["changed"]
    assert run(machines=[WEB], check=True)["changed"]
    assert "virsh: No such file" in run(machines=[WEB])["msg"]
    host.installed, host.answering = True, False
    assert "failed to connect" in run(machines=[WEB], state="absent")["msg"]
    assert run(machines=[WEB], check=True)["changed"]


def test_a_failing_start_is_an_error(host: SimulatedHost, run: Run) -> None:
    host.fails["start"] = "error: internal error: qemu unexpectedly closed the monitor"
    assert "virsh --quiet start web-1: error: internal error" in run(machines=[WEB])["msg"]
    del host.fails["start"]
    assert run(machines=[WEB])["changed"]


def test_some_go_and_some_stay(host: SimulatedHost, run: Run, tmp_path: Path) -> None:
    run(machines=[WEB, {"name": "web-2"}])
    host.changes.clear()
    asked = [{**WEB, "state": "absent"}, {"name": "web-2", "state": "present", "project": "exp1"}, {"name": "web-3"}]
    would = run(machines=asked, check=True)
    assert (would["changed"], host.changes) == (True, [])
    done = run(machines=asked)
    assert (sorted(done["machines"]), done["diff"]) == (["web-2", "web-3"], would["diff"])
    assert host.changes == ["destroy web-1", "undefine web-1", "define web-3", "disk web-3.qcow2", "start web-3"]
    assert not run(machines=asked)["changed"]
    assert (
        "web-2: its state is gone, not present or absent" in run(machines=[{"name": "web-2", "state": "gone"}])["msg"]
    )
