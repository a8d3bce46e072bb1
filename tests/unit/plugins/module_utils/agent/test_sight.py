# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Agents some of which are there without being seen, over an overlay in memory that drops what it was told."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from ansible_collections.okiagari.testbed.plugins.module_utils.agent import sight as module
from ansible_collections.okiagari.testbed.plugins.module_utils.agent.overlay import NoAnswer
from ansible_collections.okiagari.testbed.plugins.module_utils.agent.sight import Sight, missed
from hypothesis import given
from hypothesis import strategies as st

if TYPE_CHECKING:
    from collections.abc import Iterable


@pytest.mark.parametrize(
    ("seen", "answering", "told", "why"),
    [
        ("abc", "b", {"b": "abc"}, ""),
        ("abc", "b", {}, ""),
        ("abc", "b", {"b": "bc"}, "b: seen from here, but not seeing a"),
        ("a", "b", {}, "b: answering on the link, but not seen"),
        ("ab", "b", {"b": "abc"}, "c: seen by b, but not from here"),
        ("abc", "bc", {"b": "ab"}, ""),
    ],
)
def test_an_agent_may_be_missed_where_it_is_not_seen_or_does_not_see(
    seen: str, answering: str, told: dict[str, str], why: str
) -> None:
    assert missed("a", set(seen), set(answering), told) == why


class Net:
    """A chain of agents. `dropped` are pairs: who doesn't see whom, until that one is declared again."""

    def __init__(self, names: str, dropped: Iterable[tuple[str, str]]) -> None:
        self.names, self.dropped = names, set(dropped)
        self.again: list[str] = []
        self.told: list[str] = []
        self.never = False
        self.eyes = {name: Eye(self, name) for name in names}

    async def look(self, rounds: int) -> None:
        for _round in range(rounds):
            for eye in self.eyes.values():
                await eye.sight.look()


class Eye:
    """One agent's overlay."""

    def __init__(self, net: Net, name: str) -> None:
        self.net, self.name = net, name
        self.sight = Sight(name, set(net.names) - {name}, self, self.neighbours, net.told.append)  # type: ignore[arg-type]

    def neighbours(self) -> set[str]:
        place = self.net.names.index(self.name)
        return set(self.net.names[max(place - 1, 0) : place + 2]) - {self.name}

    @property
    def alive(self) -> set[str]:
        return {peer for peer in self.net.names if (self.name, peer) not in self.net.dropped}

    async def ask_all(self, peers: Iterable[str], _op: str, _body: dict[str, Any]) -> dict[str, Any]:
        return {peer: self.net.eyes[peer].sight.seen() for peer in peers if peer in self.alive}

    async def declare_again(self) -> None:
        self.net.again.append(self.name)
        if not self.net.never:
            self.net.dropped = {pair for pair in self.net.dropped if pair[1] != self.name}


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    monkeypatch.setattr(module.asyncio, "sleep", sleep)
    return slept


PAIRS = st.tuples(st.sampled_from("abcd"), st.sampled_from("abcd")).filter(lambda pair: pair[0] != pair[1])


@given(st.sets(PAIRS))
def test_whoever_was_dropped_by_whomever_all_see_each_other_again(dropped: set[tuple[str, str]]) -> None:
    net = Net("abcd", dropped)
    asyncio.run(net.look(8))
    assert net.dropped == set()


def test_where_all_see_each_other_nobody_is_declared_again() -> None:
    net = Net("abcd", [])
    asyncio.run(net.look(10))
    assert (net.again, net.told) == ([], [])


def test_what_is_wrong_for_a_moment_only_is_left_alone() -> None:
    net = Net("ab", [("b", "a")])
    answers = net.eyes["a"].ask_all

    async def once(peers: Iterable[str], op: str, body: dict[str, Any]) -> dict[str, Any]:
        said = await answers(peers, op, body)
        net.dropped.clear()
        return said

    net.eyes["a"].ask_all = once  # type: ignore[method-assign]
    asyncio.run(net.eyes["a"].sight.look())
    assert net.again == []


def test_who_never_gets_in_is_called_at_less_and_less(no_waiting: list[float]) -> None:
    net = Net("ab", [("a", "b")])
    net.never = True
    asyncio.run(_look(net.eyes["a"], 8))
    assert no_waiting[1::2] == [2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0, 60.0]


def test_a_peer_that_answers_nothing_or_nonsense_or_strangers_is_passed_by() -> None:
    net = Net("abc", [])

    said: list[Any] = []

    async def answers(peers: Iterable[str], _op: str, _body: dict[str, Any]) -> dict[str, Any]:
        return dict.fromkeys(peers, said[-1])

    net.eyes["a"].ask_all = answers  # type: ignore[method-assign]
    for answer in (NoAnswer("no"), {}, {"alive": None}, {"alive": [3]}, {"alive": ["a", "b", "c", "stranger"]}):
        said.append(answer)
        asyncio.run(_look(net.eyes["a"], 2))
    assert net.again == []


def test_who_comes_is_asked_first_and_who_goes_is_not_asked() -> None:
    net = Net("abcd", [])
    sight, asked = net.eyes["a"].sight, list[str]()

    async def answers(peers: Iterable[str], _op: str, _body: dict[str, Any]) -> dict[str, Any]:
        asked.append("".join(sorted(peers)))
        return {}

    net.eyes["a"].ask_all = answers  # type: ignore[method-assign]
    for peer in "cdb":
        sight.changed(peer, alive=True)
    sight.changed("d", alive=False)
    asyncio.run(_look(net.eyes["a"], 5))
    assert asked == ["bc", "b", "c", "d", "b"]


async def _look(eye: Eye, times: int) -> None:
    for _round in range(times):
        await eye.sight.look()
