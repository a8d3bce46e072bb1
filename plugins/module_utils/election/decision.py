# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The decision: a function of the votes, the same whatever their order, which tells why each candidate stands where."""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING, Any

from .profile import Rules
from .ranking import Occasion, ranking_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from .charter import Charter
    from .profile import Profile, Vote
    from .ranking import Score


@dataclass(frozen=True)
class Place:
    """A candidate's place: from 1, or None where it may not be elected. `why` says what it lacks to stand higher."""

    host: str
    place: int | None
    why: str
    scores: Mapping[str, str]


@dataclass(frozen=True)
class Decision:
    """What an election came to.

    `elected` is None where nobody is; `why` then says what is missing. `places` has every candidate, the elected one
    first and those that may not be elected last. `votes` of `needed` voters voted for the call. `messages` is what an
    election with these votes costs, at most: a call to each other agent, its answer, and the result.
    """

    service: str
    term: int
    elected: str | None
    why: str
    places: tuple[Place, ...]
    votes: int
    needed: int
    messages: int

    @property
    def order(self) -> tuple[str, ...]:
        """Who may be the successor, the best first."""
        return tuple(each.host for each in self.places if each.place is not None)

    def to_dict(self) -> dict[str, Any]:
        return {
            "service": self.service,
            "term": self.term,
            "elected": self.elected,
            "why": self.why,
            "votes": self.votes,
            "needed": self.needed,
            "messages": self.messages,
            "candidates": [
                {"host": each.host, "place": each.place, "why": each.why, "scores": dict(each.scores)}
                for each in self.places
            ],
        }


def message_bound(agents: int, calls: int = 1) -> int:
    """Give how many messages `calls` calls to all agents cost at most: the call, the answers and the result."""
    return calls * 3 * max(agents - 1, 0)


def decide(charter: Charter, term: int, votes: Iterable[Vote], rules: Rules | None = None, agents: int = 0) -> Decision:
    """Decide the election of this term by these votes; `rules` are those that the caller knows beside the votes'.

    Of several votes of one voter the one counts whose state is the newest. `agents` is how many were called, the caller
    among them, if more than voted.
    """
    counted: dict[str, Vote] = {}
    for vote in votes:
        held = counted.get(vote.voter)
        counted[vote.voter] = vote if held is None else max(held, vote, key=_canonical)
    holding = reduce(Rules.merged, (vote.rules for vote in counted.values()), rules or Rules())
    occasion = Occasion(charter.service, term, holding)
    able, unable = _ranked(charter, occasion, [vote.profile for vote in counted.values()])
    given = sum(1 for voter, vote in counted.items() if vote.granted and voter in charter.voters)
    elected, why = _outcome(charter, given, able)
    return Decision(
        charter.service, term, elected, why, (*able, *unable),
        given, charter.needed, message_bound(max(agents, len(counted))),
    )  # fmt: skip


def _outcome(charter: Charter, given: int, able: Sequence[Place]) -> tuple[str | None, str]:
    if given < charter.needed:
        missing = charter.needed - given
        return None, f"{given} of {len(charter.voters)} voters voted for this call: {missing} short of a majority"
    if not able:
        return None, "none of the candidates may or can be the server"
    return able[0].host, able[0].why


def _ranked(charter: Charter, occasion: Occasion, profiles: Sequence[Profile]) -> tuple[list[Place], list[Place]]:
    score = ranking_of(charter.ranking)
    scored = {profile.host: score(profile, occasion) for profile in profiles}
    barred = {profile.host: reason for profile in profiles if (reason := _bar(profile, occasion.rules))}
    order = sorted(scored.keys() - barred.keys(), key=lambda host: ([each.key for each in scored[host]], host))
    able = [
        Place(host, place, _why(order, place, scored), _shown(scored[host]))
        for place, host in enumerate(order, start=1)
    ]
    return able, [Place(host, None, barred[host], _shown(scored[host])) for host in sorted(barred)]


def _bar(profile: Profile, rules: Rules) -> str:
    """Say why this host may not be elected; nothing if it may."""
    if profile.host in rules.forbidden:
        return "is forbidden"
    if rules.allowed is not None and profile.host not in rules.allowed:
        return "is not among the allowed hosts"
    return profile.hindrance


def _why(order: Sequence[str], place: int, scored: Mapping[str, tuple[Score, ...]]) -> str:
    """Name the first criterion by which this candidate differs from the one before it, or from the one behind it."""
    if len(order) == 1:
        return "is the only candidate"
    winner, other = (order[0], order[1]) if place == 1 else (order[place - 2], order[place - 1])
    for ours, theirs in zip(scored[winner], scored[other], strict=True):
        if ours.key != theirs.key:
            ahead = f"{ours.criterion} {ours.shown}"
            behind = f"{theirs.criterion} {theirs.shown}"
            return (
                f"{ahead} before {other} with {theirs.shown}"
                if place == 1
                else f"{behind} after {winner} with {ours.shown}"
            )
    return f"equals {other}, and its name comes first" if place == 1 else f"equals {winner}, whose name comes first"


def _shown(scores: Iterable[Score]) -> dict[str, str]:
    return {score.criterion: score.shown for score in scores}


def _canonical(vote: Vote) -> tuple[Any, ...]:
    """Order the votes of one voter: the newest state last, and any others in an order of their own."""
    profile, rules = vote.profile, vote.rules
    allowed = rules.allowed is not None, sorted(rules.allowed or ())
    return (
        profile.committed, rules.revision, vote.granted, profile.hindrance, profile.machine, profile.network,
        -profile.distance_ms, profile.priority, profile.domain,
        allowed, sorted(rules.forbidden), sorted(rules.preferred),
    )  # fmt: skip
