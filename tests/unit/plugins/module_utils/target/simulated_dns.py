# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A simulated name server's answers."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_POINTER_TO_THE_QUESTION = b"\xc0\x0c"


def answer(asked: bytes, addresses: Sequence[bytes], code: int = 0, alias: bool = False) -> bytes:
    """Answer a query with packed addresses; with `alias` a CNAME record stands before them."""
    name = struct.pack(">2sHHIH", _POINTER_TO_THE_QUESTION, 5, 1, 60, 6) + b"\3web\xc0\x10" if alias else b""
    records = [
        struct.pack(">2sHHIH", _POINTER_TO_THE_QUESTION, 1 if len(packed) == 4 else 28, 1, 60, len(packed)) + packed
        for packed in addresses
    ]
    header = struct.pack(">2s5H", asked[:2], 0x8180 | code, 1, len(records) + alias, 0, 0)
    return header + asked[12:] + name + b"".join(records)
