# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import struct

import pytest
from ansible_collections.okiagari.testbed.roles.guest_image.files.lighten import light_module, packed_kernel

MODULE = b"\x7fELF code\0.text\0.BTF\0.BTF.base\0.data\0"


def test_a_module_loses_signature_and_types_and_nothing_else() -> None:
    signature = b"s" * 300
    signed = MODULE + signature + bytes(8) + struct.pack(">I", len(signature)) + b"~Module signature appended~\n"
    light = b"\x7fELF code\0.text\0.btf\0.btf.base\0.data\0"
    assert light_module(signed) == light_module(MODULE) == light


def test_a_kernel_is_taken_out_of_its_wrapping() -> None:
    packed = b"\x28\xb5\x2f\xfd" + b"kernel" * 10
    image = bytearray(4096)
    image[0x1F1] = 3
    image[0x202:0x206] = b"HdrS"
    image[0x248:0x250] = struct.pack("<II", 100, len(packed) + 4)
    image[2048 + 100 : 2048 + 100] = packed + struct.pack("<I", 60)
    assert packed_kernel(bytes(image)) == packed
    with pytest.raises(SystemExit, match="no kernel packed by zstd"):
        packed_kernel(bytes(4096))
