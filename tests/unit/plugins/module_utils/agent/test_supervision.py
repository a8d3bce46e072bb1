# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The agent's side of a supervisor's socket, against a supervisor that says what the test wants."""

from __future__ import annotations

import asyncio
import json
import signal
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from ansible_collections.okiagari.testbed.plugins.module_utils.agent.supervise import boottime, socket_path
from ansible_collections.okiagari.testbed.plugins.module_utils.agent.supervision import Supervised
from ansible_collections.okiagari.testbed.plugins.module_utils.authority import Held

from .agents import until
from .supervisors import Supervisor

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine
    from pathlib import Path

NOTHING = {"held": None, "running": False}
HELD = {"lease": 5, "token": 7, "term": 2, "deadline": 12.5}


class Pretended:
    """A supervisor that notes what it is asked, and answers `held` by what `answers` has next, or not at all."""

    def __init__(self, folder: Path, *answers: Any) -> None:
        self.path = socket_path(folder, "db")
        self.answers, self.asked = list(answers), []
        self.events: list[dict[str, Any]] = []
        self._writer: asyncio.StreamWriter | None = None
        self._server: asyncio.Server | None = None

    async def begin(self) -> None:
        self.path.unlink(missing_ok=True)
        self._server = await asyncio.start_unix_server(self._serve, str(self.path))

    async def end(self) -> None:
        if self._server:
            self._server.close()
        if self._writer:
            self._writer.close()
        self._server = self._writer = None

    def say(self, *lines: Any) -> None:
        assert self._writer
        for line in lines:
            self._writer.write((line if isinstance(line, str) else json.dumps(line)).encode() + b"\n")

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writer = writer
        while line := await reader.readline():
            request = json.loads(line)
            self.asked.append(request)
            if request["do"] == "held" and self.answers:
                self.say(self.answers.pop(0))
        writer.close()


def use(folder: Path, what: Callable[[Pretended, Supervised], Coroutine[Any, Any, None]], *answers: Any) -> None:
    async def run() -> None:
        pretended = Pretended(folder, *answers)
        async with connected(pretended, folder) as supervised:
            await what(pretended, supervised)

    asyncio.run(run())


@asynccontextmanager
async def connected(pretended: Pretended, folder: Path) -> AsyncIterator[Supervised]:
    supervised = Supervised(folder, "db", pretended.events.append)
    task = asyncio.create_task(supervised.run())
    try:
        yield supervised
        assert not task.done()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await pretended.end()


def test_it_waits_for_a_supervisor_and_asks_what_runs(tmp_path: Path) -> None:
    async def what(pretended: Pretended, supervised: Supervised) -> None:
        asking = asyncio.create_task(supervised.held())
        await asyncio.sleep(0)
        await pretended.begin()
        assert await asking == Held(**HELD)

    use(tmp_path, what, {"held": HELD, "running": True})


def test_what_is_being_stopped_is_waited_for(tmp_path: Path) -> None:
    async def what(pretended: Pretended, supervised: Supervised) -> None:
        await pretended.begin()
        assert await supervised.held() is None
        assert {"do": "stop"} in pretended.asked
        assert not pretended.events

    use(tmp_path, what, {"held": None, "running": True}, NOTHING)


def test_answers_that_are_none_are_passed_over(tmp_path: Path) -> None:
    garbage = ["{", "3", "[]", "null", '{"held": 3}', '{"held": null}', '{"held": {}, "running": true}', "\x00"]

    async def what(pretended: Pretended, supervised: Supervised) -> None:
        await pretended.begin()
        asking = asyncio.create_task(supervised.held())
        await until(lambda: pretended.asked)
        pretended.say(*garbage, {"held": HELD, "running": True})
        assert await asking == Held(**HELD)

    use(tmp_path, what)


def test_events_come_through(tmp_path: Path) -> None:
    async def what(pretended: Pretended, supervised: Supervised) -> None:
        await pretended.begin()
        await supervised.held()
        pretended.say({"event": "started", "token": 8}, "garbage", {"event": "stopped", "token": 8})
        await until(lambda: len(pretended.events) == 2)
        assert pretended.events[1] == {"event": "stopped", "token": 8}

    use(tmp_path, what, NOTHING)


def test_a_supervisor_that_is_gone_has_taken_its_service_with_it(tmp_path: Path) -> None:
    async def what(pretended: Pretended, supervised: Supervised) -> None:
        await pretended.begin()
        await supervised.held()
        await pretended.end()
        await pretended.begin()
        await until(lambda: pretended.events)
        assert pretended.events == [{"event": "stopped", "token": 7}]

    use(tmp_path, what, {"held": HELD, "running": True}, NOTHING)


def test_a_connection_that_breaks_is_no_end_of_the_service(tmp_path: Path) -> None:
    async def what(pretended: Pretended, supervised: Supervised) -> None:
        await pretended.begin()
        await supervised.held()
        await pretended.end()
        await pretended.begin()
        await until(lambda: not pretended.answers)
        pretended.say({"event": "last"})
        await until(lambda: pretended.events)
        assert pretended.events == [{"event": "last"}]

    use(tmp_path, what, {"held": HELD, "running": True}, {"held": HELD, "running": True})


def test_what_was_asked_before_a_start_is_not_taken_for_its_end(tmp_path: Path) -> None:
    """Else the service would be given back as stopped while it starts, and another host start it too."""

    async def what(pretended: Pretended, supervised: Supervised) -> None:
        await pretended.begin()
        await supervised.held()
        await pretended.end()
        await pretended.begin()
        # Connected anew, it asked; the start goes out before the answer is there.
        await until(lambda: pretended.asked[-1:] == [{"do": "held"}] and len(pretended.asked) > 1)
        supervised.send(do="start", token=9, lease=6, term=3, deadline=99.0)
        await until(lambda: pretended.asked[-1]["do"] == "start")
        pretended.say(NOTHING, {"event": "started", "token": 9})
        await until(lambda: {"event": "started", "token": 9} in pretended.events)
        assert pretended.events[0] == {"event": "stopped", "token": 7}
        assert not [event for event in pretended.events if event == {"event": "stopped", "token": 9}]

    use(tmp_path, what, {"held": HELD, "running": True})


def test_a_start_that_nobody_got_is_an_end(tmp_path: Path) -> None:
    async def what(pretended: Pretended, supervised: Supervised) -> None:
        await pretended.begin()
        assert await supervised.held() is None
        await pretended.end()
        await until(lambda: supervised._writer is None)
        supervised.send(do="start", token=9, lease=6, term=3, deadline=99.0)
        await pretended.begin()
        await until(lambda: pretended.events)
        assert pretended.events == [{"event": "stopped", "token": 9}]
        assert {"do": "start"} not in pretended.asked

    use(tmp_path, what, NOTHING, NOTHING)


def test_nothing_was_started_so_nothing_has_ended(tmp_path: Path) -> None:
    async def what(pretended: Pretended, supervised: Supervised) -> None:
        await pretended.begin()
        assert await supervised.held() is None
        await pretended.end()
        await pretended.begin()
        await until(lambda: not pretended.answers)
        pretended.say({"event": "last"})
        await until(lambda: pretended.events)
        assert pretended.events == [{"event": "last"}]

    use(tmp_path, what, NOTHING, NOTHING)


def test_both_sides_together(tmp_path: Path) -> None:
    """An agent that is started anew finds its service; a supervisor that is killed takes it along."""
    supervisor = Supervisor(tmp_path)

    async def run() -> None:
        events: list[dict[str, Any]] = []
        for held in (None, 7):
            supervised = Supervised(supervisor.run, "db", events.append)
            task = asyncio.create_task(supervised.run())
            found = await supervised.held()
            assert (found.token if found else None) == held
            if not held:
                supervised.send(do="start", token=7, lease=5, term=2, deadline=boottime() + 600)
                await until(lambda: events)
                assert (events[0]["event"], events[0]["token"]) == ("started", 7)
            else:
                await asyncio.to_thread(supervisor.end, signal.SIGKILL)
                supervisor.begin()
                await until(lambda: len(events) > 1)
                assert events[1:] == [{"event": "stopped", "token": 7}]
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    try:
        asyncio.run(run())
    finally:
        supervisor.end()
