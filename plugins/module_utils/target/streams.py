# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Streams: UDP both ways between two targets, from which loss, outage and delay are computed later."""

from __future__ import annotations

import selectors
import socket
import struct
import time
import zlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_MAGIC = b"OKI1"
_PACKET = struct.Struct(">4sIId")
_TIMESTAMPNS = getattr(socket, "SO_TIMESTAMPNS", 35)
_TIMESPEC = struct.Struct("@qq")
# Packets may still be under way when the last was sent.
_TAIL = 1.0


class Stream:
    """One end of a stream: sends at a fixed pace, and keeps what arrives from the other end."""

    def __init__(self, spec: Mapping[str, Any], start: float, t0: float) -> None:
        """`start` is T0 by the monotonic clock and `t0` by the epoch's."""
        self.id = str(spec["id"])
        self.local, self.peer = str(spec["local"]), (str(spec["peer"]), int(spec["port"]))
        self.interval = 1.0 / float(spec["rate"])
        self.count = max(0, round((float(spec["until"]) - float(spec["from"])) * float(spec["rate"])))
        self.first_at = t0 + float(spec["from"])
        self.received: list[tuple[int, float, float]] = []
        self.sent = 0
        self.error: str | None = None
        self._first = start + float(spec["from"])
        # A fault may set the clock: what is told is the time as if nobody had.
        self._epoch = t0 - start
        self._key = zlib.crc32(self.id.encode())
        self._socket: socket.socket | None = None

    def open(self) -> socket.socket | None:
        """Give the bound socket, or None with `error` set."""
        family = socket.AF_INET6 if ":" in self.local else socket.AF_INET
        try:
            bound = socket.socket(family, socket.SOCK_DGRAM)
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
            bound.setsockopt(socket.SOL_SOCKET, _TIMESTAMPNS, 1)
            bound.setblocking(False)
            bound.bind((self.local, self.peer[1]))
        except OSError as error:
            self.error = f"{self.local} port {self.peer[1]}: {error.strerror}"
            return None
        self._socket = bound
        return bound

    @property
    def next_due(self) -> float | None:
        """The monotonic time of the next packet; None when all are sent."""
        return self._first + self.sent * self.interval if self.sent < self.count else None

    @property
    def over_at(self) -> float:
        return self._first + self.count * self.interval + _TAIL

    def send_due(self, now: float) -> None:
        """Send every packet that is due; one that the own host can't send counts as sent, and is lost."""
        while self._socket and (due := self.next_due) is not None and due <= now:
            packet = _PACKET.pack(_MAGIC, self._key, self.sent, self._epoch + time.monotonic())
            self.sent += 1
            try:
                self._socket.sendto(packet, self.peer)
            except OSError:
                continue

    def receive(self) -> None:
        """Keep all that has arrived, with the kernel's own time of arrival."""
        while self._socket:
            try:
                packet, ancillary, _flags, _sender = self._socket.recvmsg(64, 64)
            except OSError:
                return
            if len(packet) != _PACKET.size:
                continue
            magic, key, sequence, sent_at = _PACKET.unpack(packet)
            if magic == _MAGIC and key == self._key:
                self.received.append((sequence, sent_at, self._epoch + time.monotonic() - _age(ancillary)))

    def close(self) -> None:
        if self._socket:
            self._socket.close()
            self._socket = None

    def result(self, target: str) -> dict[str, Any]:
        """Give what this end knows, as a report's calculations take it."""
        received = [[sequence, round(sent, 6), round(arrived, 6)] for sequence, sent, arrived in self.received]
        return {
            "id": self.id,
            "target": target,
            "sent": [round(self.first_at, 6), self.interval, self.sent],
            "received": received,
            "error": self.error,
        }


class Streams:
    """All streams of one target, in one loop: cheap enough for slow machines."""

    def __init__(self, specs: Sequence[Mapping[str, Any]], start: float, t0: float) -> None:
        self.streams = [Stream(spec, start, t0) for spec in specs]
        self.stopped = False
        self._selector = selectors.DefaultSelector()
        for stream in self.streams:
            bound = stream.open()
            if bound:
                self._selector.register(bound, selectors.EVENT_READ, stream)

    def run(self) -> None:
        """Send and receive until every stream is over or `stopped` is set."""
        streams = [stream for stream in self.streams if stream.error is None]
        end = max((stream.over_at for stream in streams), default=0.0)
        while not self.stopped and (now := time.monotonic()) < end:
            for stream in streams:
                stream.send_due(now)
            due = min((stream.next_due or end for stream in streams), default=end)
            for key, _events in self._selector.select(min(0.2, max(0.0, due - time.monotonic()))):
                key.data.receive()
        for stream in self.streams:
            stream.close()
        self._selector.close()

    def results(self, target: str) -> list[dict[str, Any]]:
        return [stream.result(target) for stream in self.streams]


def _age(ancillary: Sequence[tuple[int, int, bytes]]) -> float:
    """Give how long ago a packet arrived; none if the clock was set in between."""
    for level, kind, data in ancillary:
        if level == socket.SOL_SOCKET and kind == _TIMESTAMPNS and len(data) >= _TIMESPEC.size:
            whole, nanoseconds = _TIMESPEC.unpack_from(data)
            age = time.time() - (whole + nanoseconds * 1e-9)
            return age if 0 <= age < _TAIL else 0.0
    return 0.0
