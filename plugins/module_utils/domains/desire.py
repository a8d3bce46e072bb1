# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What `domain_checkpoint` brings about, as `reconcile` takes it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from ..errors import OkiagariError
from .capture import Capture
from .domains import Domains
from .epochs import Epochs
from .libraries import missing
from .probe import Probe
from .restore import Restore

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..runner import Runner
    from .probe import Probed
    from .request import Request


def probe(runner: Runner, asked: Request) -> Probed:
    """Find out whether domains can be captured here."""
    return Probe(runner, asked.uri).look()


def desired(runner: Runner, asked: Request) -> CaptureDesire | RestoreDesire:
    """Give what brings about what is asked for; raise `OkiagariError` where it isn't possible."""
    Probe(runner, asked.uri).assure()
    return (CaptureDesire if asked.state == "captured" else RestoreDesire)(runner, asked)


def queried(asked: Request) -> dict[str, Any]:
    """Give which epochs there are."""
    if lacks := missing():
        raise OkiagariError(f"not here, because {lacks}")
    return _said(Epochs(asked.folder))


class CaptureDesire:
    """One more epoch."""

    def __init__(self, runner: Runner, asked: Request) -> None:
        self._asked, self._epochs = asked, Epochs(asked.folder, asked.keep)
        self._capture = Capture(runner, Domains(runner, asked.uri), self._epochs, asked)
        self._made: dict[str, Any] = {}

    def read(self) -> Mapping[str, Any]:
        """Give the epochs that are there."""
        numbers = self._numbers()
        return {"epochs": numbers} if numbers else {}

    def want(self) -> Mapping[str, Any]:
        """Give those that there will be; raise `OkiagariError` for a domain that can't be captured."""
        others = {epoch.name for epoch in self._epochs.all()} - {self._asked.name}
        if others:
            raise OkiagariError(f"{self._epochs.folder} has epochs of {min(others)}: name another folder")
        self._capture.look()
        numbers = self._numbers()
        return {"epochs": [*numbers, max(numbers, default=0) + 1][-self._asked.keep :]}

    def create(self) -> None:
        """Capture the domain."""
        self._made = self._capture.run()

    def said(self) -> dict[str, Any]:
        """Give what is told of it."""
        made = {"checkpoint": self._made} if self._made else {}
        return {**_said(self._epochs), **made}

    def _numbers(self) -> list[int]:
        return [epoch.number for epoch in self._epochs.all()]


class RestoreDesire:
    """A domain that goes on."""

    def __init__(self, runner: Runner, asked: Request) -> None:
        self._asked, self._epochs = asked, Epochs(asked.folder)
        self._restore = Restore(runner, Domains(runner, asked.uri), self._epochs, asked)
        self._made: dict[str, Any] = {}

    def read(self) -> Mapping[str, Any]:
        """Give what was begun from here, and runs."""
        number = self._restore.here()
        return {} if number is None else {"epoch": number}

    def want(self) -> Mapping[str, Any]:
        """Give what shall run; raise `OkiagariError` for whatever speaks against it."""
        epoch = self._restore.epoch()
        if self._restore.here() != epoch.number:
            self._restore.look()
        return {"epoch": epoch.number}

    def create(self) -> None:
        """Begin it."""
        self._restore.look()
        self._made = self._restore.run()

    def said(self) -> dict[str, Any]:
        """Give what is told of it."""
        made = {"restored": self._made} if self._made else {}
        return {**_said(self._epochs), **made}


def _said(epochs: Epochs) -> dict[str, Any]:
    now = time.time()
    found = epochs.all()
    return {
        "folder": str(epochs.folder), "name": found[-1].name if found else "",
        "epochs": [epoch.to_dict(now) for epoch in found], "bytes": epochs.size() if found else 0,
    }  # fmt: skip
