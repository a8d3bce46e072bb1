# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One node of a lab as a machine with a power switch: what it is doing, and how it is switched on, off and frozen.

It needs neither the testbed nor a provider: a node that was started once is started again from what was noted then.
"""

from __future__ import annotations

import json
import os
import signal
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import OkiagariError
from ..values import Shape, mismatch
from .button import press

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .space import LabSpace

READY = b"okiagari-ready"
_STARTED: Shape = {"command": [str], "environment": {"*": str}}


class LabNode:
    """A node by its name, whether or not it is there."""

    def __init__(self, space: LabSpace, name: str) -> None:
        self.name = name
        self.directory = space.directory / "nodes" / name
        self._space = space
        self._shut = self.directory / "shut"

    @property
    def record(self) -> dict[str, Any]:
        """What was noted at its last start; empty for a node that was never started."""
        try:
            return dict(json.loads((self.directory / "node.json").read_text()))
        except (OSError, ValueError):
            return {}

    @property
    def ready(self) -> bool:
        """Whether it has said on its console that it takes logins."""
        try:
            return READY in (self.directory / "console.log").read_bytes()
        except OSError:
            return False

    def state(self, pids: Sequence[int] | None = None) -> str:
        """Give absent, stopped, stopping, starting, running or paused; `pids` are its processes, if known already."""
        pids = self._space.node_processes(self.name) if pids is None else pids
        if not pids:
            return "stopped" if self.record else "absent"
        if _stopped(pids[0]):
            return "paused"
        if self._shut.exists():
            return "stopping"
        return "running" if self.ready else "starting"

    def last_start(self) -> dict[str, Any]:
        """Give the record by which it can be started again. Raises `OkiagariError` if it doesn't say how."""
        record = self.record
        if wrong := mismatch(record, _STARTED, "its record"):
            again = "run playbooks/lab_down.yml, then lab_up.yml"
            raise OkiagariError(f"it isn't known how {self.name} is started ({wrong}): {again}")
        return record

    def switch_on(self, record: Mapping[str, Any]) -> None:
        """Start it as `record` says, and note that."""
        write_private(self.directory / "node.json", json.dumps(record).encode())
        console = self.directory / "console.log"
        if console.exists():
            console.replace(self.directory / "console.previous.log")
        self._shut.unlink(missing_ok=True)
        self._space.spawn(record["command"], self.name, console, extra=record["environment"])

    def kill(self) -> None:
        """Cut its power: SIGKILL, without waiting for the end of what dies."""
        self._signal(signal.SIGKILL)

    def cut(self) -> bool:
        """Cut its power, and wait until nothing of it is left. Say whether anything was."""
        return self._space.kill_node(self.name)

    def shut(self) -> None:
        """Ask it to shut down in order, without waiting for that. Raises `OkiagariError` when it can't be asked."""
        self._shut.touch(mode=0o600)
        try:
            press(self.record.get("provider", ""), self.directory)
        except OkiagariError:
            self._shut.unlink(missing_ok=True)
            raise

    def pause(self, stop: bool) -> None:
        """Freeze it, or let it go on."""
        self._signal(signal.SIGSTOP if stop else signal.SIGCONT)

    def _signal(self, number: int) -> None:
        for pid in self._space.node_processes(self.name):
            with suppress(ProcessLookupError):
                os.kill(pid, number)


def nodes_of(space: LabSpace) -> list[str]:
    """Give the nodes that a lab has on disk."""
    nodes = space.directory / "nodes"
    return sorted(entry.name for entry in nodes.iterdir()) if nodes.is_dir() else []


def states_of(space: LabSpace) -> dict[str, str]:
    """Give the state of each node that a lab has on disk, by one look at this machine's processes."""
    pids: dict[str, list[int]] = {}
    for pid, owner in sorted(space.processes().items()):
        pids.setdefault(owner, []).append(pid)
    return {name: LabNode(space, name).state(pids.get(name, [])) for name in nodes_of(space)}


def write_private(path: Path, content: bytes) -> None:
    """Write a file that only its owner may read."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)


def _stopped(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"
    except OSError:
        return False
