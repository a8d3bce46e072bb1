# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writers: records written to a file, each acknowledged once it is on the disk; and what reads them back."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import struct
import threading
import time
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .system import Clock, epoch_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

_MAGIC = b"OKIWRIT1"
_HEAD = struct.Struct(">8sIIQd")
_DIGEST = 32
SMALLEST = _HEAD.size + _DIGEST
LARGEST = 16 * 2**20
_AGAIN_S = 0.2
_LINGER_S = 3.0


def record(key: int, sequence: int, at: float, size: int) -> bytes:
    """Make one record: a head, a payload that only this record has, and the SHA-256 of both."""
    head = _HEAD.pack(_MAGIC, key, size, sequence, at)
    length = size - SMALLEST
    seed = hashlib.sha256(head).digest()
    body = head + (seed * (length // len(seed) + 1))[:length]
    return body + hashlib.sha256(body).digest()


def is_good(data: bytes, key: int, sequence: int, size: int) -> bool:
    """Say whether `data` is that record of that writer, bit for bit."""
    if len(data) != size or hashlib.sha256(data[:-_DIGEST]).digest() != data[-_DIGEST:]:
        return False
    magic, its_key, its_size, its_sequence, _at = _HEAD.unpack_from(data)
    return bool((magic, its_key, its_size, its_sequence) == (_MAGIC, key, size, sequence))


def key_of(drill: str, writer: str) -> int:
    """Give what the records of one writer in one run are known by: those of an earlier run don't count."""
    return zlib.crc32(f"{drill}/{writer}".encode())


def refusal(spec: Mapping[str, Any]) -> str | None:
    """Say why a writer can't have its file; None if it can. A file that no writer has made is never written over."""
    path = Path(str(spec["path"]))
    try:
        if not path.parent.is_dir():
            return f"{path.parent} is not a folder"
        if path.is_dir():
            return f"{path} is a folder"
        with path.open("rb") as file:
            begins = file.read(len(_MAGIC))
    except FileNotFoundError:
        return None
    except OSError as error:
        return f"{path}: {error.strerror}"
    return None if begins in (b"", _MAGIC) else f"{path} was not made by a writer, and is not written over"


class Writer:
    """Writes at most `rate` records a second, until `until`. The log has a line for each acknowledgement and failure.

    What fails is tried again: a record is never left out, so the acknowledged ones are always 0 to n - 1.
    """

    def __init__(self, spec: Mapping[str, Any], drill: str, start: float, log: Path) -> None:
        """`start` is T0 by the monotonic clock."""
        self.id, self.path = str(spec["id"]), str(spec["path"])
        self.size = int(spec["size"])
        self.stopped = threading.Event()
        self._key = key_of(drill, self.id)
        self._interval = 1.0 / float(spec["rate"])
        self._begin, self._end = start + float(spec["from"]), start + float(spec["until"])
        self._log = log
        self._epoch = epoch_of(Clock())
        self._file: int | None = None
        self._fresh = True

    def run(self) -> None:
        """Write until the end, or until `stopped` is set."""
        with contextlib.suppress(OSError):
            # The runner's own rank is for instants; a writer must not keep its storage from working.
            os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
        sequence, due = 0, self._begin
        with self._log.open("a", encoding="utf-8", buffering=1) as log:
            while self._wait(due):
                begun = self._time()
                if not self._written(record(self._key, sequence, begun, self.size), sequence, log.write):
                    break
                log.write(f"ack {sequence} {begun:.6f} {self._time():.6f}\n")
                sequence += 1
                # What was missed during a pause isn't made up for: that would be another rate.
                due = max(due + self._interval, time.monotonic())
        self._close()

    def _time(self) -> float:
        """The time since the epoch, as if nobody had set the clock since this writer was made."""
        return self._epoch + time.monotonic()

    def _wait(self, due: float) -> bool:
        while (left := min(due, self._end) - time.monotonic()) > 0:
            if self.stopped.wait(left):
                return False
        return due < self._end and time.monotonic() < self._end and not self.stopped.is_set()

    def _written(self, data: bytes, sequence: int, note: Callable[[str], object]) -> bool:
        """Write one record until it is on the disk; say whether it is."""
        while True:
            try:
                if self._file is None:
                    fresh = os.O_TRUNC if self._fresh else 0
                    self._file = os.open(self.path, os.O_WRONLY | os.O_CREAT | fresh, 0o644)
                    self._fresh = False
                _write_whole(self._file, data, sequence * self.size)
                os.fsync(self._file)
            except OSError as error:
                name = errno.errorcode.get(error.errno or 0, "EIO")
                note(f"err {self._time():.6f} {name}\n")
                self._close()
            else:
                return True
            if not self._wait(time.monotonic() + _AGAIN_S):
                return False

    def _close(self) -> None:
        if self._file is not None:
            with contextlib.suppress(OSError):
                os.close(self._file)
            self._file = None


class Writers:
    """All writers of one target, each in a thread of its own: one that hangs holds up nobody."""

    def __init__(self, specs: Sequence[Mapping[str, Any]], drill: str, start: float, folder: Path) -> None:
        self._writers = [Writer(spec, drill, start, log_of(folder, str(spec["id"]))) for spec in specs]
        self._threads = [threading.Thread(target=writer.run, daemon=True) for writer in self._writers]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End all; one that hangs in its storage is left alone after a while."""
        for writer in self._writers:
            writer.stopped.set()
        until = time.monotonic() + _LINGER_S
        for thread in self._threads:
            if thread.ident:
                thread.join(max(0.0, until - time.monotonic()))


def log_of(folder: Path, writer: str) -> Path:
    """Give the file that a writer's acknowledgements are noted in, on the target's own disk."""
    return folder / f"writer-{writer}.log"


def results(specs: Sequence[Mapping[str, Any]], target: str, folder: Path) -> list[dict[str, Any]]:
    """Give what the writers' logs say; also of a writer that hangs or whose runner is gone."""
    return [_result(spec, target, log_of(folder, str(spec["id"]))) for spec in specs]


def _result(spec: Mapping[str, Any], target: str, log: Path) -> dict[str, Any]:
    acks: list[list[float]] = []
    errors: list[list[Any]] = []
    lines = log.read_text(encoding="utf-8").splitlines() if log.exists() else []
    for words in (line.split() for line in lines):
        if len(words) == 4 and words[0] == "ack":
            acks.append([float(words[2]), float(words[3])])
        elif len(words) == 3 and words[0] == "err":
            _note(errors, float(words[1]), words[2])
    return {"id": spec["id"], "target": target, "size": spec["size"], "acks": acks, "errors": errors}


def _note(errors: list[list[Any]], at: float, name: str) -> None:
    """Count equal failures in a row as one, from the first to the last."""
    if errors and errors[-1][2] == name:
        errors[-1][1] = at
        errors[-1][3] += 1
    else:
        errors.append([at, at, name, 1])


def read_back(path: str, key: int, size: int) -> tuple[int, int]:
    """Give how many records of the writer stand in the file from its start, all good, and how many bytes it has."""
    good = 0
    with open(path, "rb") as file:  # noqa: PTH123 -- cheap on a slow target
        total = os.fstat(file.fileno()).st_size
        while is_good(file.read(size), key, good, size):
            good += 1
    return good, total


def _write_whole(file: int, data: bytes, offset: int) -> None:
    view = memoryview(data)
    while view:
        done = os.pwrite(file, view, offset)
        view, offset = view[done:], offset + done
