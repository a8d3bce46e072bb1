# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module over a libvirt that only writes down what it is told, and a QEMU that only answers."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from ansible_collections.okiagari.testbed.plugins.module_utils.checkpoint.capture import Took
from ansible_collections.okiagari.testbed.plugins.module_utils.domains import capture, probe
from ansible_collections.okiagari.testbed.plugins.module_utils.errors import OkiagariError
from ansible_collections.okiagari.testbed.plugins.modules import domain_checkpoint
from ansible_collections.okiagari.testbed.tests.unit.plugins.module_utils.checkpoint.conftest import Holder, noise
from ansible_collections.okiagari.testbed.tests.unit.plugins.module_utils.checkpoint.test_stream import (
    DEVICES,
    stream,
    taken,
)
from ansible_collections.okiagari.testbed.tests.unit.plugins.modules.run_module import run_module

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ansible_collections.okiagari.testbed.plugins.module_utils.checkpoint.replica import Replica

XML = """<domain type="kvm"><name>tally</name><uuid>u-1</uuid><metadata>{metadata}</metadata><devices>
<disk type="file" device="disk"><driver name="qemu" type="{form}"/><source file="/p/tally"/><target dev="vda"/>
<alias name="virtio-disk0"/></disk></devices></domain>"""
PAGES = 12


class SimulatedLibvirt:
    """One domain, and a QEMU that has it. `answers` are those of QEMU's monitor."""

    def __init__(self) -> None:
        self.state, self.persistent, self.there = "1", True, True
        self.xml = XML.format(metadata="", form="qcow2")
        self.commands: list[list[str]] = []
        self.restored: list[bytes] = []
        self.defined: list[str] = []
        self.fails = ""
        self.job = "Job type:         None"
        self.answers: dict[str, Any] = {
            "query-block": [{
                "qdev": "/machine/peripheral/virtio-disk0/virtio-backend",
                "inserted": {"node-name": "libvirt-1-format", "image": {"virtual-size": 3 * 4096}},
            }],
            "query-memdev": [{"id": "pc.ram", "size": PAGES * 4096}],
            "query-memory-size-summary": {"base-memory": PAGES * 4096},
            "query-migrate": {},
        }  # fmt: skip

    def run(self, argv: Sequence[str], data: str | None = None) -> tuple[int, str, str]:
        words = [word for word in argv if word not in ("--quiet", "--connect", "qemu:///test")]
        self.commands.append(words)
        if words[0] == "qemu-img":
            shutil.copy(words[-2], words[-1])
            return 0, "", ""
        if words[1] == self.fails:
            return 1, "", f"error: {words[1]} fails"
        return 0, str(getattr(self, f"_{words[1]}")(words, data)), ""

    def _list(self, words: Sequence[str], _data: str | None) -> str:
        return "tally\n" if self.there and (self.persistent or "--persistent" not in words) else "\n"

    def _domstats(self, *_said: object) -> str:
        return f"Domain: 'tally'\n  state.state={self.state}\n"

    def _dumpxml(self, *_said: object) -> str:
        return self.xml

    def _domjobinfo(self, *_said: object) -> str:
        return self.job

    def _version(self, *_said: object) -> str:
        return "QEMU 7.2"

    def _restore(self, words: Sequence[str], _data: str | None) -> str:
        self.restored.append(Path(words[2]).read_bytes())
        self.there, self.state = True, "3" if "--paused" in words else "1"
        self.xml = self.restored[-1][92:].split(b"\0")[0].decode()
        return ""

    def _define(self, _words: Sequence[str], data: str | None) -> str:
        self.defined.append(data or "")
        self.persistent = True
        return ""


class SimulatedQemu:
    def __init__(self, libvirt: SimulatedLibvirt) -> None:
        self._libvirt = libvirt

    def execute(self, command: str, **_arguments: Any) -> Any:
        return self._libvirt.answers[command]


class Captured:
    """What a capture writes, instead of QEMU's: memory that counts."""

    def __init__(self) -> None:
        self.holder = Holder("domain")
        self.states: list[dict[str, Any]] = []
        self.fails: list[Exception] = []

    def __call__(
        self, _monitor: object, guest: Any, replica: Replica, pack: Path
    ) -> tuple[str, Took]:  # fmt: skip
        for error in self.fails:
            raise error
        memory = noise(len(self.states), PAGES)
        _image, devices = taken(stream(memory, noise(50, 2)))
        room = devices.ljust(16 * 4096, b"\0")
        state = {
            "ram": memory,
            "vda": noise(len(self.states) + 100, 3),
            "devices": np.frombuffer(room, np.uint64).reshape(-1, 512),
        }
        self.states.append(state)
        self.holder.term = replica.fence + 1
        self.holder.epoch = 0
        machine = {**guest.told, "devices_bytes": len(devices), "qemu": [7, 2]}
        pack.write_bytes(self.holder.pack(state, key=replica._key, machine=machine))
        return "background", Took(21.44, 100.0)


@pytest.fixture
def libvirt(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> SimulatedLibvirt:
    libvirt = SimulatedLibvirt()
    monkeypatch.setenv("OKIAGARI_RUN", str(tmp_path / "run"))
    monkeypatch.setattr(
        "ansible.module_utils.basic.AnsibleModule.run_command",
        lambda module, argv, **options: libvirt.run(argv, options.get("data")),
    )
    monkeypatch.setattr(capture, "Passthrough", lambda _virsh: SimulatedQemu(libvirt))
    monkeypatch.setattr(probe, "try_out", lambda _runner, _uri: {"way": "background", "pause_ms": 3.5})
    return libvirt


@pytest.fixture
def captured(monkeypatch: pytest.MonkeyPatch) -> Captured:
    captured = Captured()
    monkeypatch.setattr(capture.Capture, "_cared_for", captured)
    return captured


def made(capsys: pytest.CaptureFixture[str], folder: Path, times: int = 1, **options: Any) -> dict[str, Any]:
    for _time in range(times):
        said = run_module(domain_checkpoint.main, capsys, state="captured", name="tally", folder=str(folder), **options)
    return said


def test_a_host_is_probed(
    libvirt: SimulatedLibvirt, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    said = run_module(domain_checkpoint.main, capsys, state="probed")
    assert (said["changed"], said["possible"], said["why"], said["way"]) == (False, True, "", "background")

    def fails(_runner: object, _uri: str) -> dict[str, Any]:
        raise OkiagariError("a small domain doesn't run")

    monkeypatch.setattr(probe, "try_out", fails)
    said = run_module(domain_checkpoint.main, capsys, state="probed")
    assert (said["possible"], said["why"]) == (False, "not here, because a small domain doesn't run")


def test_what_a_probe_has_found_is_known_until_the_next_boot(
    libvirt: SimulatedLibvirt, captured: Captured, capsys: pytest.CaptureFixture[str], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    made(capsys, tmp_path / "e")
    monkeypatch.setattr(probe, "try_out", lambda *_said: pytest.fail("it is known"))
    assert made(capsys, tmp_path / "e")["changed"]


def test_a_domain_is_captured_again_and_again(
    libvirt: SimulatedLibvirt, captured: Captured, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "e"
    options = {"state": "captured", "name": "tally", "folder": str(folder), "keep": 2}
    would = run_module(domain_checkpoint.main, capsys, check=True, **options)
    assert (would["changed"], would["epochs"], would["diff"]) == (True, [], {"before": {}, "after": {"epochs": [1]}})
    assert (captured.states, folder.exists()) == ([], False)
    for number in (1, 2, 3):
        said = run_module(domain_checkpoint.main, capsys, **options)
        assert (said["changed"], said["checkpoint"]["epoch"], said["checkpoint"]["pause_ms"]) == (True, number, 21.4)
    assert (said["diff"]["after"], [each["epoch"] for each in said["epochs"]]) == ({"epochs": [2, 3]}, [2, 3])
    assert said["epochs"][1]["disks"] == {"vda": 3 * 4096}
    found = run_module(domain_checkpoint.main, capsys, state="query", folder=str(folder))
    assert (found["changed"], found["name"], found["epochs"][0]["memory_bytes"]) == (False, "tally", PAGES * 4096)
    assert found["bytes"] > 0
    assert [path.name for path in folder.iterdir() if path.name == "work"] == []


def test_what_keeps_it_from_being_captured_is_told(
    libvirt: SimulatedLibvirt, captured: Captured, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "e"
    before = libvirt.answers["query-migrate"]
    for changes, why in (
        ({"there": False}, "there is no domain tally here"),
        ({"state": "3"}, "tally is paused, and only a domain that runs is captured"),
        ({"job": "Job type:         Unbounded"}, "libvirt is at it (virsh domjobinfo tally)"),
        ({"xml": libvirt.xml.replace("<devices>", "<devices><tpm/>")}, "tally can't be captured: it has a TPM"),
        ({"xml": libvirt.xml.replace("virtio-disk0", "other")}, "QEMU doesn't know its disk vda"),
        ({"answers": {**libvirt.answers, "query-migrate": {"status": "active"}}}, "it is being migrated or saved"),
        ({"answers": {**libvirt.answers, "query-migrate": {"blocked-reasons": ["9p"]}}}, "tally can't be captured: 9p"),
        ({"answers": {**libvirt.answers, "query-memdev": [{"id": "a"}, {"id": "b"}]}}, "its memory is in 2 parts"),
        ({"fails": "list"}, "list fails"),
    ):
        old = {name: getattr(libvirt, name) for name in changes}
        for name, value in changes.items():
            setattr(libvirt, name, value)
        assert why in made(capsys, folder)["msg"]
        for name, value in old.items():
            setattr(libvirt, name, value)
    assert (captured.states, libvirt.answers["query-migrate"]) == ([], before)
    captured.fails = [OSError(28, "No space left on device")]
    assert "tally can't be captured, and runs on: " in made(capsys, folder)["msg"]
    captured.fails = []
    assert made(capsys, folder)["checkpoint"]["epoch"] == 1
    other = run_module(domain_checkpoint.main, capsys, state="captured", name="ledger", folder=str(folder))
    assert other["msg"] == f"{folder} has epochs of tally: name another folder"


def test_a_folder_of_something_else_is_left_alone(
    libvirt: SimulatedLibvirt, captured: Captured, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "letter").write_text("dear")
    assert f"{tmp_path} holds letter, which is no epoch: name another folder" in made(capsys, tmp_path)["msg"]
    # Those of somebody else may be numbers, too.
    (tmp_path / "years" / "2025").mkdir(parents=True, mode=0o700)
    assert "holds 2025, which is no epoch" in made(capsys, tmp_path / "years")["msg"]
    assert (tmp_path / "years" / "2025").is_dir()
    made(capsys, tmp_path / "e")
    (tmp_path / "e").chmod(0o755)
    assert "may be read by others, and memory may hold secrets" in made(capsys, tmp_path / "e")["msg"]


def test_devices_that_come_in_the_middle_are_noticed(
    libvirt: SimulatedLibvirt, captured: Captured, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    def plugged(*said: Any) -> tuple[str, Took]:
        libvirt.xml = libvirt.xml.replace("<devices>", "<devices><rng/>")
        return captured(*said)

    monkeypatch.setattr(capture.Capture, "_cared_for", lambda _self, *said: plugged(*said))
    assert "got other devices or settings while it was captured" in made(capsys, tmp_path / "e")["msg"]
    assert run_module(domain_checkpoint.main, capsys, state="query", folder=str(tmp_path / "e"))["epochs"] == []


def test_a_domain_is_begun_from_any_epoch(
    libvirt: SimulatedLibvirt, captured: Captured, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, disks = tmp_path / "e", tmp_path / "disks"
    made(capsys, folder, 3, keep=3)
    options = {"state": "restored", "folder": str(folder), "disks": str(disks)}
    refused = run_module(domain_checkpoint.main, capsys, **options)
    assert "tally runs here already: there must never be two of it" in refused["msg"]
    libvirt.there, libvirt.persistent = False, False
    assert "disks is missing" in run_module(domain_checkpoint.main, capsys, **(options | {"disks": None}))["msg"]
    assert "has no epoch 7: there are 1, 2, 3" in run_module(domain_checkpoint.main, capsys, **options, epoch=7)["msg"]
    would = run_module(domain_checkpoint.main, capsys, check=True, **options)
    assert (would["changed"], would["diff"], disks.exists()) == (True, {"before": {}, "after": {"epoch": 3}}, False)
    for epoch in (3, 1, 2):
        said = run_module(domain_checkpoint.main, capsys, **options, epoch=epoch, overwrite=True)
        assert (said["changed"], said["restored"]["epoch"]) == (True, epoch)
        state = captured.states[epoch - 1]
        image = Path(said["restored"]["disks"]["vda"])
        assert (np.fromfile(image, np.uint64).reshape(-1, 512) == state["vda"]).all()
        memory, _devices = taken(libvirt.restored[-1][92 + int.from_bytes(libvirt.restored[-1][20:24], "little") :])
        assert (memory == state["ram"]).all()
        assert libvirt.restored[-1].endswith(DEVICES)
        again = run_module(domain_checkpoint.main, capsys, **options, epoch=epoch)
        assert (again["changed"], "restored" in again) == (False, False)
        # It was persistent, and is so here, without saying that it goes on from an epoch.
        assert len(libvirt.defined) == 1
        libvirt.there = False
    assert ("restored" in libvirt.defined[0], str(disks) in libvirt.defined[0]) == (False, True)
    assert [path.name for path in disks.iterdir()] == ["tally-vda.qcow2"]
    assert "is there already" in run_module(domain_checkpoint.main, capsys, **options)["msg"]


def test_a_restore_that_fails_changes_nothing(
    libvirt: SimulatedLibvirt, captured: Captured, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, disks = tmp_path / "e", tmp_path / "disks"
    made(capsys, folder)
    libvirt.there, libvirt.fails = False, "restore"
    options = {"state": "restored", "folder": str(folder), "disks": str(disks)}
    assert "restore fails" in run_module(domain_checkpoint.main, capsys, **options)["msg"]
    assert list(disks.iterdir()) == []
    (disks / "tally-vda.qcow2").write_text("old")
    assert "restore fails" in run_module(domain_checkpoint.main, capsys, **options, overwrite=True)["msg"]
    assert [(path.name, path.read_text()) for path in disks.iterdir()] == [("tally-vda.qcow2", "old")]
    libvirt.fails = ""
    with (folder / "1/images/ram").open("r+b") as image:
        image.seek(4096)
        image.write(b"damaged")
    said = run_module(domain_checkpoint.main, capsys, **options, overwrite=True)
    assert f"epoch 1 of {folder} is damaged" in said["msg"]
    assert libvirt.restored == []


def test_what_an_epoch_says_is_looked_at(
    libvirt: SimulatedLibvirt, captured: Captured, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made(capsys, tmp_path / "e")
    head = tmp_path / "e/head.json"
    said = json.loads(head.read_text())
    assert 0 <= time.time() - said["machine"]["captured"] < 3600
    del said["machine"]["name"]
    head.write_text(json.dumps(said))
    found = run_module(domain_checkpoint.main, capsys, state="query", folder=str(tmp_path / "e"))
    assert "it isn't one of a domain: epoch 1.name is missing" in found["msg"]
