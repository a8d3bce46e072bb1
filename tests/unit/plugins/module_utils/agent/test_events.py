# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The agent's part in the log pool, over an overlay that is in memory and a file on the disk."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from ansible_collections.okiagari.testbed.plugins.module_utils.agent import events as module
from ansible_collections.okiagari.testbed.plugins.module_utils.agent.events import OP, Events
from ansible_collections.okiagari.testbed.plugins.module_utils.errors import BadValue
from ansible_collections.okiagari.testbed.plugins.module_utils.logpool import Query

from .agents import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path


class FakeOverlay:
    """Notes what is published."""

    def __init__(self) -> None:
        self.published: list[list[bytes]] = []

    def publish(self, op: str, body: dict[str, Any], content: bytes) -> None:
        assert (op, body) == (OP, {})
        self.published.append(content.split(b"\n"))


def make(folder: Path, name: str = "a") -> tuple[Events, FakeOverlay]:
    overlay = FakeOverlay()
    folder.mkdir(exist_ok=True)
    return Events(name, folder, overlay, time.time, most_bytes=2**24), overlay


@asynccontextmanager
async def running(events: Events) -> AsyncIterator[None]:
    events.open()
    task = asyncio.create_task(events.run())
    try:
        yield
        assert not task.done()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        events.close()


def numbers(events: Events, query: str = "where has values.n") -> list[int]:
    return [row["values"]["n"] for row in events.pool.run(Query(query))]


def on_disk(folder: Path) -> int:
    with sqlite3.connect(folder / "important.sqlite") as database:
        (count,) = database.execute("SELECT count(*) FROM event").fetchone()
    database.close()
    return count


def test_what_is_told_is_published_once_and_gathered(tmp_path: Path) -> None:
    events, overlay = make(tmp_path)
    other, _overlay = make(tmp_path / "b", "b")

    async def run() -> None:
        async with running(events):
            for number in range(450):
                events.tell("test", {"n": number})
            # One more says that there was no file of important events.
            await until(lambda: sum(len(lines) for lines in overlay.published) == 451)

    asyncio.run(run())
    assert [len(lines) for lines in overlay.published] == [200, 200, 51]
    for body in (*overlay.published, *overlay.published):
        other.heard(body)
    assert numbers(other) == numbers(events) == list(reversed(range(450)))


def test_many_are_told_at_once_and_those_that_come_again_count_once(tmp_path: Path) -> None:
    events, overlay = make(tmp_path)
    told = [
        {"source": "feed", "values": {"n": number}, "trace": "t", "time": time.time() - 5, "id": ["x/1", number + 1]}
        for number in range(450)
    ]

    async def run() -> None:
        async with running(events):
            assert await events.tell_all([*told, {"source": "feed", "values": {"n": 450}}]) == 451
            assert await events.tell_all([*told[:9], told[0] | {"id": ["x/1", 451], "important": True}]) == 1
            # One more says that there was no file of important events.
            await until(lambda: sum(len(lines) for lines in overlay.published) == 453)

    asyncio.run(run())
    assert numbers(events, "where has values.n and trace = t") == [*reversed(range(450)), 0]
    (row,) = events.pool.run(Query("where origin = 'x/1' and important"))
    assert (row["host"], row["id"], row["values"]) == ("a", "x/1:451", {"n": 0})
    assert on_disk(tmp_path) == 1


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (3, "event 202: it is not a mapping"),
        ({"values": {}}, "it.source is missing"),
        ({"source": "s"}, "it.values is missing"),
        ({"source": "s" * 200, "values": {}}, "an event.source"),
        ({"source": "s", "values": {"n": float("nan")}}, "not JSON"),
        ({"source": "s", "values": {}, "time": -1}, "time is -1"),
        ({"source": "s", "values": {}, "time": 10**400}, "too large"),
        ({"source": "s", "values": {}, "trace": "a b"}, "an event.trace"),
        ({"source": "s", "values": {}, "host": ""}, "an event.host"),
        ({"source": "s", "values": {}, "important": 1}, "it.important"),
        ({"source": "s", "values": {}, "time": True}, "it.time"),
        ({"source": "s", "values": [], "id": ["x", 1]}, "an event.values"),
        ({"source": "s", "values": {}, "id": ["x", 1], "important": 1}, "an event.important"),
        ({"source": "s", "values": {}, "id": ["x", 1], "time": True}, "an event.time"),
        ({"source": "s", "values": {}, "id": ["x", 1], "time": 10**400}, "too large"),
        ({"source": "s", "values": {"n": float("nan")}, "id": ["x", 1]}, "not JSON"),
        ({"source": "s", "values": {}, "id": 3}, "its id is not"),
        ({"source": "s", "values": {}, "id": [1, "x"]}, "its id is not"),
        ({"source": "s", "values": {}, "id": ["x", 0]}, "sequence is 0"),
    ],
)
def test_one_that_is_no_event_is_named_and_those_before_it_are_taken(
    tmp_path: Path, wrong: object, message: str
) -> None:
    events, _overlay = make(tmp_path)
    told = [{"source": "s", "values": {"n": number}} for number in range(201)]
    with pytest.raises(BadValue, match=message):
        asyncio.run(events.tell_all([*told, wrong, told[0]]))
    assert len(numbers(events)) == len(events._to_send) == 201


@pytest.mark.parametrize("lines", ["{}", [b""], [b"\xff"], ["x"]])
def test_what_are_no_events_is_refused(tmp_path: Path, lines: Sequence[bytes | str]) -> None:
    events, _overlay = make(tmp_path)
    with pytest.raises(BadValue):
        events.heard(lines)
    assert len(events.pool) == 0


def test_important_events_outlive_the_agent(tmp_path: Path) -> None:
    async def first() -> None:
        events, _overlay = make(tmp_path)
        async with running(events):
            events.tell("test", {"n": 1}, important=True)
            events.tell("test", {"n": 2})
            await until(lambda: not events._to_keep)
            # Told when nothing writes any more: kept when the agent ends.
        events.tell("test", {"n": 9})

    async def last() -> None:
        events, overlay = make(tmp_path)
        async with running(events):
            events.tell("test", {"n": 3}, important=True)
        assert sorted(numbers(events)) == [1, 3]
        assert not any(b'"n":1' in line for lines in overlay.published for line in lines)

    asyncio.run(first())
    asyncio.run(last())
    assert on_disk(tmp_path) == 2
    assert (tmp_path / "important.sqlite").stat().st_mode & 0o777 == 0o600


def test_what_comes_while_it_is_being_written_is_kept_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    events, _overlay = make(tmp_path)
    begun, go_on = threading.Event(), threading.Event()
    whole = events._insert

    def slow(database: sqlite3.Connection, found: Any) -> None:
        begun.set()
        assert go_on.wait(60)
        whole(database, found)

    monkeypatch.setattr(events, "_insert", slow)

    async def run() -> None:
        async with running(events):
            events.tell("test", {"n": 1}, important=True)
            await until(begun.is_set)
            events.tell("test", {"n": 2}, important=True)
            go_on.set()
            await until(lambda: not events._to_keep)

    asyncio.run(run())
    assert on_disk(tmp_path) == 2


def test_an_end_in_the_middle_of_a_write_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    events, _overlay = make(tmp_path)
    begun = threading.Event()
    whole = events._insert

    def slow(database: sqlite3.Connection, found: Any) -> None:
        begun.set()
        whole(database, found)

    monkeypatch.setattr(events, "_insert", slow)

    async def run() -> None:
        async with running(events):
            for number in range(2000):
                events.tell("test", {"n": number}, important=True)
            await until(begun.is_set)
            events.tell("test", {"n": 2000}, important=True)

    asyncio.run(run())
    assert on_disk(tmp_path) == 2001


def test_a_full_disk_ends_nothing_and_what_was_not_kept_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_RETRY_S", 0.01)
    events, _overlay = make(tmp_path)

    async def run() -> None:
        async with running(events):
            database = events._database
            (pages,) = database.execute("PRAGMA page_count").fetchone()
            database.execute(f"PRAGMA max_page_count = {pages}")
            for number in range(100):
                events.tell("test", {"n": number, "text": "x" * 500}, important=True)
            await until(lambda: list(events.pool.run(Query("where values.event = events_not_kept"))))
            events.tell("test", {"n": 100}, important=True)
            database.execute("PRAGMA max_page_count = 1000000")
            await until(lambda: list(events.pool.run(Query("where values.event = events_kept"))))

    asyncio.run(run())
    assert on_disk(tmp_path) == 101
    assert len(list(events.pool.run(Query("where values.event = events_not_kept")))) == 1


@pytest.mark.parametrize("content", [b"no database at all" * 100, b"SQLite format 3\x00" + b"\xff" * 4096])
def test_a_damaged_file_is_put_aside_and_that_is_told(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "important.sqlite").write_bytes(content)
    events, _overlay = make(tmp_path)

    async def run() -> None:
        async with running(events):
            events.tell("test", {"n": 1}, important=True)

    asyncio.run(run())
    (aside,) = tmp_path.glob("important.sqlite.damaged-*")
    assert aside.read_bytes() == content
    (row,) = events.pool.run(Query("where values.event = events_lost"))
    assert str(aside) in row["values"]["text"]
    assert on_disk(tmp_path) == 2


def change(folder: Path, *statements: str) -> None:
    with sqlite3.connect(folder / "important.sqlite") as database:
        for statement in statements:
            database.execute(statement)
    database.close()


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE event SET line = CAST(replace(CAST(line AS TEXT), '\"n\":2', '\"n\":6') AS BLOB) WHERE rowid = 2",
        "UPDATE event SET line = x'ff' WHERE rowid = 2",
        "UPDATE event SET line = CAST(x'7bff7d' AS TEXT) WHERE rowid = 2",
        "UPDATE event SET line = NULL WHERE rowid = 2",
        "UPDATE event SET line = 7 WHERE rowid = 2",
    ],
)
def test_a_damaged_event_is_lost_and_told_and_taken_from_a_peer(tmp_path: Path, damage: str) -> None:
    async def run() -> None:
        events, overlay = make(tmp_path)
        peer, _overlay = make(tmp_path / "b", "b")
        async with running(events):
            for number in (1, 2, 3):
                events.tell("test", {"n": number}, important=True)
            await until(lambda: overlay.published)
        for body in overlay.published:
            peer.heard(body)
        change(tmp_path, damage)
        again, _overlay = make(tmp_path)
        async with running(again):
            assert sorted(numbers(again)) == [1, 3]
            (row,) = again.pool.run(Query("where values.event = events_lost"))
            assert row["values"]["text"].startswith("1 of the important events on this disk are damaged")
            again.heard([event.wire() for _place, event in peer.pool.important(0, 10)])
            assert sorted(numbers(again)) == [1, 2, 3]
        last, _overlay = make(tmp_path)
        last.open()
        last.close()
        assert sorted(numbers(last)) == [1, 2, 3]

    asyncio.run(run())


def test_a_file_that_turns_out_to_be_damaged_is_written_anew_from_memory(tmp_path: Path) -> None:
    async def run() -> None:
        events, _overlay = make(tmp_path)
        async with running(events):
            events.tell("test", {"n": 1}, important=True)
        # Its pages of the index are gone, which nobody reads before something is to be added.
        path = tmp_path / "important.sqlite"
        pages = [path.read_bytes()[at : at + 4096] for at in range(0, path.stat().st_size, 4096)]
        path.write_bytes(b"".join([*pages[:2], *(b"\xff" * 4096 for _page in pages[2:])]))
        again, _overlay = make(tmp_path)
        async with running(again):
            assert numbers(again) == [1]
            assert not list(again.pool.run(Query("where values.event = events_lost")))
            again.tell("test", {"n": 2}, important=True)
            await until(lambda: list(again.pool.run(Query("where values.event = events_lost"))))
            await until(lambda: not again._to_keep)
        assert list(tmp_path.glob("important.sqlite.damaged-*"))

    asyncio.run(run())
    assert on_disk(tmp_path) == 3


def test_a_file_with_another_schema_is_put_aside(tmp_path: Path) -> None:
    events, _overlay = make(tmp_path)
    change(tmp_path, "CREATE TABLE event (time REAL, id TEXT PRIMARY KEY, lime TEXT)")
    events.open()
    events.close()
    assert list(events.pool.run(Query("where values.event = events_lost")))
    assert on_disk(tmp_path) == 1


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    for told in (1, 0):
        events, _overlay = make(tmp_path)
        events.open()
        events.close()
        assert len(list(events.pool.run(Query("where values.event = events_begun")))) == told


def test_a_place_that_can_not_be_used_is_told_and_the_agent_goes_on(tmp_path: Path) -> None:
    (tmp_path / "important.sqlite").mkdir()
    events, overlay = make(tmp_path)

    async def run() -> None:
        async with running(events):
            events.tell("test", {"n": 1}, important=True)
            await until(lambda: overlay.published and not events._to_keep)

    asyncio.run(run())
    assert len(list(events.pool.run(Query("where values.event = events_not_kept")))) == 1
    assert not list(events.pool.run(Query("where values.event = events_kept")))
    assert (tmp_path / "important.sqlite").is_dir()


def test_waiting(tmp_path: Path) -> None:
    async def run() -> None:
        events, _overlay = make(tmp_path)
        assert await events.wait("where values.n = 1", 0) is None
        waiting = asyncio.create_task(events.wait("where values.n = 1", 60))
        await asyncio.sleep(0)
        events.tell("test", {"n": 2})
        events.tell("test", {"n": 1})
        row = await waiting
        assert row["values"] == {"n": 1}
        assert await events.wait("where values.n = 1", 0) == row
        assert len(events.following) == 0
        with pytest.raises(BadValue):
            await events.wait("where", 1)

    asyncio.run(run())


def test_waiting_for_a_count_goes_on_from_what_is_held(tmp_path: Path) -> None:
    async def run() -> None:
        events, _overlay = make(tmp_path)
        for number in range(4):
            events.tell("test", {"n": number})
        waiting = asyncio.create_task(events.wait("where has values.n | count over 1m | where count >= 5", 60))
        await asyncio.sleep(0)
        events.tell("test", {"n": 4})
        assert (await waiting)["count"] == 5

    asyncio.run(run())


def test_following(tmp_path: Path) -> None:
    events, _overlay = make(tmp_path)
    rows: list[dict[str, Any]] = []
    number = events.follow("where has values.n | select values.n", rows.append)
    events.tell("test", {"n": 1})
    events.following.remove(number)
    events.tell("test", {"n": 2})
    assert rows == [{"values.n": 1}]


def test_whoever_follows_and_fails_costs_no_event(tmp_path: Path) -> None:
    events, _overlay = make(tmp_path)

    def fail(_row: dict[str, Any]) -> None:
        raise RuntimeError

    events.follow("where has values.n", fail)
    with pytest.raises(RuntimeError):
        events.tell("test", {"n": 1}, important=True)
    assert len(events._to_keep) == 1
