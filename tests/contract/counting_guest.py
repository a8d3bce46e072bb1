# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real guest in QEMU that needs no operating system: 60 bytes of a boot sector, which count.

Eighteen times a second it writes its number to its disk, then adds one to it in memory, then says it over its serial
port: so what the disk has is the memory's number, or one less, in every state that there ever was.
"""

from __future__ import annotations

import subprocess
import time
from typing import TYPE_CHECKING

from ansible_collections.okiagari.testbed.plugins.module_utils.checkpoint.guest_memory import GuestMemory
from ansible_collections.okiagari.testbed.plugins.module_utils.checkpoint.monitor import Monitor
from ansible_collections.okiagari.testbed.plugins.module_utils.checkpoint.restore import ARGUMENTS
from ansible_collections.okiagari.testbed.plugins.module_utils.errors import OkiagariError

if TYPE_CHECKING:
    from pathlib import Path

COUNTER = 0x8000
MEMORY = 64 * 1024 * 1024
_CODE = bytes.fromhex(
    "fa31c08ed88ec08ed0bc007c"  # cli; ax = ds = es = ss = 0; sp = 0x7c00
    "66a30080fb"  # [0x8000] = eax (whose upper half is 0 after reset); sti
    "f4"  # loop: hlt, until the next tick
    "b80103bb0080b90200ba8000cd13"  # int 13h: write one sector, from 0x8000 to the disk's second
    "66ff060080"  # [0x8000] += 1
    "be0080b90400baf803"  # si = 0x8000; cx = 4; dx = the serial port
    "acee"  # say: lodsb; out dx, al
    "e2fc"  # loop say
    "ebdd"  # jmp loop
)


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


def boot_disk(path: Path) -> Path:
    """Make the disk that a guest boots from."""
    path.write_bytes(_CODE.ljust(510, b"\0") + b"\x55\xaa" + bytes(1024 * 1024 - 512))
    return path
