# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The pool: events in memory, newest first, for some hours and within a bound of memory (P2.7). No I/O, one thread."""

from __future__ import annotations

import sys
from bisect import insort
from dataclasses import dataclass
from itertools import groupby, islice
from typing import TYPE_CHECKING, Any, Final

from ..errors import BadValue, shown
from .event import TIME_MOST, VALUES_MOST, check, values_text
from .record import Contexts, View, context_of, first_after, first_at, pack, time_of, trace_of
from .seen import Seen
from .timeline import BLOCK, Timeline, below, newest, remove

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from .event import Event
    from .query import Query

MIB: Final = 1024**2
RETENTION_S: Final = 6 * 3600.0
MOST_BYTES: Final = 400 * MIB
AHEAD_S: Final = 60.0
"""Clocks of hosts may differ by so much without anybody being told."""
AHEAD_KEY: Final = "clock_ahead_s"

# What Python takes in bytes: places in lists that grow, entries of dictionaries, list objects, numbers.
_PLACES_COST = 24
_TRACE_COST = 160
_LIST_COST = 96
_JOURNAL_COST = 300
_ORIGIN_COST = 440
_RANGE_COST = 96
_BATCH_BYTES = 128 * 1024
_AHEAD_BYTES = 64


@dataclass
class Counts:
    """What became of the events since the pool began.

    `added`: taken. `late`: older than the retention when they came. `twice`: copies of what had come already.
    `ahead`: taken, but their host's clock was far ahead. `expired`: removed after the retention. `dropped` and
    `dropped_important`: removed before, to keep the bound of memory.
    """

    added: int = 0
    twice: int = 0
    late: int = 0
    ahead: int = 0
    expired: int = 0
    dropped: int = 0
    dropped_important: int = 0


class Pool:
    """Events of many hosts.

    `clock` gives seconds since the epoch. If somebody may set the machine's clock, it should be one that goes on evenly
    from what was right at the start: a clock that jumps ahead ends the retention of everything.
    """

    def __init__(
        self,
        clock: Callable[[], float],
        *,
        retention_s: float = RETENTION_S,
        most_bytes: int = MOST_BYTES,
        ahead_s: float = AHEAD_S,
    ) -> None:
        if not (retention_s > 0 and most_bytes > 0 and ahead_s >= 0):
            raise BadValue(f"a pool of {shown(most_bytes)} bytes for {shown(retention_s)} s can't hold anything")
        self.clock = clock
        self.retention_s = retention_s
        self.most_bytes = most_bytes
        self.counts = Counts()
        self._ahead_s = ahead_s
        self._held = 0
        self._own_bytes = 0
        self._missing_until = clock()
        self._contexts = Contexts()
        self._ordinary, self._important = Timeline(), Timeline()
        self._traces: dict[str, bytes | list[bytes]] = {}
        self._origins: dict[str, Seen] = {}
        self._journal: dict[int, bytes] = {}
        self._positions: dict[bytes, int] = {}
        self._position = 0

    def __len__(self) -> int:
        """Say how many events are held."""
        return self._held

    @property
    def size(self) -> int:
        """The bytes of memory that it takes, reckoned rather too high than too low; never more than `most_bytes`."""
        return self._own_bytes + self._contexts.cost

    @property
    def complete_from(self) -> float:
        """After which instant (seconds since the epoch) nothing that came is missing here.

        It is the latest of the pool's begin, the end of the retention, and the newest event that was dropped. An answer
        to a question about an earlier time may not be whole, and has to say so.
        """
        return max(self._horizon(), self._missing_until)

    def add(self, event: Event) -> bool:
        """Take an event, unless it has come already or is older than the retention; say whether it was taken.

        Raises `BadValue` if it is none. One whose time is far ahead of the pool's clock would be the newest for as
        long: it gets the pool's time, and its values say by how much its host's clock is wrong.
        """
        check(event)
        now = self.clock()
        if event.time < now - self.retention_s:
            self.counts.late += 1
            return False
        seen = self._origins.get(event.origin)
        if seen and event.sequence in seen:
            self.counts.twice += 1
            return False
        told, values = event.time, values_text(event.values)
        if told > now + self._ahead_s:
            event = event._replace(time=now, values={**event.values, AHEAD_KEY: round(told - now, 3)})
            values = values_text(event.values, VALUES_MOST + _AHEAD_BYTES)
        record = pack(event, self._contexts.number(event), values)
        self.counts.ahead += told != event.time
        self._note(event, told)
        self._keep(event, record)
        self.counts.added += 1
        if self.counts.added % BLOCK == 0:
            self.sweep()
        if self.size > self.most_bytes:
            self._shrink()
        return True

    def sweep(self) -> None:
        """Remove what is older than the retention, which no query shows any more. For a timer: every minute or so."""
        horizon = self._horizon()
        floor = first_at(horizon)
        for timeline in (self._ordinary, self._important):
            while timeline and timeline.oldest()[0] < floor:
                gone = [record for record in timeline.oldest() if record < floor]
                self._remove(timeline, gone)
                self.counts.expired += len(gone)
        for origin, seen in list(self._origins.items()):
            # No copy of an event of this origin would be taken any more, known or not.
            if seen.newest < horizon:
                self._forget(origin)

    def run(self, query: Query, now: float | None = None) -> Iterator[dict[str, Any]]:
        """Give a query's results one by one, newest first.

        Meanwhile events may come and go: what comes is not in these results, what goes may be.
        """
        for rows in self.steps(query, now):
            yield from rows

    def steps(self, query: Query, now: float | None = None) -> Iterator[list[dict[str, Any]]]:
        """Give the same as `run` in portions, which may be empty: between any two an event loop can do other work.

        A portion takes some milliseconds.
        """
        run = query.begin(self.clock() if now is None else now)
        for views in self._found(query, run.now):
            yield run.take(views)
            if run.full:
                break
        yield run.end()

    def found(self, query: Query, now: float) -> Iterator[View]:
        """Give the events, newest first, that what stands before the first `|` of a query asks for."""
        for views in self._found(query, now):
            yield from views

    def important(self, after: int = 0, limit: int = BLOCK) -> list[tuple[int, Event]]:
        """Give the first important events that came after the one at position `after`, each with its position.

        Positions count from 1, in the order of coming. One that is left out was removed here (`counts` has how many).
        """
        first = next(iter(self._journal), self._position + 1)
        places = range(max(after + 1, first), self._position + 1)
        chosen = islice((place for place in places if place in self._journal), limit)
        return [(place, self._view(self._journal[place]).event()) for place in chosen]

    def at(self, position: int) -> Event | None:
        """Give the important event at a position; None: it was removed here, or hasn't come yet."""
        record = self._journal.get(position)
        return None if record is None else self._view(record).event()

    def knows(self, origin: str, sequence: int) -> bool:
        """Say whether an event has come, also one that was dropped since."""
        seen = self._origins.get(origin)
        return seen is not None and sequence in seen

    @property
    def position(self) -> int:
        """The position of the last important event that came; 0: none did."""
        return self._position

    def _horizon(self) -> float:
        return self.clock() - self.retention_s

    def _found(self, query: Query, now: float) -> Iterator[list[View]]:
        since, until = query.span(now)
        floor = first_at(max(since, now - self.retention_s))
        bound = first_after(min(until, TIME_MOST))
        matching = query.matching(self._contexts)
        while True:
            block = newest([source.below(bound) if isinstance(source, Timeline) else below(source, bound)
                            for source in self._sources(query)])  # fmt: skip
            if not block:
                return
            bound = block[-1]
            if bound < floor:
                yield matching([record for record in block if record >= floor])
                return
            yield matching(block)

    def _sources(self, query: Query) -> list[Timeline | list[bytes]]:
        """Give where a query's events are; anew for each block, since events come and go."""
        if query.traces is None:
            return [self._ordinary, self._important]
        entries = [self._traces.get(trace, []) for trace in query.traces]
        return [[entry] if isinstance(entry, bytes) else entry for entry in entries]

    def _view(self, record: bytes) -> View:
        return View(record, self._contexts.all[context_of(record)])

    def _note(self, event: Event, told: float) -> None:
        seen = self._origins.get(event.origin)
        if seen is None:
            seen = self._origins[event.origin] = Seen()
            self._own_bytes += _ORIGIN_COST + len(event.origin)
        ranges = len(seen)
        seen.add(event.sequence)
        seen.newest = max(seen.newest, told)
        self._own_bytes += _RANGE_COST * (len(seen) - ranges)

    def _forget(self, origin: str) -> None:
        seen = self._origins.pop(origin)
        self._own_bytes -= _ORIGIN_COST + len(origin) + _RANGE_COST * len(seen)

    def _keep(self, event: Event, record: bytes) -> None:
        self._held += 1
        self._own_bytes += _cost(record)
        (self._important if event.important else self._ordinary).add(record)
        if event.trace:
            self._index(event.trace, record)
        if event.important:
            self._position += 1
            self._journal[self._position] = record
            self._positions[record] = self._position
            self._own_bytes += _JOURNAL_COST

    def _index(self, trace: str, record: bytes) -> None:
        entry = self._traces.get(trace)
        if entry is None:
            self._traces[trace] = record
            self._own_bytes += _TRACE_COST + len(trace)
        elif isinstance(entry, bytes):
            self._traces[trace] = [entry, record] if entry < record else [record, entry]
            self._own_bytes += _LIST_COST
        elif record > entry[-1]:
            entry.append(record)
        else:
            insort(entry, record)

    def _shrink(self) -> None:
        """Remove the oldest events that aren't important, then the oldest important ones.

        They are a few more than have to be, so that it isn't done for each event that comes.
        """
        wanted = self.most_bytes - min(self.most_bytes // 64, _BATCH_BYTES)
        while self.size > wanted and self._held:
            timeline = self._ordinary or self._important
            gone, freed, over = [], 0, self.size - wanted
            for record in timeline.oldest():
                gone.append(record)
                freed += _cost(record)
                if freed >= over:
                    break
            self._missing_until = max(self._missing_until, time_of(gone[-1]))
            self._remove(timeline, gone)
            if timeline is self._important:
                self.counts.dropped_important += len(gone)
            else:
                self.counts.dropped += len(gone)
        if self.size > self.most_bytes:
            for origin in list(self._origins):
                self._forget(origin)

    def _remove(self, timeline: Timeline, gone: Sequence[bytes]) -> None:
        """Remove the oldest records of a timeline everywhere."""
        timeline.drop(len(gone))
        self._held -= len(gone)
        self._own_bytes -= sum(map(_cost, gone))
        for record in gone:
            self._contexts.release(context_of(record))
        # Sorting is stable: within a trace they stay in their order.
        for trace, records in groupby(sorted(gone, key=trace_of), key=trace_of):
            if trace:
                self._unindex(trace, list(records))
        if timeline is self._important:
            for record in gone:
                del self._journal[self._positions.pop(record)]
            self._own_bytes -= _JOURNAL_COST * len(gone)

    def _unindex(self, trace: str, gone: list[bytes]) -> None:
        entry = self._traces[trace]
        if not isinstance(entry, bytes):
            remove(entry, gone)
            if entry:
                return
            self._own_bytes -= _LIST_COST
        del self._traces[trace]
        self._own_bytes -= _TRACE_COST + len(trace)


def _cost(record: bytes) -> int:
    # Memory is given out in pieces of 16 bytes.
    return (sys.getsizeof(record) + 15) // 16 * 16 + _PLACES_COST
