# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A QEMU that was started before anybody knows from which state its guest is to go on: to load one is quicker by far.

It has the images of this host's replica below its disks, and looks at nothing of them until it is given a state. Packs
change them meanwhile; after a first pack they are other files, and another QEMU is started.
"""

from __future__ import annotations

import shutil
from contextlib import suppress
from typing import TYPE_CHECKING, Self

from ..errors import OkiagariError
from .replica import Glance
from .running import Running, origin

if TYPE_CHECKING:
    from pathlib import Path

    from ..runner import Runner
    from .machine import Machine
    from .replica import Images, Replica


class Waiting:
    """Has one QEMU, if any, in `folder` wait for what the replica in another one has. A context manager, which ends it.

    One that has ended by itself would do so again, and isn't started anew.
    """

    def __init__(self, runner: Runner, folder: Path, replica: Path) -> None:
        self._runner, self._folder, self._replica = runner, folder, replica
        self._running: Running | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._end()

    def look(self, machine: Machine) -> None:
        """Have one that fits what the replica has now. There is none where it has nothing, or if there can't be."""
        with suppress(OkiagariError, OSError):
            glance = Glance(self._replica)
            wanted = origin(machine, glance)
            if wanted and not (self._running and self._running.origin == wanted):
                self._begin(machine, glance)

    def take(self, machine: Machine, replica: Replica) -> Running:
        """Give one that has what the replica has, or is before its first boot; it is no concern of this any more.

        Raises `OkiagariError` with QEMU's words if it can't be.
        """
        running = self._running
        if running is None or running.process.poll() is not None or running.origin != origin(machine, replica):
            running = self._begin(machine, replica)
        self._running = None
        try:
            running.restore(replica)
        except BaseException:
            running.end()
            raise
        return running

    def _begin(self, machine: Machine, replica: Images) -> Running:
        self._end()
        # What the last run left is of no use: states are replicas' alone.
        shutil.rmtree(self._folder, ignore_errors=True)
        self._folder.mkdir(mode=0o700, parents=True)
        self._running = Running(machine, self._runner, self._folder, replica)
        return self._running

    def _end(self) -> None:
        if self._running:
            self._running.end()
            self._running = None
