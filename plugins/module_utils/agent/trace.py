# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Traceroute in the agent's own event loop: neither privileges nor another program (P1.13).

Packets like the probes of the links, 17 bytes to the port of the peer's agent, go out with small TTLs, and the kernel
puts what routers say to them into the error queue of the socket that sent them (ip(7), `IP_RECVERR`). Each of `FLOWS`
sockets keeps its port, so that one that routers send along one of several ways goes along that way next time too.
"""

from __future__ import annotations

import asyncio
import secrets
import socket
import struct
import time
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING, Self

from ..paths import MOST_HOPS, Path, Walk
from .links import ANSWER, NUMBER, PROBE, TTL

if TYPE_CHECKING:
    from collections.abc import Iterator

FLOWS = 3
GAP_S = 0.25
"""Between two packets: Linux' routers answer one host once a second, and at most six times at once."""
ANSWER_S = 1.0
_TRIES = 2
# ip(7); Python has no name for it before 3.14.
_IP_RECVERR = 11
_FROM_ICMP, _TIME_EXCEEDED, _UNREACHABLE = 2, 11, 3
_ERROR = struct.Struct("=IBBBBIIHH4s")
"""`struct sock_extended_err`, and after it the address of who complains."""
_LONGEST = 64
_EXTRA = socket.CMSG_SPACE(_ERROR.size + 8)

Answer = tuple[str, bytes, str, bool]
"""To where a packet went; its number, or nothing where the router didn't quote it; who answers; whether it ended there.
"""


class Tracer:
    """Traces hosts from `address`, one at a time; use it in a `with`, within an event loop."""

    def __init__(
        self, address: str, port: int, flows: int = FLOWS, gap_s: float = GAP_S, answer_s: float = ANSWER_S
    ) -> None:
        self._address, self._port, self._flows, self._gap_s, self._answer_s = address, port, flows, gap_s, answer_s
        self._to = ""
        self._walks: dict[socket.socket, Walk] = {}
        self._heard = asyncio.Event()
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        """Raise `OSError` where there is no such address."""
        loop = asyncio.get_running_loop()
        with self._stack as stack:
            for _flow in range(self._flows):
                opened = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
                opened.setblocking(False)
                opened.setsockopt(socket.IPPROTO_IP, _IP_RECVERR, 1)
                opened.bind((self._address, 0))
                loop.add_reader(opened, self._receive, opened)
                stack.callback(loop.remove_reader, opened)
                self._walks[opened] = Walk("")
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_error: object) -> None:
        self._stack.close()
        self._walks.clear()

    async def trace(self, to: str) -> Path:
        """Find out the path to the agent at an address, whether or not it is there; it takes seconds."""
        self._to, self._walks = to, {flow: Walk(to) for flow in self._walks}
        # A host that answers at all is worth a longer search.
        for ttl in (TTL, *range(1, MOST_HOPS + 1)):
            for _try in range(_TRIES):
                await self._ask(ttl)
            if ttl < TTL and all(walk.over(ttl) for walk in self._walks.values()):
                break
        return Path.of(self._walks.values(), time.time())

    async def _ask(self, ttl: int) -> None:
        """Send what isn't answered yet, and wait for the answers."""
        open_walks = []
        for flow, walk in self._walks.items():
            if not walk.answered(ttl) and not (ttl < TTL and walk.over(ttl - 1)):
                open_walks.append(walk)
                number = secrets.token_bytes(NUMBER)
                walk.ask(number, ttl)
                # What can't be sent is lost, as where there is no way at all.
                with suppress(OSError):
                    flow.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, ttl)
                    flow.sendto(PROBE + number, (self._to, self._port))
                await asyncio.sleep(self._gap_s)
        with suppress(TimeoutError):
            async with asyncio.timeout(self._answer_s):
                while not all(walk.answered(ttl) for walk in open_walks):
                    self._heard.clear()
                    await self._heard.wait()

    def _receive(self, flow: socket.socket) -> None:
        for to, number, sender, last in _answers(flow):
            if to == self._to and sender != self._address:
                self._walks[flow].heard(number, sender, last=last)
        self._heard.set()


def _answers(flow: socket.socket) -> Iterator[Answer]:
    with suppress(BlockingIOError):
        while True:
            said, extra, _flags, (to, _port) = flow.recvmsg(_LONGEST, _EXTRA, socket.MSG_ERRQUEUE)
            if complaint := _complaint(extra):
                yield to, said.removeprefix(PROBE) if len(said) == len(PROBE) + NUMBER else b"", *complaint
    # The error that the queue was about stands before whatever else there is.
    with suppress(OSError):
        said, (sender, _port) = flow.recvfrom(_LONGEST)
        if said.startswith(ANSWER) and len(said) == len(ANSWER) + NUMBER:
            yield sender, said.removeprefix(ANSWER), sender, True


def _complaint(extra: list[tuple[int, int, bytes]]) -> tuple[str, bool] | None:
    """Give who sent an ICMP message, and whether it says that there is no way any further."""
    for level, kind, value in extra:
        if (level, kind) == (socket.IPPROTO_IP, _IP_RECVERR) and len(value) >= _ERROR.size:
            _errno, origin, what, _code, _pad, _info, _data, family, _port, address = _ERROR.unpack_from(value)
            if (origin, family) == (_FROM_ICMP, socket.AF_INET) and what in (_TIME_EXCEEDED, _UNREACHABLE):
                return socket.inet_ntoa(address), what == _UNREACHABLE
    return None
