# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The record of votes on disk: two copies, each whole or not at all, the first one durable before the second."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..authority import record
from ..target.system import write_safely

if TYPE_CHECKING:
    from pathlib import Path

COPIES = ("a", "b")


class VoteFile:
    """The two copies of one service's record, in a folder of this host's disk."""

    def __init__(self, folder: Path, service: str) -> None:
        self._service = service
        self._paths = [folder / f"{service}.votes.{name}" for name in COPIES]

    def read(self) -> record.Reading:
        """Read both copies. Where neither is there, they are lost: `begin` has written a new host's."""
        return record.read(self._service, {path.name: _content(path) for path in self._paths})

    def write(self, held: record.Record) -> None:
        """Put the record on disk, in both copies, each fsynced with its name before the next is touched."""
        for path in self._paths:
            write_safely(path, record.encode(self._service, held))

    def begin(self) -> bool:
        """Write a new host's first record and say so; one that is there, in whatever state, stays."""
        if any(path.exists() for path in self._paths):
            return False
        self.write(record.Record())
        return True


def _content(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        # A sector that can't be read is a damaged copy, not a missing one.
        return f"unreadable: {error.strerror}".encode()
