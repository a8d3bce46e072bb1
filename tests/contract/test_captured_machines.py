# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real guest with its disk goes on elsewhere, epoch after epoch, holder after holder."""

from __future__ import annotations

import io
import os
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from ansible_collections.okiagari.testbed.plugins.module_utils.checkpoint.capture import STOP_COPY, WAYS
from ansible_collections.okiagari.testbed.plugins.module_utils.checkpoint.capturer import Capturer, Whose
from ansible_collections.okiagari.testbed.plugins.module_utils.checkpoint.machine import Disk, Machine
from ansible_collections.okiagari.testbed.plugins.module_utils.checkpoint.pack import Pack
from ansible_collections.okiagari.testbed.plugins.module_utils.checkpoint.replica import Replica
from ansible_collections.okiagari.testbed.plugins.module_utils.checkpoint.running import Running
from ansible_collections.okiagari.testbed.plugins.module_utils.errors import OkiagariError
from ansible_collections.okiagari.testbed.plugins.module_utils.target.system import SubprocessRunner
from ansible_collections.okiagari.testbed.tests.contract.counting_guest import Said, boot_disk

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from ansible_collections.okiagari.testbed.plugins.module_utils.checkpoint.pack import Label

EPOCHS = int(os.environ.get("EPOCHS", "3"))
KEY = bytes(range(32))
MIB = 64


class Host:
    """A host that runs the guest or has a replica of it."""

    def __init__(self, folder: Path, disk: Path) -> None:
        self.folder = folder
        folder.mkdir()
        self.said = Said(folder / "serial")
        self._arguments = ("-serial", f"file:{self.said.path}")
        self._machine = Machine(MIB, {"root": Disk(disk)}, self._arguments, accelerator="tcg")

    @contextmanager
    def running(self, replica: Replica | None = None, term: int = 1) -> Iterator[Capturer]:
        """Run the guest, from what a replica has, and give what captures it."""
        folder = self.folder / str(time.monotonic_ns())
        folder.mkdir()
        with Running(self._machine, SubprocessRunner(), folder, replica) as running:
            whose = Whose("tally", self.folder.name, term, KEY, lambda _said: b"signed")
            capturer = Capturer(running.monitor, SubprocessRunner(), folder, running.guest, whose, replica)
            assert self.said.numbers() == []
            running.monitor.execute("cont")
            self.said.wait_for(3)
            yield capturer

    def replica(self) -> Replica:
        return Replica(self.folder / "replica", "tally", KEY)


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    return boot_disk(tmp_path / "disk")


def shipped(capturer: Capturer, *replicas: Replica) -> tuple[Label, int]:
    """Capture an epoch into replicas, and give its label and the size of its pack."""
    file = io.BytesIO()
    label, _took = capturer.capture(file)
    for replica in replicas:
        replica.take(Pack(file, lambda *_said: None))
    return label, len(file.getvalue())


def on_disk(replica: Replica) -> int:
    return int.from_bytes(replica.image("disk-root").read_bytes()[512:516], "little")


@pytest.mark.parametrize("way", WAYS)
def test_a_guest_goes_on_with_its_disk(tmp_path: Path, disk: Path, way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if way == STOP_COPY:
        monkeypatch.setattr(f"{Capturer.__module__}.way_of", lambda _monitor: STOP_COPY)
    before = disk.read_bytes()
    first, replica = Host(tmp_path / "a", disk), Host(tmp_path / "b", disk).replica()
    with first.running() as capturer:
        for epoch in range(EPOCHS):
            label, size = shipped(capturer, replica)
            assert label.epoch == epoch + 1
            assert epoch == 0 or size < MIB * 1024 * 1024 / 1000
            number = on_disk(replica)
            second = Host(tmp_path / f"b{epoch}", disk)
            with second.running(replica):
                said = second.said.numbers()
                # Written, bumped, said: what comes next is the number after the disk's, or after the one that it said.
                assert said[0] in (number + 1, number + 2)
                assert said[:3] == list(range(said[0], said[0] + 3))
            first.said.wait_for(2)
    here = first.said.numbers()
    assert here == list(range(1, len(here) + 1))
    assert disk.read_bytes() == before
    replica.close()


def test_each_holder_goes_on_from_the_one_before(tmp_path: Path, disk: Path) -> None:
    """Three hosts in turn, each with its replica; who comes next changes what the others have already."""
    hosts = [Host(tmp_path / name, disk) for name in "abc"]
    replicas = [host.replica() for host in hosts]
    with hosts[0].running() as capturer:
        shipped(capturer, *replicas[1:])
        label, _size = shipped(capturer, *replicas[1:])
    with hosts[1].running(replicas[1], term=2) as capturer:
        reached = hosts[1].said.numbers()[-1]
        after, size = shipped(capturer, replicas[2])
        assert (after.parent, after.term, after.epoch) == (label.root, 2, 1)
        assert size < MIB * 1024 * 1024 / 1000
    with hosts[2].running(replicas[2], term=3):
        assert hosts[2].said.numbers()[0] >= reached
    for replica in replicas:
        replica.close()


def test_after_a_capture_that_failed_the_next_pack_is_a_first_one(tmp_path: Path, disk: Path) -> None:
    host, replica = Host(tmp_path / "a", disk), Host(tmp_path / "b", disk).replica()

    class Full(io.BytesIO):
        def write(self, said: Any) -> int:
            if self.tell():
                raise OSError(28, "No space left on device")
            return super().write(said)

    with host.running() as capturer:
        shipped(capturer, replica)
        with pytest.raises(OSError, match="No space left"):
            capturer.capture(Full())
        host.said.wait_for(2)
        label, _size = shipped(capturer, replica)
        assert label.parent == ""
        label, _size = shipped(capturer, replica)
        assert label.parent != ""
        host.said.wait_for(2)
    replica.close()


def test_a_guest_that_cannot_be_started_says_why(tmp_path: Path, disk: Path) -> None:
    machine = Machine(MIB, {"root": Disk(disk)}, ("-device", "nothing"), accelerator="tcg")
    with pytest.raises(OkiagariError, match=r"QEMU can't be started: .*nothing"):
        Running(machine, SubprocessRunner(), tmp_path)
    (tmp_path / "odd").write_bytes(bytes(1000))
    with pytest.raises(OkiagariError, match="not a whole number of 4096: qemu-img resize it"):
        Running(Machine(MIB, {"root": Disk(tmp_path / "odd")}), SubprocessRunner(), tmp_path)
