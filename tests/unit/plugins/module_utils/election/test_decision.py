# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The decision: the same whatever the order of votes, within the rules, newest state first, and told in words."""

from __future__ import annotations

import json
import random
from dataclasses import replace

import pytest
from ansible_collections.okiagari.testbed.plugins.module_utils.election import (
    RANKINGS,
    Charter,
    Committed,
    Profile,
    Rules,
    Vote,
    decide,
    read_charter,
)
from ansible_collections.okiagari.testbed.plugins.module_utils.election.decision import message_bound
from ansible_collections.okiagari.testbed.plugins.module_utils.errors import BadInput
from hypothesis import given
from hypothesis import strategies as st

VOTERS = {"a": "hiroshima", "b": "kanazawa", "c": "nagoya", "d": "osaka", "e": "tokyo"}
HOSTS = [*VOTERS, "f", "g"]
CHARTERS = [
    Charter("web", VOTERS, ranking, consistency) for ranking in RANKINGS for consistency in ("quorum", "available")
]

hosts = st.sampled_from(HOSTS)
some_hosts = st.sampled_from([frozenset(), frozenset("a"), frozenset("bc"), frozenset("acef"), frozenset("abdeg")])
charters = st.sampled_from(CHARTERS)
rules = st.builds(Rules, st.integers(0, 2), st.none() | some_hosts, some_hosts, some_hosts)
shares = st.sampled_from([0.0, 0.45, 0.51, 0.58, 1.0])
profiles = st.builds(
    Profile, hosts, st.just("somewhere"), st.builds(Committed, st.integers(0, 2), st.integers(0, 2)), shares, shares,
    st.sampled_from([0.0, 1.0, 20.0]), st.integers(0, 2), st.sampled_from(["", "", "", "its disk is full"]),
)  # fmt: skip
votes = st.lists(st.builds(Vote, profiles, rules, st.booleans()), max_size=8)


@given(charters, st.integers(1, 9), votes, st.randoms(use_true_random=False))
def test_the_order_of_votes_and_their_repetition_change_nothing(charter, term, cast, chance) -> None:
    shuffled = cast + cast[: chance.randint(0, len(cast))]
    chance.shuffle(shuffled)
    assert decide(charter, term, shuffled) == decide(charter, term, cast)


@given(charters, votes, rules)
def test_whoever_is_elected_may_be_and_can(charter, cast, known) -> None:
    decision = decide(charter, 3, cast, known)
    newest = max([known.revision, *(vote.rules.revision for vote in winners(cast))])
    holding = [each for each in [known, *(vote.rules for vote in winners(cast))] if each.revision == newest]
    for host in decision.order:
        assert not any(host in each.forbidden for each in holding)
        assert all(each.allowed is None or host in each.allowed for each in holding)
        assert not next(vote for vote in winners(cast) if vote.voter == host).profile.hindrance
    assert decision.elected in (None, *decision.order[:1])


@given(charters, votes)
def test_a_majority_of_voters_is_needed_and_is_enough(charter, cast) -> None:
    decision = decide(charter, 3, cast)
    granted = {vote.voter for vote in winners(cast) if vote.granted} & VOTERS.keys()
    enough = len(granted) >= 3 or charter.consistency == "available"
    assert decision.votes == len(granted)
    assert (decision.elected is not None) == (enough and bool(decision.order))


@given(votes, st.sampled_from(["quorum", "available"]))
def test_nobody_with_older_state_is_elected_and_newer_state_never_costs_the_election(cast, consistency) -> None:
    charter = Charter("web", VOTERS, "best", consistency)
    decision = decide(charter, 3, cast)
    if decision.elected is None:
        return
    committed = {vote.voter: vote.profile.committed for vote in winners(cast)}
    assert committed[decision.elected] == max(committed[host] for host in decision.order)
    risen = [
        replace(vote, profile=replace(vote.profile, committed=Committed(9, 9)))
        if vote.voter == decision.elected
        else vote
        for vote in winners(cast)
    ]
    assert decide(charter, 3, risen).elected == decision.elected


@given(charters, votes)
def test_every_candidate_is_told_why_it_stands_where_it_does(charter, cast) -> None:
    told = decide(charter, 3, cast).to_dict()
    assert {each["host"] for each in told["candidates"]} == {vote.voter for vote in cast}
    assert all(each["why"] and each["scores"] for each in told["candidates"])
    assert json.loads(json.dumps(told)) == told
    assert told["why"]


def winners(cast: list[Vote]) -> list[Vote]:
    """Give the vote of each voter that counts, as a decision among that voter's votes alone shows it."""
    from ansible_collections.okiagari.testbed.plugins.module_utils.election.decision import _canonical

    return [max((vote for vote in cast if vote.voter == voter), key=_canonical) for voter in {v.voter for v in cast}]


def candidate(host: str, **values) -> Vote:
    return Vote(Profile(host, VOTERS.get(host, "elsewhere"), **values))


def places(ranking: str, *cast: Vote, term: int = 3, known: Rules | None = None) -> list[tuple[str, str]]:
    decision = decide(Charter("web", VOTERS, ranking), term, cast, known)
    return [(each.host, each.why) for each in decision.places]


def test_best_goes_by_state_then_stability_then_nearness() -> None:
    assert places(
        "best",
        candidate("a", committed=Committed(2, 9)),
        candidate("b", committed=Committed(3, 1), network=0.52, distance_ms=1),
        candidate("c", committed=Committed(3, 1), machine=0.81, distance_ms=30),
        candidate("d", committed=Committed(3, 1), machine=0.89, distance_ms=8),
    ) == [
        ("d", "distance 8 ms before c with 30 ms"),
        ("c", "distance 30 ms after d with 8 ms"),
        ("b", "stability 0.5 after c with 0.8"),
        ("a", "committed term 2, epoch 9 after b with term 3, epoch 1"),
    ]


def test_preferred_hosts_go_first_but_not_before_newer_state() -> None:
    cast = [candidate("a", committed=Committed(1, 2)), candidate("b"), candidate("c", machine=0.1)]
    known = Rules(preferred=frozenset("c"))
    assert [host for host, _why in places("best", *cast, known=known)] == ["a", "c", "b"]
    assert [host for host, _why in places("priority", *cast, known=known)] == ["c", "a", "b"]


def test_priority_goes_by_priority() -> None:
    cast = [candidate("a", committed=Committed(9, 9)), candidate("b", priority=5), candidate("c", priority=7)]
    assert places("priority", *cast)[0] == ("c", "priority 7 before b with 5")


def test_random_elects_each_in_its_turn_and_everybody_draws_alike() -> None:
    cast = [candidate(host) for host in VOTERS]
    drawn = [places("random", *cast, term=term)[0][0] for term in range(200)]
    assert drawn == [places("random", *reversed(cast), term=term)[0][0] for term in range(200)]
    assert all(20 <= drawn.count(host) <= 60 for host in VOTERS)


def test_those_who_may_not_be_elected_stand_last_and_are_told_why() -> None:
    known = Rules(allowed=frozenset("abc"), forbidden=frozenset("b"))
    cast = [candidate("a"), candidate("b"), candidate("c", hindrance="its disk is full"), candidate("d")]
    assert places("best", *cast, known=known) == [
        ("a", "is the only candidate"),
        ("b", "is forbidden"),
        ("c", "its disk is full"),
        ("d", "is not among the allowed hosts"),
    ]


def test_newer_rules_replace_older_ones_and_equal_ones_add_up() -> None:
    old = Rules(1, forbidden=frozenset("a"))
    assert old.merged(Rules(2)) == Rules(2).merged(old) == Rules(2)
    both = old.merged(Rules(1, allowed=frozenset("bc"))).merged(Rules(1, allowed=frozenset("cd")))
    assert both == Rules(1, allowed=frozenset("c"), forbidden=frozenset("a"))


def test_what_is_missing_for_a_majority_is_said() -> None:
    decision = decide(
        Charter("web", VOTERS), 3, [candidate("a"), candidate("f"), Vote(Profile("b", "kanazawa"), granted=False)]
    )
    assert (decision.elected, decision.votes, decision.needed) == (None, 1, 3)
    assert decision.why == "1 of 5 voters voted for this call: 2 short of a majority"


def test_the_messages_are_three_for_each_other_agent() -> None:
    assert [message_bound(agents) for agents in (1, 3, 12)] == [0, 6, 33]
    assert decide(Charter("web", VOTERS), 3, [candidate("a")], agents=12).messages == 33


def test_a_charter_that_could_not_decide_is_refused_with_everything_that_is_wrong() -> None:
    with pytest.raises(BadInput) as caught:
        read_charter("web", {"a": "kyoto", "b": "kyoto"}, "bset", "quorumm")
    assert [str(problem) for problem in caught.value.problems] == [
        "ranking: there is no ranking bset; did you mean best?",
        "consistency: there is no consistency quorumm; did you mean quorum?",
    ]
    with pytest.raises(BadInput) as caught:
        read_charter("web", {"a": "kyoto", "b": "kyoto"})
    few, together = map(str, caught.value.problems)
    assert few.startswith("voters: there are 2, and a majority that outlives the loss of one needs 3; add voters")
    assert together == "voters: a and b fall together with kyoto: only one of them can be a voter"
    assert read_charter("web", {"a": "kyoto"}, consistency="available").needed == 0


def test_a_profile_out_of_range_is_refused() -> None:
    with pytest.raises(BadInput, match="a: machine is not a number from 0 to 1\na: distance_ms"):
        Profile("a", "kyoto", machine=float("nan"), distance_ms=-1.0)


def test_a_lot_is_drawn_for_each_service() -> None:
    cast = [candidate(host) for host in VOTERS]
    chance = random.Random(1)
    names = [f"service{chance.randrange(99)}" for _number in range(9)]
    assert len({decide(Charter(name, VOTERS, "random"), 3, cast).elected for name in names}) > 1
