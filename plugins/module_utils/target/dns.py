# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The little of DNS that asks for a name's addresses and reads the answer (RFC 1035, RFC 3596)."""

from __future__ import annotations

import ipaddress
import re
import struct
from typing import NamedTuple

from ..errors import BadValue, shown

TYPES = {"A": 1, "AAAA": 28}
CODES = {0: "NOERROR", 1: "FORMERR", 2: "SERVFAIL", 3: "NXDOMAIN", 4: "NOTIMP", 5: "REFUSED"}

_HEADER = struct.Struct(">6H")
_RECORD = struct.Struct(">HHIH")
_INTERNET = 1
_RESPONSE, _TRUNCATED, _RECURSION_DESIRED = 0x8000, 0x0200, 0x0100
_POINTER = 0xC0
_LABEL = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?")
_LONGEST_NAME = 253


class Reply(NamedTuple):
    """What a server said: its response code, as `NOERROR`, and the addresses in it."""

    code: str
    addresses: tuple[str, ...]


def host_name(value: object) -> str:
    """Give a name as DNS knows it, without a dot at its end; raise `BadValue` for anything else."""
    if isinstance(value, str):
        name = value.removesuffix(".")
        if len(name) <= _LONGEST_NAME and all(_LABEL.fullmatch(label) for label in name.split(".")):
            return name
    raise BadValue(f"{shown(value)} is not a name such as www.example.org")


def query(identifier: int, name: str, kind: str) -> bytes:
    """Give the packet that asks for the addresses of a name, `kind` being a key of `TYPES`."""
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    header = _HEADER.pack(identifier, _RECURSION_DESIRED, 1, 0, 0, 0)
    return header + labels + b"\0" + struct.pack(">HH", TYPES[kind], _INTERNET)


def answers(packet: bytes, asked: bytes) -> bool:
    """Say whether a packet that came is the answer to the one that was sent."""
    question = asked[_HEADER.size :]
    same = packet[:2] == asked[:2] and packet[_HEADER.size :][: len(question)].lower() == question.lower()
    return same and len(packet) >= _HEADER.size and bool(packet[2] & _RESPONSE >> 8)


def reply(packet: bytes, asked: bytes) -> Reply:
    """Read the answer to `asked`. Raises `BadValue` if it makes no sense, or doesn't fit into a packet."""
    if not answers(packet, asked):
        raise BadValue("is no answer to this question")
    _identifier, flags, _questions, count, _authorities, _more = _HEADER.unpack_from(packet)
    if flags & _TRUNCATED:
        raise BadValue("is too long for UDP")
    wanted = int.from_bytes(asked[-4:-2], "big")
    found = []
    place = len(asked)
    for _record in range(count):
        place = _after_name(packet, place)
        if place + _RECORD.size > len(packet):
            raise BadValue("ends too early")
        kind, family, _lifetime, length = _RECORD.unpack_from(packet, place)
        place += _RECORD.size + length
        data = packet[place - length : place]
        if len(data) < length:
            raise BadValue("ends too early")
        if (kind, family) == (wanted, _INTERNET):
            found.append(_address(data, wanted))
    code = flags & 0xF
    return Reply(CODES.get(code, f"code {code}"), tuple(sorted(found)))


def _after_name(packet: bytes, place: int) -> int:
    """Where the name at `place` ends: at an empty label, or at a pointer to the rest of it."""
    while place < len(packet):
        length = packet[place]
        if length & _POINTER == _POINTER:
            return place + 2
        if not length:
            return place + 1
        place += 1 + length
    raise BadValue("ends too early")


def _address(data: bytes, kind: int) -> str:
    if len(data) != (4 if kind == TYPES["A"] else 16):
        raise BadValue("has an address of the wrong length")
    return str(ipaddress.ip_address(data))
