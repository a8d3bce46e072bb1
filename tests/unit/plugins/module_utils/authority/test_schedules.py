# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A thousand schedules of faults: never two servers, always one in time; and what is wrong on purpose is caught."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING
from unittest.mock import patch

import pytest
from ansible_collections.okiagari.testbed.plugins.module_utils.authority import Holder, Supervisor, Timing

from .schedules import BOUND_S, run
from .simulated_agents import Host, TwoServers
from .simulated_store import Store

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

SCHEDULES = 1000
BLOCK = 125
ENOUGH = 200
"""In how many schedules each wrong variant has to be caught."""


@pytest.mark.parametrize("first", range(0, SCHEDULES, BLOCK))
def test_there_are_never_two_servers_and_always_one_in_time(first: int) -> None:
    outcomes = [run(seed) for seed in range(first, first + BLOCK)]
    assert max(outcome.recovered_s for outcome in outcomes) <= BOUND_S
    # a simulation in which nothing happens would pass as well
    assert sum(outcome.runs for outcome in outcomes) > 2 * BLOCK
    assert sum(outcome.recovered_s > 0 for outcome in outcomes) > BLOCK / 4
    assert sum(outcome.fenced for outcome in outcomes) > BLOCK / 4


def test_a_schedule_is_the_same_each_time() -> None:
    assert run("again") == run("again")


def no_deadline(*_args: object) -> float:
    return float("inf")


def never(*_args: object) -> None:
    return None


def no_supervisor() -> list[AbstractContextManager[object]]:
    return [patch.object(Supervisor, "tick", never), patch.object(Supervisor, "wake_at", property(no_deadline))]


def no_lease_check() -> list[AbstractContextManager[object]]:
    return [*no_supervisor(), patch.object(Holder, "_stop_at", property(no_deadline))]


def counted_from_the_answer() -> list[AbstractContextManager[object]]:
    return [patch.object(Host, "counted_from", staticmethod(lambda _sent_at, now: now))]


def no_wait() -> list[AbstractContextManager[object]]:
    return [patch.object(Timing, "wait_s", property(lambda _timing: 0.0))]


def always_clean() -> list[AbstractContextManager[object]]:
    """A holder that never served says that nothing runs anywhere."""
    release = Store.release
    return [
        patch.object(Store, "release", lambda store, lease, token, *, clean: release(store, lease, token, clean=True))
    ]


def late_starts() -> list[AbstractContextManager[object]]:
    """The supervisor counts a request's deadline from when it comes."""
    start = Supervisor.start

    def late(supervisor: Supervisor, now: float, *, token: int, lease: int, term: int, deadline: float) -> object:
        return start(supervisor, now, token=token, lease=lease, term=term, deadline=max(deadline, now + 6.0))

    return [patch.object(Supervisor, "start", late)]


def unsaid_renewals() -> list[AbstractContextManager[object]]:
    """A holder counts on renewals of which the store knows nothing, but for the first one."""
    keep_alive = Store.keep_alive

    def quiet(store: Store, lease: int, token: int) -> bool:
        before = store.renewed
        kept = keep_alive(store, lease, token)
        store.renewed = before if before > token else store.renewed
        return kept

    return [patch.object(Store, "keep_alive", quiet)]


@pytest.mark.parametrize(
    "variant",
    [no_lease_check, counted_from_the_answer, no_supervisor, no_wait, always_clean, late_starts, unsaid_renewals],
)
def test_what_is_wrong_on_purpose_is_caught(variant) -> None:
    with ExitStack() as patches:
        for each in variant():
            patches.enter_context(each)
        assert any(two_servers(seed) for seed in range(ENOUGH)), f"{variant.__name__} was not caught"


def two_servers(seed: int) -> bool:
    try:
        run(seed)
    except TwoServers:
        return True
    except AssertionError:
        return False  # it may also keep the service from running, which isn't what is looked for
    return False
