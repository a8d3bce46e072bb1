# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The registrar's folder: one JSON file a project, a lock, and a serial number that grows with every change.

A record is whole or absent after a crash, and on the disk when a call returns.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from ..errors import OkiagariError
from ..target.system import sync_names, write_safely
from .record import checked

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

_LOCK = "lock"
_SERIAL = "serial"
_NAME = re.compile(r"[a-z][a-z0-9-]{0,62}")


class Holdings(NamedTuple):
    """All that is held, at one instant: records by name, and how often anything has changed so far."""

    records: dict[str, dict[str, Any]]
    serial: int


class Registry:
    """The folder `directory`, which needs not be there as long as nothing is held."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def read(self) -> Holdings:
        """Give what is held now; raise `OkiagariError` for a record that can't be read, naming its file."""
        if not self._directory.is_dir():
            return Holdings({}, 0)
        with self._lock(fcntl.LOCK_SH):
            return self._read()

    def change(self, decide: Callable[[Holdings], Mapping[str, Any]], check: bool = False) -> tuple[Holdings, Holdings]:
        """Let `decide` answer with the records to write (an empty one: to remove); give what was and what is held.

        Nobody else decides meanwhile. What `decide` raises leaves everything as it was. `check` writes nothing.
        """
        if check:
            before = self.read()
            return before, _after(before, decide(before))
        with self._alone():
            before = self._read()
            after = _after(before, decide(before))
            # First, so that no change ever goes without a number of its own.
            self._write_serial(before, after)
            self._write_records(before, after)
            return before, after

    def copy(self, records: Sequence[Mapping[str, Any]], serial: int, check: bool = False) -> tuple[Holdings, Holdings]:
        """Take over what another registrar holds, unless what stands here is as new or newer."""

        def take_over(before: Holdings) -> Holdings:
            if before.serial >= serial:
                return before
            return Holdings({record["name"]: checked(dict(record)) for record in records}, serial)

        if check:
            before = self.read()
            return before, take_over(before)
        with self._alone():
            before = self._read()
            after = take_over(before)
            self._write_records(before, after)
            # Last, so that a copy that was broken off is known as old.
            self._write_serial(before, after)
            return before, after

    @contextmanager
    def _alone(self) -> Iterator[None]:
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        with self._lock(fcntl.LOCK_EX):
            for left_over in self._directory.glob(".*"):
                left_over.unlink()
            yield

    @contextmanager
    def _lock(self, kind: int) -> Iterator[None]:
        descriptor = os.open(self._directory / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, kind)
            yield
        finally:
            os.close(descriptor)

    def _read(self) -> Holdings:
        records = {}
        for path in sorted(self._directory.glob("[a-z]*.json")):
            try:
                record = checked(json.loads(path.read_text(encoding="utf-8")))
            except (ValueError, OkiagariError) as error:
                raise OkiagariError(f"{path}: {error}; put back a copy of it from another KVM host") from error
            if record["name"] != path.stem:
                raise OkiagariError(f"{path}: is the record of {record['name']}")
            records[path.stem] = record
        return Holdings(records, self._serial())

    def _serial(self) -> int:
        try:
            return int((self._directory / _SERIAL).read_text(encoding="utf-8"))
        except FileNotFoundError:
            return 0
        except ValueError as error:
            raise OkiagariError(f"{self._directory / _SERIAL}: is not a number") from error

    def _write_serial(self, before: Holdings, after: Holdings) -> None:
        if after.serial != before.serial:
            write_safely(self._directory / _SERIAL, f"{after.serial}\n".encode())

    def _write_records(self, before: Holdings, after: Holdings) -> None:
        for name in after.records:
            if not _NAME.fullmatch(name):
                raise OkiagariError(f"{name!r} can't be the name of a record")
        for name, record in after.records.items():
            if record != before.records.get(name):
                write_safely(self._directory / f"{name}.json", (json.dumps(record, indent=1) + "\n").encode())
        gone = [name for name in before.records if name not in after.records]
        for name in gone:
            (self._directory / f"{name}.json").unlink()
        if gone:
            sync_names(self._directory)


def _after(before: Holdings, changes: Mapping[str, Any]) -> Holdings:
    records = {**before.records, **changes}
    records = {name: dict(record) for name, record in sorted(records.items()) if record}
    return Holdings(records, before.serial + (records != before.records))
