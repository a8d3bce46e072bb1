# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How far the neighbours are (P1.5, P1.13): round-trip time, loss and hops of each link, by a probe every two seconds.

A probe is a UDP packet of 17 bytes, and so is its answer, to the port at which the overlay listens for TCP, whose own
acknowledgements couldn't tell, since TCP hides loss: 90 bytes of traffic every `PERIOD_S` each way, for each of the two
ends. Hops are counted by the TTL method: what is left of the 64 with which every agent sends.

An answer counts only with the random number of its probe, and from the address of its peer. Whoever sends a probe gets
back as much as it sent, and only if it is a peer: one that isn't a neighbour asks when it traces the way (`trace`).
"""

from __future__ import annotations

import asyncio
import secrets
import socket
import struct
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

PERIOD_S = 2.0
REMEMBERED = 100
"""Over how many of the last probes loss is counted."""
_AWAY = 3
"""A link of which so many probes in a row were lost was down."""
TTL = 64
# ip(7); Python has no name for it before 3.14.
_IP_RECVTTL = 12
_SMOOTHED = 0.125
PROBE, ANSWER = b"okiagari?", b"okiagari!"
NUMBER = 8
_LONGEST = 64


@dataclass
class Link:
    """What is known of the way to one peer. A probe counts as lost when the next one is sent without its answer."""

    peer: str
    address: str
    rtt_ms: float | None = None
    hops: int | None = None
    _answered: deque[bool] = field(default_factory=lambda: deque(maxlen=REMEMBERED))
    _open: bytes = b""
    _sent_at: float = 0.0

    @property
    def loss_percent(self) -> float:
        return 100.0 * self._answered.count(False) / len(self._answered) if self._answered else 0.0

    @property
    def answers(self) -> bool:
        """Whether the newest probe whose answer is known of was answered."""
        return bool(self._answered) and self._answered[-1]

    def probe(self, now: float, number: bytes) -> bytes:
        """Give the next probe, which is sent at `now`, seconds of a monotonic clock."""
        if self._open:
            self._answered.append(False)
        self._open, self._sent_at = number, now
        return PROBE + number

    def heard(self, now: float, number: bytes, ttl: int | None) -> bool:
        """Take an answer, unless it is none to the probe that is open; say whether the way may be another since."""
        if number != self._open:
            return False
        self._open = b""
        before, was_down = self.hops, list(self._answered)[-_AWAY:] == [False] * _AWAY
        self._answered.append(True)
        took_ms = 1000 * (now - self._sent_at)
        self.rtt_ms = took_ms if self.rtt_ms is None else self.rtt_ms + _SMOOTHED * (took_ms - self.rtt_ms)
        self.hops = None if ttl is None else TTL - ttl
        return was_down or self.hops != before

    def to_dict(self) -> dict[str, Any]:
        rtt_ms = None if self.rtt_ms is None else round(self.rtt_ms, 3)
        return {"rtt_ms": rtt_ms, "loss_percent": round(self.loss_percent, 1), "hops": self.hops}


class Links:
    """The probes of one agent, at `address` and `port`; `peers` gives the address of each peer that has a link.

    `known` are the addresses of all peers, which are answered. `changed` is told of a link that came back, or whose
    hops are others than they were.
    """

    def __init__(
        self, address: str, port: int, peers: Mapping[str, str], known: Collection[str],
        changed: Callable[[str], object] = lambda _peer: None,
    ) -> None:  # fmt: skip
        self.all = {peer: Link(peer, where) for peer, where in peers.items()}
        self._known, self._changed = known, changed
        self._address, self._port = address, port
        self._by_address = {link.address: link for link in self.all.values()}
        self._socket: socket.socket | None = None

    def answering(self) -> set[str]:
        """Give the neighbours that answered when they were last asked."""
        return {link.peer for link in self.all.values() if link.answers}

    @property
    def distance_ms(self) -> float:
        """The mean round-trip time to the neighbours that answer; 0 where none did yet."""
        times = [link.rtt_ms for link in self.all.values() if link.rtt_ms is not None]
        return sum(times) / len(times) if times else 0.0

    def to_dict(self) -> dict[str, Any]:
        return {peer: link.to_dict() for peer, link in self.all.items()}

    async def run(self) -> None:
        """Probe all links, for ever. Raises `OSError` where the port is taken."""
        loop = asyncio.get_running_loop()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as opened:
            opened.setblocking(False)
            opened.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, TTL)
            opened.setsockopt(socket.IPPROTO_IP, _IP_RECVTTL, 1)
            opened.bind((self._address, self._port))
            self._socket = opened
            loop.add_reader(opened, self._receive)
            try:
                while True:
                    for link in self.all.values():
                        self._send(link.probe(time.monotonic(), secrets.token_bytes(NUMBER)), link.address, self._port)
                    await asyncio.sleep(PERIOD_S)
            finally:
                loop.remove_reader(opened)
                self._socket = None

    def _receive(self) -> None:
        if self._socket is None:
            return
        with suppress(OSError):
            said, extra, _flags, (where, port) = self._socket.recvmsg(_LONGEST, socket.CMSG_SPACE(4))
            kind, number = said[: len(PROBE)], said[len(PROBE) :]
            if where not in self._known or len(number) != NUMBER:
                return
            link = self._by_address.get(where)
            if kind == PROBE:
                self._send(ANSWER + number, where, port)
            elif kind == ANSWER and link and link.heard(time.monotonic(), number, _ttl(extra)):
                self._changed(link.peer)

    def _send(self, said: bytes, where: str, port: int) -> None:
        # A network that is down, or a full queue, loses packets as any other does.
        if self._socket is not None:
            with suppress(OSError):
                self._socket.sendto(said, (where, port))


def _ttl(extra: list[tuple[int, int, bytes]]) -> int | None:
    for level, kind, value in extra:
        if (level, kind) == (socket.IPPROTO_IP, socket.IP_TTL):
            return int(struct.unpack("i", value[:4])[0])
    return None
