# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Timers on the machine that runs a lab: each is a process of the lab, there as long as the lab may need it.

That machine may have no systemd, a container for example, and whoever owns the lab needs no root for its nodes. The
processes outlive whoever started them, and are found again by the lab's marks in their environment; the lab takes them
with it when it goes down.
"""

from __future__ import annotations

import os
import signal
import time
from typing import TYPE_CHECKING

from ..errors import OkiagariError
from ..fault.owned import DRILL_PREFIX, LEASE_PREFIX
from ..lab.space import NODE_MARK
from .timers import Timers

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from ..lab.space import LabSpace

# sleep(1) counts by the clock that nobody can set. Then the process is a service, which no longer ends with its timer,
# and the undo is tried again until it succeeds.
_TIMER = f"""
sleep "$0"
export {NODE_MARK}="$1.service"
shift
exec sh -c 'until "$@"; do sleep 2; done' sh "$@"
"""
_PATIENCE_S = 5.0


class LabTimers(Timers):
    """`UNIT.timer` are the processes that wait, `UNIT.service` those that do something. Their output goes to `log`."""

    unit_is = "process of the lab"

    def __init__(self, space: LabSpace, log: Path) -> None:
        self._space = space
        self._log = log

    def available(self) -> bool:
        return True

    def arm(self, unit: str, delay: float, command: Sequence[str]) -> None:
        self._spawn(f"{unit}.timer", ("sh", "-c", _TIMER, f"{max(delay, 0.0):.3f}", unit, *command))
        if not self.running(unit):
            raise OkiagariError(f"{unit} was started and is gone: see {self._log}")

    def disarm(self, unit: str) -> None:
        self._end(f"{unit}.timer")

    def start(self, unit: str, command: Sequence[str]) -> None:
        self._spawn(f"{unit}.service", command)

    def stop(self, unit: str) -> None:
        self._end(f"{unit}.timer", f"{unit}.service")

    def units(self) -> list[str]:
        owners = self._space.processes().values()
        return sorted({name.rpartition(".")[0] for name in owners if name.startswith((LEASE_PREFIX, DRILL_PREFIX))})

    def _spawn(self, mark: str, argv: Sequence[str]) -> None:
        self._log.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._space.spawn(argv, mark, self._log, enter=False)

    def _end(self, *marks: str) -> None:
        """Ask the processes to end, and after a while make them."""
        deadline = time.monotonic() + _PATIENCE_S
        while pids := [pid for pid, owner in self._space.processes().items() if owner in marks]:
            number = signal.SIGTERM if time.monotonic() < deadline else signal.SIGKILL
            for pid in pids:
                try:
                    os.kill(pid, number)
                except ProcessLookupError:
                    continue
            time.sleep(0.02)
