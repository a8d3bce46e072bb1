# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Both ends of a guest's agent, joined by a terminal in the place of a virtio port and a socket in that of QEMU's."""

# pylint: disable=used-before-assignment
from __future__ import annotations

import os
import socket
import threading
import time
import tty
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import pytest
from ansible_collections.okiagari.testbed.plugins.module_utils.checkpoint import clock as host
from ansible_collections.okiagari.testbed.roles.guest_image.files.guest import clock as guest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextmanager
def joined(path: Path, first: bytes = b"", *, answers: bool = True) -> Iterator[list[float]]:
    """Serve a guest's agent at the socket `path`; give the times that it was set to. `first` comes from it unasked."""
    ours, port = os.openpty()
    tty.setraw(port)
    times: list[float] = []
    agent = guest.Clock(os.ttyname(port), times.append)
    over = threading.Event()

    def serve() -> None:
        client, _address = listener.accept()
        # Who has heard enough hangs up.
        with client, suppress(BrokenPipeError, ConnectionResetError):
            client.sendall(first)
            client.settimeout(0.02)
            os.set_blocking(ours, False)
            while not over.is_set():
                with suppress(TimeoutError):
                    os.write(ours, client.recv(65536))
                if answers:
                    agent.looked()
                    with suppress(BlockingIOError):
                        client.sendall(os.read(ours, 65536))

    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield times
        finally:
            over.set()
            thread.join()
    agent.close()
    for each in (ours, port):
        os.close(each)


@pytest.mark.parametrize("first", [b"", b'{"return": {}}\n', b'{"return": 4}\n{"return": {"a": 1}}\n'])
def test_the_clock_of_a_guest_is_set_to_now(tmp_path: Path, first: bytes) -> None:
    with joined(tmp_path / "agent", first) as times:
        before = time.time()
        assert host.set_to_now(tmp_path / "agent")
        (then,) = times
        assert before <= then <= time.time()


def test_a_guest_without_an_agent_is_left_alone(tmp_path: Path) -> None:
    assert not host.set_to_now(tmp_path / "nothing")
    with joined(tmp_path / "agent", answers=False) as times:
        assert not host.set_to_now(tmp_path / "agent", 0.3)
        assert times == []


def test_an_agent_that_says_nothing_sensible_is_none(tmp_path: Path) -> None:
    for number, first in enumerate((b"\n", b"hello\n", b"x" * 100_000)):
        with joined(tmp_path / str(number), first, answers=False):
            assert not host.set_to_now(tmp_path / str(number), 2.0)


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        (b'{"execute": "guest-ping"}', b'{"return": {}}'),
        (b'{"exec\xff{"execute": "guest-sync", "arguments": {"id": 7}}', b'{"return": 7}'),
        (b'{"execute": "guest-shutdown"}', b'"CommandNotFound"'),
        (b'{"execute": "guest-set-time", "arguments": {}}', b'"GenericError"'),
        (b'{"execute": "guest-set-time", "arguments": {"time": "now"}}', b'"GenericError"'),
        (b"[]", b'"GenericError"'),
        (b"nonsense", b'"GenericError"'),
    ],
)
def test_what_a_guest_answers(said: bytes, answer: bytes) -> None:
    ours, port = os.openpty()
    tty.setraw(port)
    agent = guest.Clock(os.ttyname(port), lambda _now: pytest.fail("the clock was set"))
    os.write(ours, said[:5])
    assert agent.looked()
    os.write(ours, said[5:] + b"\n")
    assert agent.looked()
    assert answer in os.read(ours, 65536)
    assert agent.looked()
    agent.close()
    for each in (ours, port):
        os.close(each)


def test_a_guest_finds_its_port_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guest, "PORTS", str(tmp_path / "virtio-ports"))
    assert guest.port() == ""
    for device, name in (("vport1p1", "org.example"), ("vport1p2", "org.qemu.guest_agent.0")):
        (tmp_path / "virtio-ports" / device).mkdir(parents=True)
        (tmp_path / "virtio-ports" / device / "name").write_text(f"{name}\n")
    assert guest.port() == "/dev/vport1p2"
