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
    from collections.abc import Mapping

HOSTS = {"a1": "a", "b1": "b", "c1": "c"}


class Scripted:
    """A store that `leads` by one of three members; `weak` ones can't."""

    def __init__(self, leads: str, *weak: str) -> None:
        self.leads, self.weak, self.known = leads, weak, [*HOSTS, "elsewhere"]
        self.fails = 0

    async def members(self) -> tuple[Member, Mapping[str, Member]]:
        if self.fails:
            self.fails -= 1
            raise NotReached("nobody answers")
        members = {name: Member(name, name, "") for name in self.known}
        return members[self.leads], members

    async def lead(self, leader: Member, heir: Member) -> None:
        assert leader.name == self.leads
        if heir.name in self.weak:
            raise NotReached(f"{heir.name} is behind")
        self.leads = heir.name


def look(store: Scripted, *holding: str) -> list[tuple[str, str]]:
    moved: list[tuple[str, str]] = []
    leadership = Leadership(store, HOSTS, set, lambda old, new: moved.append((old, new)))  # type: ignore[arg-type]
    asyncio.run(leadership.look(holding))
    return moved


def test_the_leader_leaves_the_site_that_holds_a_service() -> None:
    store = Scripted("a1")
    assert look(store, "a") == [("a1", "b1")]
    assert look(store, "a") == []
    assert look(store, "a", "b") == [("b1", "c1")]
    # Nowhere would be better.
    assert look(store, "a", "b", "c") == []


def test_the_next_one_leads_where_the_first_one_can_not() -> None:
    assert look(Scripted("a1", "b1"), "a") == [("a1", "c1")]
    with pytest.raises(NotReached, match="c1 is behind"):
        look(Scripted("a1", "b1", "c1"), "a")
    # Of a member that is no agent's host, nothing is known.
    assert look(Scripted("elsewhere"), "a") == []


@given(
    domains=st.dictionaries(st.sampled_from("pqrstu"), st.sampled_from("abc")),
    leader=st.sampled_from("pqrstu"),
    holding=st.sets(st.sampled_from("abc")),
)
def test_whoever_is_better_is_well_there(domains: dict[str, str], leader: str, holding: set[str]) -> None:
    for name in better(leader, domains, holding):
        assert domains[leader] in holding
        assert better(name, domains, holding) == ()


@pytest.mark.parametrize(
    ("fails", "held", "moves"),
    [
        # A holder that has just acquired its lease is left alone: nothing is renewed while leaders change.
        (0, [{"a"}, {"a"}, {"a"}], False),
        (0, [{"a"}, {"a"}, {"a"}, {"a"}], True),
        (0, [{"a"}, {"a"}, {"a", "c"}, {"a"}, {"a"}, {"a"}], False),
        (0, [{"a"}, {"a"}, set(), {"a"}, {"a"}, {"a"}], False),
        (0, [set()] * 9, False),
        (1, [{"a"}, {"a"}, {"a"}, {"a"}], False),
        (1, [{"a"}, {"a"}, {"a"}, {"a"}, {"a"}], True),
    ],
)
def test_the_leader_moves_when_services_have_been_held_there_for_a_while(
    monkeypatch: pytest.MonkeyPatch, fails: int, held: list[set[str]], moves: bool
) -> None:
    monkeypatch.setattr(module, "_LOOK_S", 0.001)
    store, looks, moved = Scripted("a1"), iter(held), []
    store.fails = fails

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
