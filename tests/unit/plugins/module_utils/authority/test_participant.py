# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One agent's part, event by event; what many of them come to together is the schedules' matter."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from ansible_collections.okiagari.testbed.plugins.module_utils.authority import Held, Participant, Record, Timing, View
from ansible_collections.okiagari.testbed.plugins.module_utils.authority.actions import (
    Abandon,
    Acquire,
    KeepAlive,
    Persist,
    Read,
    Release,
    Send,
    StartService,
    StopService,
    Tell,
)
from ansible_collections.okiagari.testbed.plugins.module_utils.authority.messages import (
    Answer,
    Ask,
    Ballot,
    Call,
    HandOver,
    Result,
)
from ansible_collections.okiagari.testbed.plugins.module_utils.election import Charter, Profile, Rules, Vote
from ansible_collections.okiagari.testbed.plugins.module_utils.errors import BadValue

TIMING = Timing()
AGENTS = ["a", "b", "c", "d"]
CHARTER = Charter("web", {"a": "hiroshima", "b": "kanazawa", "c": "nagoya"})
HELD_BY_D = View(revision=20, holder="d", term=3, token=20)
VACANT = View(revision=21, holder=None, term=3, token=20)
RELEASED = View(revision=21, holder=None, term=3, token=20, released=True)


def agent(name: str = "a", record: Record | None = Record(3, "b"), held: Held | None = None) -> Participant:  # noqa: B008
    return Participant(
        name, AGENTS, CHARTER, TIMING, record=record, profile=Profile(name, "somewhere"), rules=Rules(),
        chance=random.Random(1), held=held, now=100.0,
    )  # fmt: skip


def of(kind: type, actions: list) -> list:
    return [action for action in actions if isinstance(action, kind)]


def standing(view: View = VACANT) -> tuple[Participant, Acquire]:
    """Give an agent that has just asked the store for the service, at 110."""
    one = agent()
    one.saw(100.0, HELD_BY_D)
    one.saw(110.0, view)
    (acquire,) = of(Acquire, one.heard(110.0, Result("b", 4, ("a", "c"))))
    return one, acquire


def test_an_election_is_called_once_the_service_is_vacant_and_costs_three_messages_an_agent() -> None:
    one = agent()
    one.saw(100.0, HELD_BY_D)
    assert not of(Send, one.tick(100.0))
    one.saw(110.0, VACANT)
    first, *calls = [each for each in one.tick(one.elector.wake_at) if isinstance(each, (Persist, Send))]
    assert first == Persist(Record(4, "a"))  # on disk before anybody hears of it
    assert calls == [Send(other, Call("a", 4)) for other in "bcd"]
    ballots = [Ballot(other, 4, Vote(Profile(other, "elsewhere", priority=1)), 4) for other in "bcd"]
    answers = [one.heard(115.0, ballot) for ballot in ballots]
    assert [of(Send, each) for each in answers[:2]] == [[], []]
    assert of(Send, answers[2]) == [Send(other, Result("a", 4, ("b", "c", "d"))) for other in "bcd"]
    assert len(calls) + len(ballots) + len(of(Send, answers[2])) == one.elector.decision.messages == 9


def test_a_holder_that_is_suspected_is_not_waited_for_where_the_others_votes_are_enough() -> None:
    one = agent()
    one.saw(100.0, HELD_BY_D)
    one.suspect(101.0)
    one.tick(101.0)
    one.tick(one.elector.wake_at)
    granted, refused = (Ballot("b", 4, Vote(Profile("b", "x"), granted=each), 4) for each in (True, False))
    assert one.heard(102.0, refused) == []
    # The only one that is missing may be the one that gives the majority.
    assert one.heard(102.1, Ballot("c", 4, Vote(Profile("c", "y"), granted=False), 4)) == []
    assert one.heard(102.2, granted)[-1] == Send("d", Result("a", 4, ("a", "b", "c")))


def test_a_call_without_a_majority_comes_to_nothing_and_says_so() -> None:
    one = agent()
    one.saw(110.0, VACANT)
    called = one.elector.wake_at
    one.tick(called)
    one.heard(called + 0.1, Ballot("b", 4, Vote(Profile("b", "kanazawa"), granted=False), 9))
    said = one.tick(called + TIMING.answer_s)
    assert [tell.text for tell in of(Tell, said)] == [
        "term 4: 1 of 3 voters voted for this call: 1 short of a majority"
    ]
    assert not of(Acquire, said)
    one.saw(called + 2, VACANT)
    again = one.tick(one.elector.wake_at)
    assert of(Persist, again) == [Persist(Record(10, "a"))]  # b knew term 9


@pytest.mark.parametrize(("name", "other", "again_s"), [("a", "b", 0.0), ("b", "a", 2 * TIMING.answer_s)])
def test_where_two_calls_meet_the_first_by_name_calls_again_at_once(name: str, other: str, again_s: float) -> None:
    """Each has voted for itself, and the suspected holder says nothing: there is no majority, and no use in waiting."""
    one = agent(name)
    one.saw(100.0, HELD_BY_D)
    one.suspect(100.0)
    one.tick(one.elector.wake_at)
    called = one.elector.wake_at - TIMING.answer_s
    assert of(Send, one.heard(called, Call(other, 4)))[0].message.vote.granted is False
    one.heard(called + 0.1, Ballot("c", 4, Vote(Profile("c", "elsewhere"), Rules(), granted=False), 4))
    actions = one.heard(called + 0.2, Ballot(other, 4, Vote(Profile(other, "elsewhere"), Rules(), granted=False), 4))
    assert [tell.event for tell in of(Tell, actions)] == ["election_void"]
    assert one.elector.wake_at == called + 0.2 + again_s
    # Whoever was second votes for the first one's next call.
    if name == "b":
        (ballot,) = of(Send, one.heard(called + 0.3, Call(other, 5)))
        assert ballot.message.vote.granted
        assert one.elector.wake_at > called + 0.3 + 2 * TIMING.answer_s


def test_nobody_calls_who_has_not_reached_the_store_of_late() -> None:
    one = agent()
    one.saw(100.0, VACANT)
    one.tick(100.0)
    assert of(Send, one.tick(106.0)) == []
    assert one.elector.wake_at == float("inf")


def test_an_agent_votes_once_in_a_term_and_not_while_it_knows_the_holder_well() -> None:
    one = agent()
    one.saw(100.0, HELD_BY_D)
    (refusal,) = of(Send, one.heard(101.0, Call("b", 4)))
    assert (refusal.to, refusal.message.vote.granted) == ("b", False)
    one.suspect(101.0)
    persist, ballot = one.heard(101.0, Call("b", 4))
    assert (persist, ballot.message.vote.granted) == (Persist(Record(4, "b")), True)
    (again,) = one.heard(101.0, Call("b", 4))
    assert again == ballot
    (other,) = one.heard(101.0, Call("c", 4))
    assert not other.message.vote.granted


def test_suspicion_elects_but_acquires_nothing_before_the_store_says_that_it_is_vacant() -> None:
    one = agent()
    one.saw(100.0, HELD_BY_D)
    one.suspect(101.0)
    assert of(Acquire, one.heard(101.0, Result("b", 4, ("a",)))) == []
    (acquire,) = of(Acquire, one.saw(105.0, VACANT))
    assert (acquire.term, acquire.after, acquire.sent_at) == (4, 20, 105.0)


def test_who_is_elected_looks_often_whether_the_service_is_vacant() -> None:
    """A watch of the store tells it sooner; but the member that it listens to may have died with the holder."""
    one = agent()
    one.saw(100.0, HELD_BY_D)
    one.tick(100.0)
    one.suspect(100.5)
    for at, message in ((100.5, None), (100.6, Result("b", 4, ("c", "a")))):
        if message:
            one.heard(at, message)
        assert not of(Read, one.tick(at))
    # Not yet: before its turn, the first in the order is to have it.
    at = 100.6 + 2 * TIMING.answer_s
    assert of(Read, one.tick(at))
    for _look in range(5):
        at += TIMING.keepalive_s
        assert of(Read, one.tick(at))
        one.saw(at, HELD_BY_D)
    assert of(Acquire, one.saw(at + 0.1, VACANT))
    assert of(Read, one.tick(at + TIMING.keepalive_s))
    assert not of(Read, one.tick(at + 2 * TIMING.keepalive_s))


def test_who_follows_in_the_order_stands_later() -> None:
    one = agent()
    one.saw(110.0, VACANT)
    assert of(Acquire, one.heard(110.0, Result("b", 4, ("c", "a")))) == []
    assert of(Acquire, one.tick(111.9)) == []
    assert of(Acquire, one.tick(112.0))


@pytest.mark.parametrize(
    ("seen", "last", "wait_from"),
    [
        # From when it first saw the last renewal, however late it sees that the key is gone.
        ([(100.0, 30), (104.0, 31), (108.0, 31)], 31, 104.0),
        ([(100.0, 31)], 31, 100.0),
        # One that it sees only now may just have come, and so may one of a holder of which it saw none.
        ([(100.0, 30)], 31, 110.0),
        ([(100.0, 12)], 12, 110.0),
        ([], 31, 110.0),
    ],
)
def test_a_successor_waits_for_the_lease_from_the_last_renewal(
    seen: list[tuple[float, int]], last: int, wait_from: float
) -> None:
    one = agent()
    for now, renewed in seen:
        one.saw(now, replace(HELD_BY_D, revision=32, renewed=renewed))
    one.saw(110.0, replace(VACANT, revision=40, renewed=last))
    (acquire,) = of(Acquire, one.heard(110.0, Result("b", 4, ("a", "c"))))
    started = of(StartService, one.acquired(110.1, acquire.lease, 41))
    assert bool(started) == (wait_from + TIMING.wait_s <= 110.1)
    if not started:
        one.kept(acquire.lease, 115.0)
        assert of(StartService, one.tick(wait_from + TIMING.wait_s - 0.01)) == []
        assert len(of(StartService, one.tick(wait_from + TIMING.wait_s))) == 1


def test_a_successor_waits_for_the_lease_and_drift_from_when_it_saw_the_key_gone() -> None:
    one, acquire = standing()
    assert of(StartService, one.acquired(110.1, acquire.lease, 22)) == []
    starts_at = 110.0 + TIMING.wait_s
    for second in range(111, 116):
        one.tick(float(second))
        one.kept(acquire.lease, float(second))
    assert of(StartService, one.tick(starts_at - 0.01)) == []
    assert of(StartService, one.tick(starts_at)) == [StartService(22, acquire.lease, 4, 115.0 + TIMING.lease_s)]


def test_a_service_that_was_given_back_is_started_at_once() -> None:
    one, acquire = standing(RELEASED)
    assert of(StartService, one.acquired(110.1, acquire.lease, 22)) == [StartService(22, acquire.lease, 4, 116.0)]


def test_an_acquisition_without_an_answer_is_abandoned_and_its_late_answer_revoked() -> None:
    one, acquire = standing()
    assert of(Abandon, one.tick(112.0)) == [Abandon(acquire.lease)]
    assert one.acquired(113.0, acquire.lease, 22) == [Abandon(acquire.lease)]
    assert one.holder is None


def test_a_repeated_answer_does_not_cost_the_lease() -> None:
    one, acquire = standing(RELEASED)
    one.acquired(110.1, acquire.lease, 22)
    assert one.acquired(111.0, acquire.lease, 22) == []
    assert one.refused(acquire.lease) == []


def test_an_acquisition_that_is_known_to_be_gone_again_is_not_taken() -> None:
    one, acquire = standing()
    one.saw(110.2, View(revision=25, holder=None, term=4, token=22))
    assert one.acquired(110.3, acquire.lease, 22) == [Abandon(acquire.lease)]


def test_a_view_that_was_overtaken_changes_nothing() -> None:
    one, acquire = standing(RELEASED)
    one.acquired(110.1, acquire.lease, 22)
    assert one.saw(110.2, VACANT) == []
    assert one.saw(110.2, View(revision=22, holder="a", term=4, token=22)) == []
    assert of(StopService, one.saw(110.3, View(revision=23, holder=None, term=4, token=22)))


def test_a_hand_over_stops_then_releases_then_tells_the_heir_who_starts_without_a_wait() -> None:
    one, acquire = standing(RELEASED)
    one.acquired(110.1, acquire.lease, 22)
    assert of(StopService, one.hand_over("c"))
    assert of(KeepAlive, one.tick(111.5))  # the key stays its own until the service is dead
    release, send = one.stopped()
    assert release == Release(acquire.lease, 22, clean=True)
    assert send == Send("c", HandOver("a", 5, "c"))
    heir = agent("c")
    heir.saw(100.0, View(revision=22, holder="a", term=4, token=22))
    assert of(Acquire, heir.heard(113.0, send.message)) == []
    assert of(Read, heir.tick(113.0))
    (asked,) = of(Acquire, heir.saw(113.1, View(revision=23, holder=None, term=4, token=22, released=True)))
    assert of(StartService, heir.acquired(113.2, asked.lease, 24))


def test_a_suspected_holder_votes_and_makes_room_for_who_was_elected() -> None:
    one, acquire = standing(RELEASED)
    one.acquired(110.1, acquire.lease, 22)
    one.saw(110.2, View(revision=22, holder="a", term=4, token=22))
    (vote,) = of(Send, one.heard(110.3, Call("b", 5)))
    assert not vote.message.vote.granted
    assert one.heard(110.4, Result("b", 5, ("c", "b"))) == []
    one.suspect(110.5)
    (vote,) = of(Send, one.heard(110.6, Call("b", 6)))
    assert vote.message.vote.granted
    assert of(StopService, one.heard(110.7, Result("b", 6, ("a", "c", "b"))))
    release, send = one.stopped()
    assert release == Release(acquire.lease, 22, clean=True)
    assert send == Send("c", HandOver("a", 5, "c"))


def test_only_the_holder_hands_over() -> None:
    one = agent()
    one.saw(100.0, HELD_BY_D)
    assert one.hand_over("b") == [Tell("hand_over_refused", "a doesn't hold the service; ask d")]


def test_nothing_is_handed_over_to_nobody_to_itself_or_to_a_forbidden_host() -> None:
    one, acquire = standing(RELEASED)
    one.acquired(110.1, acquire.lease, 22)
    one.elector.rules = Rules(1, forbidden=frozenset("c"))
    for heir, message in (
        ("e", "there is no other agent e"),
        ("a", "there is no other agent a"),
        ("c", "c is forbidden"),
    ):
        with pytest.raises(BadValue, match=message):
            one.hand_over(heir)
    assert of(StopService, one.hand_over("b"))


def test_a_new_agent_goes_on_holding_what_its_supervisor_runs() -> None:
    one = agent(held=Held(lease=7, token=20, term=3, deadline=104.0))
    assert of(KeepAlive, one.tick(100.0)) == [KeepAlive(7, 20, 100.0)]
    assert one.saw(100.1, View(revision=30, holder="a", term=3, token=20)) == []


def test_a_host_without_a_record_abstains_until_all_others_have_answered() -> None:
    one = agent(record=None)
    questions = [send.message for send in of(Send, one.tick(100.0))]
    assert questions == 3 * [Ask("a", questions[0].loss)]
    (abstains,) = of(Send, one.heard(101.0, Call("b", 9)))
    assert not abstains.message.vote.granted
    one.heard(101.0, Answer("b", questions[0].loss, 9))
    one.heard(101.0, Answer("c", questions[0].loss - 1, 5))  # to another loss
    one.heard(101.0, Answer("d", questions[0].loss, 2))
    assert of(Persist, one.heard(101.0, Answer("c", questions[0].loss, None))) == []
    assert of(Persist, one.heard(101.0, Answer("c", questions[0].loss, 4))) == [Persist(Record(9))]
    assert of(Persist, one.heard(102.0, Call("b", 9))) == []
    assert of(Persist, one.heard(102.0, Call("b", 10))) == [Persist(Record(10, "b"))]


def test_an_agent_that_is_alone_needs_nobody_to_make_its_record_anew() -> None:
    alone = Participant(
        "a", ["a"], CHARTER, TIMING, record=None, profile=Profile("a", "hiroshima"), rules=Rules(),
        chance=random.Random(1), now=100.0,
    )  # fmt: skip
    assert alone.elector.record == Record()
