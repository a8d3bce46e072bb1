# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How an event is kept: as one byte string that sorts by time.

Measured with events of five values each, in bytes of memory for an event and its entry in the index: a mapping 811, a
tuple with interned texts 462, a tuple with values as JSON 334, the wire form 306, this 187. Columns take 133, but an
event that comes late, or is dropped from among others, moves all columns and every reference from the index.
"""

from __future__ import annotations

import json
import struct
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from .event import Event

if TYPE_CHECKING:
    from collections.abc import Mapping

_HEAD = struct.Struct(">dQIB")
_TIME = struct.Struct(">d")
_CONTEXT = struct.Struct(">I")
_CONTEXT_AT = 16
_decode = json.JSONDecoder().raw_decode
CONTEXT_COST: Final = 560
"""Bytes of memory that a context takes at most, but for its texts' letters."""


class Context(NamedTuple):
    """What many events have in common."""

    origin: str
    host: str
    source: str
    important: bool


class Contexts:
    """Contexts by number, each kept as long as there is a record with it."""

    def __init__(self) -> None:
        self._numbers: dict[Context, int] = {}
        self._uses: list[int] = []
        self._free: list[int] = []
        self.all: list[Context] = []
        self.released = 0
        """How often a number became free, for whoever remembers something about a number."""
        self.cost = 0

    def number(self, event: Event) -> int:
        """Give the number of an event's context, and count one more use."""
        context = Context(event.origin, event.host, event.source, event.important)
        number = self._numbers.get(context)
        if number is None:
            number = self._new(context)
        self._uses[number] += 1
        return number

    def release(self, number: int) -> None:
        """Count one use less."""
        self._uses[number] -= 1
        if not self._uses[number]:
            context = self.all[number]
            del self._numbers[context]
            self._free.append(number)
            self.released += 1
            self.cost -= _cost(context)

    def _new(self, context: Context) -> int:
        if self._free:
            number = self._free.pop()
            self.all[number] = context
        else:
            number = len(self.all)
            self.all.append(context)
            self._uses.append(0)
        self._numbers[context] = number
        self.cost += _cost(context)
        return number


class View:
    """An event that is read from its record as far as it is asked for."""

    __slots__ = ("_record", "_values", "context")

    def __init__(self, record: bytes, context: Context) -> None:
        self._record = record
        self.context = context
        self._values: Mapping[str, Any] | None = None

    @property
    def origin(self) -> str:
        return self.context.origin

    @property
    def host(self) -> str:
        return self.context.host

    @property
    def source(self) -> str:
        return self.context.source

    @property
    def important(self) -> bool:
        return self.context.important

    @property
    def time(self) -> float:
        return time_of(self._record)

    @property
    def sequence(self) -> int:
        return int.from_bytes(self._record[8:16], "big")

    @property
    def trace(self) -> str:
        return trace_of(self._record)

    @property
    def values(self) -> Mapping[str, Any]:
        if self._values is None:
            self._values = _decode(str(self._record[_HEAD.size + self._record[_HEAD.size - 1] :], "ascii"))[0]
        return self._values

    @property
    def id(self) -> str:
        return f"{self.origin}:{self.sequence}"

    def event(self) -> Event:
        return Event(
            self.origin, self.sequence, self.time, self.trace, self.host, self.source, self.values, self.important
        )

    def to_dict(self) -> dict[str, Any]:
        return self.event().to_dict()


def pack(event: Event, context: int, values: str) -> bytes:
    """Give the record of a checked event. They sort by time, at the same instant by sequence."""
    trace = event.trace.encode("ascii")
    # A zero with a sign would sort last.
    return _HEAD.pack(event.time + 0.0, event.sequence, context, len(trace)) + trace + values.encode("ascii")


def context_of(record: bytes) -> int:
    number: int = _CONTEXT.unpack_from(record, _CONTEXT_AT)[0]
    return number


def time_of(record: bytes) -> float:
    time: float = _TIME.unpack_from(record)[0]
    return time


def trace_of(record: bytes) -> str:
    return str(record[_HEAD.size : _HEAD.size + record[_HEAD.size - 1]], "ascii")


def first_at(time: float) -> bytes:
    """Give what sorts before every record of this time or later, and after all others."""
    return _TIME.pack(max(0.0, time) + 0.0)


def first_after(time: float) -> bytes:
    """Give what sorts after every record of this time or earlier, and before all others."""
    return _TIME.pack(max(0.0, time) + 0.0) + b"\xff" if time >= 0 else b""


def _cost(context: Context) -> int:
    return CONTEXT_COST + len(context.origin) + len(context.host) + len(context.source)
