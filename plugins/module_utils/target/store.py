# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The journal on the target's disk, and the lock under which faults come and go."""

from __future__ import annotations

import fcntl
import json
import os
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import OkiagariError
from ..fault.journal import Record
from .system import Places, write_safely

if TYPE_CHECKING:
    from collections.abc import Iterator

_FINISHED_KEPT = 200


class Store:
    """Records by fault id, one file each; and which drills were ended before their time."""

    def __init__(self, places: Places) -> None:
        self._places = places

    @property
    def claim(self) -> Path:
        """Where it is written which drill has this target."""
        return self._places.run / "drill.lock"

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the target's one lock; others wait."""
        self._places.run.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(self._places.run / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def load(self) -> list[Record]:
        """Give all records, oldest first. Raises `OkiagariError` for a record that can't be read, naming its file."""
        records = []
        for path in self._places.journal.glob("*.json"):
            record = _read(path)
            if record is None:
                raise OkiagariError(
                    f"the journal's {path} can't be read: run the heal_all playbook, which sets it aside"
                )
            records.append(record)
        return sorted(records, key=lambda record: record.sequence)

    def get(self, fault_id: str) -> Record | None:
        """Give one record, or None."""
        return _read(self._places.journal / f"{fault_id}.json")

    def save(self, record: Record) -> None:
        """Make `record` durable; when this returns it survives a power cut. Raises `OkiagariError` on a full disk."""
        content = json.dumps(record.to_dict(), indent=1, sort_keys=True).encode()
        try:
            write_safely(self._places.journal / f"{record.fault.id}.json", content)
        except OSError as error:
            raise OkiagariError(f"the journal can't be written: {error.strerror}") from error

    def forget(self, records: list[Record]) -> None:
        """Delete the oldest finished ones of `records`, so that the journal doesn't grow for ever."""
        finished = [record for record in records if not record.live]
        for record in finished[:-_FINISHED_KEPT]:
            (self._places.journal / f"{record.fault.id}.json").unlink(missing_ok=True)

    def stop(self, drill: str, by: str) -> None:
        """Remember until the next boot that a drill was ended here, and by whom: none of its faults comes any more."""
        write_safely(self._places.drill(drill) / "stopped.json", json.dumps({"by": by}).encode())

    def stopped(self, drill: str) -> str | None:
        """Say who ended the drill, if anybody did."""
        path = self._places.drill(drill) / "stopped.json"
        return str(json.loads(path.read_text(encoding="utf-8"))["by"]) if path.exists() else None

    def unreadable(self) -> list[str]:
        """Give the files of the journal that hold no record."""
        return [str(path) for path in sorted(self._places.journal.glob("*.json")) if _read(path) is None]

    def set_aside_unreadable(self) -> None:
        """Rename those files, so that they don't stand in the way any more but can still be looked at."""
        for path in self.unreadable():
            Path(path).rename(f"{path}.unreadable")


def _read(path: Path) -> Record | None:
    try:
        return Record.from_dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, OkiagariError):
        return None
