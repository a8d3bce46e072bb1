# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A supervisor's real process, and its socket as an agent has it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ansible_collections.okiagari.testbed.plugins.module_utils.agent.supervise import boottime, socket_path

from .agents import BOUND_S, wait_for

if TYPE_CHECKING:
    from collections.abc import Sequence

START = """
import sys
from dataclasses import dataclass
from pathlib import Path
from ansible_collections.okiagari.testbed.plugins.module_utils.agent.supervise import Supervision
@dataclass
class Described:
    name: str
    command: list
    user: str
    obeys: bool
Supervision(Described("db", sys.argv[4:], sys.argv[2], sys.argv[3] == "obeys"), Path(sys.argv[1]), cgroup=False).run()
"""
# It says that it runs when nothing in it has to be waited for any more.
SERVICE = (
    "import os, signal, sys, time; {}; note = open(sys.argv[1], 'a'); "
    "note.write(f'{{os.getpid()}} {{os.environ[\"OKIAGARI_TOKEN\"]}}\\n'); note.close(); time.sleep(3600)"
)
OBEDIENT = SERVICE.format("pass")
# It notes its orders when it serves, and in another file as soon as it stands by.
OBEYS = (
    "import os, sys, time; by = open(sys.argv[1] + '.by', 'a'); by.write(f'{os.getpid()}\\n'); by.close(); "
    "term, on = sys.stdin.readline(), sys.stdin.readline(); on or sys.exit(1); "
    "note = open(sys.argv[1], 'a'); note.write(f'{os.getpid()} {term}'); note.close(); time.sleep(3600)"
)
STUBBORN = SERVICE.format("signal.signal(signal.SIGTERM, signal.SIG_IGN)")


class Connection:
    """A connection to a supervisor."""

    def __init__(self, path: Path) -> None:
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(BOUND_S)
        try:
            self.socket.connect(str(path))
        except OSError:
            self.socket.close()
            raise
        self._lines = self.socket.makefile("r")

    def send(self, do: str, **values: Any) -> None:
        self.socket.sendall(json.dumps({"do": do, **values}).encode() + b"\n")

    def start(self, token: int, seconds: float = BOUND_S) -> float:
        deadline = boottime() + seconds
        self.send("start", token=token, lease=5, term=2, deadline=deadline)
        return deadline

    def said(self) -> dict[str, Any]:
        return json.loads(self._lines.readline())

    def held(self) -> dict[str, Any]:
        self.send("held")
        return self.said()

    def close(self) -> None:
        self._lines.close()
        self.socket.close()


class Supervisor:
    """Runs a service by a supervisor; whatever it started is dead after `end`."""

    def __init__(
        self, folder: Path, command: Sequence[str] = (), user: str = "", *, obeys: bool = False
    ) -> None:  # fmt: skip
        self.run, self.notes = folder / "not there" / "run", folder / "notes"
        self._command = command or [sys.executable, "-IBS", "-c", OBEDIENT, str(self.notes)]
        self._user, self._obeys = user, obeys
        self._connections: list[Connection] = []
        self.begin()

    def begin(self) -> None:
        argv = [
            sys.executable,
            "-B",
            "-c",
            START,
            str(self.run),
            self._user,
            "obeys" if self._obeys else "",
            *self._command,
        ]
        self.process = subprocess.Popen(argv, env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))})

    def connect(self) -> Connection:
        def connected() -> Connection | None:
            assert self.process.poll() is None
            try:
                return Connection(socket_path(self.run, "db"))
            except OSError:
                return None

        connection: Connection = wait_for(connected)
        self._connections.append(connection)
        return connection

    def running(self, count: int = 1) -> list[int]:
        """Wait until the service has noted so many processes; give their ids."""
        return _noted(self.notes, count)

    def standing_by(self, count: int = 1) -> list[int]:
        """Wait until so many processes of a service that obeys have noted that they stand by; give their ids."""
        return _noted(self.notes.with_name(f"{self.notes.name}.by"), count)

    def end(self, number: int = signal.SIGTERM) -> int:
        for connection in self._connections:
            connection.close()
        self._connections.clear()
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(BOUND_S)


def _noted(notes: Path, count: int) -> list[int]:
    lines: list[str] = wait_for(
        lambda: notes.exists() and len(found := notes.read_text().splitlines()) >= count and found
    )
    return [int(line.split()[0]) for line in lines]


def alive(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"
