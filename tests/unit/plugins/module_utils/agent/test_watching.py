# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Watching a service, over an overlay and a driver that are in memory and real programs."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from ansible_collections.okiagari.testbed.plugins.module_utils.agent.config import Checkpointing
from ansible_collections.okiagari.testbed.plugins.module_utils.agent.overlay import NoAnswer
from ansible_collections.okiagari.testbed.plugins.module_utils.agent.watching import OP, Watching
from ansible_collections.okiagari.testbed.plugins.module_utils.authority import View
from ansible_collections.okiagari.testbed.plugins.module_utils.errors import BadValue, OkiagariError
from ansible_collections.okiagari.testbed.plugins.module_utils.watch import Counts, Observation, Watch

from .agents import config, service, until

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping
    from pathlib import Path

WATCH = Watch(period_s=0.02, timeout_s=0.02, good_for_s=60.0, silence_s=60.0, grace_s=0.0, late_s=60.0)
# A period of it is longer than a test: whoever asks twice was urged to.
LASTING = Watch(period_s=600.0, timeout_s=0.02, good_for_s=3000.0, silence_s=3000.0, grace_s=0.0, late_s=60.0)
# One that no socket can be asked with is answered at once, and so is no answer that waits for a busy machine.
SICK = ("tcp", "{address}", "http", "ping")


class FakeOverlay:
    def __init__(self) -> None:
        self.alive = {"a", "b", "c"}
        self.published: list[Observation] = []
        self.asked: list[str] = []
        self.answer: Exception | None = None

    def publish(self, op: str, body: Mapping[str, Any]) -> None:
        assert op == OP
        self.published.append(Observation.from_dict(body))

    async def ask(self, to: str, op: str, _body: Mapping[str, Any], _timeout_s: float) -> Mapping[str, Any]:
        assert op == "ping"
        self.asked.append(to)
        if self.answer:
            raise self.answer
        return {}


class FakeDriver:
    def __init__(self, view: View) -> None:
        self.view = view
        self.suspicions: list[bool] = []
        self.suspect = self.suspicions.append
        self.further: int | None = None
        self.ill: list[str] = []
        self.unwell = self.ill.append


class Rig:
    def __init__(
        self, folder: Path, request: tuple[str, ...] = SICK, view: View | None = None, watch: Watch = WATCH
    ) -> None:  # fmt: skip
        self.heard: list[str] = []
        self.overlay, self.driver = FakeOverlay(), FakeDriver(view or View(17, "b", 2, 9))
        self.told: list[str] = []
        self.watching = Watching(
            config(folder), service(request=request, watch=watch), self.overlay, self.driver,
            lambda event, _values: self.told.append(event), self.heard.append,
        )  # fmt: skip

    def hear(
        self, level: float, sequence: int = 1, *, observer: str = "c", sender: str = "c", holder: str = "b"
    ) -> None:
        said = Observation("db", holder, observer, f"site-{observer}", sequence, level, "why", 60.0)
        self.watching.heard(said.to_dict(), sender)


def use(rig: Rig, what: Callable[[], Coroutine[Any, Any, None]]) -> None:
    async def run() -> None:
        task = asyncio.create_task(rig.watching.run())
        try:
            await what()
            assert not task.done()
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    asyncio.run(run())


def test_a_service_without_a_dummy_request_is_watched_by_its_lease_alone(tmp_path: Path) -> None:
    rig = Rig(tmp_path, ())
    asyncio.run(rig.watching.run())
    assert (rig.overlay.published, rig.watching.level, rig.driver.suspicions) == ([], 0.0, [])


def test_what_an_observer_sees_is_published(tmp_path: Path) -> None:
    rig = Rig(tmp_path)

    async def what() -> None:
        await until(lambda: len(rig.overlay.published) > 3)

    use(rig, what)
    assert {(each.holder, each.observer, each.domain) for each in rig.overlay.published} == {("b", "a", "site-a")}
    assert [each.sequence for each in rig.overlay.published[:3]] == [1, 2, 3]
    assert rig.overlay.published[3].level == 1.0
    assert "invalid literal" in rig.overlay.published[3].why


@pytest.mark.parametrize(("holder", "heard"), [("a", True), ("b", False)])
def test_what_a_service_says_is_heard_at_its_own_host_alone(tmp_path: Path, holder: str, heard: bool) -> None:
    rig = Rig(tmp_path, view=View(17, holder, 2, 9))
    patient = Watch(period_s=0.1, timeout_s=0.1, good_for_s=60.0, silence_s=60.0, grace_s=0.0)
    served: list[str] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        served.append((await reader.readline()).decode().strip())
        writer.write(b"pong checkpoint=3\n" if served[-1] == "ping" else b"ill checkpoint=4\n")
        writer.close()

    async def what() -> None:
        async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
            for line in ("ping", "sick"):
                request = ("tcp", "{address}", str(server.sockets[0].getsockname()[1]), line, "pong")
                rig.watching.watch, rig.watching._service = patient, service(request=request, watch=patient)
                # Until one was there whose answer was in time.
                seen = len(rig.overlay.published)
                await until(
                    lambda line=line, seen=seen: any(
                        (each.level == 0) == (line == "ping") for each in rig.overlay.published[seen + 1 :]
                    )
                )

    use(rig, what)
    assert set(rig.heard) == ({"pong checkpoint=3"} if heard else set())


def test_a_further_server_is_asked_by_its_own_host_alone(tmp_path: Path) -> None:
    patient = Watch(period_s=0.1, timeout_s=0.1, good_for_s=60.0, silence_s=60.0, grace_s=0.0)
    rig = Rig(tmp_path, view=View(17, "b", 2, 9), watch=patient)
    well = True

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(b"pong changed=3\n" if well else b"ill changed=4\n")
        writer.close()

    async def what() -> None:
        nonlocal well
        async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
            port = str(server.sockets[0].getsockname()[1])
            rig.watching._service = service(request=("tcp", "{address}", port, "ping", "pong"), watch=patient)
            await until(lambda: len(rig.overlay.published) > 2)
            assert rig.heard == []
            rig.driver.further = 5
            await until(lambda: rig.heard)
            well = False
            # On a busy machine an answer may come too late before.
            await until(lambda: any("isn't well: answered ill changed=4, not pong" in why for why in rig.driver.ill))

    use(rig, what)
    assert set(rig.heard) == {"pong changed=3"}
    # Others aren't told of it: they watch the holder.
    assert {each.holder for each in rig.overlay.published} == {"b"}


def test_a_dead_server_is_suspected_and_trusted_again(tmp_path: Path) -> None:
    rig = Rig(tmp_path)

    async def what() -> None:
        await until(lambda: rig.overlay.published)
        rig.hear(1.0)
        await until(lambda: rig.driver.suspicions)
        assert rig.watching.hindrance == ""
        async with await asyncio.start_server(lambda _reader, writer: writer.close(), "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            patient = Watch(period_s=0.1, timeout_s=0.1, good_for_s=60.0, silence_s=60.0, grace_s=0.0)
            rig.watching.watch = patient
            rig.watching._service = service(request=("tcp", "{address}", str(port)), watch=patient)
            rig.hear(0.0, 2)
            await until(lambda: len(rig.driver.suspicions) > 1)

    use(rig, what)
    assert rig.driver.suspicions[:2] == [True, False]
    assert rig.told[:2] == ["holder_suspected", "holder_trusted"]


def test_a_holder_whose_service_is_sick_here_is_a_poor_candidate(tmp_path: Path) -> None:
    rig = Rig(tmp_path, view=View(17, "a", 2, 9))

    async def what() -> None:
        await until(lambda: rig.overlay.published)
        rig.hear(1.0, holder="a")
        await until(lambda: rig.driver.suspicions)

    use(rig, what)
    assert rig.watching.hindrance == "db isn't well here"


def test_another_token_begins_anew_also_for_the_same_host(tmp_path: Path) -> None:
    rig = Rig(tmp_path)

    async def what() -> None:
        await until(lambda: any(each.level == 1.0 for each in rig.overlay.published))
        before = len(rig.overlay.published)
        rig.driver.view = View(30, "b", 3, 28)
        await until(lambda: rig.watching._token == 28 and len(rig.overlay.published) > before + 1)
        assert any(each.level < 1.0 for each in rig.overlay.published[before:])
        rig.driver.view = View(40, None, 3, 28)
        await until(lambda: not rig.watching._asks)
        assert rig.watching.level == 0.0
        rig.driver.view = View(50, "stranger", 4, 44)
        await until(lambda: rig.watching._token == 44)
        assert not rig.watching._asks

    use(rig, what)


def test_nobody_observes_for_another_and_garbage_is_refused(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    with pytest.raises(BadValue, match="c speaks as a"):
        rig.hear(1.0, observer="a")
    with pytest.raises(BadValue):
        rig.watching.heard({}, "c")


def test_an_observer_whose_peers_answer_is_soon_sure_of_itself_again(tmp_path: Path) -> None:
    """Else each wake-up that was late once would make it slower for ever."""
    rig = Rig(tmp_path)
    rig.watching._health.score = 8

    async def what() -> None:
        await until(lambda: rig.watching._health.score == 0)

    use(rig, what)
    assert set(rig.overlay.asked) == {"c"}  # the holder is asked already


@pytest.mark.parametrize(
    ("alive", "answer", "doubts"),
    [
        ({"a", "b", "c"}, NoAnswer("c"), True),
        ({"a"}, None, True),  # cut off from all
        ({"a", "b", "c"}, OkiagariError("c: there is no question ping"), False),
        ({"a", "b", "c"}, None, False),
    ],
)
def test_an_observer_that_nobody_answers_doubts_itself(
    tmp_path: Path, alive: set[str], answer: Exception | None, doubts: bool
) -> None:
    rig = Rig(tmp_path)
    rig.overlay.alive, rig.overlay.answer = alive, answer
    rig.watching._health.score = 4

    async def what() -> None:
        await until(lambda: rig.watching._health.score == (8 if doubts else 0))

    use(rig, what)


def test_who_sees_clients_answered_asks_nothing_and_says_that_it_is_well(tmp_path: Path) -> None:
    """A request would find it sick. As soon as clients aren't answered any more it goes out."""
    rig = Rig(tmp_path, watch=LASTING)
    answered = 0

    def pass_by(more: int) -> None:
        nonlocal answered
        answered += more
        rig.watching.passed("b", Counts(answered))

    async def what() -> None:
        await until(lambda: rig.overlay.published)
        assert rig.overlay.published[0].level > 0
        pass_by(0)
        pass_by(1)
        rig.watching._urged.set()
        await until(lambda: len(rig.overlay.published) > 1)
        assert (rig.overlay.published[1].level, rig.overlay.published[1].why) == (0.0, "")
        rig.watching._traffic._good_until = 0.0
        pass_by(0)
        await until(lambda: len(rig.overlay.published) > 2)
        assert rig.overlay.published[2].level > 0

    use(rig, what)


@pytest.mark.parametrize(("on_request", "asks"), [(True, True), (False, False)])
def test_a_guest_that_says_when_to_capture_it_is_asked_by_its_host(
    tmp_path: Path, on_request: bool, asks: bool
) -> None:
    rig = Rig(tmp_path, view=View(17, "a", 2, 9), watch=LASTING)
    kept = Checkpointing(tmp_path / "key", on_request=on_request)
    rig.watching._service = service(request=SICK, watch=LASTING, checkpoint=kept)

    async def what() -> None:
        await until(lambda: rig.overlay.published)
        for answered in (0, 1):
            rig.watching.passed("a", Counts(answered))
        rig.watching._urged.set()
        await until(lambda: len(rig.overlay.published) > 1)
        assert (rig.overlay.published[1].level > 0) is asks

    use(rig, what)


def test_a_failure_is_no_failure_of_the_service_but_asked_about_at_once(tmp_path: Path) -> None:
    rig = Rig(tmp_path, watch=LASTING)

    async def what() -> None:
        rig.watching.passed("b", Counts())
        await until(lambda: rig.overlay.published)
        rig.watching._traffic._asked_at = 0.0
        rig.watching.passed("b", Counts(1))
        rig.watching.passed("b", Counts(2, 1))
        await until(lambda: len(rig.overlay.published) > 1)
        assert "invalid literal" in rig.overlay.published[1].why

    use(rig, what)


@pytest.mark.parametrize("holder", ["c", None])
def test_what_passes_to_another_than_the_holder_says_nothing(tmp_path: Path, holder: str | None) -> None:
    rig = Rig(tmp_path, watch=LASTING)

    async def what() -> None:
        await until(lambda: rig.overlay.published)
        for answered in range(3):
            rig.watching.passed(holder, Counts(answered, answered))
        rig.watching._urged.set()
        await until(lambda: len(rig.overlay.published) > 1)
        assert rig.overlay.published[1].level > 0

    use(rig, what)


def test_who_asks_nobody_is_urged_by_nothing(tmp_path: Path) -> None:
    rig = Rig(tmp_path, view=View(17, None, 2, 9), watch=LASTING)

    async def what() -> None:
        await until(lambda: rig.watching._token == 9)
        for count in range(5):
            rig.watching.passed(None, Counts(count, count))
            rig.watching.passed("", Counts(count, count))
        assert not rig.watching._urged.is_set()

    use(rig, what)
