# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The agent's side of a supervisor's socket: what is sent, and what comes back as events."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from ..authority import Held
from ..errors import BadValue
from ..values import Shape, from_json, mapping, mismatch
from .supervise import socket_path

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

_RETRY_S = 0.2
_HELD: dict[str, Shape] = {"lease": int, "token": int, "term": int, "deadline": (int, float)}


class Supervised:
    """The connection to one service's supervisor, made anew whenever it breaks.

    `event` gets everything that the supervisor tells by itself. A supervisor that is gone has taken its service with
    it: that is told as `{"event": "stopped"}` once there is another. `token` in it says whose end it is: what is heard
    of an older start must not be taken for the end of one that was sent since.
    """

    def __init__(self, run: Path, service: str, event: Callable[[dict[str, Any]], object]) -> None:
        self._path, self._event = socket_path(run, service), event
        self._writer: asyncio.StreamWriter | None = None
        self._answers: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._known = False
        self._connected = asyncio.Event()
        self._token: int | None = None
        # The tokens that were the last ones when each question was sent that is not answered yet.
        self._asked: deque[int | None] = deque()

    async def run(self) -> None:
        """Keep the connection, for ever."""
        while True:
            try:
                reader, self._writer = await asyncio.open_unix_connection(str(self._path))
            except OSError:
                await asyncio.sleep(_RETRY_S)
                continue
            self._connected.set()
            self._asked.clear()
            if self._known:
                self.send(do="held")
            try:
                await self._listen(reader)
            finally:
                self._connected.clear()
                self._writer.close()
                self._writer = None
            await asyncio.sleep(_RETRY_S)

    async def held(self) -> Held | None:
        """Ask what runs, and wait for an answer; one that is being stopped is waited for until it is dead.

        What ends while nobody listens to events yet, whoever does asks for once more by `send(do="held")`.
        """
        while True:
            await self._connected.wait()
            self.send(do="held")
            with suppress(TimeoutError):
                async with asyncio.timeout(1.0):
                    said = await self._answers.get()
                if said["held"]:
                    self._known, self._token = True, said["held"]["token"]
                    return Held(**{key: said["held"][key] for key in _HELD})
                if not said["running"]:
                    self._known = True
                    return None
                self.send(do="stop")
            await asyncio.sleep(_RETRY_S)

    def send(self, **request: Any) -> None:
        """Send a request. Where there is no supervisor nothing runs, and nothing starts."""
        if request["do"] == "start":
            self._token = request["token"]
        if self._writer:
            if request["do"] == "held":
                self._asked.append(self._token)
            with suppress(OSError, RuntimeError):
                self._writer.write(json.dumps(request).encode() + b"\n")

    async def _listen(self, reader: asyncio.StreamReader) -> None:
        with suppress(OSError, ValueError):
            while line := await reader.readline():
                with suppress(BadValue):
                    self._heard(mapping(from_json(line.decode("utf-8", "replace"))))

    def _heard(self, said: Mapping[str, Any]) -> None:
        if "held" not in said:
            self._event(dict(said))
            return
        shape: Shape = {"held": type(None) if said["held"] is None else _HELD, "running": bool}
        if wrong := mismatch(said, shape, "the supervisor's answer"):
            raise BadValue(wrong)
        token = self._asked.popleft() if self._asked else None
        if not self._known:
            self._answers.put_nowait(dict(said))
        elif not said["running"] and token is not None:
            self._event({"event": "stopped", "token": token})
