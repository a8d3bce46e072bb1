# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Schedules of faults: each part of a split network has one server, and after it nothing is lost or merged twice."""

from __future__ import annotations

import random
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import pytest
from ansible_collections.okiagari.testbed.plugins.module_utils.authority.available import Available, Server
from ansible_collections.okiagari.testbed.plugins.module_utils.authority.merging import Merging
from ansible_collections.okiagari.testbed.plugins.module_utils.authority.sharing import Sharing

from .part_schedules import run
from .simulated_parts import Place

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

SCHEDULES = 240
BLOCK = 60
ENOUGH = 40
"""In so many schedules at most each wrong variant has to be caught."""


def size(seed: int) -> int:
    return random.Random(seed).randint(3, 12)


@pytest.mark.parametrize("first", range(0, SCHEDULES, BLOCK))
def test_each_part_has_a_server_and_one_is_left_that_has_everything(first: int) -> None:
    outcomes = [run(seed, size(seed)) for seed in range(first, first + BLOCK)]
    # a simulation in which nothing happens would pass as well
    assert sum(outcome.servers > 1 for outcome in outcomes) > BLOCK / 3
    assert sum(outcome.merges for outcome in outcomes) > BLOCK
    assert sum(outcome.starts for outcome in outcomes) > 2 * BLOCK
    assert sum(outcome.replicas for outcome in outcomes) > BLOCK
    assert sum(outcome.beside for outcome in outcomes) > BLOCK / 3


def test_a_schedule_is_the_same_each_time() -> None:
    assert run("again", 5) == run("again", 5)


def no_merge() -> list[AbstractContextManager[object]]:
    """The winner says that it has merged what it was offered, and hasn't."""

    def merge(place: Place, action: Any) -> None:
        place.tell(lambda each, now: each.merged(now, action.host, action.term, action.digest))

    return [patch.object(Place, "_merge", merge)]


def no_export() -> list[AbstractContextManager[object]]:
    """A loser forgets what it did as soon as it has been offered."""
    owe = Merging.owe

    def forget(merging: Merging, now: float, server: str, term: int) -> object:
        offers = bool(merging.ledger.digest)
        actions = owe(merging, now, server, term)
        return actions + merging._settle() if offers and actions else actions

    return [patch.object(Merging, "owe", forget)]


def each_is_the_first() -> list[AbstractContextManager[object]]:
    return [patch.object(Available, "_rival", lambda *_arguments: None)]


def each_goes_by_its_own_rule() -> list[AbstractContextManager[object]]:
    """Of the votes, the one says that the more count, and the other the fewer."""
    rival = Available._rival

    def other(available: Available, now: float) -> object:
        def first(one: Server, two: Server) -> bool:
            sign = 1 if int(available._name[1:]) % 2 else -1
            return (sign * one.votes, one.term, one.host) < (sign * two.votes, two.term, two.host)

        with patch.object(Server, "outranks", first):
            return rival(available, now)

    return [patch.object(Available, "_rival", other)]


def nothing_is_noted() -> list[AbstractContextManager[object]]:
    """Neither what is owed nor what was merged outlives the agent."""
    return [patch.object(Place, "_keep", lambda *_arguments: None)]


def failed_is_merged() -> list[AbstractContextManager[object]]:
    """A merge that failed, or for which nothing came, is told as one that went well."""

    def failed(place: Place, action: Any) -> None:
        place._over(lambda each, now: each.merged(now, action.host, action.term, action.digest))

    return [patch.object(Place, "_merge_failed", failed)]


def a_further_server_owes_nothing() -> list[AbstractContextManager[object]]:
    """Whoever wasn't elected forgets what it did as soon as others have had some of it."""
    share = Merging.share

    def forget(merging: Merging, digest: str) -> object:
        actions = share(merging, digest)
        return actions if merging.ledger.votes else actions + merging._settle()

    return [patch.object(Merging, "share", forget)]


def a_further_server_is_a_rival() -> list[AbstractContextManager[object]]:
    return [patch.object(Server, "further", property(lambda _server: False))]


def a_further_server_is_server_enough() -> list[AbstractContextManager[object]]:
    """Nobody misses an elected one where a further one is heard."""

    server = Available.server

    def any_server(available: Available, now: float) -> object:
        return server(available, now) or next(iter(available._fresh(now)), None)

    return [patch.object(Available, "server", any_server)]


def no_further_server_is_elected() -> list[AbstractContextManager[object]]:
    return [patch.object(Available, "_promote", lambda *_arguments: [])]


def nobody_is_one_too_many() -> list[AbstractContextManager[object]]:
    return [patch.object(Available, "_too_many", lambda *_arguments: False)]


def changes_stay_where_they_were_made() -> list[AbstractContextManager[object]]:
    return [patch.object(Sharing, "changed", lambda _sharing: None)]


@pytest.mark.parametrize(
    "variant",
    [
        no_merge, no_export, each_is_the_first, each_goes_by_its_own_rule, nothing_is_noted, failed_is_merged,
        a_further_server_owes_nothing, a_further_server_is_a_rival, a_further_server_is_server_enough,
        no_further_server_is_elected, nobody_is_one_too_many, changes_stay_where_they_were_made,
    ],
)  # fmt: skip
def test_what_is_wrong_on_purpose_is_caught(variant: Any) -> None:
    with ExitStack() as patches:
        for each in variant():
            patches.enter_context(each)
        assert any(fails(seed) for seed in range(ENOUGH)), f"{variant.__name__} was not caught"


def fails(seed: int) -> bool:
    try:
        run(seed, size(seed))
    except AssertionError:
        return True
    return False
