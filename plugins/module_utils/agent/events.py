# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The agent's part in the log pool: what it tells, what it holds, who asks (P2.7).

Every agent holds the events of all: what happens is published to everybody who can be reached, and kept in memory.
Important events are also on the disk of every host, so that they outlive the loss of any of them; an agent takes from
its peers the important ones that it missed (catch_up.py).
"""

from __future__ import annotations

import asyncio
import secrets
import sqlite3
import threading
import time
from contextlib import closing
from typing import TYPE_CHECKING, Any

from ..checksum import sealed, unsealed
from ..errors import BadValue
from ..logpool import Emitter, Event, Following, Pool, Query, Subscriptions, Waiting, from_wire
from ..values import Shape, mismatch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from .overlay import Overlay

OP = "events"
_GATHER_S = 0.002
_GATHER_FOR_DISK_S = 0.02
_BATCH = 200
_KEPT = 100_000
_RETRY_S = 10.0
_TOLD: Shape = {
    "source": str, "values": dict, "trace?": str, "important?": bool, "time?": (int, float), "host?": str,
}  # fmt: skip


class Events:
    """The log pool at the agent `name`. `clock` gives seconds since the epoch."""

    def __init__(
        self, name: str, state: Path, overlay: Overlay, clock: Callable[[], float] = time.time, *, most_bytes: int
    ) -> None:
        self.pool = Pool(clock, most_bytes=most_bytes)
        self.following = Subscriptions()
        self._emitter = Emitter(name, secrets.token_hex(4), clock)
        self.run_id = self._emitter.origin
        """Names this agent's life, and so the pool whose positions it tells its peers."""
        self._overlay, self._clock = overlay, clock
        self._path = state / "important.sqlite"
        self._to_send: list[Event] = []
        self._to_keep: list[Event] = []
        self._writing = threading.Lock()
        self._unkept = False
        self._unsent, self._unwritten = asyncio.Event(), asyncio.Event()
        self._database: sqlite3.Connection | None = None

    def tell(self, source: str, values: Mapping[str, Any], **more: Any) -> Event:
        """Take an event that happened here, and let everybody know; `more` is what `Emitter.event` takes."""
        event = self._emitter.event(source, values, **more)
        self._send(self._take([event]))
        return event

    async def tell_all(self, told: Sequence[Any]) -> int:
        """Take many events, mappings as `_TOLD` has them; give how many of them were not here already.

        Raises `BadValue` for one that can't be an event: those before it are taken then.
        """
        new = number = 0
        for start in range(0, len(told), _BATCH):
            taken: list[Event] = []
            try:
                for said in told[start : start + _BATCH]:
                    number += 1
                    taken += self._take([self._read(said)])
            except (BadValue, OverflowError) as error:
                raise BadValue(f"event {number}: {error}") from error
            finally:
                self._send(taken)
            new += len(taken)
            # An election must not wait for somebody's log.
            await asyncio.sleep(0)
        return new

    def heard(self, lines: Iterable[bytes | str]) -> None:
        """Take what another agent has published; raise `BadValue` for what aren't events."""
        self._take([from_wire(line) for line in lines])

    def follow(self, text: str, deliver: Callable[[dict[str, Any]], object]) -> int:
        """Call `deliver` with each row that the query has from now on; give the number that ends it."""
        following = Following(Query(text))
        for row in following.recall(self.pool, self._clock()) if following.query.looks_back_s else ():
            deliver(row)
        return self.following.add(following, deliver)

    async def wait(self, text: str, seconds: float) -> dict[str, Any] | None:
        """Give the query's first row, from what is held or comes within so many seconds; None if there is none."""
        found: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()

        def deliver(row: dict[str, Any]) -> None:
            if not found.done():
                found.set_result(row)

        query = Query(text)
        if row := Waiting(query, self._clock() + seconds).begin(self.pool, self._clock()):
            return row
        following = Following(query)
        if query.looks_back_s:
            following.recall(self.pool, self._clock())
        number = self.following.add(following, deliver)
        try:
            async with asyncio.timeout(seconds):
                return await found
        except TimeoutError:
            return None
        finally:
            self.following.remove(number)

    def open(self) -> None:
        """Open the file of important events and read it; what is damaged in it, or all of it, is lost, and told.

        Where the disk can't be used at all, the agent goes on without the file until it is started anew.
        """
        new = not self._path.exists()
        try:
            found, damaged = self._opened()
        except (sqlite3.Error, OSError) as error:
            if _is_damage(error):
                self._begin_anew(error)
            else:
                self._shut()
                self._tell_unkept(error)
        else:
            self._take(found, kept=True)
            if damaged:
                text = f"{damaged} of the important events on this disk are damaged, and lost here; peers have them"
                self.tell("agent", {"event": "events_lost", "text": text}, important=True)
            if new:
                text = "there was no file of important events: this host is new, or it was removed; peers have them"
                self.tell("agent", {"event": "events_begun", "text": text})

    def _begin_anew(self, damage: Exception) -> None:
        """Put a damaged file aside, and keep in a new one what is held in memory."""
        self._shut()
        aside = self._path.with_name(f"{self._path.name}.damaged-{int(self._clock())}")
        try:
            self._path.replace(aside)
            for suffix in ("-wal", "-shm"):
                self._path.with_name(self._path.name + suffix).unlink(missing_ok=True)
            self._opened()
        except (sqlite3.Error, OSError) as error:
            self._shut()
            self._tell_unkept(error)
        self._to_keep = [event for _position, event in self.pool.important(0, _KEPT)]
        text = f"the file of important events is damaged: {damage}; peers have what is lost here, it is now {aside}"
        self.tell("agent", {"event": "events_lost", "text": text}, important=True)

    async def run(self) -> None:
        """Send and keep what is new, for ever. What is sent doesn't wait for this host's disk."""
        await asyncio.gather(self._send_all(), self._keep_all())

    async def _send_all(self) -> None:
        """Send what is new at once, and what comes within a moment after it together."""
        while True:
            await self._unsent.wait()
            self._unsent.clear()
            sending, self._to_send = self._to_send, []
            for start in range(0, len(sending), _BATCH):
                self._overlay.publish(OP, {}, b"\n".join(event.wire() for event in sending[start : start + _BATCH]))
            await asyncio.sleep(_GATHER_S)

    async def _keep_all(self) -> None:
        while True:
            await self._unwritten.wait()
            await asyncio.sleep(_GATHER_FOR_DISK_S)
            self._unwritten.clear()
            await self._keep_new()

    def close(self) -> None:
        """Keep what is new, and close the file. A write that a cancelled `run` has left is waited for."""
        try:
            self._keep(list(self._to_keep))
        except sqlite3.Error as error:
            self._tell_unkept(error)
        self._shut()

    def _read(self, said: Any) -> Event:
        """Give an event that is told. Of one with an id, what its parts are is only looked at when it is taken."""
        if not (isinstance(said, dict) and "source" in said and "values" in said):
            raise BadValue(mismatch(said, _TOLD) or "it says nothing")
        told = said.get("time")
        more = {
            "trace": said.get("trace", ""), "host": said.get("host", self._emitter.host),
            "important": said.get("important", False), "time": self._clock() if told is None else told,
        }  # fmt: skip
        if "id" not in said:
            if wrong := mismatch(said, _TOLD):
                raise BadValue(wrong)
            return self._emitter.event(said["source"], said["values"], **more)
        more["time"] = float(told) if isinstance(told, int) and not isinstance(told, bool) else more["time"]
        return Event(*_known(said["id"]), source=said["source"], values=said["values"], **more)

    def _send(self, events: Sequence[Event]) -> None:
        self._to_send += events
        self._unsent.set()

    def _take(self, events: Iterable[Event], *, kept: bool = False) -> list[Event]:
        """Hold events; give those that were new."""
        now, taken = self._clock(), []
        for event in events:
            if not self.pool.add(event):
                continue
            taken.append(event)
            if event.important and not kept:
                self._to_keep.append(event)
                self._unwritten.set()
            self.following.offer(event, now)
        return taken

    async def _keep_new(self) -> None:
        keeping = list(self._to_keep)
        if not keeping:
            return
        if self._database is None:
            self._to_keep.clear()
            return
        try:
            await asyncio.to_thread(self._keep, keeping)
        except sqlite3.Error as error:
            if _is_damage(error):
                self._begin_anew(error)
                return
            # A disk that is full is no reason to end what keeps services going.
            self._tell_unkept(error)
            del self._to_keep[:-_KEPT]
            asyncio.get_running_loop().call_later(_RETRY_S, self._unwritten.set)
        else:
            del self._to_keep[: len(keeping)]
            if self._unkept:
                self._unkept = False
                self.tell("agent", {"event": "events_kept", "text": "important events are on this disk again"})

    def _tell_unkept(self, error: Exception) -> None:
        if not self._unkept:
            self._unkept = True
            text = f"important events can't be kept on this disk: {error}; peers have them, free some space here"
            self.tell("agent", {"event": "events_not_kept", "text": text})

    def _shut(self) -> None:
        with self._writing:
            if self._database is not None:
                self._database.close()
                self._database = None

    def _opened(self) -> tuple[list[Event], int]:
        """Give what is whole in the file, and how much is not, which is removed: peers' must find room."""
        self._database = sqlite3.connect(self._path, check_same_thread=False)
        self._path.chmod(0o600)
        self._database.execute("PRAGMA journal_mode=WAL")
        self._database.execute("PRAGMA synchronous=FULL")
        self._database.execute("CREATE TABLE IF NOT EXISTS event (time REAL, id TEXT PRIMARY KEY, line TEXT)")
        found, damaged = [], []
        # As bytes: a flipped bit makes a text one that can't be read at all.
        with closing(self._database.execute("SELECT rowid, CAST(line AS BLOB) FROM event ORDER BY time")) as rows:
            for number, line in rows:
                try:
                    found.append(from_wire(unsealed(line or b"")))
                except BadValue:
                    damaged.append((number,))
        with self._database:
            self._database.executemany("DELETE FROM event WHERE rowid = ?", damaged)
        return found, len(damaged)

    def _keep(self, events: Iterable[Event]) -> None:
        with self._writing:
            if self._database is not None:
                self._insert(self._database, events)

    def _insert(self, database: sqlite3.Connection, events: Iterable[Event]) -> None:
        with database:
            database.executemany(
                "INSERT OR IGNORE INTO event VALUES (?, ?, ?)",
                [(event.time, event.id, sealed(event.wire())) for event in events],
            )
            database.execute(
                "DELETE FROM event WHERE time < (SELECT time FROM event ORDER BY time DESC LIMIT 1 OFFSET ?)", (_KEPT,)
            )


def _known(said: Any) -> tuple[str, int]:
    if not isinstance(said, list) or list(map(type, said)) != [str, int]:
        raise BadValue("its id is not its origin and its number")
    return said[0], said[1]


def _is_damage(error: Exception) -> bool:
    """Whether a file is wrong inside, rather than the disk full or not to be written."""
    if not isinstance(error, sqlite3.OperationalError):
        return isinstance(error, sqlite3.DatabaseError)
    # Where a bit of the schema has flipped, a table or column isn't there.
    return getattr(error, "sqlite_errorcode", 0) == sqlite3.SQLITE_ERROR
