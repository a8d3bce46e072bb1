#!/usr/bin/env python3
# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Spare a guest under emulation what costs it seconds at boot: `lighten.py module|kernel < FILE > FILE`."""

from __future__ import annotations

import struct
import sys

_SIGNED = b"~Module signature appended~\n"
_ZSTD = b"\x28\xb5\x2f\xfd"


def light_module(module: bytes) -> bytes:
    """Give a kernel module without signature and type information.

    Checking the signature is arithmetic of 4096 bits; type information has the kernel read through its own, too.
    """
    if module.endswith(_SIGNED):
        end = len(module) - len(_SIGNED)
        (length,) = struct.unpack(">I", module[end - 4 : end])
        module = module[: end - 12 - length]
    # A section is known by its name alone.
    return module.replace(b"\0.BTF\0", b"\0.btf\0").replace(b"\0.BTF.base\0", b"\0.btf.base\0")


def packed_kernel(image: bytes) -> bytes:
    """Give the kernel that a bzImage unpacks when it starts, still packed by zstd: unpacked now, it starts at once."""
    start = (image[0x1F1] + 1) * 512
    offset, length = struct.unpack("<II", image[0x248:0x250])
    # The last four bytes are the size of what is packed.
    payload = image[start + offset : start + offset + length - 4]
    if image[0x202:0x206] != b"HdrS" or not payload.startswith(_ZSTD):
        sys.exit("lighten: this is no kernel packed by zstd")
    return payload


if __name__ == "__main__":
    lighten = {"module": light_module, "kernel": packed_kernel}[sys.argv[1]]
    sys.stdout.buffer.write(lighten(sys.stdin.buffer.read()))
