# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A guest's disk: a qcow2 file over a template's."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from ..errors import OkiagariError
from ..runner import output

if TYPE_CHECKING:
    from pathlib import Path

    from ..runner import Runner

MIB = 1 << 20
_HEADER = struct.Struct(">4sIQIIQ")


def virtual_mib(path: Path) -> int:
    """Give the size that a guest sees of a qcow2 file, in whole MiB."""
    with path.open("rb") as file:
        magic, _version, _backing, _length, _bits, size = _HEADER.unpack(file.read(_HEADER.size))
    if magic != b"QFI\xfb":
        raise OkiagariError(f"{path} is not a qcow2 file")
    return int(size) // MIB


def backing_file(path: Path) -> str:
    """Give the file below a qcow2 file, as it is written there; empty when it stands alone."""
    with path.open("rb") as file:
        magic, _version, offset, length, _bits, _size = _HEADER.unpack(file.read(_HEADER.size))
        if magic != b"QFI\xfb":
            raise OkiagariError(f"{path} is not a qcow2 file")
        file.seek(offset)
        return file.read(length).decode() if offset else ""


def make_overlay(runner: Runner, path: Path, template: str, mib: int) -> None:
    """Make a disk over a template, `mib` large (0: as the template). It appears whole or not at all."""
    part = path.with_name(path.name + ".new")
    part.unlink(missing_ok=True)
    size = [f"{mib}M"] if mib else []
    output(
        runner, ["qemu-img", "create", "-q", "-f", "qcow2", "-b", template, "-F", "qcow2", str(part), *size], timeout=60
    )
    part.replace(path)
