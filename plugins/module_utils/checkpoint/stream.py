# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A migration stream of QEMU, read as it comes: the guest's memory goes one way, everything else another.

    header, configuration, START of ram (its blocks), PARTs of ram (pages), perhaps its END, the devices, the end

Nobody but QEMU knows how long a device's section is, but memory comes before all of them. So what stands before the
first page and behind the last one is kept as it is; the pages of the guest's memory are given away; those of small
blocks (firmware, video memory) are kept, in a PART of their own. What is kept is a stream again, which QEMU loads when
the guest's memory is mapped to its file already: it doesn't insist on pages. Where it isn't, `merged` puts the pages
back in.

The format is that of QEMU 6 to 10, version 3, from docs/devel/migration and migration/ram.c.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

from ..errors import BadValue
from .engines import np
from .machine import TYPE
from .pages import PAGE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from .mirror import Mirror
    from .pages import Pages

_MAGIC = struct.pack(">4sI", b"QEVM", 3)
_START, _PART, _END, _FULL, _COMMAND, _FOOTER = 0x01, 0x02, 0x03, 0x04, 0x08, 0x7E
_CONFIGURED = _MAGIC + b"\x07"
_WITHOUT_MEMORY = b"\x0fx-ignore-shared\x01"
_RAM = b"\x03ram" + struct.pack(">II", 0, 4)
_ZERO, _SIZE, _WHOLE, _EOS, _CONTINUE, _FLUSH = 0x02, 0x04, 0x08, 0x10, 0x20, 0x200
_FLAGS = PAGE - 1
_LONGEST_HEAD = 65536
_MOST_BLOCKS = 1024
_MOST_OTHER = 64 * 1024 * 1024
_ROOM = 4 * 1024 * 1024
_WORD = struct.Struct(">Q")
_NUMBER = struct.Struct(">I")
_RECORD = _WORD.size + PAGE
_ZERO_RECORD = _WORD.size + 1


def split(readinto: Callable[[memoryview], int], name: str, mirror: Mirror) -> bytes:
    """Read a stream to its end: the pages of the block `name` go to `mirror`, and the rest is given as a stream.

    `readinto` fills a buffer and says how far, as a file's does. Raises `BadValue` for what isn't such a stream.
    """
    return _Splitter(_Buffer(readinto), name.encode(), mirror).run()


def merged(said: bytes, name: str, filled: Iterable[tuple[int, Pages]]) -> Iterator[bytes]:
    """Give a stream that `split` gave with the guest's memory in it again, in parts: a whole one, which QEMU loads.

    `filled` has the memory's pages, each run of them with the number of its first; those that are zero may be left out.
    Raises `BadValue` for what isn't such a stream.
    """
    rest = memoryview(said)
    place = said.find(_RAM) - _NUMBER.size
    if place < 1 or said[place - 1] != _START:
        raise BadValue("is no migration stream that has a guest's memory")
    section = said[place : place + _NUMBER.size]
    end = said.find(_WORD.pack(_EOS) + bytes([_FOOTER]) + section, place)
    if end < 0:
        raise BadValue("is no migration stream: its memory has no end")
    end += _WORD.size + 1 + _NUMBER.size
    yield bytes(rest[:end])
    yield bytes([_PART]) + section
    named = bytes([len(name)]) + name.encode()
    for first, content in filled:
        yield from _records_of(named, first, content)
        named = b""
    yield _WORD.pack(_EOS) + bytes([_FOOTER]) + section
    yield bytes(rest[end:])


def _records_of(named: bytes, first: int, content: Pages) -> Iterator[bytes]:
    """Give the records of pages; those after the first one of all are of the same block, whose name isn't repeated."""
    records = np.empty((len(content), _RECORD), np.uint8)
    numbers = np.arange(first, first + len(content), dtype=np.uint64)
    flags = np.full(len(content), _WHOLE | _CONTINUE, np.uint64)
    if named:
        flags[0] = _WHOLE
    records[:, : _WORD.size] = (numbers * np.uint64(PAGE) | flags).astype(">u8").view(np.uint8).reshape(-1, _WORD.size)
    records[:, _WORD.size :] = content.view(np.uint8).reshape(len(content), PAGE)
    said = records.tobytes()
    if named:
        yield said[: _WORD.size] + named
        said = said[_WORD.size :]
    yield said


def has_no_memory(said: bytes) -> bool:
    """Say whether a stream was written without memory that has a file, which QEMU has to know before it reads it."""
    return _WITHOUT_MEMORY in said[: said.find(_RAM)]


def machine_type(said: bytes) -> str:
    """Give the machine type, with its version, of the QEMU that wrote a stream; raise `BadValue` if it doesn't say."""
    start = len(_CONFIGURED) + _NUMBER.size
    size = int.from_bytes(said[len(_CONFIGURED) : start], "big")
    name = said[start : start + size].decode("ascii", "replace")
    if not said.startswith(_CONFIGURED) or not TYPE.fullmatch(name):
        raise BadValue("is no migration stream that begins with the type of its machine")
    return name


class _Buffer:
    """What was read of a stream and isn't used yet."""

    def __init__(self, readinto: Callable[[memoryview], int]) -> None:
        self._readinto = readinto
        self._room = bytearray(_ROOM)
        self._start = self._end = 0
        self.over = False

    def need(self, size: int) -> memoryview:
        """Give what there is, at least so many bytes; the caller `skip`s what it has used."""
        if not self.fill(size):
            raise BadValue("is no migration stream: it ends too early")
        return memoryview(self._room)[self._start : self._end]

    def fill(self, size: int) -> bool:
        """Read on until there are so many bytes, and say whether there are."""
        if self._end - self._start < size and len(self._room) - self._start < size + _RECORD:
            left = self._room[self._start : self._end]
            self._room = left + bytearray(max(_ROOM, size + _RECORD) - len(left))
            self._start, self._end = 0, len(left)
        while self._end - self._start < size and not self.over:
            done = self._readinto(memoryview(self._room)[self._end :])
            self._end += done
            self.over = not done
        return self._end - self._start >= size

    def skip(self, size: int) -> bytes:
        """Go on by so many bytes, and give them."""
        said = bytes(self.need(size)[:size])
        self._start += size
        return said

    def drop(self, size: int) -> None:
        """Go on by so many bytes that were looked at."""
        self._start += size

    def rest(self) -> bytes:
        """Give everything up to the end."""
        parts = []
        while self.fill(1):
            parts.append(self.skip(len(self.need(1))))
        return b"".join(parts)


class _Splitter:
    def __init__(self, buffer: _Buffer, name: bytes, mirror: Mirror) -> None:
        self._buffer, self._name, self._mirror = buffer, name, mirror
        self._lengths: dict[bytes, int] = {}
        self._block = b""
        self._others: list[bytes] = []
        self._size_of_others = 0

    def run(self) -> bytes:
        head = self._head()
        section = head[len(head) - _NUMBER.size :]
        start = head + b"".join(self._start_of_ram(section))
        self._pages_of_ram(section)
        others = b"".join([bytes([_PART]), section, *self._others, _WORD.pack(_EOS), bytes([_FOOTER]), section])
        return start + others + self._buffer.rest()

    def _head(self) -> bytes:
        """Give everything up to the section number of the memory, which is the first section that has one."""
        self._buffer.fill(_LONGEST_HEAD)
        said = bytes(self._buffer.need(len(_MAGIC))[:_LONGEST_HEAD])
        if said[: len(_MAGIC)] != _MAGIC:
            raise BadValue("is no migration stream of QEMU")
        place = said.find(_RAM) - _NUMBER.size
        if place < 1 or said[place - 1] != _START:
            raise BadValue("is no migration stream that has a guest's memory")
        return self._buffer.skip(place + _NUMBER.size)

    def _start_of_ram(self, section: bytes) -> list[bytes]:
        """Read which blocks there are."""
        parts = [self._buffer.skip(len(_RAM)), self._buffer.skip(_WORD.size)]
        (total,) = _WORD.unpack(parts[-1])
        if total & _FLAGS != _SIZE:
            raise BadValue("is no migration stream as QEMU 6 to 10 writes it: its memory has no size")
        left = total & ~_FLAGS
        while left > 0 and len(self._lengths) < _MOST_BLOCKS:
            parts += [
                length := self._buffer.skip(1),
                name := self._buffer.skip(length[0]),
                self._buffer.skip(_WORD.size),
            ]
            (self._lengths[name],) = _WORD.unpack(parts[-1])
            left -= self._lengths[name]
        if left or self._lengths.get(self._name) != len(self._mirror.image) * PAGE:
            raise BadValue(
                f"has the memory {', '.join(f'{name.decode()}: {size}' for name, size in self._lengths.items())}, "
                f"and not {self._name.decode()}: {len(self._mirror.image) * PAGE} bytes"
            )
        parts.append(self._buffer.skip(_WORD.size))
        if parts[-1] != _WORD.pack(_EOS):
            raise BadValue("is a migration stream with a capability that changes it: switch it off")
        parts.append(self._footer(section))
        return parts

    def _pages_of_ram(self, section: bytes) -> None:
        """Take in all pages; what comes first behind them is left in the buffer."""
        while True:
            kind = self._buffer.need(1)[0]
            if kind in (_PART, _END):
                if self._buffer.skip(1 + _NUMBER.size)[1:] != section:
                    raise BadValue("is a migration stream of more than memory and devices, which isn't provided for")
                while self._records():
                    pass
                self._footer(section)
            elif kind == _COMMAND:
                _kind, _command, size = struct.unpack(">BHH", self._buffer.skip(5))
                self._buffer.skip(size)
            else:
                return

    def _footer(self, section: bytes) -> bytes:
        said = self._buffer.skip(1 + _NUMBER.size)
        if said != bytes([_FOOTER]) + section:
            raise BadValue("is no migration stream: a section doesn't end where it should")
        return said

    def _records(self) -> bool:
        """Take in a record, and those of the same kind that follow at once; say whether there are more."""
        (header,) = _WORD.unpack(self._buffer.skip(_WORD.size))
        flags = header & _FLAGS
        if flags & (_EOS | _FLUSH):
            return not flags & _EOS
        if flags & ~_CONTINUE not in (_ZERO, _WHOLE):
            raise BadValue(f"is a migration stream with pages of a kind ({flags:#x}) that isn't provided for")
        if not flags & _CONTINUE:
            self._block = self._buffer.skip(self._buffer.skip(1)[0])
        address = header & ~_FLAGS
        if address >= self._lengths.get(self._block, 0):
            raise BadValue("is no migration stream: a page is beyond its block")
        content = self._buffer.skip(1 if flags & _ZERO else PAGE)
        if flags & _ZERO and content != b"\0":
            content *= PAGE
            flags ^= _ZERO | _WHOLE
        self._take(flags & ~_CONTINUE, np.array([address // PAGE]), content)
        self._run(flags | _CONTINUE)
        return True

    def _run(self, flags: int) -> None:
        """Take in all records at once that are in the buffer and have these flags."""
        size = _ZERO_RECORD if flags & _ZERO else _RECORD
        self._buffer.fill(size)
        if not self._buffer.fill(_WORD.size):
            return
        there = self._buffer.need(_WORD.size)
        count = len(there) // size
        records = np.frombuffer(there, np.uint8, count * size).reshape(count, size)
        headers = np.ascontiguousarray(records[:, : _WORD.size]).view(">u8").ravel()
        fits = (headers & _FLAGS == flags) & (headers < self._lengths[self._block])
        if flags & _ZERO:
            fits &= records[:, -1] == 0
        run = int(np.argmin(fits)) if not fits.all() else count
        if run:
            self._take(
                flags & ~_CONTINUE, (headers[:run] // PAGE).astype(np.int64), records[:run, _WORD.size :].tobytes()
            )
            self._buffer.drop(run * size)

    def _take(self, flags: int, numbers: Any, content: bytes) -> None:
        if self._block != self._name:
            self._keep(flags, numbers, content)
        elif flags & _ZERO:
            self._mirror.offer_zeros(numbers)
        else:
            self._mirror.offer(numbers, np.frombuffer(content, np.uint64).reshape(len(numbers), -1))

    def _keep(self, flags: int, numbers: Any, content: bytes) -> None:
        """Write the pages of a small block again, each with the name of its block."""
        size = len(content) // len(numbers)
        named = bytes([len(self._block)]) + self._block
        for place, number in enumerate(numbers.tolist()):
            self._others += [_WORD.pack(number * PAGE | flags), named, content[place * size : (place + 1) * size]]
        self._size_of_others += len(content)
        if self._size_of_others > _MOST_OTHER:
            raise BadValue(f"has more memory than {self._name.decode()}: give the guest no further memory devices")
