# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lines of a program, fed into the log of this host's agent as events (P2.7): `PROGRAM 2>&1 | okiagari-agent feed`.

A program is slowed down to what the agent takes, but never held up by an agent that is away: then its lines are kept
within a bound, the oldest go first, and after a while all that wait are given up. What was lost is told, and counted.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from dataclasses import dataclass
from functools import partial
from itertools import count
from typing import TYPE_CHECKING, Any, Final

from ..errors import BadValue, OkiagariError
from ..logpool import journal, output, syslog
from ..logpool.entries import SEVERITIES, decoded, text_entry
from ..logpool.event import SOURCE, TRACE
from ..values import mismatch
from .client import Away, Connection

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import BinaryIO

    from ..logpool.entries import Entry

FORMS: Final = ("text", "json", "syslog", "journal")
OWN: Final = "okiagari-agent"
"""What begins the names of the agent's own units. What they say isn't fed: it would come out of itself."""
_BATCH, _BATCH_BYTES = 500, 2 * 1024**2
_MOST_BYTES = 16 * 1024**2
_LONGEST = 256 * 1024
# What JSON makes of a letter at most, what else an event has, and what the largest event may have.
_LETTER, _MORE, _EVENT = 6, 300, 70_000
_RETRY_S, _ANSWER_S = 0.5, 5.0


@dataclass(frozen=True)
class Told:
    """How lines are read; `BadValue` where that can't be.

    `important` is the least severity that makes an event important, or `none`. `host` is how this host calls itself in
    its logs: there it goes by its agent's name.
    """

    form: str = "text"
    source: str = "feed"
    trace: str = ""
    important: str = "crit"
    host: str = ""

    def __post_init__(self) -> None:
        if wrong := mismatch(self.source, SOURCE, "the source") or mismatch(self.trace, TRACE, "the trace"):
            raise BadValue(f"{wrong}: use at most 120 signs of ASCII, in a trace no blanks")

    def event(self, line: bytes, now: float) -> dict[str, Any] | None:
        """Give what a line says as the agent takes it; None for an empty line, and for the agent's own."""
        if not line.strip():
            return None
        entry = self._parse(line, now)
        if str(entry.values.get("unit", "")).startswith(OWN):
            return None
        prefix = "syslog/" if self.form in ("syslog", "journal") else ""
        said = {
            "source": f"{prefix}{entry.source}"[:120] if entry.source else self.source,
            "values": entry.values, "trace": entry.trace or self.trace, "important": self._important(entry),
            "time": now if entry.time is None else entry.time, "host": None if entry.host == self.host else entry.host,
            "id": entry.id and list(entry.id),
        }  # fmt: skip
        return {key: value for key, value in said.items() if value is not None}

    def _parse(self, line: bytes, now: float) -> Entry:
        match self.form:
            case "json":
                return output.parse(line)
            case "journal":
                return journal.parse(line)
            case "syslog":
                return syslog.parse(line, now)
        return text_entry(decoded(line))

    def _important(self, entry: Entry) -> bool:
        severity = entry.values.get("severity")
        if self.important == "none":
            return False
        if severity in SEVERITIES:
            return SEVERITIES.index(severity) <= SEVERITIES.index(self.important)
        return entry.important


class Backlog:
    """Events on their way, of `most` bytes in all, from the thread that reads to the one that tells.

    While it is full, `put` waits; or, while the agent is `away`, drops the oldest. A batch goes into one request.
    """

    def __init__(self, most: int = _MOST_BYTES) -> None:
        self.dropped = 0
        self._most, self._away, self._ended = most, False, False
        self._events: deque[tuple[int, dict[str, Any]]] = deque()
        self._bytes = 0
        self._changed = threading.Condition()

    def put(self, event: dict[str, Any], size: int) -> None:
        """Add an event; `size` is what it takes at most."""
        with self._changed:
            while self._bytes + size > self._most and self._events and not self._ended:
                if self._away:
                    self._pop()
                    self.dropped += 1
                else:
                    self._changed.wait()
            if not self._ended:
                self._events.append((size, event))
                self._bytes += size
                self._changed.notify_all()

    def take(self) -> list[dict[str, Any]]:
        """Wait for events and give the oldest; none: there won't be any more."""
        with self._changed:
            while not self._events and not self._ended:
                self._changed.wait()
            taken: list[dict[str, Any]] = []
            most = self._bytes - _BATCH_BYTES
            while self._events and len(taken) < _BATCH and (self._bytes > most or not taken):
                taken.append(self._pop())
            self._changed.notify_all()
            return taken

    def away(self, away: bool) -> None:
        with self._changed:
            self._away = away
            self._changed.notify_all()

    def give_up(self, taken: int) -> None:
        """Drop all that wait; so many were taken already, and are lost too."""
        with self._changed:
            self.dropped += len(self._events) + taken
            self._events.clear()
            self._bytes = 0
            self._changed.notify_all()

    def end(self) -> None:
        """Take nothing any more."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def _pop(self) -> dict[str, Any]:
        size, event = self._events.popleft()
        self._bytes -= size
        return event


class Feed:
    """Tells the agent whose socket is in `run` what is read; `origin` numbers its events and is used by nobody else.

    `patience_s` is how long events wait for an agent that is away; `say` takes a text for people.
    """

    def __init__(
        self, told: Told, run: Path, origin: str, say: Callable[[str], object], *, patience_s: float = 30.0,
        clock: Callable[[], float] = time.time, sleep: Callable[[float], object] = time.sleep,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:  # fmt: skip
        self.backlog = Backlog()
        self.told = self.refused = 0
        self._told, self._origin, self._say, self._patience_s = told, origin, say, patience_s
        self._connect = partial(Connection, run, _ANSWER_S)
        self._connection: Connection | None = None
        self._clock, self._sleep, self._monotonic = clock, sleep, monotonic
        # Both threads number events; to take the next one of a count is one step.
        self._numbers = count(1)
        self._noted = 0

    @property
    def lost(self) -> int:
        """How many events are not in the log for sure."""
        return self.backlog.dropped + self.refused

    def run(self, lines: BinaryIO) -> None:
        """Feed all lines to their end, or until `backlog.end` is called."""
        threading.Thread(target=self._read, args=(lines,), daemon=True).start()
        try:
            while batch := self.backlog.take():
                self._deliver(batch)
        finally:
            self._disconnect()

    def _read(self, lines: BinaryIO) -> None:
        try:
            while line := lines.readline(_LONGEST):
                event = self._told.event(line, self._clock())
                if event is not None:
                    self.backlog.put(self._numbered(event), min(_LETTER * len(line) + _MORE, _EVENT))
        except (OSError, ValueError) as error:
            self._say(f"what is fed can't be read any more: {error}")
        finally:
            self.backlog.end()

    def _numbered(self, event: dict[str, Any]) -> dict[str, Any]:
        """Give an event an id, so that it counts once though it may be sent twice."""
        return {"id": [self._origin, next(self._numbers)], **event}

    def _deliver(self, batch: list[dict[str, Any]]) -> None:
        since = None
        while True:
            try:
                self._tell(batch)
                self._note_lost()
            except Away as error:
                self._disconnect()
                self.backlog.away(True)
                since = self._monotonic() if since is None else since
                if self._monotonic() - since >= self._patience_s:
                    before = self.backlog.dropped
                    self.backlog.give_up(len(batch))
                    self._say(f"{error}; {self.backlog.dropped - before} events are given up")
                    return
                self._sleep(_RETRY_S)
            except OkiagariError as error:
                # What was wrong is one of them; those before it are in the log.
                self.refused += len(batch)
                self._say(f"the agent refuses some of {len(batch)} events: {error}")
                return
            else:
                self.told += len(batch)
                self.backlog.away(False)
                return

    def _note_lost(self) -> None:
        """Say in the log that something is missing there."""
        if lost := self.lost - self._noted:
            values = {"event": "lines_lost", "lines": lost}
            self._tell([self._numbered({"source": self._told.source, "trace": self._told.trace, "values": values})])
            self._noted += lost

    def _tell(self, events: list[dict[str, Any]]) -> None:
        if self._connection is None:
            self._connection = self._connect()
        for _said in self._connection.ask({"op": "tell", "events": events}):
            pass

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
