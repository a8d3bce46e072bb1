# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Content that tells by itself whether it is whole: what is kept on disks that lose power, and whose bits flip."""

from __future__ import annotations

import hashlib

from .errors import BadValue

_DIGEST = 64


def sealed(content: bytes) -> bytes:
    """Give the content with its checksum behind it, as a line."""
    return content + b" " + _digest(content) + b"\n"


def unsealed(said: bytes) -> bytes:
    """Give the content; raise `BadValue` for whatever `sealed` can't have written."""
    content, end = said[: -_DIGEST - 2], said[-_DIGEST - 2 :]
    if end != b" " + _digest(content) + b"\n":
        raise BadValue("is damaged: its checksum is not that of its content")
    return content


def _digest(content: bytes) -> bytes:
    return hashlib.sha256(content).hexdigest().encode()
