# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an agent missed, taken from peers over an overlay that is in memory."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import pytest
from ansible_collections.okiagari.testbed.plugins.module_utils.agent import catch_up as module
from ansible_collections.okiagari.testbed.plugins.module_utils.agent.catch_up import OP_LINES, OP_POSITIONS, CatchUp
from ansible_collections.okiagari.testbed.plugins.module_utils.agent.events import Events
from ansible_collections.okiagari.testbed.plugins.module_utils.agent.overlay import NoAnswer
from ansible_collections.okiagari.testbed.plugins.module_utils.errors import OkiagariError
from ansible_collections.okiagari.testbed.plugins.module_utils.logpool import Query

from .agents import until

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping
    from pathlib import Path


class Net:
    """Agents that reach each other unless a side of the cut is between them; nothing is published on its own."""

    def __init__(self, folder: Path, names: str = "abc") -> None:
        self.folder = folder
        self.agents: dict[str, Peer] = {}
        self.asked: list[tuple[str, str, str, Any]] = []
        self.cut: set[str] = set()
        self.busy = self.busiest = 0
        for name in names:
            self.begin(name)

    def begin(self, name: str) -> Peer:
        self.agents[name] = Peer(self, name)
        return self.agents[name]

    def together(self, one: str, other: str) -> bool:
        return (one in self.cut) == (other in self.cut)

    def heal(self) -> None:
        self.cut = set()
        for peer in self.agents.values():
            for other in self.agents.keys() - {peer.name}:
                peer.catch_up.changed(other, alive=True)


class Peer:
    """An agent, as its own overlay sees the net."""

    def __init__(self, net: Net, name: str) -> None:
        self.net, self.name = net, name
        self.events = Events(name, net.folder, self, time.time, most_bytes=2**24)  # type: ignore[arg-type]
        self.catch_up = CatchUp(name, self.events, self)  # type: ignore[arg-type]
        self.answers: dict[str, Callable[[Mapping[str, Any]], Any]] = {
            OP_POSITIONS: self.catch_up.positions, OP_LINES: self.catch_up.lines,
        }  # fmt: skip

    @property
    def alive(self) -> set[str]:
        return {name for name in self.net.agents if self.net.together(self.name, name)}

    def publish(self, _op: str, _body: Mapping[str, Any]) -> None:
        raise AssertionError("what is caught up isn't published again")

    async def ask(self, to: str, op: str, body: Mapping[str, Any]) -> Any:
        self.net.asked.append((self.name, to, op, body))
        await asyncio.sleep(0)
        if not self.net.together(self.name, to):
            raise NoAnswer(f"{to} didn't answer")
        return self.net.agents[to].answers[op](body)

    def tell(self, *numbers: int) -> None:
        for number in numbers:
            self.events.tell("test", {"n": number}, important=True)
            self.events.tell("test", {"ordinary": number})

    def numbers(self) -> list[int]:
        return sorted(row["values"]["n"] for row in self.events.pool.run(Query("where has values.n")))


def asks(net: Net, op: str) -> list[Any]:
    return [body for _one, _to, said, body in net.asked if said == op]


def run(what: Callable[[], Coroutine[Any, Any, None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(60):
            await what()

    asyncio.run(bounded())


def test_page_by_page_and_then_from_where_it_stood(tmp_path: Path) -> None:
    async def what() -> None:
        net = Net(tmp_path, "ab")
        a, b = (net.agents[name] for name in "ab")
        b.tell(*range(2450))
        await a.catch_up.read("b")
        assert a.numbers() == list(range(2450))
        assert [body["after"] for body in asks(net, OP_POSITIONS)] == [0, 1000, 2000, 2450]
        assert [len(body["positions"]) for body in asks(net, OP_LINES)] == [*[200] * 12, 50]
        net.asked.clear()
        b.tell(3000)
        await a.catch_up.read("b")
        assert a.numbers()[-1] == 3000
        assert [body["after"] for body in asks(net, OP_POSITIONS)] == [2450, 2451]

    run(what)


def test_what_is_known_is_not_sent(tmp_path: Path) -> None:
    async def what() -> None:
        net = Net(tmp_path)
        a, b, c = (net.agents[name] for name in "abc")
        b.tell(1, 2)
        await c.catch_up.read("b")
        c.tell(3)
        await a.catch_up.read("b")
        await a.catch_up.read("c")
        assert a.numbers() == [1, 2, 3]
        assert [len(body["positions"]) for one, _to, op, body in net.asked if (one, op) == ("a", OP_LINES)] == [2, 1]

    run(what)


def test_a_peer_that_was_started_anew_is_read_from_its_beginning(tmp_path: Path) -> None:
    async def what() -> None:
        net = Net(tmp_path, "ab")
        net.agents["b"].tell(1, 2, 3)
        await net.agents["a"].catch_up.read("b")
        net.begin("b").tell(4)
        await net.agents["a"].catch_up.read("b")
        assert net.agents["a"].numbers() == [1, 2, 3, 4]

    run(what)


def test_one_that_is_started_anew_between_two_pages_is_read_again_later(tmp_path: Path) -> None:
    async def what() -> None:
        net = Net(tmp_path, "ab")
        a, b = (net.agents[name] for name in "ab")
        b.tell(*range(1100))
        whole = b.answers[OP_LINES]

        def last_words(body: Mapping[str, Any]) -> Any:
            net.begin("b").tell(5000)
            return whole(body)

        b.answers[OP_LINES] = last_words
        with pytest.raises(OkiagariError, match=r"life|anew"):
            await a.catch_up.read("b")
        await a.catch_up.read("b")
        assert a.numbers()[-1] == 5000

    run(what)


def test_a_partition_that_heals_leaves_nothing_missed_and_nobody_asks_two_at_once(tmp_path: Path) -> None:
    async def what() -> None:
        net = Net(tmp_path, "abcdef")
        tasks = [asyncio.create_task(peer.catch_up.run()) for peer in net.agents.values()]
        net.cut = set("abc")
        for number, peer in enumerate(net.agents.values()):
            peer.tell(number)
        net.heal()
        open_of = dict.fromkeys(net.agents, 0)
        for peer in net.agents.values():
            watched(peer, open_of)
        await until(lambda: all(peer.numbers() == list(range(6)) for peer in net.agents.values()))
        firsts = {one: to for one, to, _op, _body in reversed(net.asked)}
        assert sorted(firsts.values()) == list("abcdef")
        for task in tasks:
            task.cancel()
        assert {type(each) for each in await asyncio.gather(*tasks, return_exceptions=True)} == {asyncio.CancelledError}

    run(what)


def watched(peer: Peer, open_of: dict[str, int]) -> None:
    ask = peer.ask

    async def counted(*said: Any) -> Any:
        open_of[peer.name] += 1
        assert open_of[peer.name] == 1
        try:
            return await ask(*said)
        finally:
            open_of[peer.name] -= 1

    peer.ask = counted  # type: ignore[method-assign]


def test_who_does_not_answer_is_asked_again_and_a_quiet_peer_from_time_to_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "RETRY_S", 0.01)
    monkeypatch.setattr(module, "PERIOD_S", 0.01)

    async def what() -> None:
        net = Net(tmp_path, "ab")
        a, b = (net.agents[name] for name in "ab")
        b.tell(1)
        task = asyncio.create_task(a.catch_up.run())
        b.answers[OP_POSITIONS] = lambda _body: {"run": "b/1"}
        a.catch_up.changed("b", alive=True)
        await until(lambda: len(net.asked) > 2)
        assert a.numbers() == []
        b.answers[OP_POSITIONS] = b.catch_up.positions
        await until(lambda: a.numbers() == [1])
        b.tell(2)
        await until(lambda: a.numbers() == [1, 2])
        net.cut = {"b"}
        a.catch_up.changed("b", alive=False)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    run(what)


@pytest.mark.parametrize(
    "answer",
    [{}, {"run": "b/1", "until": "x", "ids": []}, {"run": "b/1", "until": 1, "ids": [["b/1", 1, 1]]},
     {"run": "b/1", "until": 1, "ids": [[1]]}, {"run": 3, "until": 1, "ids": []}],
)  # fmt: skip
def test_an_answer_of_another_form_is_refused(tmp_path: Path, answer: Any) -> None:
    async def what() -> None:
        net = Net(tmp_path, "ab")
        net.agents["b"].answers[OP_POSITIONS] = lambda _body: answer
        with pytest.raises(OkiagariError, match="an answer"):
            await net.agents["a"].catch_up.read("b")

    run(what)


def test_large_events_go_into_several_answers(tmp_path: Path) -> None:
    async def what() -> None:
        net = Net(tmp_path, "ab")
        a, b = (net.agents[name] for name in "ab")
        for number in range(20):
            b.events.tell("test", {"n": number, "text": "x" * 60_000}, important=True)
        await a.catch_up.read("b")
        assert a.numbers() == list(range(20))
        assert len(asks(net, OP_LINES)) == 4

    run(what)


@pytest.mark.parametrize("body", [{}, {"after": "x"}, {"run": "b/0", "after": 1}, {"after": -1, "run": None}])
def test_whoever_asks_for_what_is_not_there_is_told_all(tmp_path: Path, body: dict[str, Any]) -> None:
    async def what() -> None:
        peer = Net(tmp_path, "b").agents["b"]
        peer.tell(1, 2)
        assert [position for position, _origin, _sequence in peer.catch_up.positions(body)["ids"]] == [1, 2]
        run_id = peer.events.run_id
        assert len(peer.catch_up.lines({"run": run_id, "positions": [1, "x", 2, 9]})["lines"]) == 2
        for wrong in ({"run": "b/0", "positions": [1]}, {"run": run_id, "positions": 3}):
            with pytest.raises(OkiagariError):
                peer.catch_up.lines(wrong)

    run(what)
