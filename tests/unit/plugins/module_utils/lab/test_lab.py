# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import os
import stat
import tarfile
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from ansible_collections.okiagari.testbed.plugins.module_utils.errors import OkiagariError
from ansible_collections.okiagari.testbed.plugins.module_utils.lab import Disk, NodePlan, button, plan_lab
from ansible_collections.okiagari.testbed.plugins.module_utils.lab import lab as lab_module
from ansible_collections.okiagari.testbed.plugins.module_utils.lab.lab import Lab
from ansible_collections.okiagari.testbed.plugins.module_utils.lab.node import LabNode, states_of
from ansible_collections.okiagari.testbed.plugins.module_utils.lab.provider import Provider
from ansible_collections.okiagari.testbed.plugins.module_utils.lab.space import LabSpace
from ansible_collections.okiagari.testbed.plugins.module_utils.runner import Completed
from ansible_collections.okiagari.testbed.plugins.module_utils.topology import loads

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

TESTBED = "plugin: okiagari.testbed.testbed\nname: t\nsites: {a: {number: 1}}\n"
PLAN = plan_lab(loads(TESTBED).to_dict())
LINKS = ["mgmt", "b-a-lan", "b-a-trunk"]
LINKS += ["t024dac1f00c9", "t0201000000c9", "t0204000000c9", "t024dac1f0001", "t020100000001", "t020400000001"]
READY = "echo okiagari-ready; exec sleep 60"


class Shell(Provider):
    """Nodes that are a shell script; the power button removes the file `power` of the node."""

    name = "shell"

    def __init__(self, image: Path, script: str) -> None:
        super().__init__(image)
        self._script = script

    def missing(self) -> list[str]:
        return []

    def prepare(self, node: NodePlan, directory: Path) -> list[Sequence[str]]:
        return [["touch", str(directory / "disk"), str(directory / "power")]]

    def scripts(self, node: NodePlan) -> dict[str, str]:
        return {"starter": "#!/bin/sh\n" + self._script + "\n"}

    def command(self, node: NodePlan, directory: Path) -> list[str]:
        return [str(directory / "starter")]


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lab]:
    """Give a lab whose namespace is this machine's own: processes are real, `ip` is not."""
    lab = Lab(tmp_path / "lab")
    lab.directory.mkdir()
    monkeypatch.setattr(lab.space, "enter", lambda argv, anchor=None: list(argv))
    monkeypatch.setattr(lab.space, "keeper", lambda: 4711)
    monkeypatch.setattr(lab.space, "anchor", lambda: 4711)
    monkeypatch.setattr(lab.space, "create", lambda: 4711)
    monkeypatch.setitem(button.BUTTONS, "shell", lambda directory: (directory / "power").unlink())
    batches: list[str] = []

    def run(argv: Sequence[str], input: str | None = None, timeout: float = 10.0) -> Completed:  # noqa: A002
        if list(argv) == ["ip", "-json", "link", "show"]:
            made = [line.split()[2] for batch in batches for line in batch.splitlines() if line.split()[1] == "add"]
            return Completed(0, json.dumps([{"ifname": name} for name in ("lo", *made)]), "")
        batches.append((input or "").replace("tuntap add", "link add"))
        return Completed(0, "", "")

    monkeypatch.setattr(lab.space, "run", run)
    monkeypatch.setattr(lab_module, "_TUN", Path(os.devnull))
    yield lab
    lab.space.destroy()


def test_network_is_made_once(lab: Lab) -> None:
    assert lab.missing_network(PLAN) == [*LINKS, "id_ed25519", "host_key", "known_hosts", "connect"]
    lab.make_network(PLAN)
    assert lab.missing_network(PLAN) == []
    key = (lab.directory / "host_key.pub").read_text().split()
    known = (lab.directory / "known_hosts").read_text().splitlines()
    assert known == [f"{address} {key[0]} {key[1]}" for address in ("172.31.0.201", "172.31.0.1")]
    assert stat.S_IMODE((lab.directory / "id_ed25519").stat().st_mode) == 0o600
    assert os.access(lab.directory / "connect", os.X_OK)
    lab.make_network(PLAN)
    assert (lab.directory / "host_key.pub").read_text().split() == key


def test_the_way_in_is_renewed_with_the_keeper(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    lab.make_network(PLAN)
    monkeypatch.setattr(lab.space, "keeper", lambda: None)
    assert lab.missing_network(PLAN) == ["connect"]
    monkeypatch.setattr(lab.space, "keeper", lambda: 4712)
    monkeypatch.setattr(lab.space, "enter", lambda argv, anchor=None: ["nsenter", str(anchor), *argv])
    assert lab.missing_network(PLAN) == ["connect"]
    monkeypatch.setattr(lab.space, "create", lambda: 4712)
    lab.make_network(PLAN)
    assert lab.missing_network(PLAN) == []
    assert "exec nsenter 4712 nc " in (lab.directory / "connect").read_text()


def test_without_tun_nothing_is_made(lab: Lab, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(lab_module, "_TUN", tmp_path / "tun")
    with pytest.raises(OkiagariError, match=r"no access to .*/tun: run as root, or 'chmod 0666 .*/tun'"):
        lab.make_network(PLAN)
    assert list(lab.directory.iterdir()) == []


def test_missing_programs_are_named_by_package(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(OkiagariError, match="apt-get install iproute2 netcat-openbsd openssh-client util-linux"):
        lab.make_network(PLAN)


@pytest.mark.parametrize("name", ["my lab", "a,b", "a:b", "50%", "x" * 100])
def test_a_directory_that_would_break_something_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(OkiagariError, match=r"can't live in .*choose another with XDG_STATE_HOME or OKIAGARI_LAB_NAME"):
        Lab(tmp_path / name).make_network(PLAN)
    assert not (tmp_path / name).exists()


def start(lab: Lab, script: str = READY, node: str = "a-r1", image: str = "image") -> Provider:
    lab.make_network(PLAN)
    provider = Shell(Path("/cache") / image, script)
    lab.start(PLAN.node(node), provider)
    return provider


def test_a_node_is_started_again_without_plan_or_provider(lab: Lab) -> None:
    start(lab)
    lab.wait_ready("a-r1", 20)
    node = LabNode(LabSpace(lab.directory), "a-r1")
    node.cut()
    assert node.state() == "stopped"
    again = lab.node("a-r1")
    again.switch_on(again.last_start())
    lab.wait_ready("a-r1", 20)
    assert states_of(lab.space) == {"a-r1": "running"}
    assert (again.directory / "console.previous.log").is_file()


def test_a_node_that_nobody_knows_how_to_start_is_told(lab: Lab) -> None:
    start(lab)
    record = lab.node_directory("a-r1") / "node.json"
    record.write_text(json.dumps({"provider": "shell"}))
    with pytest.raises(OkiagariError, match=r"it isn't known how a-r1 is started \(its record.command is missing\)"):
        lab.node("a-r1").last_start()


def test_further_disks_are_empty_take_no_room_and_are_kept(lab: Lab) -> None:
    lab.make_network(PLAN)
    node = replace(PLAN.node("a-r1"), disks=(Disk("disk1", 64),))
    provider = Shell(Path("/cache/image"), READY)
    lab.start(node, provider)
    disk = lab.node_directory("a-r1") / "disk1.raw"
    assert (disk.stat().st_size, disk.stat().st_blocks) == (64 * 1024 * 1024, 0)
    with disk.open("r+b") as opened:
        opened.write(b"kept")
    lab.space.kill_node("a-r1")
    lab.start(node, provider)
    assert disk.read_bytes()[:4] == b"kept"


def test_a_provider_adds_to_the_seed(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Shell, "files", lambda self, node: {"etc/of-the-provider": node.name})
    start(lab)
    with tarfile.open(lab.node_directory("a-r1") / "seed") as seed:
        found = seed.extractfile("etc/of-the-provider")
        assert found is not None
        assert found.read() == b"a-r1"
        assert "etc/hostname" in seed.getnames()


def state(lab: Lab) -> str:
    return str(lab.node_state("a-r1")["state"])


def wait_for(lab: Lab, wanted: str) -> None:
    deadline = time.monotonic() + 5
    while state(lab) != wanted:
        assert time.monotonic() < deadline, state(lab)
        time.sleep(0.01)


def test_life_of_a_node(lab: Lab) -> None:
    assert lab.nodes() == []
    assert (state(lab), lab.node_state("a-r1")["pid"]) == ("absent", None)
    start(lab)
    lab.wait_ready("a-r1", 5)
    node = lab.node_state("a-r1")
    assert (node["state"], node["provider"], node["image"]) == ("running", "shell", "image")
    assert node["fingerprint"] == PLAN.node("a-r1").fingerprint
    assert lab.space.node_processes("a-r1") == [node["pid"]]
    lab.pause("a-r1", stop=True)
    wait_for(lab, "paused")
    lab.pause("a-r1", stop=False)
    wait_for(lab, "running")
    assert lab.space.kill_node("a-r1")
    assert state(lab) == "stopped"
    assert lab.nodes() == ["a-r1"]
    assert lab.remains() == {"directory": str(lab.directory)}


def test_a_start_keeps_the_disk_and_the_last_console(lab: Lab) -> None:
    start(lab)
    lab.wait_ready("a-r1", 5)
    lab.space.kill_node("a-r1")
    directory = lab.node_directory("a-r1")
    (directory / "disk").write_text("precious")
    start(lab, "exec sleep 60")
    wait_for(lab, "starting")
    assert (directory / "disk").read_text() == "precious"
    assert (directory / "console.previous.log").read_text() == "okiagari-ready\n"


def test_the_seed_has_the_labs_keys_for_root_alone(lab: Lab) -> None:
    start(lab)
    seed = lab.node_directory("a-r1") / "seed"
    assert stat.S_IMODE(seed.stat().st_mode) == 0o600
    with tarfile.open(seed) as archive:
        modes = {member.name: member.mode for member in archive.getmembers()}
    private = {name for name, mode in modes.items() if mode == 0o600}
    assert private == {"etc/ssh/ssh_host_ed25519_key", "etc/ssh/ssh_host_ed25519_key.pub", "root/.ssh/authorized_keys"}
    assert modes["etc/hostname"] == 0o644


def test_orderly_shutdown(lab: Lab) -> None:
    start(lab, 'echo okiagari-ready; while [ -e "${0%/*}/power" ]; do sleep 0.05; done')
    lab.wait_ready("a-r1", 5)
    lab.stop("a-r1", 5)
    assert state(lab) == "stopped"


def test_a_node_that_does_not_obey(lab: Lab) -> None:
    start(lab)
    with pytest.raises(OkiagariError, match="a-r1 doesn't shut down within 0 s: use state=killed"):
        lab.stop("a-r1", 0.3)
    assert state(lab) == "stopping"
    node = lab.node("a-r1")
    node.cut()
    assert state(lab) == "stopped"
    node.switch_on(node.last_start())
    wait_for(lab, "running")


def test_a_node_that_could_not_be_asked_is_not_stopping(lab: Lab) -> None:
    start(lab)
    (lab.node_directory("a-r1") / "power").unlink()
    with pytest.raises(OkiagariError, match="a-r1 can't be asked to shut down"):
        lab.stop("a-r1", 5)
    wait_for(lab, "running")


def test_a_node_that_dies_while_it_starts(lab: Lab) -> None:
    start(lab, "echo Kernel panic")
    with pytest.raises(OkiagariError, match=r"a-r1 died while starting: see its console, .*/a-r1/console.log"):
        lab.wait_ready("a-r1", 30)


def test_a_node_that_never_gets_ready(lab: Lab) -> None:
    start(lab, "exec sleep 60")
    with pytest.raises(OkiagariError, match=r"a-r1 is not ready after 1 s: see its console"):
        lab.wait_ready("a-r1", 1)


def test_a_lab_that_is_gone_is_not_begun_by_a_node(tmp_path: Path) -> None:
    lab = Lab(tmp_path / "lab")
    with pytest.raises(OkiagariError, match="is not up"):
        lab.start(PLAN.node("a-r1"), Shell(Path("image"), READY))
    assert not lab.directory.exists()


def test_a_record_that_was_cut_off_is_none(lab: Lab) -> None:
    lab.node_directory("a-r1").mkdir(parents=True)
    (lab.node_directory("a-r1") / "node.json").write_text("{")
    assert state(lab) == "absent"
