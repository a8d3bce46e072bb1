# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Loads, on this very machine but small ones; each is ended as soon as it has told what it did."""

from __future__ import annotations

import errno
import json
import os
import resource
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from ansible_collections.okiagari.testbed.plugins.module_utils.target import load, main
from ansible_collections.okiagari.testbed.plugins.module_utils.target.pack import bundle

if TYPE_CHECKING:
    from collections.abc import Mapping

MIB = 2**20


class Enough(Exception):  # noqa: N818 -- no error
    """The test has seen what it wanted to see."""


class Told(list[dict[str, Any]]):
    """The figures that a load told, until there are `times` of them."""

    def __init__(self, times: int) -> None:
        super().__init__()
        self._times = times

    def __call__(self, figures: Mapping[str, Any]) -> None:
        self.append(dict(figures))
        if len(self) == self._times:
            raise Enough


def carried(asked: dict[str, Any], times: int) -> Told:
    told = Told(times)
    with pytest.raises(Enough):
        load.carry(asked, told, sleep=lambda _seconds: None)
    return told


def test_memory_that_is_held_is_really_taken() -> None:
    held: list[int] = []

    def tell(figures: Mapping[str, Any]) -> None:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        held.append(pages * resource.getpagesize() // MIB)
        if figures["held_mib"] == 96:
            raise Enough

    with pytest.raises(Enough):
        load.carry({"kind": "memory", "mib": 96}, tell)
    assert held[-1] - held[0] >= 90


def test_a_disk_is_written_to_and_nothing_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    forced: list[int] = []
    monkeypatch.setattr(load, "_EVERY_S", 0.0)
    monkeypatch.setattr(os, "fsync", lambda file: forced.append(os.fstat(file).st_size))
    assert carried({"kind": "disk", "path": str(tmp_path), "mib": 2}, 4) == [
        {"written_mib": written, "failures": 0} for written in range(4)
    ]
    assert forced == [2 * MIB] * 3
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_fails_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_file: int) -> None:
        raise OSError(errno.EIO, "simulated")

    monkeypatch.setattr(load, "_EVERY_S", 0.0)
    monkeypatch.setattr(os, "fsync", broken)
    assert carried({"kind": "disk", "path": str(tmp_path), "mib": 1}, 3)[-1] == {"written_mib": 0, "failures": 2}


@pytest.mark.parametrize("least", [0, 3 * MIB])
def test_a_file_system_is_filled_but_for_what_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, least: int
) -> None:
    """A simulated one of 100 MiB, of which `least` bytes can't be had; some of what was taken is set free later."""
    taken = {"end": 0, "others": 40 * MIB}

    def free(_path: str) -> int:
        return 100 * MIB - taken["end"] - taken["others"]

    def grow(_file: int, begin: int, size: int) -> None:
        assert begin == taken["end"]
        if free("") - size < least:
            raise OSError(errno.ENOSPC, "simulated")
        taken["end"] += size

    monkeypatch.setattr(load, "_free", free)
    monkeypatch.setattr(os, "posix_fallocate", grow)
    told = Told(2)

    def set_free(_seconds: float) -> None:
        taken["others"] = 10 * MIB

    with pytest.raises(Enough):
        load.carry({"kind": "full", "path": str(tmp_path), "leave_mib": 2}, told, set_free)
    left = max(2, least // MIB)
    assert told == [{"taken_mib": taken_mib - left, "free_mib": left} for taken_mib in (60, 90)]
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_written_at_all_ends_the_load(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        load.carry({"kind": "full", "path": str(tmp_path / "nope"), "leave_mib": 0}, Told(1))


@pytest.mark.parametrize(("percent", "least", "most"), [(100.0, 1.8, 2.2), (30.0, 0.4, 0.8)])
def test_processors_are_busy_for_their_share(percent: float, least: float, most: float) -> None:
    """By a simulated clock that goes on when it is asked, or slept by."""
    now = {"time": 0.0, "slept": 0.0}

    def tick() -> float:
        now["time"] += 0.001
        return now["time"]

    def sleep(seconds: float) -> None:
        now["time"] += seconds
        now["slept"] += seconds

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(load.time, "monotonic", lambda: tick() if now["time"] < 2 else stop())
        with pytest.raises(Enough):
            load.carry({"kind": "cpu", "workers": 1, "percent": percent}, lambda _figures: None, sleep)
    assert least <= now["time"] - now["slept"] <= most


def stop() -> float:
    raise Enough


def test_a_load_of_the_program_says_that_it_has_begun(tmp_path: Path) -> None:
    """As its unit runs it: the program, told where systemd listens; every process of it works."""
    (tmp_path / "okiagari.pyz").write_bytes(bundle())
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "notify"))
        listening.settimeout(60)
        code = "import os, sys, runpy; os.geteuid = lambda: 0; sys.argv = sys.argv[1:]; runpy.run_path(sys.argv[0])"
        asked = json.dumps({"kind": "cpu", "workers": 2, "percent": 100.0})
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-B", "-c", code, str(tmp_path / "okiagari.pyz"), "load", asked],
            env={"NOTIFY_SOCKET": str(tmp_path / "notify")}, start_new_session=True, text=True, stdout=subprocess.PIPE,
        )  # fmt: skip
        try:
            assert listening.recv(100) == b"READY=1\nSTATUS={}"
            assert process.poll() is None
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()


def test_a_load_is_no_more_urgent_than_others(monkeypatch: pytest.MonkeyPatch) -> None:
    urgent: list[bool] = []
    monkeypatch.setattr(main, "be_punctual", lambda **_options: urgent.append(True))
    for argv in (["load", "{}"], ["expire", "x"]):
        monkeypatch.setattr(sys, "argv", ["okiagari.pyz", *argv])
        assert main.main() == 1
    assert urgent == [True]
