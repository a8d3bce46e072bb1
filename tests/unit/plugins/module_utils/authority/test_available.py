# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One agent with the consistency `available`, step by step."""

from __future__ import annotations

import random
from itertools import pairwise, permutations
from typing import TYPE_CHECKING, Any

import pytest
from ansible_collections.okiagari.testbed.plugins.module_utils.authority import Held, Timing
from ansible_collections.okiagari.testbed.plugins.module_utils.authority import actions as act
from ansible_collections.okiagari.testbed.plugins.module_utils.authority.available import Available, Role, Server
from ansible_collections.okiagari.testbed.plugins.module_utils.authority.ledger import (
    LOST,
    Ledger,
    Taken,
    decode,
    encode,
)
from ansible_collections.okiagari.testbed.plugins.module_utils.authority.messages import (
    Ballot,
    Call,
    Elected,
    Ended,
    Merged,
    Offer,
    Serving,
)
from ansible_collections.okiagari.testbed.plugins.module_utils.election import Charter, Profile, Rules, Vote
from ansible_collections.okiagari.testbed.plugins.module_utils.errors import BadValue
from hypothesis import given
from hypothesis import strategies as st

if TYPE_CHECKING:
    from collections.abc import Sequence

NAMES = ("a", "b", "c")
SILENCE_S = 5.0
DIGEST = "d" * 64

servers = st.builds(Server, st.sampled_from("abc"), st.integers(1, 3), st.integers(1, 3))


def agent(name: str = "b", *, ledger: Ledger | None = None, names: Sequence[str] = NAMES, **others: Any) -> Available:
    return Available(
        name, names, Charter("db", {}, consistency="available"), Timing(), SILENCE_S, ledger=ledger or Ledger(),
        profile=Profile(name, f"site-{name}"), rules=Rules(), chance=random.Random(1), **others,
    )  # fmt: skip


def pass_time(available: Available, since: float, until: float) -> list[act.Action]:
    """Tick as an agent does, and give what was wanted on the way, but for what a server says all the time."""
    actions: list[act.Action] = []
    while since < until:
        since = min(max(since + 0.01, available.wake_at), until)
        actions += available.tick(since)
    return [each for each in actions if not isinstance(each, act.Feed) and not said(each, Serving)]


def said(action: act.Action, kind: type) -> bool:
    return isinstance(action, (act.Publish, act.Send)) and isinstance(action.message, kind)


def of(actions: Sequence[act.Action], kind: type) -> list[Any]:
    return [each for each in actions if isinstance(each, kind)]


def serving(name: str = "b", votes: int = 2) -> tuple[Available, float]:
    """Give an agent that was elected in term 4, and the time."""
    available = agent(name, ledger=Ledger(2))
    assert of(available.heard(100.0, Elected("c", 4, name, votes)), act.StartService)
    return available, 100.0


@given(servers, servers, servers)
def test_of_two_servers_everybody_names_the_same_one(one: Server, two: Server, three: Server) -> None:
    assert (one.outranks(two) + two.outranks(one) + (one == two)) == 1
    assert not (one.outranks(two) and two.outranks(three)) or one.outranks(three)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (Server("c", 9, 3), Server("a", 1, 2)),
        (Server("c", 1, 2), Server("a", 2, 2)),
        (Server("a", 1, 2), Server("b", 1, 2)),
    ],
)
def test_more_votes_then_the_older_term_then_the_first_name(first: Server, second: Server) -> None:
    assert first.outranks(second)
    assert not second.outranks(first)


@given(st.lists(servers, min_size=1, max_size=4), st.randoms(use_true_random=False))
def test_the_order_of_announcements_and_repeats_of_them_change_nothing(heard: list[Server], chance: Any) -> None:
    newest: dict[str, Server] = {}
    for each in heard:
        if each.host not in newest or each.term > newest[each.host].term:
            newest[each.host] = each
    one, other = agent("x", names=("x", *NAMES)), agent("y", names=("y", *NAMES))
    again = list(newest.values()) * 2
    for observer in (one, other):
        chance.shuffle(again)
        for each in again:
            observer.heard(1.0, Serving(each.host, each.host, each.term, each.votes))
    assert one.server(2.0) == other.server(2.0) != None  # noqa: E711
    assert one.server(1.0 + SILENCE_S) is None


def test_who_hears_no_server_calls_a_poll_and_not_at_once() -> None:
    available = agent()
    assert not of(pass_time(available, 0.0, 2 * SILENCE_S - 0.1), act.Send)
    calls = of(pass_time(available, 2 * SILENCE_S, 2 * SILENCE_S + 2.1), act.Send)
    assert [each.to for each in calls[:2]] == ["a", "c"]
    assert calls[0].message == Call("b", 1)


def test_it_counts_who_answers_and_who_is_elected_starts_above_every_term() -> None:
    available = agent(ledger=Ledger(2))
    now = 2 * SILENCE_S
    while not available.elector._open:
        now += 0.1
        available.tick(now)
    vote = Vote(Profile("a", "site-a", machine=0.1), Rules())
    assert available.heard(now, Ballot("a", 3, vote, 7)) == []
    actions = pass_time(available, now, now + 1.1)
    assert of(actions, act.Publish)[0].message == Elected("b", 8, "b", 2)
    (start,) = of(actions, act.StartService)
    (kept,) = of(actions, act.Keep)
    assert (start.token, kept.ledger) == (8, Ledger(8, 2, owed=True))
    assert actions.index(kept) < actions.index(start)
    assert available.role is Role.SERVING


def test_who_hears_a_server_objects_to_a_poll_which_comes_to_nothing() -> None:
    hears, polls = agent("a"), agent("b")
    hears.heard(20.0, Serving("c", "c", 4, 3))
    (objection,) = hears.heard(22.0, Call("b", 1))
    assert objection == act.Send("b", Serving("a", "c", 4, 3, 2.0, 1))
    now = 2 * SILENCE_S
    while not polls.elector._open:
        now += 0.1
        polls.tick(now)
    polls.heard(now, objection.message)
    assert not polls.elector._open
    assert polls.server(now) == Server("c", 4, 3)
    assert not of(pass_time(polls, now, now + 2.9), act.Send)
    # It was as old as the one who objected said.
    assert of(pass_time(polls, now + 2.9, now + 12.0), act.Send)


def test_a_server_that_calls_a_poll_is_none_and_a_suspected_one_is_no_objection() -> None:
    available = agent("a")
    available.heard(20.0, Serving("c", "c", 4, 3))
    assert said(available.heard(21.0, Call("c", 5))[0], Ballot)
    available.heard(30.0, Serving("c", "c", 6, 3))
    available.suspect(31.0)
    assert said(available.heard(31.0, Call("b", 5))[0], Ballot)
    available.heard(31.5, Serving("c", "c", 6, 3))
    available.trust()
    assert said(available.heard(32.0, Call("b", 5))[0], Serving)


def test_of_two_that_call_at_once_the_first_name_goes_on() -> None:
    first, second = agent("a"), agent("b")
    for each in (first, second):
        now = 2 * SILENCE_S
        while not each.elector._open:
            now += 0.1
            each.tick(now)
    assert first.heard(now, Call("b", 1)) == []
    assert said(second.heard(now, Call("a", 1))[0], Ballot)
    assert not second.elector._open


def test_the_supervisor_is_fed_while_the_agent_lives() -> None:
    available, now = serving()
    fed = of(available.tick(now + 1.0), act.Feed)
    assert fed == [act.Feed(4, now + 1.0 + Timing().lease_s)]


def test_a_repeated_result_starts_nothing_anew() -> None:
    available, now = serving()
    assert available.heard(now, Elected("c", 4, "b", 2)) == []
    available.stopped(now + 1)
    assert available.heard(now + 2, Elected("c", 4, "b", 2)) == []
    assert available.role is Role.IDLE


def test_a_late_result_starts_nothing_where_a_server_is_heard() -> None:
    available = agent()
    available.heard(50.0, Serving("c", "c", 4, 3))
    assert available.heard(51.0, Elected("a", 4, "b", 2)) == []
    assert available.role is Role.IDLE
    # The server itself may have another one elected: it hands over.
    assert of(available.heard(52.0, Elected("c", 5, "b", 3)), act.StartService)


def test_a_rival_that_goes_on_is_heard_for_a_while_before_this_one_yields() -> None:
    available, now = serving()
    told = available.heard(now, Serving("a", "a", 3, 3))
    assert [each.event for each in of(told, act.Tell)] == ["rival_seen"]
    for second in range(5):
        assert available.heard(now + second, Serving("a", "a", 3, 3)) == []
        assert not of(available.tick(now + second), act.StopService)
    available.heard(now + 5, Serving("a", "a", 3, 3))
    assert of(available.tick(now + 5), act.StopService)
    assert available.role is Role.STOPPING
    # From now on the supervisor isn't fed: it kills what doesn't end.
    assert not of(available.tick(now + 6), act.Feed)


def test_a_rival_that_yields_changes_nothing() -> None:
    available, now = serving()
    for second in range(20):
        available.heard(now + second, Serving("a", "a", 3, 1))
        assert not of(available.tick(now + second), act.StopService)


def owing(discard: bool = False) -> Available:
    available = agent(ledger=Ledger(4, 2, owed=True), discard=discard)
    available.heard(10.0, Serving("a", "a", 5, 3))
    return available


def test_what_was_done_is_exported_offered_until_it_is_merged_and_then_forgotten() -> None:
    available = owing()
    assert of(available.tick(11.0), act.Export) == [act.Export(4)]
    assert of(available.exported(12.0, 4, DIGEST, 9), act.Keep) == [
        act.Keep(Ledger(4, 2, owed=True, digest=DIGEST, size=9))
    ]
    offer = act.Send("a", Offer("b", 4, DIGEST, 9))
    actions = available.tick(12.5)
    assert offer in actions
    assert [each.event for each in of(actions, act.Tell)] == ["export_offered"]
    available.heard(14.0, Serving("a", "a", 5, 3))
    actions = available.tick(15.0)
    assert offer in actions
    assert not of(actions, act.Tell)
    for other in (Merged("a", 3, DIGEST), Merged("a", 4, "e" * 64), Merged("a", 4, "")):
        assert available.heard(15.0, other) == []
    assert available.heard(15.0, Merged("a", 4, DIGEST)) == [act.Keep(Ledger(4, 2)), act.Drop(DIGEST)]
    assert available.heard(15.0, Merged("a", 4, DIGEST)) == []
    available.heard(20.0, Serving("a", "a", 5, 3))
    assert not of(available.tick(20.0), act.Export)


def test_an_offer_goes_on_after_a_restart_and_to_whoever_serves_then() -> None:
    available = agent(ledger=Ledger(4, 2, owed=True, digest=DIGEST, size=9))
    available.heard(10.0, Serving("c", "c", 6, 3))
    assert act.Send("c", Offer("b", 4, DIGEST, 9)) in available.tick(11.0)
    assert available.export_lost() == [act.Keep(Ledger(4, 2, owed=True))]
    assert of(available.tick(12.0), act.Export)


def test_an_export_that_fails_is_tried_again_less_and_less_often() -> None:
    available = owing()
    tries = []
    now = 11.0
    while now < 200.0:
        available.heard(now, Serving("a", "a", 5, 3))
        if of(available.tick(now), act.Export):
            tries.append(now)
            (told,) = available.export_failed(now, "no space")
            assert (told.event, told.text) == ("export_failed", "no space")
        now += 1.0
    gaps = [later - earlier for earlier, later in pairwise(tries)]
    assert gaps == [4.0, 8.0, 16.0, 32.0, 64.0]


def test_what_is_to_be_discarded_is_forgotten_where_another_one_serves() -> None:
    actions = owing(discard=True).tick(11.0)
    assert act.Keep(Ledger(4, 2)) in actions
    assert [each.event for each in of(actions, act.Tell)] == ["state_discarded"]


def test_who_is_elected_again_keeps_its_state_and_makes_another_export_later() -> None:
    available = agent(ledger=Ledger(4, 2, owed=True, digest=DIGEST, size=9))
    actions = available.heard(10.0, Elected("a", 5, "b", 3))
    assert actions[:2] == [act.Keep(Ledger(5, 3, owed=True)), act.Drop(DIGEST)]
    assert isinstance(actions[2], act.StartService)
    # The merge of what it had offered comes too late to count.
    assert available.heard(11.0, Merged("a", 4, DIGEST)) == []


@pytest.mark.parametrize("ends", ["well", "badly"])
def test_the_service_starts_only_when_the_hook_has_ended(ends: str) -> None:
    available = owing()
    available.tick(11.0)
    available.heard(12.0, Ended("a", 5))
    assert available.heard(13.0, Elected("c", 6, "b", 2)) == [act.Cancel()]
    assert available.role is Role.IDLE
    actions = available.exported(14.0, 4, DIGEST, 9) if ends == "well" else available.export_failed(14.0, "")
    assert of(actions, act.StartService)
    assert not of(actions, act.Tell)


def test_an_offer_is_merged_once_and_answered_each_time() -> None:
    available, now = serving()
    offer = Offer("c", 3, DIGEST, 9)
    assert available.heard(now, offer) == [act.Merge("c", 3, DIGEST, 9)]
    assert available.heard(now, offer) == available.heard(now, Offer("a", 2, DIGEST, 9)) == []
    actions = available.merged(now + 1, "c", 3, DIGEST)
    assert actions[0] == act.Keep(Ledger(4, 2, owed=True, merged={"c": Taken(3, DIGEST)}))
    assert actions[1] == act.Send("c", Merged("b", 3, DIGEST))
    assert available.heard(now + 2, offer) == [act.Send("c", Merged("b", 3, DIGEST))]
    # It served once more since, and did nothing.
    assert available.heard(now + 2, Offer("c", 9, DIGEST, 9)) == [act.Send("c", Merged("b", 9, DIGEST))]
    # What another host did is another merge, whatever it is.
    assert available.heard(now + 2, Offer("a", 2, DIGEST, 9)) == [act.Merge("a", 2, DIGEST, 9)]


def test_a_merge_that_fails_is_tried_again_later() -> None:
    available, now = serving()
    offer = Offer("c", 3, DIGEST, 9)
    available.heard(now, offer)
    (told,) = available.merge_failed(now, "c", "exit status 3: no table")
    assert told.event == "merge_failed"
    assert "no table" in told.text
    assert available.heard(now + 3.9, offer) == []
    assert available.heard(now + 4.0, offer)


def test_no_merge_begins_where_the_service_does_not_stay() -> None:
    offer = Offer("c", 3, DIGEST, 9)
    assert agent().heard(1.0, offer) == []
    available, now = serving()
    available.heard(now, Serving("a", "a", 3, 3))
    assert available.heard(now, offer) == []


def test_a_merge_is_over_before_the_service_stops() -> None:
    available, now = serving()
    available.heard(now, Offer("c", 3, DIGEST, 9))
    available.hand_over("a")
    assert act.Cancel() in available.tick(now + 1)
    assert not {act.Cancel, act.StopService} & set(map(type, available.tick(now + 2)))
    assert available.merge_failed(now + 3, "c", "") == []
    assert of(available.tick(now + 3), act.StopService)


def test_a_hand_over_names_the_heir_when_the_service_has_stopped() -> None:
    available, now = serving()
    with pytest.raises(BadValue, match="there is no other agent x"):
        available.hand_over("x")
    available.elector.rules = Rules(1, forbidden=frozenset("c"))
    with pytest.raises(BadValue, match="c is forbidden"):
        available.hand_over("c")
    assert available.hand_over("a") == []
    actions = available.tick(now + 1)
    assert of(actions, act.StopService)
    # Until it has stopped nobody misses it.
    assert any(said(each, Serving) for each in available.tick(now + 2))
    (published,) = of(available.stopped(now + 3), act.Publish)
    assert published.message == Elected("b", 5, "a", 2)
    assert of(agent("a").heard(now + 3, published.message), act.StartService)
    assert [each.event for each in available.hand_over("a")] == ["hand_over_refused"]


def test_a_suspected_server_makes_room_for_the_elected_one() -> None:
    available, now = serving()
    available.heard(now, Elected("c", 5, "c", 2))
    assert not of(available.tick(now), act.StopService)
    available.suspect(now)
    available.heard(now, Elected("c", 6, "c", 2))
    assert of(available.tick(now), act.StopService)


MOST = 3


def beside(name: str = "b", **others: Any) -> tuple[Available, float]:
    """Give an agent whose host has a further server since term 5, beside that of a, and the time."""
    available = agent(name, ledger=Ledger(2), most=MOST, **others)
    available.heard(100.0, Serving("a", "a", 4, 3))
    assert available.why_no_replica(100.0) == ""
    assert of(available.replicate(100.0), act.StartService)
    return available, 100.0


def test_a_further_server_owes_is_no_rival_and_says_that_nobody_elected_it() -> None:
    available = agent(ledger=Ledger(2), most=MOST)
    available.heard(100.0, Serving("a", "a", 4, 3))
    actions = available.replicate(100.0)
    assert of(actions, act.Keep)[0].ledger == Ledger(5, 0, owed=True)
    (start,) = of(actions, act.StartService)
    assert (start.token, available.token) == (5, 5)
    assert act.Publish(Serving("b", "b", 5, 0)) in actions
    first, now = serving("a", 3)
    assert first.heard(now, Serving("b", "b", 5, 0)) == []
    assert first.server(now) == first.own == Server("a", 4, 3)
    for _second in range(20):
        now += 1.0
        first.heard(now, Serving("b", "b", 5, 0))
        available.heard(now, Serving("a", "a", 4, 3))
        assert not of(first.tick(now) + available.tick(now), act.StopService)
    assert (first.first, first.further, available.first, available.further) == (True, False, False, True)
    assert available.servers(now) == first.servers(now) == [Server("a", 4, 3), Server("b", 5, 0)]


def test_a_further_server_alone_is_no_server_for_whoever_needs_one() -> None:
    available = agent("c")
    for second in range(20, 40):
        available.heard(second, Serving("b", "b", 5, 0))
        assert available.server(second) is None
    assert available.servers(39.0) == [Server("b", 5, 0)]
    assert said(available.heard(39.0, Call("b", 6))[0], Ballot)
    assert available.servers(39.0) == [Server("b", 5, 0)]


def test_clients_use_a_further_server_when_it_has_what_the_other_one_does() -> None:
    available, now = beside()
    assert not available.ready
    assert available.heard(now, Offer("c", 3, DIGEST, 9, running=True)) == [act.Merge("c", 3, DIGEST, 9)]
    available.merged(now, "c", 3, DIGEST)
    assert not available.ready
    assert available.heard(now, Offer("a", 4, DIGEST, 9, running=True)) == [act.Merge("a", 4, DIGEST, 9)]
    told = [each.event for each in of(available.merged(now, "a", 4, DIGEST), act.Tell)]
    assert told == ["shared", "replicated"]
    assert available.ready
    available.merge(now)
    assert not available.ready


def test_it_has_it_also_where_nothing_needs_to_be_merged() -> None:
    available, now = beside()
    available.merging.ledger = Ledger(5, 0, owed=True, merged={"a": Taken(3, DIGEST)})
    actions = available.heard(now, Offer("a", 4, DIGEST, 9, running=True))
    assert actions[0] == act.Send("a", Merged("b", 4, DIGEST))
    assert [each.event for each in of(actions, act.Tell)] == ["replicated"]
    assert beside(discard=True)[0].ready


def test_servers_tell_each_other_of_changes_and_owe_all_the_same() -> None:
    available, now = beside()
    assert of(available.tick(now + 1), act.Export) == [act.Export(5, running=True)]
    actions = available.exported(now + 1, 5, DIGEST, 9)
    assert actions == [act.Keep(Ledger(5, 0, owed=True, shared=DIGEST))]
    assert act.Send("a", Offer("b", 5, DIGEST, 9, running=True)) in available.tick(now + 2)
    available.heard(now + 2, Merged("a", 5, DIGEST))
    available.heard(now + 3, Serving("a", "a", 4, 3))
    assert act.Drop(DIGEST) in available.tick(now + 3)
    assert available.merging.ledger.owed
    available.changed()
    assert of(available.tick(now + 4), act.Export) == [act.Export(5, running=True)]
    (told,) = available.export_failed(now + 4, "no")
    assert told == act.Tell("snapshot_failed", "no")


def test_what_is_offered_and_gone_is_written_anew() -> None:
    available, now = beside()
    available.tick(now + 1)
    available.exported(now + 1, 5, DIGEST, 9)
    assert available.export_lost() == [act.Drop(DIGEST), act.Keep(Ledger(5, 0, owed=True))]
    assert of(available.tick(now + 4), act.Export)


def test_what_an_agent_had_written_before_it_died_is_dropped() -> None:
    available = agent(ledger=Ledger(5, 0, owed=True, shared=DIGEST))
    actions = available.tick(1.0)
    assert [each for each in actions if isinstance(each, (act.Drop, act.Keep))] == [
        act.Drop(DIGEST), act.Keep(Ledger(5, 0, owed=True))
    ]  # fmt: skip


def test_the_first_server_gives_what_it_merged_to_the_others() -> None:
    available, now = serving("a", 3)
    available.heard(now, Serving("b", "b", 5, 0))
    available.tick(now)
    available.exported(now, 4, DIGEST, 9)
    available.heard(now, Merged("b", 4, DIGEST))
    available.heard(now, Offer("c", 3, "e" * 64, 9))
    available.merged(now, "c", 3, "e" * 64)
    now += 3.0
    available.heard(now, Serving("b", "b", 5, 0))
    assert of(available.tick(now), act.Export) == [act.Export(4, running=True)]


@pytest.mark.parametrize(
    ("why", "others"),
    [
        ("the service allows one server only", {"most": 1}),
        ("b is forbidden; allow it first", {}),
        ("b can't: its disk is full", {}),
        ("b hears no server", {}),
        ("there are 2 servers already, at a, c, and the service allows no more", {"most": 2}),
    ],
)
def test_a_further_server_that_can_not_be_is_refused(why: str, others: dict[str, Any]) -> None:
    available = agent(**{"most": MOST, **others})
    if "hears" not in why:
        available.heard(100.0, Serving("a", "a", 4, 3))
        available.heard(100.0, Serving("c", "c", 5, 0))
    if "forbidden" in why:
        available.elector.rules = Rules(1, allowed=frozenset("c"))
    if "full" in why:
        available.elector.profile = Profile("b", "site-b", hindrance="its disk is full")
    assert why in available.why_no_replica(100.0)
    with pytest.raises(BadValue, match=why):
        available.replicate(100.0)
    assert available.role is Role.IDLE


def test_who_serves_can_not_be_a_further_server_and_who_is_none_can_not_be_merged() -> None:
    available, now = beside()
    assert available.why_no_replica(now) == "b has a server already"
    first, now = serving("a", 3)
    assert "has the elected server; hand the service over first" in first.why_no_merge(now)
    with pytest.raises(BadValue, match="c has no server"):
        agent("c").merge(now)
    alone, now = beside()
    assert "hears no other server" in alone.why_no_merge(now + 9)


def test_a_further_server_waits_for_the_hook_that_is_at_work() -> None:
    available = owing()
    available._most = MOST
    available.tick(11.0)
    assert available.replicate(12.0) == [act.Cancel()]
    assert (available.begins, available.role) == (True, Role.IDLE)
    assert of(available.export_failed(13.0, ""), act.StartService)
    assert (available.begins, available.further) == (False, True)


def test_a_further_server_stops_and_is_merged_as_one_of_another_part() -> None:
    available, now = beside()
    assert available.merge(now) == []
    actions = available.tick(now + 1)
    assert act.StopService("merged, as was asked for") in actions
    assert available.stopped(now + 2) == [act.Publish(Ended("b", 5))]
    available.heard(now + 3, Serving("a", "a", 4, 3))
    assert of(available.tick(now + 3), act.Export) == [act.Export(5)]
    available.exported(now + 4, 5, DIGEST, 9)
    assert act.Send("a", Offer("b", 5, DIGEST, 9)) in available.tick(now + 4)


def test_one_that_is_not_well_is_merged_where_another_one_is_heard_and_is_not_the_next_one() -> None:
    available, now = beside()
    assert available.unwell(now, "no answer") == []
    assert act.StopService("no answer") in available.tick(now + 1)
    available.stopped(now + 1)
    available.heard(now + 2, Serving("a", "a", 4, 3))
    assert "ended there a moment ago" in available.why_no_replica(now + 2)
    first, now = serving("a", 3)
    assert first.unwell(now, "no answer") == []
    assert not of(first.tick(now + 1), act.StopService)


def test_when_the_first_server_is_gone_a_further_one_is_elected_without_a_stop() -> None:
    available, now = beside()
    calls = of(pass_time(available, now, now + SILENCE_S + 2.1), act.Send)
    assert {each.to for each in calls if said(each, Call)} == {"a", "c"}
    now += 10.0
    actions = available.heard(now, Elected("c", 9, "b", 2))
    assert not of(actions, act.StartService)
    assert of(actions, act.Keep)[0].ledger == Ledger(9, 2, owed=True)
    assert [each.event for each in of(actions, act.Tell)] == ["promoted"]
    assert (available.first, available.token, available.own) == (True, 5, Server("b", 9, 2))
    # The supervisor knows it by the token by which it was started, also after a restart of the agent.
    assert of(available.tick(now + 2.0), act.Feed)[0].token == 5
    again = agent(ledger=Ledger(9, 2, owed=True), held=Held(0, 5, 5, now + 10), now=now)
    assert (again.first, again.token, again.own) == (True, 5, Server("b", 9, 2))
    assert available.heard(now + 3, Elected("c", 9, "b", 2)) == []


def test_a_further_server_that_the_supervisor_kept_is_one_again() -> None:
    available = agent(ledger=Ledger(5, 0, owed=True), held=Held(0, 5, 5, 105.0), now=100.0, most=MOST)
    assert (available.further, available.ready) == (True, True)


def test_it_is_handed_over_to_a_further_server_that_goes_on() -> None:
    available, now = beside()
    actions = available.heard(now + 1, Elected("a", 6, "b", 3))
    assert (available.own, of(actions, act.StartService)) == (Server("b", 6, 3), [])
    available, now = beside()
    assert [each.event for each in available.hand_over("a")] == ["hand_over_refused"]


def test_of_too_many_further_servers_those_that_came_last_stop() -> None:
    available, now = beside(discard=True)
    for second in range(10):
        for other in (Serving("a", "a", 4, 3), Serving("c", "c", 4, 0), Serving("d", "d", 6, 0)):
            available.heard(now + second, other)
        assert not of(available.tick(now + second), act.StopService)
    late, now = beside("e", discard=True)
    for second in range(10):
        for other in (Serving("a", "a", 4, 3), Serving("c", "c", 4, 0), Serving("b", "b", 5, 0)):
            late.heard(now + second, other)
        stops = of(late.tick(now + second), act.StopService)
        assert bool(stops) == (second == SILENCE_S), second


def test_of_several_offers_the_one_that_has_waited_longest_has_its_turn() -> None:
    available, now = serving("a", 3)
    one, two, three = (Offer(name, 5, letter * 64, 9, running=True) for name, letter in zip("bcd", "123", strict=True))
    assert available.heard(now, one) == [act.Merge("b", 5, "1" * 64, 9)]
    assert available.heard(now + 1, two) == available.heard(now + 2, three) == []
    available.merged(now + 2, "b", 5, "1" * 64)
    assert available.heard(now + 3, three) == [act.Merge("c", 5, "2" * 64, 9)]
    available.merged(now + 4, "c", 5, "2" * 64)
    # One that hasn't been repeated for a while is none any more.
    assert available.heard(now + 9, Offer("e", 5, "4" * 64, 9)) == [act.Merge("e", 5, "4" * 64, 9)]


def test_what_a_server_has_just_written_itself_is_not_merged() -> None:
    available, now = beside()
    available.tick(now + 1)
    available.exported(now + 1, 5, DIGEST, 9)
    actions = available.heard(now + 1, Offer("a", 4, DIGEST, 9, running=True))
    assert actions[0] == act.Send("a", Merged("b", 4, DIGEST))
    assert available.ready


def test_what_came_and_was_not_merged_goes_when_something_else_is_offered() -> None:
    available, now = serving("a", 3)
    available.heard(now, Offer("b", 5, "1" * 64, 9, running=True))
    available.merge_failed(now, "b", "no table")
    # What failed isn't what is tried now, so there is nothing to wait for.
    assert available.heard(now + 1, Offer("b", 5, "2" * 64, 9, running=True)) == [
        act.Drop("1" * 64), act.Merge("b", 5, "2" * 64, 9)
    ]  # fmt: skip


def test_a_service_that_ends_by_itself_is_better_started_elsewhere() -> None:
    available, now = serving()
    (ended,) = available.stopped(now)
    assert ended == act.Publish(Ended("b", 4))
    available.tick(now + 0.1)
    (ballot,) = available.heard(now + 1, Call("a", 5))
    assert ballot.message.vote.profile.hindrance == "the service ended there a moment ago"
    available.tick(now + 11)
    (ballot,) = available.heard(now + 11, Call("a", 5))
    assert not ballot.message.vote.profile.hindrance


def test_an_end_is_believed_and_what_comes_later_of_that_term_is_not() -> None:
    available = agent()
    available.heard(20.0, Serving("c", "c", 4, 3))
    available.heard(21.0, Ended("c", 4))
    available.heard(21.5, Serving("c", "c", 4, 3))
    assert available.server(21.5) is None
    available.heard(22.0, Serving("c", "c", 5, 3))
    available.heard(22.5, Serving("c", "c", 4, 9))
    available.heard(22.5, Ended("c", 4))
    assert available.server(22.5) == Server("c", 5, 3)


def test_what_nobody_can_have_sent_for_a_minute_is_forgotten() -> None:
    """A host whose disk was replaced begins with old terms again."""
    available = agent()
    available.heard(20.0, Serving("c", "c", 9, 3))
    available.heard(21.0, Ended("c", 9))
    available.tick(100.0)
    available.heard(100.0, Serving("c", "c", 1, 1))
    assert available.server(100.0) == Server("c", 1, 1)


def test_a_service_that_the_supervisor_kept_goes_on() -> None:
    held = Held(0, 4, 4, 105.0)
    available = agent(ledger=Ledger(4, 3, owed=True), held=held, now=100.0)
    assert available.server(100.0) == Server("b", 4, 3)
    assert of(available.tick(100.0), act.Feed)
    lost = agent(ledger=LOST, held=held, now=100.0)
    assert lost.server(100.0) == Server("b", 4, 1)
    assert lost.merging.ledger.owed


def test_silence_while_the_agent_slept_is_none() -> None:
    available = agent()
    pass_time(available, 0.0, 8.0)
    available.heard(8.0, Serving("c", "c", 4, 3))
    pass_time(available, 8.0, 9.0)
    assert not of(available.tick(60.0), act.Send)
    assert not of(pass_time(available, 60.0, 64.9), act.Send)
    assert of(pass_time(available, 64.9, 67.1), act.Send)


def test_who_takes_no_part_calls_nothing() -> None:
    assert not of(pass_time(agent("x"), 0.0, 60.0), act.Send)


def test_who_is_alone_elects_itself() -> None:
    assert of(pass_time(agent("a", names=("a",)), 0.0, 13.0), act.StartService)


def test_a_ledger_is_read_as_it_was_written_and_nothing_else_is() -> None:
    ledger = Ledger(4, 2, owed=True, digest=DIGEST, size=9, merged={"c": Taken(3, DIGEST)})
    assert decode("db", encode("db", ledger)) == ledger
    with pytest.raises(BadValue, match="is the ledger of db"):
        decode("web", encode("db", ledger))
    content = encode("db", ledger)
    for place in range(0, len(content), 7):
        with pytest.raises(BadValue):
            decode("db", content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])


def test_in_whatever_order_three_servers_hear_each_other_one_goes_on() -> None:
    for order in permutations([Server("a", 5, 2), Server("b", 4, 2), Server("c", 6, 3)]):
        stay = []
        for own in order:
            available = agent(own.host, ledger=Ledger(own.term, own.votes), held=Held(0, own.term, own.term, 9e9))
            for second in range(8):
                for other in order:
                    if other != own:
                        available.heard(second, Serving(other.host, other.host, other.term, other.votes))
                available.tick(second)
            if available.role is Role.SERVING:
                stay.append(own.host)
        assert stay == ["c"]
