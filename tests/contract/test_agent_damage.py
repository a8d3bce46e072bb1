# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Agents that are killed and find their files damaged; `make soak` has 100."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest
from ansible_collections.okiagari.testbed.tests.contract.agent_damage import Ballots, soak

if TYPE_CHECKING:
    from pathlib import Path


def ballot(term: int, *, granted: bool = True) -> dict[str, object]:
    return {"kind": "ballot", "term": term, "vote": {"granted": granted}}


def test_one_vote_a_term_is_right() -> None:
    ballots = Ballots()
    for term, caller in ((1, "a"), (2, "c"), (2, "c")):
        ballots.heard(ballot(term), "b", caller)
    ballots.heard(ballot(2, granted=False), "b", "a")
    ballots.heard({"kind": "result", "term": 2}, "c", "b")
    ballots.heard({"kind": "call", "term": 2}, "b", "a")
    ballots.check()


@pytest.mark.parametrize(
    ("more", "sender", "to", "said"),
    [
        (ballot(1), "b", "c", "b voted for a and c in term 1"),
        ({"kind": "result", "term": 1}, "b", "c", "b voted in term 1 for others and for itself"),
        ({"kind": "result", "term": 1}, "c", "b", "term 1 has results of a and c"),
    ],
)
def test_a_second_vote_in_a_term_is_found(more: dict[str, object], sender: str, to: str, said: str) -> None:
    ballots = Ballots()
    ballots.heard(ballot(1), "b", "a")
    ballots.heard({"kind": "result", "term": 1}, "a", "b")
    ballots.heard(more, sender, to)
    with pytest.raises(AssertionError, match=said):
        ballots.check()


def test_agents_that_are_killed_come_back_whatever_became_of_their_files(tmp_path: Path) -> None:
    ballots = soak(5, random.SystemRandom().randrange(1 << 32), tmp_path)
    assert ballots.votes
    assert ballots.results
