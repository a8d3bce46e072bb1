# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Echo requests from a raw socket, for probes: no `ping` or `traceroute` need be installed."""

from __future__ import annotations

import os
import select
import socket
import struct
import time
from typing import TYPE_CHECKING, NamedTuple, Self

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# (request, reply, time exceeded, unreachable, length of the inner IP header) of ICMP and ICMPv6.
_TYPES = {4: (8, 0, 11, 3), 6: (128, 129, 3, 1)}
_IPV6_HEADER = 40


class Answer(NamedTuple):
    """One answer to an echo request: `reached` is false for a router on the way."""

    sequence: int
    sender: str
    reached: bool
    at: float


class Echo:
    """A socket for echo requests to one destination. Raises `OSError` without the right to raw sockets."""

    def __init__(self, to: str) -> None:
        family, _type, _proto, _name, address = socket.getaddrinfo(to, None, type=socket.SOCK_RAW)[0]
        self._version = 6 if family == socket.AF_INET6 else 4
        self._address = address
        protocol = socket.IPPROTO_ICMPV6 if self._version == 6 else socket.IPPROTO_ICMP
        self._socket = socket.socket(family, socket.SOCK_RAW, protocol)
        self._identity = int.from_bytes(os.urandom(2), "big")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self._socket.close()

    def send(self, sequence: int, ttl: int | None = None) -> None:
        """Send request `sequence`; what the own host can't send counts as sent, and is lost."""
        if ttl is not None and self._version == 6:
            self._socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS, ttl)
        elif ttl is not None:
            self._socket.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, ttl)
        body = struct.pack(">HH", self._identity, sequence) + bytes(32)
        request = _TYPES[self._version][0]
        checksum = _checksum(struct.pack(">BBH", request, 0, 0) + body) if self._version == 4 else 0
        try:
            self._socket.sendto(struct.pack(">BBH", request, 0, checksum) + body, self._address)
        except OSError:
            return

    def answers(self, until: float, enough: Callable[[], bool]) -> Iterator[Answer]:
        """Give answers as they come, until the monotonic time `until` or until there are `enough`."""
        while not enough() and (left := until - time.monotonic()) > 0:
            if not select.select([self._socket], [], [], left)[0]:
                return
            packet, sender = self._socket.recvfrom(2048)
            answer = self._read(packet, str(sender[0]).partition("%")[0], time.monotonic())
            if answer:
                yield answer

    def _read(self, packet: bytes, sender: str, at: float) -> Answer | None:
        request, reply, exceeded, unreachable = _TYPES[self._version]
        message = packet[(packet[0] & 15) * 4 :] if self._version == 4 else packet
        if len(message) < 8:
            return None
        reached = message[0] == reply
        if message[0] in (exceeded, unreachable):
            inner = message[8:]
            header = (inner[0] & 15) * 4 if self._version == 4 and inner else _IPV6_HEADER
            message = inner[header:]
            if len(message) < 8 or message[0] != request:
                return None
        elif not reached:
            return None
        identity, sequence = struct.unpack(">HH", message[4:8])
        return Answer(sequence, sender, reached, at) if identity == self._identity else None


def _checksum(data: bytes) -> int:
    total: int = sum(struct.unpack(f">{len(data) // 2}H", data))
    total = (total & 0xFFFF) + (total >> 16)
    return ~(total + (total >> 16)) & 0xFFFF
