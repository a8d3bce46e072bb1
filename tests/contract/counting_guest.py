# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real guest in QEMU that needs no operating system: that which `domain_checkpoint` probes with, which counts."""

from __future__ import annotations

import subprocess
import time
from typing import TYPE_CHECKING

from ansible_collections.okiagari.testbed.plugins.module_utils.checkpoint.guest_memory import GuestMemory
from ansible_collections.okiagari.testbed.plugins.module_utils.checkpoint.monitor import Monitor
from ansible_collections.okiagari.testbed.plugins.module_utils.checkpoint.restore import ARGUMENTS
from ansible_collections.okiagari.testbed.plugins.module_utils.domains.probe import COUNTER, boot_disk
from ansible_collections.okiagari.testbed.plugins.module_utils.errors import OkiagariError

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["COUNTER", "MEMORY", "Guest", "Said", "boot_disk"]
MEMORY = 64 * 1024 * 1024


class Said:
    """What a guest has said over its serial port, which goes to the file `path`."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def numbers(self) -> list[int]:
        """Give what it has said as a whole: one captured while it said a number goes on in the middle of it."""
        said = self.path.read_bytes() if self.path.exists() else b""
        found: list[int] = []
        place = 0
        while place + 4 <= len(said):
            number, next_one = (int.from_bytes(said[at : at + 4], "little") for at in (place, place + 4))
            if number == (found[-1] if found else 0) + 1 or next_one == number + 1:
                found.append(number)
                place += 4
            else:
                place += 1
        return found

    def wait_for(self, more: int) -> list[int]:
        """Wait until it has said so many numbers more."""
        wanted, end = len(self.numbers()) + more, time.monotonic() + 30
        while len(self.numbers()) < wanted:
            assert time.monotonic() < end, f"it said {self.numbers()[-5:]}"
            time.sleep(0.02)
        return self.numbers()


class Guest(Said):
    """A guest in `folder`; with the image of a `memory`, it goes on from a state instead of booting."""

    def __init__(
        self, folder: Path, disk: Path, *arguments: str, size: int = MEMORY, memory: Path | None = None
    ) -> None:  # fmt: skip
        folder.mkdir(exist_ok=True)
        self.memory = GuestMemory(size)
        if memory:
            self.memory.fill(memory)
            arguments = (*ARGUMENTS, *arguments)
        super().__init__(folder / "serial")
        self._monitor = folder / "qmp"
        self._log = (folder / "log").open("wb")
        argv = [
            "qemu-system-x86_64", "-machine", "pc,accel=tcg,memory-backend=pc.ram", "-m", f"{size >> 20}",
            *self.memory.arguments(), *arguments,
            "-nodefaults", "-no-user-config", "-display", "none", "-serial", f"file:{self.path}",
            "-drive", f"file={disk},format=raw,if=ide,file.locking=off",
            "-qmp", f"unix:{self._monitor},server=on,wait=off",
        ]  # fmt: skip
        self.process = subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=self._log, stderr=self._log, pass_fds=[self.memory.file]
        )

    def monitor(self) -> Monitor:
        end = time.monotonic() + 20
        while True:
            try:
                return Monitor(self._monitor)
            except OkiagariError:
                if time.monotonic() > end or self.process.poll() is not None:
                    raise
                time.sleep(0.02)

    def end(self) -> None:
        self.process.kill()
        self.process.wait()
        self._log.close()
        self.memory.close()
