# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""CRIU's own statistics of a dump or a restore: two magic numbers, a length, and a message of protocol buffers."""

from __future__ import annotations

import struct
from typing import NamedTuple

from ..errors import BadValue

_MAGIC = struct.pack("<II", 0x55105940, 0x57093306)
_HEAD = len(_MAGIC) + 4
_VARINT, _BYTES = 0, 2
_DUMP, _RESTORE = 1, 2
_FREEZING, _FROZEN, _PAGES = 1, 2, 7
_FORKING, _RESTORING = 3, 4


class Dumped(NamedTuple):
    """What a dump took: for how long any process stood still at most, and how many pages were written while it did."""

    pause_ms: float
    pages: int


def dumped(image: bytes) -> Dumped:
    """Give what CRIU's `stats-dump` says; raise `BadValue` for anything else."""
    found = _message(image, _DUMP)
    return Dumped((found.get(_FREEZING, 0) + found.get(_FROZEN, 0)) / 1000, found.get(_PAGES, 0))


def restored(image: bytes) -> float:
    """Give for how many milliseconds a restore took, as CRIU's `stats-restore` says; raise `BadValue` for others."""
    found = _message(image, _RESTORE)
    return (found.get(_FORKING, 0) + found.get(_RESTORING, 0)) / 1000


def _message(image: bytes, which: int) -> dict[int, int]:
    if not image.startswith(_MAGIC) or len(image) < _HEAD:
        raise BadValue("is not CRIU's statistics")
    inner = _fields(image[_HEAD : _HEAD + int.from_bytes(image[len(_MAGIC) : _HEAD], "little")]).get(which)
    if not isinstance(inner, bytes):
        raise BadValue("is CRIU's statistics of something else")
    return {number: value for number, value in _fields(inner).items() if isinstance(value, int)}


def _fields(message: bytes) -> dict[int, int | bytes]:
    found: dict[int, int | bytes] = {}
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        value, at = _varint(message, at)
        if key & 7 == _VARINT:
            found[key >> 3] = value
        elif key & 7 == _BYTES and at + value <= len(message):
            found[key >> 3] = message[at : at + value]
            at += value
        else:
            raise BadValue("is damaged")
    return found


def _varint(message: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while at < len(message) and shift < 64:
        byte = message[at]
        value |= (byte & 0x7F) << shift
        shift, at = shift + 7, at + 1
        if byte < 0x80:
            return value, at
    raise BadValue("is damaged")
