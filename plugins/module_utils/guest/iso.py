# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A small ISO 9660 image: some files in one folder, as a NoCloud seed needs it. Pure."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

SECTOR = 2048
_PATH_TABLES, _ROOT, _FIRST_FILE = (18, 19), 20, 21
_WHEN = bytes([80, 1, 1, 0, 0, 0, 0])
_NEVER = b"0" * 16 + b"\0"


def iso_image(volume: str, files: Mapping[str, bytes]) -> bytes:
    """Give an image that depends on nothing but its input.

    Names are kept in small letters, as Linux shows them; the folder must fit into one sector.
    """
    extents, at = {}, _FIRST_FILE
    for name, content in sorted(files.items()):
        extents[name] = at
        at += -(-len(content) // SECTOR)
    root = _record(b"\0", _ROOT, SECTOR, folder=True) + _record(b"\1", _ROOT, SECTOR, folder=True)
    root += b"".join(_record(f"{name};1".encode(), extents[name], len(files[name])) for name in extents)
    if len(root) > SECTOR:
        raise ValueError("too many files for a small image")
    image = bytes(16 * SECTOR) + _padded(_descriptor(volume, at)) + _padded(b"\xffCD001\1")
    for order in ("<", ">"):
        image += _padded(struct.pack(f"{order}BBIH", 1, 0, _ROOT, 1) + b"\0\0")
    return image + _padded(root) + b"".join(_padded(files[name]) for name in extents)


def _descriptor(volume: str, sectors: int) -> bytes:
    return b"".join((
        b"\1CD001\1\0", b" " * 32, volume.encode().ljust(32), bytes(8), _both(sectors, 4), bytes(32),
        _both(1, 2), _both(1, 2), _both(SECTOR, 2), _both(10, 4),
        struct.pack("<II", _PATH_TABLES[0], 0), struct.pack(">II", _PATH_TABLES[1], 0),
        _record(b"\0", _ROOT, SECTOR, folder=True), b" " * (128 * 4 + 37 * 3), _NEVER * 4, b"\1",
    ))  # fmt: skip


def _record(name: bytes, sector: int, length: int, folder: bool = False) -> bytes:
    size = 33 + len(name) + (len(name) + 1) % 2
    head = bytes([size, 0]) + _both(sector, 4) + _both(length, 4) + _WHEN + bytes([2 if folder else 0, 0, 0])
    return (head + _both(1, 2) + bytes([len(name)]) + name).ljust(size, b"\0")


def _both(value: int, width: int) -> bytes:
    """Give a number in both byte orders, one after the other."""
    return value.to_bytes(width, "little") + value.to_bytes(width, "big")


def _padded(content: bytes) -> bytes:
    return content + bytes(-len(content) % SECTOR)
