# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real guest in QEMU is captured while it runs, and goes on from what was captured, exactly there."""

from __future__ import annotations

import os
import shutil
import threading
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from ansible_collections.okiagari.testbed.plugins.module_utils.checkpoint import digests
from ansible_collections.okiagari.testbed.plugins.module_utils.checkpoint.capture import (
    BACKGROUND,
    STOP_COPY,
    STOP_STREAM,
    WAYS,
    Memory,
    capture,
    room,
)
from ansible_collections.okiagari.testbed.plugins.module_utils.checkpoint.guest_memory import GuestMemory
from ansible_collections.okiagari.testbed.plugins.module_utils.checkpoint.mirror import Mirror
from ansible_collections.okiagari.testbed.plugins.module_utils.checkpoint.pack import Image, Label, Pack, Writer
from ansible_collections.okiagari.testbed.plugins.module_utils.checkpoint.replica import Replica
from ansible_collections.okiagari.testbed.plugins.module_utils.checkpoint.restore import load
from ansible_collections.okiagari.testbed.plugins.module_utils.errors import OkiagariError
from ansible_collections.okiagari.testbed.tests.contract.counting_guest import COUNTER, MEMORY, Guest, boot_disk

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("engine")
KEY = bytes(range(32))


@pytest.fixture(params=[*WAYS, STOP_STREAM])
def way(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    return boot_disk(tmp_path / "disk")


@pytest.fixture
def guest(tmp_path: Path, disk: Path, engine: str) -> Iterator[Guest]:
    found = Guest(tmp_path / "guest", disk)
    try:
        found.wait_for(3)
        yield found
    finally:
        found.end()


class Holder:
    """Captures a guest and packs each epoch, as an agent does."""

    def __init__(self, memory: GuestMemory) -> None:
        self.memory, self.parent, self.epoch = Memory(memory), "", 0

    def capture(self, guest: Guest, way: str, path: Path, disk: Path, copy: Path) -> int:
        """Write an epoch's pack to `path`, and give the number that the guest's memory had; `copy` is its disk then."""
        found: list[tuple[str, bytes]] = []
        with guest.monitor() as monitor:
            capture(
                monitor, self.memory, way, lambda *block: found.append(block), between=lambda: shutil.copy(disk, copy)
            )
        self.epoch += 1
        images = self.memory.images
        with path.open("w+b") as file:
            writer = Writer(file, KEY)
            parts = []
            for name, mirror in images.items():
                blocks = [said for image, said in found if image == name]
                for said in blocks:
                    writer.add(said)
                parts.append(Image(name, len(mirror.image), len(blocks)))
            root = digests.root({name: mirror.table for name, mirror in images.items()})
            machine = {"devices_bytes": self.memory.devices_bytes}
            label = Label("tally", "a", 1, self.epoch, self.parent, root, tuple(parts), machine)
            writer.finish(label, lambda _said: b"signed")
        self.parent = root
        return int(self.memory.images["ram"].image.reshape(-1)[COUNTER // 8] & np.uint64(0xFFFFFFFF))


def restored(folder: Path, replica: Replica, disk: Path) -> Guest:
    """Let a guest go on from what a replica has."""
    assert replica.head
    guest = Guest(folder, disk, memory=replica.image("ram"))
    with guest.monitor() as monitor:
        load(monitor, replica.image("devices").read_bytes()[: replica.head.machine["devices_bytes"]])
        assert monitor.execute("query-status")["status"] in ("paused", "prelaunch")
        assert guest.numbers() == []
        monitor.execute("cont")
    return guest


def test_every_epoch_is_restored_where_it_was(tmp_path: Path, guest: Guest, disk: Path, way: str, epochs: int) -> None:
    holder, replica = Holder(guest.memory), Replica(tmp_path / "replica", "tally", KEY)
    for epoch in range(epochs):
        path, copy = tmp_path / f"{epoch}.pack", tmp_path / f"{epoch}.disk"
        number = holder.capture(guest, way, path, disk, copy)
        with path.open("rb") as file:
            replica.take(Pack(file, lambda *_said: None))
        successor = restored(tmp_path / f"guest-{epoch}", replica, copy)
        try:
            written = int.from_bytes(copy.read_bytes()[512:516], "little")
            assert written in (number, number - 1)
            said = successor.wait_for(3)
            assert said[:3] in ([number, number + 1, number + 2], [number + 1, number + 2, number + 3])
        finally:
            successor.end()
        assert epoch == 0 or path.stat().st_size < MEMORY / 1000
        # The one that was captured runs on, and has left nothing out.
        here = guest.wait_for(2)
        assert here == list(range(1, len(here) + 1))
    replica.close()


def test_a_capture_that_fails_leaves_the_guest_running(tmp_path: Path, guest: Guest, way: str) -> None:
    def disk_is_full() -> None:
        raise OSError(28, "No space left on device")

    with guest.monitor() as monitor:
        with pytest.raises(OSError, match="No space left"):
            capture(monitor, Memory(guest.memory), way, lambda *_block: None, between=disk_is_full)
        assert monitor.execute("query-status")["status"] == "running"
        guest.wait_for(2)
        capture(monitor, Memory(guest.memory), way, lambda *_block: None)
    guest.wait_for(2)


def test_a_mirror_of_another_size_is_refused_and_the_guest_goes_on(guest: Guest) -> None:
    with guest.monitor() as monitor, GuestMemory(MEMORY // 2) as half:
        with pytest.raises(OkiagariError, match=rf"has the memory pc.ram: .* and not pc.ram: {MEMORY // 2} bytes"):
            capture(monitor, Memory(half), BACKGROUND, lambda *_block: None)
        assert monitor.execute("query-status")["status"] == "running"
    guest.wait_for(2)


class Hanging(Mirror):
    """A mirror that takes pages slowly, and after so many none until it is let to."""

    def __init__(self, most: int) -> None:
        super().__init__(room(MEMORY))
        self.goes_on = threading.Event()
        self._left = most

    def offer(self, numbers: Any, content: Any) -> None:
        self._left -= len(numbers)
        if self._left < 0:
            self.goes_on.wait()
        super().offer(numbers, content)
        time.sleep(0.004)


@pytest.mark.parametrize("most", [0, 11_000], ids=["at its begin", "near its end"])
def test_a_guest_goes_on_when_its_stream_is_not_read_any_more(tmp_path: Path, disk: Path, most: int) -> None:
    """Near the end of a stream QEMU holds its own lock while it writes, so that it answers nothing."""
    (tmp_path / "noise").write_bytes(os.urandom(47 << 20))
    noise = ["-device", f"loader,file={tmp_path / 'noise'},addr={16 << 20:#x},force-raw=on"]
    guest, mirror = Guest(tmp_path / "guest", disk, *noise), Hanging(most)
    try:
        guest.wait_for(3)
        with guest.monitor() as monitor:
            memory = Memory(guest.memory, {"ram": mirror})
            with pytest.raises(OkiagariError, match="nothing has come from QEMU for 1 s"):
                capture(monitor, memory, BACKGROUND, lambda *_block: None, stall_s=1.0)
            assert monitor.execute("query-status")["status"] == "running"
            guest.wait_for(2)
            mirror.goes_on.set()
            capture(monitor, Memory(guest.memory), BACKGROUND, lambda *_block: None)
        guest.wait_for(2)
    finally:
        mirror.goes_on.set()
        guest.end()


def test_qemu_that_dies_meanwhile_is_told(guest: Guest) -> None:
    with guest.monitor() as monitor, pytest.raises(OkiagariError, match=r"monitor at .* is gone"):
        capture(monitor, Memory(guest.memory), "stop_copy", lambda *_block: None, between=guest.process.kill)


def test_no_block_is_given_while_the_guest_stands_still(guest: Guest) -> None:
    """Whoever takes them may be as slow as a disk. (In the background they come while the guest runs anyway.)"""
    stood: list[str] = []
    with guest.monitor() as monitor:
        capture(
            monitor, Memory(guest.memory), STOP_COPY,
            lambda *_block: stood.append(monitor.execute("query-status")["status"]),
        )  # fmt: skip
    assert set(stood) == {"running"}


def test_a_state_that_is_none_is_not_started(tmp_path: Path, disk: Path) -> None:
    (tmp_path / "ram").write_bytes(bytes(MEMORY))
    guest = Guest(tmp_path / "guest", disk, memory=tmp_path / "ram")
    try:
        with guest.monitor() as monitor, pytest.raises(OkiagariError, match=r"monitor at .* is gone"):
            load(monitor, b"no state" * 100)
    finally:
        guest.end()
