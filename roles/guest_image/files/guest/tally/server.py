# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tally's process: sockets, clock, one loop. What comes in together is put on disk together, then answered."""

from __future__ import annotations

import os
import selectors
import socket
import time

from .journal import Journal
from .protocol import Http, Lines, Tally

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from .protocol import Language

LINES_PORT = 7000
HTTP_PORT = 8000
MOST_CONNECTIONS = 200
MOST_UNSENT = 1 << 20
"""Who doesn't read its answers isn't listened to."""


class Connection:
    """One client: its socket, its language, what it hasn't taken yet."""

    def __init__(self, client: socket.socket, language: Language) -> None:
        self.client, self.language = client, language
        self.unsent, self.closing = b"", False

    def receive(self) -> None:
        """Take what came, and hold the answers back."""
        try:
            data = self.client.recv(65536)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self.closing = True
            return
        answers, self.closing = self.language.feed(data)
        self.unsent += answers

    def send(self) -> None:
        """Send as much as goes."""
        try:
            sent = self.client.send(self.unsent) if self.unsent else 0
        except BlockingIOError:
            return
        except OSError:
            self.unsent, self.closing = b"", True
            return
        self.unsent = self.unsent[sent:]

    @property
    def over(self) -> bool:
        """Say whether nothing is left to do."""
        return self.closing and not self.unsent

    @property
    def events(self) -> int:
        """Give what to wait for."""
        reads = 0 if self.closing or len(self.unsent) > MOST_UNSENT else selectors.EVENT_READ
        return reads | (selectors.EVENT_WRITE if self.unsent else 0)


class Server:
    """The loop. `address` and ports of 0 are for tests; `ports` tells what became of them."""

    def __init__(
        self, folder: str, address: str = "", lines: int = LINES_PORT, http: int = HTTP_PORT, longest_log: int = 4 << 20
    ) -> None:
        self._journal = Journal(folder, longest_log)
        self._started = time.monotonic()
        self._tally = Tally(self._journal, self._about)
        self._selector = selectors.DefaultSelector()
        self._connections: set[Connection] = set()
        self.ports = [self._listen(address, lines, Lines), self._listen(address, http, Http)]

    def run(self, running: Callable[[], bool] = lambda: True) -> None:
        """Serve while `running`."""
        while running():
            self.step(1.0)

    def step(self, timeout: float) -> None:
        """Wait for clients once, and serve them."""
        touched = []
        for key, events in self._selector.select(timeout):
            if not isinstance(key.data, Connection):
                touched += self._accept(key.fileobj, key.data)  # type: ignore[arg-type]
            else:
                if events & selectors.EVENT_READ:
                    key.data.receive()
                touched.append(key.data)
        self._journal.commit()
        for connection in touched:
            connection.send()
            self._settle(connection)

    def close(self) -> None:
        """Let go of everything."""
        for key in list(self._selector.get_map().values()):
            key.fileobj.close()  # type: ignore[union-attr]
        self._selector.close()
        self._journal.close()

    def _listen(self, address: str, port: int, language: Callable[[Tally], Language]) -> int:
        listener = socket.create_server((address, port), backlog=64)
        listener.setblocking(False)
        self._selector.register(listener, selectors.EVENT_READ, language)
        return int(listener.getsockname()[1])

    def _accept(self, listener: socket.socket, language: Callable[[Tally], Language]) -> list[Connection]:
        try:
            client, _address = listener.accept()
        except OSError:
            return []
        if len(self._connections) >= MOST_CONNECTIONS:
            client.close()
            return []
        client.setblocking(False)
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        # A client that vanished without a word (its host lost power) must not hold its place for ever.
        client.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        connection = Connection(client, language(self._tally))
        self._connections.add(connection)
        self._selector.register(client, selectors.EVENT_READ, connection)
        return [connection]

    def _settle(self, connection: Connection) -> None:
        if connection.over:
            self._connections.discard(connection)
            self._selector.unregister(connection.client)
            connection.client.close()
        else:
            self._selector.modify(connection.client, connection.events, connection)

    def _about(self) -> dict[str, Any]:
        return {
            "hostname": socket.gethostname(),
            "boot_id": _boot_id(),
            "uptime": round(time.monotonic() - self._started, 3),
            "time": round(time.time(), 6),
            "torn": self._journal.torn,
            "pid": os.getpid(),
        }


def _boot_id() -> str:
    with open("/proc/sys/kernel/random/boot_id") as file:  # noqa: PTH123
        return file.read().strip()
