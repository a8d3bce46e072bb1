# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The target program as it runs inside a test's network namespace, its leases kept by plain processes.

Called as `python namespaced_target.py COMMAND`; everything but the timers is the real program. A namespace boots when
its run directory is made.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / ".collections"))

from typing import TYPE_CHECKING

from ansible_collections.okiagari.testbed.plugins.module_utils.target import main as target_main
from ansible_collections.okiagari.testbed.plugins.module_utils.target.main import Commands, answer
from ansible_collections.okiagari.testbed.plugins.module_utils.target.system import Clock, Places, SubprocessRunner
from ansible_collections.okiagari.testbed.plugins.module_utils.target.timers import Timers

if TYPE_CHECKING:
    from collections.abc import Sequence

_LEASE = """import os, sys, time
time.sleep(float(sys.argv[1]))
os.rename(sys.argv[2], sys.argv[2] + ".fired")
os.execvp(sys.argv[3], sys.argv[3:])"""


class ProcessTimers(Timers):
    """Each unit is a process in a session of its own, its number in a file."""

    unit_is = "process"

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def available(self) -> bool:
        return True

    def arm(self, unit: str, delay: float, command: Sequence[str]) -> None:
        path = self._folder / unit
        self._spawn(path, [sys.executable, "-c", _LEASE, str(delay), str(path), *command])

    def disarm(self, unit: str) -> None:
        self.stop(unit)

    def start(self, unit: str, command: Sequence[str]) -> None:
        self._spawn(self._folder / unit, list(command))

    def stop(self, unit: str) -> None:
        path = self._folder / unit
        if not path.exists():
            return
        pid = int(path.read_text())
        if alive(pid, self._folder.parent):
            os.kill(pid, signal.SIGTERM)
        for _try in range(500):
            if not alive(pid, self._folder.parent):
                break
            time.sleep(0.01)
        path.unlink(missing_ok=True)

    def units(self) -> list[str]:
        found = [path for path in self._folder.iterdir() if path.suffix != ".fired" and self._alive(path)]
        return sorted(path.name for path in found)

    def _alive(self, path: Path) -> bool:
        try:
            pid = int(path.read_text())
        except FileNotFoundError:
            # Another process of the target has just stopped it.
            return False
        return alive(pid, self._folder.parent)

    def _spawn(self, path: Path, argv: list[str]) -> None:
        with (self._folder.parent / "units.log").open("ab") as log:
            process = subprocess.Popen(argv, start_new_session=True, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        written = self._folder.parent / f"{path.name}.pid"
        written.write_text(str(process.pid))
        written.replace(path)


def alive(pid: int, run: Path) -> bool:
    """Say whether the process `pid` of the target with this run directory lives; numbers are used again."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        ours = f"OKIAGARI_RUN={run}".encode() in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z" and ours


def boot_id(run: Path) -> str:
    path = run / "boot_id"
    if not path.exists():
        run.mkdir(parents=True, exist_ok=True)
        mine = run / f"boot_id.{os.getpid()}"
        mine.write_text(str(uuid.uuid4()))
        # Whoever else comes first has made it.
        with contextlib.suppress(FileExistsError):
            path.hardlink_to(mine)
        mine.unlink()
    return path.read_text()


def main() -> int:
    places = Places()
    target_main.boot_id = lambda: boot_id(places.run)
    commands = Commands(
        places, SubprocessRunner(), Clock(), (sys.executable, __file__), ProcessTimers(places.run / "units")
    )
    return answer(commands, sys.argv[1:], sys.stdin.read)


if __name__ == "__main__":
    sys.exit(main())
