# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The agent's side of a supervisor's socket: what is sent, and what comes back as events."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from ..authority import Held
from ..errors import BadValue
from ..values import from_json
from .supervise import socket_path

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_RETRY_S = 0.2


class Supervised:
    """The connection to one service's supervisor, made anew whenever it breaks.

    `event` gets everything that the supervisor tells by itself. A supervisor that is gone has taken its service with
    it: that is told as `{"event": "stopped"}` once there is another.
    """

    def __init__(self, run: Path, service: str, event: Callable[[dict[str, Any]], object]) -> None:
        self._path, self._event = socket_path(run, service), event
        self._writer: asyncio.StreamWriter | None = None
        self._answers: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._known = False
        self._connected = asyncio.Event()

    async def run(self) -> None:
        """Keep the connection, for ever."""
        while True:
            try:
                reader, self._writer = await asyncio.open_unix_connection(str(self._path))
            except OSError:
                await asyncio.sleep(_RETRY_S)
                continue
            self._connected.set()
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
        """Ask what runs, and wait for an answer; one that is being stopped is waited for until it is dead."""
        while True:
            await self._connected.wait()
            self.send(do="held")
            with suppress(TimeoutError):
                async with asyncio.timeout(1.0):
                    said = await self._answers.get()
                if said["held"]:
                    self._known = True
                    return Held(**said["held"])
                if not said["running"]:
                    self._known = True
                    return None
                self.send(do="stop")
            await asyncio.sleep(_RETRY_S)

    def send(self, **request: Any) -> None:
        """Send a request. Where there is no supervisor nothing runs, and nothing starts."""
        if self._writer:
            with suppress(OSError, RuntimeError):
                self._writer.write(json.dumps(request).encode() + b"\n")

    async def _listen(self, reader: asyncio.StreamReader) -> None:
        with suppress(OSError, BadValue, ValueError):
            while line := await reader.readline():
                said = from_json(line.decode("utf-8", "replace"))
                if "held" not in said:
                    self._event(said)
                elif not self._known:
                    self._answers.put_nowait(said)
                elif not said["running"]:
                    self._event({"event": "stopped"})
