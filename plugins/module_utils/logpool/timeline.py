# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Records in the order of time, whatever the order in which they come."""

from __future__ import annotations

from bisect import bisect_left, insort
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

BLOCK: Final = 512
"""How many records are handled at once."""


class Timeline:
    """Byte strings in their order, in short lists, so that a late one moves few others. No two are equal."""

    def __init__(self) -> None:
        self._chunks: list[list[bytes]] = []

    def __bool__(self) -> bool:
        return bool(self._chunks)

    def add(self, record: bytes) -> None:
        chunks = self._chunks
        if not chunks or record > chunks[-1][-1]:
            if chunks and len(chunks[-1]) < BLOCK:
                chunks[-1].append(record)
            else:
                chunks.append([record])
            return
        place = bisect_left(chunks, record, key=_last)
        chunk = chunks[place]
        insort(chunk, record)
        if len(chunk) > 2 * BLOCK:
            chunks[place : place + 1] = [chunk[:BLOCK], chunk[BLOCK:]]

    def oldest(self) -> Sequence[bytes]:
        """Give some of the oldest records, in their order; empty if there are none."""
        return self._chunks[0] if self._chunks else ()

    def drop(self, count: int) -> None:
        """Remove so many of those that `oldest` gives."""
        chunk = self._chunks[0]
        if count < len(chunk):
            del chunk[:count]
        else:
            del self._chunks[0]

    def below(self, bound: bytes) -> tuple[list[bytes], bool]:
        """Give the largest records that are smaller than `bound`, in their order, and whether there are no others."""
        place = bisect_left(self._chunks, bound, key=_first) - 1
        if place < 0:
            return [], True
        chunk = self._chunks[place]
        return chunk[: bisect_left(chunk, bound)], place == 0


def below(records: list[bytes], bound: bytes) -> tuple[list[bytes], bool]:
    """Do the same as `Timeline.below` with a sorted list."""
    end = bisect_left(records, bound)
    begin = max(0, end - BLOCK)
    return records[begin:end], begin == 0


def newest(found: Sequence[tuple[list[bytes], bool]]) -> list[bytes]:
    """Join what several sources have below the same bound, the largest first; empty if none has any more."""
    # Below the smallest of a source that has more, it may have others.
    floor = max((records[0] for records, is_all in found if records and not is_all), default=b"")
    joined = [record for records, _is_all in found for record in records[bisect_left(records, floor) :]]
    joined.sort(reverse=True)
    return joined


def remove(records: list[bytes], gone: Sequence[bytes]) -> None:
    """Remove `gone`, which are in order, from a sorted list that has them all."""
    begin = bisect_left(records, gone[0])
    end = begin + len(gone)
    if records[end - 1 : end] == [gone[-1]]:
        del records[begin:end]
        return
    end = bisect_left(records, gone[-1]) + 1
    lost = set(gone)
    records[begin:end] = [record for record in records[begin:end] if record not in lost]


def _first(chunk: list[bytes]) -> bytes:
    return chunk[0]


def _last(chunk: list[bytes]) -> bytes:
    return chunk[-1]
