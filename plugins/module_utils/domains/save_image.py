# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The image that `virsh save` writes and `virsh restore` reads: a header, the domain's definition, QEMU's stream.

The format is that of libvirt's src/qemu/qemu_saveimage.h, version 2, which every libvirt from 1.2 on reads.
"""

from __future__ import annotations

import struct

_MAGIC = b"LibvirtQemudSave"
_VERSION, _RUNNING, _RAW, _NO_COOKIE = 2, 1, 0, 0
_HEADER = struct.Struct("=16s5I56x")
_ROOM = 64 * 1024


def header(definition: str) -> bytes:
    """Give what stands before the stream of a guest that ran."""
    text = definition.encode() + b"\0"
    # Room for another definition, by `virsh save-image-edit`, as libvirt itself leaves it.
    size = len(text) + _ROOM
    return _HEADER.pack(_MAGIC, _VERSION, size, _RUNNING, _RAW, _NO_COOKIE) + text.ljust(size, b"\0")
