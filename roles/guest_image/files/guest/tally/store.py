# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tally knows, and how it is written down. Pure: bytes in, bytes out.

A log is a text file with one record a line: eight hex digits (the CRC-32 of the rest), a blank, a JSON list. A snapshot
is a file with one such line. Imports are few, since a guest runs this under emulation.
"""

from __future__ import annotations

import json
import zlib

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

LONGEST_KEY = 200
LONGEST_VALUE = 32768
MOST_BYTES = 8 << 20
"""How much keys and values together may hold: the guest is small."""


class Refused(Exception):  # noqa: N818 -- an answer, not an accident
    """The store doesn't do this; the text says why."""


class Damaged(Exception):  # noqa: N818 -- what is on disk is damaged
    """A snapshot can't be read. It is written whole or not at all, so this isn't a power cut's work."""


class Store:
    """The state: `count`, `values`, and `sequence`, which grows by one with each change.

    A change goes two steps, so that nothing is answered that isn't on disk: `incr`, `set` and `delete` change the state
    and give the record to write.
    """

    def __init__(self, sequence: int = 0, count: int = 0, values: dict[str, str] | None = None) -> None:
        self.sequence, self.count = sequence, count
        self.values: dict[str, str] = dict(values or {})
        self._held = sum(_size(key, value) for key, value in self.values.items())

    def incr(self, by: int) -> bytes:
        """Add to the counter."""
        if abs(self.count + by) >= 1 << 63:
            raise Refused("the counter would leave 64 bits")
        return self._change(["incr", by])

    def set(self, key: str, value: str) -> bytes:
        """Keep a value under a key."""
        check_key(key)
        if len(value.encode()) > LONGEST_VALUE or "\n" in value or "\r" in value:
            raise Refused(f"a value is one line of at most {LONGEST_VALUE} bytes")
        if self._held + _size(key, value) - self._size_of(key) > MOST_BYTES:
            raise Refused(f"the store is full: it holds at most {MOST_BYTES} bytes")
        return self._change(["set", key, value])

    def delete(self, key: str) -> bytes:
        """Forget a key that is there."""
        return self._change(["del", key])

    def snapshot(self) -> bytes:
        """Give the whole state as one record."""
        return encode([self.sequence, self.count, self.values])

    def replay(self, log: bytes) -> int:
        """Do again what a log says, and give how many bytes of it are good.

        A power cut may tear the end of the log, which nobody was answered about: reading stops there. Records that
        the snapshot has already are passed over.
        """
        good = 0
        for line in log.splitlines(keepends=True):
            record = decode(line)
            if not record or not isinstance(record[0], int) or record[0] > self.sequence + 1:
                break
            if record[0] == self.sequence + 1:
                self._apply(record)
            good += len(line)
        return good

    def _change(self, what: list[Any]) -> bytes:
        record = [self.sequence + 1, *what]
        self._apply(record)
        return encode(record)

    def _apply(self, record: list[Any]) -> None:
        self.sequence, verb, *arguments = record
        if verb == "incr":
            self.count += arguments[0]
            return
        key = arguments[0]
        self._held -= self._size_of(key)
        if verb == "set":
            self.values[key] = arguments[1]
            self._held += _size(key, arguments[1])
        else:
            self.values.pop(key, None)

    def _size_of(self, key: str) -> int:
        return _size(key, self.values[key]) if key in self.values else 0


def load(snapshot: bytes) -> Store:
    """Give the store of a snapshot (empty: a new store)."""
    if not snapshot:
        return Store()
    record = decode(snapshot)
    if record is None:
        raise Damaged("the snapshot is damaged")
    return Store(*record)


def check_key(key: str) -> None:
    """Refuse what can't be a key: it is one word."""
    if not key or len(key.encode()) > LONGEST_KEY or key.split() != [key] or "/" in key:
        raise Refused(f"a key is one word of at most {LONGEST_KEY} bytes without a slash")


def encode(record: list[Any]) -> bytes:
    """Give a record as a line."""
    text = json.dumps(record, separators=(",", ":")).encode()
    return b"%08x %s\n" % (zlib.crc32(text), text)


def decode(line: bytes) -> list[Any] | None:
    """Give the record of a line, or None for what isn't a whole line as `encode` wrote it."""
    text = line[9:-1]
    if line[-1:] != b"\n" or line[:9] != b"%08x " % zlib.crc32(text):
        return None
    record = json.loads(text)
    return record if isinstance(record, list) else None


def _size(key: str, value: str) -> int:
    return len(key.encode()) + len(value.encode())
