# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the tally is on disk: a folder with `snapshot` and `log`."""

from __future__ import annotations

import os

from .store import Store, load

LONGEST_LOG = 4 << 20
"""When the log is longer, a snapshot takes its place."""


class Journal:
    """A store and its files. After `commit`, all that was `add`ed survives a power cut.

    An error of the disk is not survived: what it holds then is unknown, so the caller ends, and begins again from the
    disk.
    """

    def __init__(self, folder: str, longest_log: int = LONGEST_LOG) -> None:
        os.makedirs(folder, exist_ok=True)  # noqa: PTH103 -- pathlib takes its time to import
        self._folder, self._longest = folder, longest_log
        self.store: Store = load(self._read("snapshot"))
        log = self._read("log")
        good = self.store.replay(log)
        self.torn = len(log) - good
        if self.torn:
            self._replace("torn", log[good:])
        self._log = os.open(self._path("log"), os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        os.ftruncate(self._log, good)
        os.fsync(self._log)
        self._sync_folder()
        self._length, self._pending = good, b""

    def add(self, record: bytes) -> None:
        """Take a record that the next `commit` writes."""
        self._pending += record

    def commit(self) -> None:
        """Put on disk what was added. Many changes cost one wait for the disk."""
        if not self._pending:
            return
        pending, self._pending = self._pending, b""
        while pending:
            written = os.write(self._log, pending)
            pending, self._length = pending[written:], self._length + written
        os.fdatasync(self._log)
        if self._length > self._longest:
            self.compact()

    def compact(self) -> None:
        """Write the state as a snapshot and begin a new log. A cut between the two leaves records that both have."""
        self._replace("snapshot", self.store.snapshot())
        os.ftruncate(self._log, 0)
        os.fsync(self._log)
        self._length = 0

    def close(self) -> None:
        """Leave the files; all is on disk already."""
        os.close(self._log)

    def _replace(self, name: str, content: bytes) -> None:
        with open(self._path(name + ".new"), "wb") as file:  # noqa: PTH123
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(self._path(name + ".new"), self._path(name))  # noqa: PTH105
        self._sync_folder()

    def _read(self, name: str) -> bytes:
        try:
            with open(self._path(name), "rb") as file:  # noqa: PTH123
                return file.read()
        except FileNotFoundError:
            return b""

    def _path(self, name: str) -> str:
        return f"{self._folder}/{name}"

    def _sync_folder(self) -> None:
        folder = os.open(self._folder, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
