# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What something takes of this machine: seconds of its processors, memory, and files that are in the page cache."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from threading import Event, Thread
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ansible_collections.okiagari.testbed.plugins.module_utils.checkpoint.monitor import Monitor

_TICK_S = 1 / os.sysconf("SC_CLK_TCK")
_LOOK_S = 0.01
_OWN = ("RssAnon:", "RssFile:")


class Processors:
    """What this process, its children and a QEMU that it has started have used of processors, but for the guest's own.

    What QEMU does for a guest's devices counts, so that this is a little more than a capture costs.
    """

    def __init__(self, qemu: int, monitor: Monitor) -> None:
        self._qemu = Path("/proc") / str(qemu)
        self._guest = [str(each["thread-id"]) for each in monitor.execute("query-cpus-fast")]

    def seconds(self) -> float:
        """Give the seconds so far."""
        own = sum(os.times()[:4])
        return own + self._of(self._qemu) - sum(self._of(self._qemu / "task" / thread) for thread in self._guest)

    @staticmethod
    def _of(process: Path) -> float:
        # The name, which may hold anything, ends with the last bracket; then come the state and further fields.
        fields = (process / "stat").read_text().rpartition(")")[2].split()
        return sum(map(int, fields[11:15] if process.parent.name != "task" else fields[11:13])) * _TICK_S


class PeakMemory:
    """The most `bytes` that this process has had while this context was entered, as far as a look every 10 ms sees it.

    What it shares with a guest is the guest's, and doesn't count.
    """

    def __init__(self) -> None:
        self.bytes = 0
        self._over = Event()
        self._looking = Thread(target=self._look, daemon=True)

    def __enter__(self) -> Self:
        self._looking.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._over.set()
        self._looking.join()

    def _look(self) -> None:
        while not self._over.wait(_LOOK_S):
            self.bytes = max(self.bytes, self._now())

    @staticmethod
    def _now() -> int:
        lines = Path("/proc/self/status").read_text().splitlines()
        return sum(int(line.split()[1]) for line in lines if line.startswith(_OWN)) * 1024


def drop(paths: Iterable[Path]) -> str:
    """Have these files, and what is in these folders, out of the page cache; say why not, if they stay there."""
    files = [file for path in paths for file in ([path] if path.is_file() else path.rglob("*")) if file.is_file()]
    for file in files:
        descriptor = os.open(file, os.O_RDONLY)
        try:
            os.fsync(descriptor)
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        finally:
            os.close(descriptor)
    if not shutil.which("fincore"):
        return "there is no fincore, which would say whether files are in the page cache"
    argv = ["fincore", "--bytes", "--noheadings", "--output", "RES", *map(str, files)]
    stay = sum(map(int, subprocess.run(argv, check=True, capture_output=True, text=True).stdout.split()))
    most = sum(file.stat().st_blocks for file in files) * 512 // 100
    return f"{stay // 1024} KiB stay in the page cache" if stay > most else ""
