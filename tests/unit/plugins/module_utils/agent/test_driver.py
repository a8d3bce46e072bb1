# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One service's driver over an overlay, a store and a supervisor that are in memory."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from ansible_collections.okiagari.testbed.plugins.module_utils.agent.driver import Driver
from ansible_collections.okiagari.testbed.plugins.module_utils.agent.store import NotReached
from ansible_collections.okiagari.testbed.plugins.module_utils.agent.supervise import boottime
from ansible_collections.okiagari.testbed.plugins.module_utils.agent.vote_file import VoteFile
from ansible_collections.okiagari.testbed.plugins.module_utils.agent.wire import to_wire
from ansible_collections.okiagari.testbed.plugins.module_utils.authority import Held, Timing, View
from ansible_collections.okiagari.testbed.plugins.module_utils.authority import actions as act
from ansible_collections.okiagari.testbed.plugins.module_utils.authority.messages import Call
from ansible_collections.okiagari.testbed.plugins.module_utils.authority.record import Record
from ansible_collections.okiagari.testbed.plugins.module_utils.checkpoint.machine import Machine
from ansible_collections.okiagari.testbed.plugins.module_utils.election import Charter, Profile, Rules
from ansible_collections.okiagari.testbed.plugins.module_utils.errors import BadValue

from .agents import NAMES, config, service, until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine
    from pathlib import Path

DEADLINE_S = 5.0


class FakeStore:
    def __init__(self, view: View) -> None:
        self.view = view
        self.raised: list[Exception] = []
        self.done: list[tuple[str, Any]] = []

    async def read(self, _service: str) -> View:
        await asyncio.sleep(0)
        if self.raised:
            raise self.raised.pop(0)
        return self.view

    async def keep_alive(self, _service: str, *, lease: int, token: int) -> bool:
        return self.view.token == token

    async def release(self, _service: str, **values: Any) -> None:
        self.done.append(("release", values))

    async def abandon(self, lease: int) -> None:
        self.done.append(("abandon", lease))


class FakeSupervised:
    """A supervisor that has what `held` says; the driver's own `_supervisor_said` hears what the test tells."""

    def __init__(self, held: Held | None) -> None:
        self._held = held
        self.sent: list[dict[str, Any]] = []

    async def run(self) -> None:
        await asyncio.Event().wait()

    async def held(self) -> Held | None:
        return self._held

    def send(self, **request: Any) -> None:
        self.sent.append(request)


class FakeOverlay:
    def __init__(self) -> None:
        self.sent: list[tuple[str, dict[str, Any]]] = []

    def send(self, to: str, _op: str, body: dict[str, Any]) -> None:
        self.sent.append((to, body))


class Rig:
    def __init__(self, folder: Path, held: Held | None = None, view: View | None = None, **service_fields: Any) -> None:
        self.told: list[tuple[str, Any]] = []
        self.store, self.overlay = FakeStore(view or View(17, "b", 2, 9)), FakeOverlay()
        self.driver = Driver(
            config(folder), service(**service_fields), self.overlay, self.store, Rules(),
            lambda _service: Profile("a", "site-a"), lambda event, values: self.told.append((event, values)),
        )  # fmt: skip
        self.supervised = FakeSupervised(held)
        self.driver._supervised = self.supervised

    @property
    def participant(self) -> Any:
        return self.driver.participant

    def events(self) -> list[str]:
        return [event for event, _values in self.told]


def use(rig: Rig, what: Callable[[], Coroutine[Any, Any, None]]) -> None:
    async def run() -> None:
        async with running(rig):
            await what()

    asyncio.run(run())


@asynccontextmanager
async def running(rig: Rig) -> AsyncIterator[None]:
    task = asyncio.create_task(rig.driver.run())
    try:
        await until(lambda: rig.participant or task.done())
        yield
        assert not task.done()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await rig.driver.stop()


def held() -> Held:
    return Held(lease=5, token=9, term=2, deadline=boottime() + DEADLINE_S)


def test_it_votes_only_after_its_vote_is_on_the_disk(tmp_path: Path) -> None:
    VoteFile(tmp_path / "state", "db").begin()
    rig = Rig(tmp_path, view=View(17, None, 2, 9))

    async def what() -> None:
        await until(lambda: rig.driver.view)
        term = 1000
        rig.driver.heard(to_wire(Call("b", term)), "b")
        await until(lambda: [to for to, body in rig.overlay.sent if (body["kind"], body["term"]) == ("ballot", term)])
        assert VoteFile(tmp_path / "state", "db").read().record.term >= term

    use(rig, what)
    granted = [body["vote"]["granted"] for _to, body in rig.overlay.sent if body["kind"] == "ballot"]
    assert granted == [True]


def test_a_damaged_record_is_told_and_repaired(tmp_path: Path) -> None:
    file = VoteFile(tmp_path / "state", "db")
    file.write(Record(4, "b"))
    (tmp_path / "state" / "db.votes.a").write_bytes(b"x")
    rig = Rig(tmp_path)

    async def what() -> None:
        await until(lambda: not file.read().repair)

    use(rig, what)
    assert "record_damaged" in rig.events()
    assert file.read().record == Record(4, "b")


def test_a_service_that_the_supervisor_kept_is_resumed_and_fed(tmp_path: Path) -> None:
    rig = Rig(tmp_path, held(), View(17, "a", 2, 9))

    async def what() -> None:
        await until(lambda: [each for each in rig.supervised.sent if each["do"] == "feed"])
        # It may have ended before there was anybody to hear of it.
        assert rig.supervised.sent[0] == {"do": "held"}

    use(rig, what)


def test_the_end_of_another_start_is_not_this_one_s(tmp_path: Path) -> None:
    rig = Rig(tmp_path, held(), View(17, "a", 2, 9))

    async def what() -> None:
        for token in (7, None):
            rig.driver._supervisor_said({"event": "stopped", "token": token})
        rig.driver._supervisor_said({"event": "started", "token": 9, "pid": 3})
        await until(rig.driver._inbox.empty)
        await until(lambda: len([each for each in rig.supervised.sent if each["do"] == "feed"]) > 1)
        assert not rig.store.done
        rig.driver._supervisor_said({"event": "stopped", "token": 9})
        await until(lambda: rig.store.done)
        assert rig.store.done == [("release", {"lease": 5, "token": 9, "clean": True})]

    use(rig, what)
    assert rig.events().count("service_stopped") == 3


def test_an_heir_is_told_when_the_store_knows_that_the_service_was_given_back(tmp_path: Path) -> None:
    rig = Rig(tmp_path, held(), View(17, "a", 2, 9))
    released = asyncio.Event()

    async def slow(_service: str, **values: Any) -> None:
        await released.wait()
        rig.store.done.append(("release", values))

    def handed_over() -> list[str]:
        return [to for to, body in rig.overlay.sent if body["kind"] == "hand_over"]

    rig.store.release = slow  # type: ignore[method-assign]

    async def what() -> None:
        rig.driver.participate(lambda participant, _now: participant.hand_over("b"))
        await until(lambda: {"do": "stop"} in rig.supervised.sent)
        rig.driver._supervisor_said({"event": "stopped", "token": 9})
        await until(rig.driver._inbox.empty)
        await asyncio.sleep(0)
        assert not handed_over()
        released.set()
        await until(handed_over)
        assert rig.store.done[0][0] == "release"
        assert handed_over() == ["b"]

    use(rig, what)


def test_what_can_not_be_by_now_ends_nothing(tmp_path: Path) -> None:
    rig = Rig(tmp_path, held(), View(17, "a", 2, 9))

    async def what() -> None:
        for to in ("a", "nobody"):
            rig.driver.participate(lambda participant, _now, to=to: participant.hand_over(to))
        await until(lambda: rig.events().count("request_refused") == 2)
        assert rig.participant.holder
        rig.driver.participate(lambda participant, _now: participant.hand_over("b"))
        await until(lambda: {"do": "stop"} in rig.supervised.sent)

    use(rig, what)


def test_any_other_error_ends_the_driver_and_is_not_swallowed(tmp_path: Path) -> None:
    """The agent ends with it, and is started anew: what stood behind a record that isn't written must not happen."""
    rig = Rig(tmp_path)

    def full(*_arguments: Any) -> None:
        raise OSError(28, "No space left on device")

    async def run() -> None:
        task = asyncio.create_task(rig.driver.run())
        await until(lambda: rig.participant)
        rig.driver._votes.write = full
        persist = [act.Persist(Record(5, "b")), act.Tell("behind", "it")]
        rig.driver.participate(lambda _participant, _now: persist)
        with pytest.raises(OSError, match="No space"):
            await asyncio.wait_for(task, 60)
        await rig.driver.stop()

    asyncio.run(run())
    assert "behind" not in rig.events()


@pytest.mark.parametrize("error", [NotReached("b: refused"), BadValue("is no view")])
def test_a_store_that_does_not_answer_is_told_once_and_its_return_too(tmp_path: Path, error: Exception) -> None:
    rig = Rig(tmp_path, timing=Timing(poll_s=0.01))
    rig.store.raised = [error] * 3

    async def what() -> None:
        await until(lambda: rig.driver.view)

    use(rig, what)
    assert [each for each in rig.events() if each.startswith("store")] == ["store_unreachable", "store_reached"]


def test_it_looks_at_the_store_when_something_has_changed_there(tmp_path: Path) -> None:
    rig = Rig(tmp_path, timing=Timing(poll_s=3600.0))

    async def what() -> None:
        await until(lambda: rig.driver.view)
        rig.store.view = View(18, None, 2, 9)
        rig.driver.look()
        await until(lambda: rig.driver.view and rig.driver.view.revision == 18)

    rig.driver.look()
    use(rig, what)


def test_only_a_guest_is_prepared(tmp_path: Path) -> None:
    for machine, sent in ((None, []), (Machine(64, {}), [{"do": "prepare", "token": 3, "term": 2}])):
        rig = Rig(tmp_path, machine=machine)
        asyncio.run(rig.driver._do(act.Prepare(3, 2)))
        assert rig.supervised.sent == sent


def test_an_error_of_this_program_is_told_and_the_next_request_is_made(tmp_path: Path) -> None:
    rig = Rig(tmp_path, timing=Timing(poll_s=0.01))
    rig.store.raised = [KeyError("responses")]

    async def what() -> None:
        await until(lambda: rig.driver.view)

    use(rig, what)
    assert ("agent_error", {"text": "KeyError: 'responses'"}) in rig.told


class Impatient:
    """A participant that always wants its turn."""

    def __init__(self) -> None:
        self.ticks = 0
        self.elector = SimpleNamespace(profile=None)

    @property
    def wake_at(self) -> float:
        return boottime() - 1.0


def test_neither_time_nor_events_keep_the_other_from_its_turn(tmp_path: Path) -> None:
    async def run() -> None:
        rig = Rig(tmp_path)
        impatient: Any = Impatient()
        rig.driver.participant = impatient
        events = [lambda *_arguments, number=number: [number] for number in range(3)]
        for event in events:
            rig.driver.participate(event)
        got = [await rig.driver._next(impatient) for _turn in range(7)]
        assert [each for each in got if each in events] == events
        assert [each in events for each in got] == [False, True, False, True, False, True, False]

    asyncio.run(run())


def test_an_event_wakes_it_before_its_time(tmp_path: Path) -> None:
    rig = Rig(tmp_path, timing=Timing(poll_s=3600.0))

    async def what() -> None:
        await until(lambda: rig.driver.view)
        for number in range(200):
            done = asyncio.Event()
            rig.driver.participate(lambda _participant, _now, done=done: [done.set()][:0])
            async with asyncio.timeout(60):
                await done.wait()
            await asyncio.sleep(0.0001 * (number % 3))

    use(rig, what)


def test_who_only_votes_takes_part_and_who_is_neither_is_asked_for_nothing(tmp_path: Path) -> None:
    voters = {"a": "site-a", "b": "site-b", "v": "site-v"}
    rig = Rig(tmp_path, candidates=("a", "b"), charter=Charter("db", voters))
    VoteFile(tmp_path / "state", "db").begin()
    assert rig.driver.service.agents == ("a", "b", "v")
    assert service(candidates=NAMES).agents == NAMES

    async def what() -> None:
        await until(lambda: rig.participant)
        actions: list[Any] = []
        rig.driver.participate(lambda participant, now: actions.extend(participant.elector._call(now)) or [])
        await until(lambda: actions)
        assert [each.to for each in actions if isinstance(each, act.Send)] == ["b", "v"]

    use(rig, what)
    assert replace(rig.driver.service, candidates=("a",)).agents == ("a", "b", "v")
