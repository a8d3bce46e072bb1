# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A guest is never left standing still: captures that hang, of a QEMU that does just what a test says."""

from __future__ import annotations

import json
import mmap
import os
import socket
import threading
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from ansible_collections.okiagari.testbed.plugins.module_utils.checkpoint import capture as module
from ansible_collections.okiagari.testbed.plugins.module_utils.checkpoint.capture import (
    BACKGROUND,
    STOP_COPY,
    Memory,
    StandsStill,
    capture,
    room,
)
from ansible_collections.okiagari.testbed.plugins.module_utils.checkpoint.guest_memory import GuestMemory
from ansible_collections.okiagari.testbed.plugins.module_utils.checkpoint.monitor import Late, Monitor
from ansible_collections.okiagari.testbed.plugins.module_utils.errors import OkiagariError

if TYPE_CHECKING:
    from collections.abc import Iterator

MIB = 1024 * 1024
SHORT_S = 0.05
LONG_S = 3600.0


class Qemu:
    """A QEMU that answers its monitor. `migrate` writes so many `bytes`, and `completes` or goes on for ever.

    Like the real one it answers nothing while it writes. `refuses` are commands that it doesn't take, and `keeps` those
    whose answer it keeps back.
    """

    def __init__(self, path: Path, major: int) -> None:
        self.running, self.status = True, "none"
        self.bytes, self.completes = 0, False
        self.refuses: set[str] = set()
        self.keeps: set[str] = set()
        self.said: list[str] = []
        self._kept: list[Any] = []
        self._pipe = -1
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen()
        self._version = {"major": major, "minor": 0}
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def end(self) -> None:
        self._thread.join()
        self._listener.close()

    def _serve(self) -> None:
        connection, _address = self._listener.accept()
        with connection, suppress(ConnectionError):
            self._say(connection, {"QMP": {"version": {"qemu": self._version}}})
            unread = b""
            while True:
                said, fds, _flags, _from = socket.recv_fds(connection, 65536, 1)
                if not said:
                    return
                self._pipe = fds[0] if fds else self._pipe
                *lines, unread = (unread + said).split(b"\n")
                for line in lines:
                    self._answer(connection, json.loads(line))

    def _answer(self, connection: socket.socket, said: Any) -> None:
        command, number = said["execute"], {"id": said["id"]}
        self.said.append(command)
        if command in self.refuses:
            self._say(connection, {"error": {"desc": "not now"}, **number})
            return
        answer = {"return": {"status": self.status} if command == "query-migrate" else {}, **number}
        if command in self.keeps:
            self._kept.append(answer)
            return
        if command in ("stop", "cont"):
            self.running = command == "cont"
            self._event(connection, "RESUME" if self.running else "STOP")
        elif command == "migrate_cancel" and self.status == "active":
            self.status = "cancelled"
        self._say(connection, *self._kept, answer)
        self._kept.clear()
        if command == "migrate":
            self._migrate(connection)

    def _migrate(self, connection: socket.socket) -> None:
        self.status = "active"
        with os.fdopen(self._pipe, "wb", buffering=0) as pipe:
            try:
                for _number in range(self.bytes // MIB):
                    pipe.write(bytes(MIB))
                if self.completes:
                    self.status = "completed"
                    self._event(connection, "MIGRATION", status="completed")
            except BrokenPipeError:
                self.status = "failed"
                self._event(connection, "MIGRATION", status="failed")

    def _event(self, connection: socket.socket, name: str, **data: Any) -> None:
        self._say(connection, {"event": name, "data": data, "timestamp": {"seconds": 1, "microseconds": 0}})

    def _say(self, connection: socket.socket, *documents: Any) -> None:
        connection.sendall(b"".join(json.dumps(each).encode() + b"\n" for each in documents))


class Rig:
    def __init__(self, folder: Path, major: int = 10) -> None:
        self.qemu = Qemu(folder / "qmp", major)
        self.monitor = Monitor(folder / "qmp", timeout_s=LONG_S)

    def capture(self, way: str) -> None:
        with GuestMemory(MIB) as memory:
            capture(self.monitor, Memory(memory), way, lambda *_block: None, timeout_s=LONG_S, stall_s=SHORT_S)

    def end(self) -> None:
        self.monitor.close()
        self.qemu.end()


@pytest.fixture
def rig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Rig]:
    monkeypatch.setattr(module, "_GOES_ON_S", SHORT_S)
    made = Rig(tmp_path)
    try:
        yield made
    finally:
        made.end()


def test_a_guest_whose_first_page_never_comes_is_told_to_go_on_and_given_up(rig: Rig) -> None:
    why = "QEMU has written no page within 0.05 s; and QEMU has left the guest's memory write-protected"
    with pytest.raises(StandsStill, match=why):
        rig.capture(BACKGROUND)
    assert rig.qemu.running
    # That would leave it write-protected for sure.
    assert "migrate_cancel" not in rig.qemu.said


def test_a_guest_goes_on_when_whoever_reads_its_stream_hangs(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    hangs = threading.Event()

    def takes_nothing(readinto: Any) -> bytes:
        readinto(memoryview(bytearray(MIB)))
        hangs.wait()
        return b""

    monkeypatch.setattr(module, "_devices_alone", takes_nothing)
    # Far more than a pipe takes.
    rig.qemu.bytes = 64 * MIB
    try:
        with pytest.raises(OkiagariError, match=r"nothing has come from QEMU for 0.05 s, or it isn't read"):
            rig.capture(STOP_COPY)
        assert rig.qemu.running
        assert rig.qemu.status == "failed"
    finally:
        hangs.set()


def test_devices_with_more_memory_than_is_thought_of_are_not_taken(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MOST_DEVICES", MIB)
    rig.qemu.bytes = 4 * MIB
    rig.qemu.completes = True
    with pytest.raises(OkiagariError, match="more than 1048576 bytes of devices: give the guest no further memory"):
        rig.capture(STOP_COPY)
    assert rig.qemu.running


def test_a_guest_that_can_not_be_made_to_go_on_is_told_from_others(rig: Rig) -> None:
    rig.qemu.refuses = {"cont"}
    with pytest.raises(StandsStill, match="can't be made to go on: QEMU refuses cont: not now"):
        rig.capture(STOP_COPY)


def test_an_answer_that_comes_too_late_is_not_taken_for_another(tmp_path: Path) -> None:
    qemu = Qemu(tmp_path / "qmp", 10)
    try:
        with Monitor(tmp_path / "qmp", timeout_s=LONG_S) as monitor:
            qemu.keeps, qemu.status = {"stop"}, "active"
            monitor._timeout_s = SHORT_S
            with pytest.raises(OkiagariError, match=r"timed out|no answer"):
                monitor.execute("stop")
            monitor._timeout_s = LONG_S
            assert monitor.execute("query-migrate") == {"status": "active"}
            with pytest.raises(Late):
                monitor.wait(lambda _event: True, SHORT_S)
    finally:
        qemu.end()


def test_an_image_of_zeros_takes_no_room_until_it_is_written_to() -> None:
    def resident() -> int:
        return int(Path("/proc/self/statm").read_text().split()[1]) * mmap.PAGESIZE

    before, image = resident(), room(256 * MIB)
    assert not image.any()
    assert resident() - before < 64 * MIB
    image[1000] = 1
    assert int(image.sum()) == image.shape[1]
