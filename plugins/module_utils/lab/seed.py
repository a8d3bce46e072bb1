# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The seed disk: a bare tar archive that gives a node its identity at boot."""

from __future__ import annotations

import io
import tarfile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_BLOCK = 512 * 128


def seed_disk(public: Mapping[str, str], private: Mapping[str, str]) -> bytes:
    """Pack files (path below `/` to text) for a node: `public` ones readable by all, `private` ones by root alone.

    The result is padded to whole disk blocks and depends on nothing but its input.
    """
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for files, mode in ((public, 0o644), (private, 0o600)):
            for path, text in sorted(files.items()):
                content = text.encode()
                member = tarfile.TarInfo(path)
                member.size, member.mode = len(content), mode
                archive.addfile(member, io.BytesIO(content))
    raw = buffer.getvalue()
    return raw + bytes(-len(raw) % _BLOCK)
