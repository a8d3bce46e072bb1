# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The inequalities between the times, and the small machines that keep to them."""

from __future__ import annotations

import pytest
from ansible_collections.okiagari.testbed.plugins.module_utils.authority import (
    Do,
    Fence,
    Fenced,
    Held,
    Holder,
    State,
    Supervisor,
    Timing,
)
from ansible_collections.okiagari.testbed.plugins.module_utils.authority.actions import (
    Feed,
    KeepAlive,
    Prepare,
    Release,
    StartService,
    StopService,
)
from ansible_collections.okiagari.testbed.plugins.module_utils.errors import BadInput
from hypothesis import given
from hypothesis import strategies as st

TIMING = Timing(ttl_s=10.0, keepalive_s=1.0, stop_s=2.0, kill_s=0.5)
shares = st.floats(0.001, 0.25)


@given(st.floats(0.5, 90.0), shares, shares, shares, st.floats(0.0, 0.1), shares)
def test_whatever_timing_is_accepted_leaves_no_instant_for_two(ttl_s, keepalive, stop, kill, drift, answer) -> None:
    keepalive_s, stop_s, kill_s, answer_s = ttl_s * keepalive, ttl_s * stop, ttl_s * kill, ttl_s * answer
    try:
        timing = Timing(ttl_s, keepalive_s, stop_s, kill_s, drift, answer_s)
    except BadInput:
        return
    slowest_stop = timing.lease_s / (1 - drift) + kill_s
    assert slowest_stop <= ttl_s / (1 + drift)
    assert timing.wait_s / (1 + drift) >= slowest_stop - 1e-9
    assert timing.lease_s - stop_s >= 2 * keepalive_s + answer_s


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"ttl_s": float("nan")}, "ttl_s: is not a number above 0"),
        ({"kill_s": 0.0}, "kill_s: is not a number above 0"),
        ({"drift": 0.2}, "drift: is above 0.1: a clock that wrong is to be repaired"),
        ({"kill_s": 4.0}, r"ttl_s: is 10 s, by which the service may still run: it is dead after 10.06 s only"),
        ({"stop_s": 4.0}, "keepalive_s: leaves no second try: of 10 s a holder counts on 6 s, and stops 4 s before"),
    ],
)
def test_timing_that_is_not_safe_is_refused(values, message) -> None:
    with pytest.raises(BadInput, match=message):
        Timing(**values)


def serving(start_at: float = 100.0) -> Holder:
    holder = Holder(TIMING, lease=7, token=30, term=4, sent_at=100.0, start_at=start_at)
    holder.tick(start_at)
    return holder


def test_a_holder_waits_starts_and_keeps_its_lease() -> None:
    holder = Holder(TIMING, lease=7, token=30, term=4, sent_at=100.0, start_at=103.0)
    assert holder.tick(100.5) == [Prepare(30, 4)]
    assert holder.tick(101.0) == [KeepAlive(7, 30, 101.0)]
    assert holder.kept(101.0) == []
    assert holder.tick(103.0) == [StartService(30, 7, 4, 107.0), KeepAlive(7, 30, 103.0)]
    assert holder.kept(103.0) == [Feed(30, 109.0)]


def test_the_deadline_counts_from_when_a_keepalive_was_sent_and_never_goes_back() -> None:
    holder = serving()
    holder.tick(102.0)
    assert holder.kept(102.0) == [Feed(30, 108.0)]
    assert holder.kept(101.0) == []
    assert holder.deadline == 108.0


def test_a_holder_that_is_not_answered_stops_before_its_deadline_and_gives_the_service_back() -> None:
    holder = serving()
    assert holder.wake_at == 101.0
    assert not any(isinstance(action, StopService) for action in holder.tick(103.9))
    assert any(isinstance(action, StopService) for action in holder.tick(104.0))
    assert holder.state is State.STOPPING
    assert holder.kept(104.0) == []  # the service is stopping: its deadline stays
    assert holder.stopped() == [Release(7, 30, clean=True)]
    assert holder.wake_at == float("inf")


def test_a_holder_that_never_served_says_that_nothing_was_waited_for() -> None:
    holder = Holder(TIMING, lease=7, token=30, term=4, sent_at=100.0, start_at=110.0)
    # What was prepared for it ends, too.
    assert holder.stop("handed over")[1:] == [StopService("handed over"), Release(7, 30, clean=False)]
    assert holder.state is State.OVER


def test_a_holder_whose_lease_is_gone_stops_at_once_and_keeps_nothing_alive() -> None:
    holder = serving()
    assert any(isinstance(action, StopService) for action in holder.lost("gone"))
    assert holder.tick(102.0) == []
    assert holder.stopped() == [Release(7, 30, clean=False)]


def test_a_supervisor_kills_at_the_deadline_again_and_again() -> None:
    supervisor = Supervisor()
    assert supervisor.start(100.0, token=30, lease=7, term=4, deadline=106.0) is Do.LAUNCH
    supervisor.feed(101.0, token=30, deadline=107.0)
    assert supervisor.wake_at == 107.0
    assert supervisor.tick(106.9) is None
    assert [supervisor.tick(107.0), supervisor.tick(108.0)] == [Do.KILL, Do.KILL]
    supervisor.feed(108.0, token=30, deadline=120.0)
    assert supervisor.tick(109.0) is Do.KILL
    supervisor.exited()
    assert supervisor.tick(130.0) is None


def test_a_supervisor_starts_nothing_late_nothing_twice_and_nothing_of_an_older_holder() -> None:
    supervisor = Supervisor()
    assert supervisor.start(106.0, token=30, lease=7, term=4, deadline=106.0) is None
    assert supervisor.start(105.0, token=30, lease=7, term=4, deadline=106.0) is Do.LAUNCH
    assert supervisor.start(105.0, token=31, lease=8, term=5, deadline=116.0) is None
    supervisor.exited()
    assert supervisor.start(105.0, token=30, lease=7, term=4, deadline=106.0) is None
    assert supervisor.start(105.0, token=29, lease=6, term=3, deadline=106.0) is None


def test_what_was_prepared_goes_on_by_the_rules_by_which_others_start() -> None:
    supervisor = Supervisor()
    assert supervisor.prepare(100.0, token=30) is Do.PREPARE
    assert supervisor.prepare(100.0, token=30) is None
    assert supervisor.held(100.0) is None
    supervisor.feed(100.0, token=30, deadline=107.0)
    assert supervisor.start(106.0, token=30, lease=7, term=4, deadline=106.0) is None
    assert supervisor.start(105.0, token=30, lease=7, term=4, deadline=106.0) is Do.GO_ON
    assert supervisor.held(105.0) == Held(7, 30, 4, 106.0)
    assert supervisor.prepare(105.0, token=31) is None
    assert supervisor.tick(106.0) is Do.KILL
    assert supervisor.exited()
    assert supervisor.prepare(107.0, token=30) is None
    assert supervisor.prepare(107.0, token=31) is Do.PREPARE


def test_what_was_prepared_for_nothing_is_killed_and_never_served() -> None:
    supervisor = Supervisor()
    supervisor.prepare(100.0, token=30)
    assert supervisor.stop() is Do.KILL
    assert not supervisor.exited()
    assert supervisor.stop() is None
    supervisor.prepare(100.0, token=30)
    # Another holder's start kills it, and starts nothing: whoever asked is told, and asks again.
    assert supervisor.start(101.0, token=31, lease=8, term=5, deadline=120.0) is Do.KILL
    assert not supervisor.exited()
    assert supervisor.start(102.0, token=31, lease=8, term=5, deadline=120.0) is Do.LAUNCH
    supervisor.exited()
    supervisor.prepare(200.0, token=32)
    assert supervisor.tick(supervisor.wake_at - 0.1) is None
    assert supervisor.tick(supervisor.wake_at) is Do.KILL


def test_a_supervisor_is_fed_by_the_holder_it_runs_for_only() -> None:
    supervisor = Supervisor()
    supervisor.start(100.0, token=30, lease=7, term=4, deadline=106.0)
    supervisor.feed(101.0, token=29, deadline=107.0)
    supervisor.feed(101.0, token=31, deadline=107.0)
    assert supervisor.wake_at == 106.0


def test_a_new_agent_goes_on_with_what_its_supervisor_kept_running() -> None:
    supervisor = Supervisor()
    supervisor.start(100.0, token=30, lease=7, term=4, deadline=106.0)
    held = supervisor.held(103.0)
    assert held == Held(7, 30, 4, 106.0)
    holder = Holder.resumed(TIMING, held, 103.0)
    assert holder.tick(103.0) == [KeepAlive(7, 30, 103.0)]
    assert holder.kept(103.0) == [Feed(30, 109.0)]
    assert supervisor.stop() is Do.TERMINATE
    assert supervisor.stop() is None
    assert supervisor.held(104.0) is None


@given(st.lists(st.integers(1, 9), max_size=20))
def test_a_fence_admits_no_older_token_after_a_newer_one(tokens) -> None:
    fence, admitted = Fence("web"), []
    for token in tokens:
        try:
            fence = fence.admit(token)
        except Fenced:
            assert token < max(admitted)
        else:
            admitted.append(token)
    assert admitted == sorted(admitted)


def test_who_is_fenced_off_is_told_what_to_do() -> None:
    with pytest.raises(Fenced, match="web: token 3 is older than 9: another host has taken the service since"):
        Fence("web", 9).admit(3)
