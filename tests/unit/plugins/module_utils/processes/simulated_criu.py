# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host in a folder, as /proc shows it, and a CRIU that does what it is told to, or says why not."""

from __future__ import annotations

import os
import struct
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from ansible_collections.okiagari.testbed.plugins.module_utils.runner import Completed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

NAMESPACES = ("cgroup", "ipc", "mnt", "net", "pid", "time", "user", "uts")
ROOT = "24 1 8:1 / / rw - ext4 /dev/sda1 rw\n25 24 0:5 / /proc rw - proc proc rw\n"


class Host:
    """A /proc. `self` is a process of the host's own."""

    def __init__(self, folder: Path) -> None:
        self.proc = folder
        self.add("self", parent=0)

    def add(
        self, pid: int | str, parent: int = 1, session: int = 100, name: str = "ledger", started: int = 5,
        state: str = "S", other: Mapping[str, str] | None = None, inner: int | None = None, mounts: str = ROOT,
        maps: str = "", opened: Mapping[str, str] | None = None,
    ) -> None:  # fmt: skip
        """Add a process. `other` has those of its namespaces that aren't the host's."""
        folder = self.proc / str(pid)
        for each in ("ns", "fd", "fdinfo", "net"):
            (folder / each).mkdir(parents=True)
        numbers = [parent, session, session, *(["0"] * 15), started]
        (folder / "stat").write_text(f"{pid} ({name}) {state} {' '.join(map(str, numbers))} 0 0")
        (folder / "status").write_text(f"Name:\t{name}\nNSpid:\t{pid}\t{pid if inner is None else inner}\n")
        (folder / "mountinfo").write_text(mounts)
        (folder / "maps").write_text(maps)
        (folder / "exe").symlink_to("/usr/bin/ledger")
        for each in NAMESPACES:
            (folder / "ns" / each).symlink_to((other or {}).get(each, f"{each}:[1]"))
        for key, path in (opened or {}).items():
            (folder / "fd" / key).symlink_to(path.removesuffix("<").removesuffix(">"))
            (folder / "fdinfo" / key).write_text(f"pos:\t0\nflags:\t010000{'1' if path.endswith('>') else '0'}\n")


def stats(which: int, *numbers: int) -> bytes:
    """Give CRIU's statistics with these fields, from the first one on."""
    inner = b"".join(bytes([field << 3]) + varint(number) for field, number in enumerate(numbers, 1))
    message = bytes([which << 3 | 2]) + varint(len(inner)) + inner
    return struct.pack("<III", 0x55105940, 0x57093306, len(message)) + message


def varint(number: int) -> bytes:
    found = b""
    while number > 0x7F:
        found += bytes([number & 0x7F | 0x80])
        number >>= 7
    return found + bytes([number])


class SimulatedCriu:
    """A runner that has CRIU, and systemd with the units of `main_pids`."""

    def __init__(self) -> None:
        self.commands: list[list[str]] = []
        self.version = "4.1.1"
        self.tracks = False
        self.fails = ""
        self.checks = ""
        self.main_pids: dict[str, int] = {}

    def run(self, argv: Sequence[str], input: str | None = None, timeout: float = 10.0) -> Completed:  # noqa: A002
        self.commands.append(list(argv))
        words = list(argv)
        if words[0] == "nsenter":
            words = words[words.index("--") + 1 :]
        if words[0] == "setsid":
            words = words[words.index("--wait") + 1 :]
        if words[0] == "systemctl":
            return self._systemctl(words)
        if not self.version:
            return Completed(127, "", f"{words[0]}: No such file or directory")
        does = {"--version": self._say_version, "check": self._check, "pre-dump": self._pre_dump, "dump": self._dump}
        return does[words[1]](words)

    def _say_version(self, words: list[str]) -> Completed:
        return Completed(0, f"Version: {self.version}\n", "")

    def _check(self, words: list[str]) -> Completed:
        if "--feature" in words:
            return Completed(0 if self.tracks else 1, "", "")
        return Completed(1 if self.checks else 0, "", self.checks)

    def _pre_dump(self, words: list[str]) -> Completed:
        images = Path(words[words.index("--images-dir") + 1])
        (images / "pages-1.img").write_bytes(b"before")
        return Completed(0, "", "")

    def _dump(self, words: list[str]) -> Completed:
        images, work = (Path(words[words.index(option) + 1]) for option in ("--images-dir", "--work-dir"))
        pid = words[words.index("--tree") + 1]
        (images / f"core-{pid}.img").write_bytes(b"registers")
        (images / "pages-1.img").write_bytes(b"memory")
        (work / "stats-dump").write_bytes(stats(1, 1000, 20500, 0, 0, 0, 0, 700))
        if self.fails:
            (work / "log").write_text(self.fails)
            return Completed(1, "", "")
        if "--action-script" in words:
            program = words[words.index("--action-script") + 1]
            for instant in ("pre-dump", "post-dump"):
                done = subprocess.run([program], env={**os.environ, "CRTOOLS_SCRIPT_ACTION": instant}, check=False)
                if done.returncode:
                    return Completed(1, "", "")
        return Completed(0, "", "")

    def _systemctl(self, words: list[str]) -> Completed:
        unit = words[-1]
        if words[1] == "is-active":
            return Completed(0 if self.main_pids.get(unit) else 3, "", "")
        return Completed(0, f"{self.main_pids.get(unit, 0)}\n", "")
