# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The supervisor's process: one for each service and host, small, and with nothing in it that could wait.

It is the only one that starts the service, and kills it at the deadline whatever becomes of the agent. If it hangs
itself, systemd's watchdog kills it, and with it its control group. Clock: CLOCK_BOOTTIME, as the agent's.

It listens at a socket for one line of JSON a request, and tells everybody who is connected what becomes of the service:

    {"do": "prepare", "token": 7, "term": 2}
    {"do": "start", "token": 7, "lease": 1, "term": 2, "deadline": 12.5}     {"event": "started", "token": 7}
    {"do": "feed", "token": 7, "deadline": 13.5}                             {"event": "stopped", "token": 7}
    {"do": "stop"}
    {"do": "held"}      {"held": {"lease": 1, "token": 7, "term": 2, "deadline": 13.5}, "running": true}
"""

from __future__ import annotations

import json
import os
import selectors
import signal
import socket
import subprocess
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from ..authority import Do, Supervisor
from ..errors import BadValue
from ..values import Shape, from_json, mismatch
from .instance import Instance, own_cgroup
from .standby import Standby

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from .config import Service

_NUMBER = (int, float)
_REQUESTS: dict[str, dict[str, Shape]] = {
    "prepare": {"token": int, "term": int},
    "start": {"token": int, "lease": int, "term": int, "deadline": _NUMBER},
    "feed": {"token": int, "deadline": _NUMBER},
    "stop": {},
    "held": {},
}
GO_ON = "go on"
"""A line by which a program that was prepared serves from now on."""
# A machine that was suspended wakes all timers late; the service's deadline goes by the clock that went on.
_LOOK_S = 0.1
_WATCHDOG_S = 0.5
_SHORTEST_S = 0.01
_CANNOT_START = (OSError, KeyError, ValueError, subprocess.SubprocessError)
_LATEST_S = 1e10
_LONGEST = 65_536


def boottime() -> float:
    """Give the seconds of the one clock by which leases are counted on a host; it counts suspended time."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def socket_path(run: Path, service: str) -> Path:
    return run / f"supervisor-{service}.sock"


class Supervision:
    """Runs one service by what comes over its socket."""

    def __init__(self, service: Service, run: Path, *, cgroup: bool) -> None:
        self._service, self._path = service, socket_path(run, service.name)
        self._cgroup = own_cgroup("service") if cgroup else None
        self._supervisor = Supervisor()
        self._instance: Instance | None = None
        self._standby = Standby(service.command[0], lambda: self._begun({})) if service.obeys else None
        self._selector = selectors.DefaultSelector()
        self._connected: dict[socket.socket, bytes] = {}
        self._token = 0
        self._ending = False
        self._notify_at = 0.0

    def run(self) -> None:
        """Serve until SIGTERM, which kills the service first."""
        signal.signal(signal.SIGTERM, self._end)
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._path.unlink(missing_ok=True)
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
            listener.bind(str(self._path))
            self._path.chmod(0o600)
            listener.listen()
            listener.setblocking(False)
            self._selector.register(listener, selectors.EVENT_READ)
            _notify("READY=1")
            while not self._ending or self._instance or not (self._standby is None or self._standby.end()):
                self._step(listener)

    def _step(self, listener: socket.socket) -> None:
        if self._ending and self._instance:
            self._instance.kill()
        look = min(_LOOK_S, self._supervisor.wake_at - boottime()) if self._instance else _WATCHDOG_S
        for key, _events in self._selector.select(max(look, _SHORTEST_S)):
            if key.fileobj is listener:
                self._accept(listener)
            elif isinstance(key.fileobj, socket.socket):
                self._receive(key.fileobj)
        self._do(self._supervisor.tick(boottime()))
        if self._instance and self._instance.dead():
            self._instance = None
            if self._supervisor.exited():
                self._tell({"event": "stopped", "token": self._token})
        if self._standby and not (self._instance or self._ending):
            with suppress(*_CANNOT_START):
                self._standby.look(boottime())
        if boottime() >= self._notify_at:
            self._notify_at = boottime() + _WATCHDOG_S
            _notify("WATCHDOG=1")

    def _accept(self, listener: socket.socket) -> None:
        try:
            connection, _address = listener.accept()
        except OSError:
            # Gone already, or there are too many: the service goes on.
            return
        connection.setblocking(False)
        self._connected[connection] = b""
        self._selector.register(connection, selectors.EVENT_READ)

    def _receive(self, connection: socket.socket) -> None:
        if connection not in self._connected:
            return  # dropped since it was found to be readable
        try:
            data = connection.recv(_LONGEST)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        *lines, rest = (self._connected[connection] + data).split(b"\n")
        if not data or len(rest) > _LONGEST:
            self._drop(connection)
            return
        self._connected[connection] = rest
        for line in lines:
            self._serve(connection, line)

    def _serve(self, connection: socket.socket, line: bytes) -> None:
        try:
            said = _request(line)
        except BadValue as error:
            self._send(connection, {"error": error.message})
            return
        now, do = boottime(), said.pop("do")
        if do == "prepare":
            self._do(None if self._ending else self._supervisor.prepare(now, token=said["token"]), said)
        elif do == "start":
            self._start(now, said)
        elif do == "feed":
            self._supervisor.feed(now, **said)
        elif do == "stop":
            self._do(self._supervisor.stop())
        else:
            held = self._supervisor.held(now)
            self._send(connection, {"held": vars(held) if held else None, "running": self._instance is not None})

    def _start(self, now: float, said: dict[str, Any]) -> None:
        do = None if self._ending else self._supervisor.start(now, **said)
        self._do(do, said)
        if do is Do.KILL or not (do or self._instance):
            self._tell({"event": "stopped", "token": said["token"]})

    def _do(self, do: Do | None, said: dict[str, Any] | None = None) -> None:
        if do in (Do.LAUNCH, Do.PREPARE) and said:
            self._launch(said, waits=do is Do.PREPARE)
        elif self._instance and do is Do.GO_ON:
            self._instance.tell(GO_ON)
            self._tell_started()
        elif self._instance and do is Do.TERMINATE:
            self._instance.terminate()
        elif self._instance and do is Do.KILL:
            self._instance.kill()

    def _launch(self, said: dict[str, Any], *, waits: bool) -> None:
        self._token = said["token"]
        try:
            if self._standby:
                self._instance = self._standby.take()
                self._instance.tell(json.dumps({"term": said["term"]}))
                if not waits:
                    self._instance.tell(GO_ON)
            else:
                self._instance = self._begun({"TOKEN": str(said["token"]), "TERM": str(said["term"])})
        except _CANNOT_START as error:
            if self._supervisor.exited():
                why = f"{self._service.command[0]} can't be started: {error}"
                self._tell({"event": "stopped", "token": self._token, "why": why})
        else:
            if not waits:
                self._tell_started()

    def _begun(self, environment: Mapping[str, str]) -> Instance:
        service = self._service
        told = {f"OKIAGARI_{key}": value for key, value in {"SERVICE": service.name, **environment}.items()}
        return Instance(service.command, told, service.user, self._cgroup, obeys=service.obeys)

    def _tell_started(self) -> None:
        if self._instance:
            self._tell({"event": "started", "token": self._token, "pid": self._instance.pid})

    def _end(self, _number: int, _frame: object) -> None:
        self._ending = True
        if self._instance:
            self._instance.kill()

    def _tell(self, event: dict[str, Any]) -> None:
        for connection in list(self._connected):
            self._send(connection, event)

    def _send(self, connection: socket.socket, said: dict[str, Any]) -> None:
        try:
            connection.sendall(json.dumps(said).encode() + b"\n")
        except OSError:
            # Whoever doesn't read is dropped: nobody is waited for here. An agent connects anew, and asks.
            self._drop(connection)

    def _drop(self, connection: socket.socket) -> None:
        if connection in self._connected:
            self._selector.unregister(connection)
            del self._connected[connection]
            connection.close()


def _request(line: bytes) -> dict[str, Any]:
    said = from_json(line.decode("utf-8", "replace"))
    shape = _REQUESTS.get(said.get("do", "")) if isinstance(said, dict) and isinstance(said.get("do"), str) else None
    if shape is None:
        raise BadValue(f"there are the requests {', '.join(_REQUESTS)}")
    if wrong := mismatch(said, shape, "a request"):
        raise BadValue(wrong)
    if not 0 <= said.get("deadline", 0) < _LATEST_S:
        raise BadValue("a request's deadline is none of this clock")
    return {"do": said["do"], **{key: said[key] for key in shape}}


def _notify(state: str) -> None:
    """Tell systemd, where it runs this."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.sendto(state.encode(), "\0" + address[1:] if address.startswith("@") else address)
