# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How much gets through: one TCP stream from this target to a sink on another; both begin at about the same time."""

from __future__ import annotations

import socket
import struct
import time
from typing import TYPE_CHECKING, Any

from ..errors import BadValue
from ..fault.parameters import address
from ..units import seconds
from .connection_probes import PORT, why
from .probe import Type
from .system import be_ordinary

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..runner import Runner
    from .probe import Result

_CHUNK = bytes(65536)
_TOTAL = struct.Struct(">Q")
_SHORTEST_S, _LONGEST_S = 0.1, 20.0
_MEET_S = 5.0
_AGAIN_S = 0.1


def span(value: object) -> float:
    """Give how long is sent, in seconds."""
    found = seconds(value)
    if not _SHORTEST_S <= found <= _LONGEST_S:
        raise BadValue(f"throughput is measured for {_SHORTEST_S:g} s to {_LONGEST_S:g} s, not {found:g} s")
    return found


def throughput(_runner: Runner, probe: Mapping[str, Any]) -> Result:
    """`{from, to, port, seconds}`: ok if the sink had all. `bits_per_s`: until it said so."""
    be_ordinary()
    try:
        stream = _connect(probe)
    except OSError as error:
        return False, {"bits_per_s": None}, f"not connected: {why(error)}"
    with stream:
        begun = time.monotonic()
        until = begun + probe["seconds"]
        try:
            while (left := until - time.monotonic()) > 0:
                stream.settimeout(left + _MEET_S)
                stream.sendall(_CHUNK)
            stream.shutdown(socket.SHUT_WR)
            stream.settimeout(_MEET_S)
            [arrived] = _TOTAL.unpack(stream.recv(_TOTAL.size, socket.MSG_WAITALL))
        except (OSError, struct.error) as error:
            said = why(error) if isinstance(error, OSError) else "the other end is gone"
            return False, {"bits_per_s": None}, f"the stream broke off: {said}"
    rate = round(8 * arrived / (time.monotonic() - begun))
    return True, {"bits_per_s": rate}, f"{rate / 1e6:.4g} Mbit/s for {probe['seconds']:g} s"


def _connect(probe: Mapping[str, Any]) -> socket.socket:
    """Connect as soon as the other end listens; both are told to begin at once, but not by one clock."""
    until = time.monotonic() + _MEET_S
    while True:
        try:
            return socket.create_connection((probe["to"], probe["port"]), _MEET_S, (probe["from"], 0))
        except ConnectionRefusedError:
            if time.monotonic() > until:
                raise
            time.sleep(_AGAIN_S)


def sink(_runner: Runner, probe: Mapping[str, Any]) -> Result:
    """`{local, peer, port, seconds}`: ok if the peer came. `bytes` that it sent, which it is told."""
    be_ordinary()
    family = socket.AF_INET6 if ":" in probe["local"] else socket.AF_INET
    with socket.create_server((probe["local"], probe["port"]), family=family) as listener:
        listener.settimeout(2 * _MEET_S)
        stream, peer = listener.accept()
    with stream:
        if peer[0] != probe["peer"]:
            return False, {"bytes": 0}, f"somebody else came: {peer[0]}"
        stream.settimeout(probe["seconds"] + _MEET_S)
        total, until = 0, time.monotonic() + probe["seconds"] + 2 * _MEET_S
        while time.monotonic() < until and (chunk := stream.recv(len(_CHUNK))):
            total += len(chunk)
        stream.sendall(_TOTAL.pack(total))
    return True, {"bytes": total}, f"{total} bytes from {peer[0]}"


TYPES = {
    "throughput": Type(throughput, {"from": address, "to": address, "port": PORT, "seconds": span}),
    "sink": Type(sink, {"local": address, "peer": address, "port": PORT, "seconds": span}),
}
