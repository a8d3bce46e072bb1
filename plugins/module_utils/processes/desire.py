# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What `process_checkpoint` brings about, as `reconcile` takes it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..errors import OkiagariError
from ..target.system import boot_id
from .capture import Capture
from .criu import Criu
from .epochs import Epochs
from .probe import Probe
from .restore import Restore
from .subject import subject
from .tree import Processes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..runner import Runner
    from .probe import Probed
    from .request import Request


def probe(runner: Runner, asked: Request) -> Probed:
    """Find out what can be captured here."""
    return Probe(runner, asked.criu).look()


def desired(runner: Runner, asked: Request) -> CaptureDesire | RestoreDesire:
    """Give what brings about what is asked for; raise `OkiagariError` where it isn't possible."""
    Probe(runner, asked.criu).assure(asked.established_tcp)
    return (CaptureDesire if asked.state == "captured" else RestoreDesire)(runner, asked)


class CaptureDesire:
    """One more epoch."""

    def __init__(self, runner: Runner, asked: Request, processes: Processes | None = None) -> None:
        self._runner, self._asked = runner, asked
        self._processes, self._epochs = processes or Processes(), Epochs(asked.directory)
        self._made: dict[str, Any] = {}

    def read(self) -> Mapping[str, Any]:
        """Give the epochs that are there."""
        numbers = self._epochs.numbers()
        return {"epochs": numbers} if numbers else {}

    def want(self) -> Mapping[str, Any]:
        """Give those that there will be; raise `OkiagariError` for a tree that can't be captured."""
        subject(self._runner, self._processes, self._asked)
        for path in self._asked.files:
            if not path.exists():
                raise OkiagariError(f"files: {path} isn't there")
        numbers = self._epochs.numbers()
        return {"epochs": [*numbers, max(numbers, default=0) + 1][-self._asked.keep :]}

    def create(self) -> None:
        """Capture the tree."""
        with self._epochs.alone():
            tree = subject(self._runner, self._processes, self._asked)
            criu = Criu(self._runner, self._asked.criu)
            self._made = Capture(criu, self._processes, self._epochs, self._asked, boot_id()).run(tree)
        if self._asked.unit and self._asked.leave == "ended":
            self._runner.run(["systemctl", "stop", "--", self._asked.unit], timeout=90.0)

    def said(self) -> dict[str, Any]:
        """Give what is told of it."""
        made = {"checkpoint": self._made} if self._made else {}
        return {"directory": str(self._asked.directory), "epochs": self._epochs.numbers(), **made}


class RestoreDesire:
    """A tree that goes on."""

    def __init__(self, runner: Runner, asked: Request, processes: Processes | None = None) -> None:
        self._asked, self._epochs = asked, Epochs(asked.directory)
        criu = Criu(runner, asked.criu)
        self._restore = Restore(runner, criu, processes or Processes(), self._epochs, asked, boot_id())
        self._made: dict[str, Any] = {}

    def read(self) -> Mapping[str, Any]:
        """Give what goes on here."""
        return self._restore.running()

    def want(self) -> Mapping[str, Any]:
        """Give what shall go on; raise `OkiagariError` for whatever speaks against it."""
        return self._restore.look()

    def create(self) -> None:
        """Let it go on."""
        with self._epochs.alone():
            self._restore.refuse_twins(self._epochs.numbers())
            self._made = self._restore.run()

    def said(self) -> dict[str, Any]:
        """Give what is told of it."""
        made = {"restored": self._made} if self._made else {}
        return {"directory": str(self._asked.directory), "epochs": self._epochs.numbers(), **made}
