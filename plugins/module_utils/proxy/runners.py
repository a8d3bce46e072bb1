# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The runners of drills on devices: processes of this machine, which outlive whoever started them."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from ..errors import OkiagariError
from ..target.timers import Timers

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

_PATIENCE_S = 10.0
_KEPT_S = 86400.0
_NUMBERED = 'echo $$ >"$0"; exec "$@"'


class Runners(Timers):
    """Each unit is a process that holds the lock of its file in `folder`, with its number in it, until it is gone.

    A process is `told` something on its standard input, where nobody else reads it. Leases are the device's own.
    """

    unit_is = "process on the controller"

    def __init__(self, folder: Path, told: str) -> None:
        self._folder = folder
        self._told = told

    def available(self) -> bool:
        return True

    def arm(self, unit: str, delay: float, command: Sequence[str]) -> None:  # noqa: ARG002
        raise OkiagariError(f"{unit}: a device keeps its leases itself")

    def disarm(self, unit: str) -> None:
        """Do nothing: the device's lease ends with the change."""

    def start(self, unit: str, command: Sequence[str]) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._sweep()
        with _opened(self._folder / unit, os.O_RDWR | os.O_CREAT) as file:
            if _held(file):
                raise OkiagariError(f"{unit} is already running")
            os.ftruncate(file, 0)
            with self._folder.with_suffix(".log").open("ab") as log:
                subprocess.run(
                    ["setsid", "--fork", "sh", "-c", _NUMBERED, str(self._folder / unit), *command],
                    input=self._told.encode(), stdout=log, stderr=log, cwd="/", pass_fds=(file,), check=True,
                )  # fmt: skip

    def stop(self, unit: str) -> None:
        deadline = time.monotonic() + _PATIENCE_S
        while (pid := self._pid(unit)) is not None:
            # It may be so young that its number isn't there yet.
            if pid:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGTERM if time.monotonic() < deadline else signal.SIGKILL)
            time.sleep(0.02)

    def units(self) -> list[str]:
        return sorted(path.name for path in self._files() if self._pid(path.name) is not None)

    def running(self, unit: str) -> bool:
        return self._pid(unit) is not None

    def _files(self) -> list[Path]:
        return list(self._folder.iterdir()) if self._folder.is_dir() else []

    def _pid(self, unit: str) -> int | None:
        """Give the number of a unit's process, 0 if it isn't known yet; None if there is no process."""
        try:
            with _opened(self._folder / unit, os.O_RDWR) as file:
                return int(os.pread(file, 20, 0) or b"0") if _held(file) else None
        except FileNotFoundError:
            return None

    def _sweep(self) -> None:
        """Remove the files of processes that are long gone."""
        for path in self._files():
            if time.time() - path.stat().st_mtime > _KEPT_S and self._pid(path.name) is None:
                path.unlink(missing_ok=True)


@contextmanager
def _opened(path: Path, flags: int) -> Iterator[int]:
    file = os.open(path, flags, 0o600)
    try:
        yield file
    finally:
        os.close(file)


def _held(file: int) -> bool:
    """Say whether somebody else holds the lock of a file; else it is held from then on, as long as the file is open."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    return False
