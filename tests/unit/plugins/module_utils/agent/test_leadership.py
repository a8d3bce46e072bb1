# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the store's leader should be, and how it comes to be there; a real store is for the contract tests."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from ansible_collections.okiagari.testbed.plugins.module_utils.agent import leadership as module
from ansible_collections.okiagari.testbed.plugins.module_utils.agent.leadership import Leadership, better
from ansible_collections.okiagari.testbed.plugins.module_utils.agent.store import Member, NotReached
from hypothesis import given
from hypothesis import strategies as st

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

HOSTS = {"a1": "a", "b1": "b", "c1": "c"}


class Scripted:
    """A store that `leads` by one of its members; `weak` ones can't, and those `away` don't answer."""

    def __init__(self, leads: str, *weak: str) -> None:
        self.leads, self.weak, self.known = leads, weak, [*HOSTS, "elsewhere"]
        self.fails, self.away = 0, iter([set[str]()] * 100)

    async def members(self) -> tuple[Member, Mapping[str, Member]]:
        if self.fails:
            self.fails -= 1
            raise NotReached("nobody answers")
        members = {name: Member(name, name, "") for name in self.known}
        return members[self.leads], members

    async def reached(self, members: Iterable[Member]) -> frozenset[str]:
        return frozenset(member.name for member in members) - next(self.away)

    async def lead(self, leader: Member, heir: Member) -> None:
        assert leader.name == self.leads
        if heir.name in self.weak:
            raise NotReached(f"{heir.name} is behind")
        self.leads = heir.name


def move(store: Scripted, *holding: str) -> list[tuple[str, str]]:
    moved: list[tuple[str, str]] = []
    leadership = Leadership(store, HOSTS, set, lambda old, new: moved.append((old, new)))  # type: ignore[arg-type]

    async def once() -> None:
        leader, members = await store.members()
        await leadership.move(leader, members, holding, members.keys())

    asyncio.run(once())
    return moved


def test_the_leader_leaves_the_site_that_holds_a_service() -> None:
    store = Scripted("a1")
    assert move(store, "a") == [("a1", "b1")]
    assert move(store, "a") == []
    assert move(store, "a", "b") == [("b1", "c1")]
    # Nowhere would be better.
    assert move(store, "a", "b", "c") == []


def test_the_next_one_leads_where_the_first_one_can_not() -> None:
    assert move(Scripted("a1", "b1"), "a") == [("a1", "c1")]
    with pytest.raises(NotReached, match="c1 is behind"):
        move(Scripted("a1", "b1", "c1"), "a")
    # Of a member that is no agent's host, nothing is known.
    assert move(Scripted("elsewhere"), "a") == []


@given(
    domains=st.dictionaries(st.sampled_from("pqrstu"), st.sampled_from("abc")),
    leader=st.sampled_from("pqrstu"),
    holding=st.sets(st.sampled_from("abc")),
    reached=st.sets(st.sampled_from("pqrstu")),
)
def test_whoever_is_better_is_well_there(
    domains: dict[str, str | None], leader: str, holding: set[str], reached: set[str]
) -> None:
    reached &= domains.keys()
    for name in better(leader, domains, holding, reached):
        assert name in reached
        assert domains[leader] in holding
        assert better(name, domains, holding, reached) == ()


@pytest.mark.parametrize(
    ("members", "reached", "moves"),
    [
        ("abc", "abc", True),
        ("abc", "ab", False),
        ("abc", "a", False),
        ("abcde", "abcde", True),
        ("abcde", "abcd", True),
        ("abcde", "abc", False),
    ],
)
def test_the_leader_stays_where_the_others_could_not_go_on_without_it(members: str, reached: str, moves: bool) -> None:
    domains: dict[str, str | None] = dict(zip(members, "vwxyz", strict=False))
    assert bool(better("a", domains, {"v"}, set(reached))) is moves


ALL: set[str] = set()


@pytest.mark.parametrize(
    ("fails", "held", "away", "moves"),
    [
        # A holder that has just acquired its lease is left alone: nothing is renewed while leaders change.
        (0, [{"a"}] * 3, [ALL] * 3, False),
        (0, [{"a"}] * 4, [ALL] * 4, True),
        (0, [{"a"}, {"a"}, {"a", "c"}, {"a"}, {"a"}, {"a"}], [ALL] * 6, False),
        (0, [{"a"}, {"a"}, set(), {"a"}, {"a"}, {"a"}], [ALL] * 6, False),
        (0, [set()] * 9, [ALL] * 9, False),
        (1, [{"a"}] * 4, [ALL] * 4, False),
        (1, [{"a"}] * 5, [ALL] * 5, True),
        # Nor does anything change while a member is away, or just back.
        (0, [{"a"}] * 9, [{"b1", "elsewhere"}] * 9, False),
        (0, [{"a"}] * 9, [{"b1", "elsewhere"}] * 6 + [ALL] * 3, False),
        (0, [{"a"}] * 9, [{"b1", "elsewhere"}] * 5 + [ALL] * 4, True),
    ],
)
def test_the_leader_moves_when_services_have_been_held_there_for_a_while(
    monkeypatch: pytest.MonkeyPatch, fails: int, held: list[set[str]], away: list[set[str]], moves: bool
) -> None:
    monkeypatch.setattr(module, "_LOOK_S", 0.001)
    store, looks, moved = Scripted("a1"), iter(held), []
    store.fails, store.away = fails, iter(away)

    def holding() -> set[str]:
        found = next(looks, None)
        if found is None:
            raise KeyboardInterrupt
        return found

    def note(*said: Any) -> None:
        moved.append(said)

    with pytest.raises(KeyboardInterrupt):
        asyncio.run(Leadership(store, HOSTS, holding, note).run())  # type: ignore[arg-type]
    assert moved == ([("a1", "b1")] if moves else [])
