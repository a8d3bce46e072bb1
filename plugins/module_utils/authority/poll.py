# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The election of a server in one part of a network, with the consistency `available`, as one agent takes part in it.

Whoever answers counts. Nothing is lost if two polls of one part elect two servers, which then hear each other; so
nothing is written down. A poll that any agent objects to, since it hears a server that is well, comes to nothing: the
server can be reached by way of that one.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from ..election import Decision, Vote, decide
from .actions import Publish, Send, Tell
from .messages import Ballot, Call, Elected

if TYPE_CHECKING:
    import random
    from collections.abc import Sequence

    from ..election import Charter, Profile, Rules
    from .actions import Action
    from .timing import Timing


@dataclass
class _Call:
    """A poll that this agent called and that isn't decided."""

    term: int
    until: float
    newest: int
    votes: dict[str, Vote] = field(default_factory=dict)


class Poll:
    """The polls at the agent `name`, one of `agents`.

    `profile` and `rules` are replaced by whoever knows newer ones; `newest` is the newest term that is known, and
    `hindrance` says why this host can't serve for the moment, whatever its profile says.
    """

    def __init__(
        self, name: str, agents: Sequence[str], charter: Charter, timing: Timing, profile: Profile, rules: Rules,
        chance: random.Random,
    ) -> None:  # fmt: skip
        self.profile, self.rules = profile, rules
        self.hindrance = ""
        self.newest = 0
        self.messages = 0
        self.decision: Decision | None = None
        self._others = tuple(agent for agent in agents if agent != name)
        self._name, self._charter, self._timing, self._chance = name, charter, timing, chance
        self._open: _Call | None = None
        self._call_at: float | None = None

    @property
    def wake_at(self) -> float:
        if self._open:
            return self._open.until
        return float("inf") if self._call_at is None else self._call_at

    def want(self, now: float) -> None:
        """There is to be a server: this agent calls a poll if nobody else does."""
        if self._open is None and self._call_at is None:
            self.wait(now, 0.0)

    def settle(self) -> None:
        """There need be no poll."""
        self._open = self._call_at = None

    def wait(self, now: float, seconds: float) -> None:
        """Leave it to others for so long, then call one; agents do so at different times, so that few call at once."""
        self._open = None
        self._call_at = now + seconds + self._chance.uniform(0.0, 2 * self._timing.answer_s)

    def tick(self, now: float) -> tuple[list[Action], Elected | None]:
        """Do what is due. Give also the result, if this agent's own call came to one."""
        if self._open and now >= self._open.until:
            return self._conclude(now, self._open)
        if self._open or self._call_at is None or now < self._call_at:
            return [], None
        self._call_at = None
        self._open = _Call(self.newest + 1, now + self._timing.answer_s, self.newest)
        self._open.votes[self._name] = self._vote()
        if not self._others:
            return self._conclude(now, self._open)
        self.messages += len(self._others)
        return [Send(agent, Call(self._name, self._open.term)) for agent in self._others], None

    def called(self, now: float, call: Call) -> list[Action]:
        """Answer a call. Of two agents that call at once the one with the first name goes on."""
        if self._open and self._name < call.sender:
            return []
        self.wait(now, 2 * self._timing.answer_s)
        self.messages += 1
        return [Send(call.sender, Ballot(self._name, call.term, self._vote(), self.newest))]

    def answered(self, now: float, ballot: Ballot) -> tuple[list[Action], Elected | None]:
        """Count a vote; give the result when it was the last one that was missing."""
        if not self._open or ballot.term != self._open.term or ballot.sender not in self._others:
            return [], None
        self._open.votes[ballot.sender] = ballot.vote
        self._open.newest = max(self._open.newest, ballot.newest)
        return self._conclude(now, self._open) if len(self._open.votes) > len(self._others) else ([], None)

    def objected(self, now: float, term: int, wait_s: float) -> None:
        """Somebody hears a server that is well: the call of this term comes to nothing."""
        if self._open and self._open.term == term:
            self.wait(now, wait_s)

    def _vote(self) -> Vote:
        return Vote(replace(self.profile, hindrance=self.hindrance or self.profile.hindrance), self.rules)

    def _conclude(self, now: float, call: _Call) -> tuple[list[Action], Elected | None]:
        # Above every term in which one of these agents served, so that a supervisor sees its tokens rise.
        term = max(self.newest, call.newest) + 1
        decision = decide(self._charter, term, call.votes.values(), self.rules, len(self._others) + 1)
        self.decision, self.newest = decision, term
        self.wait(now, 2 * self._timing.answer_s)
        if decision.elected is None:
            return [Tell("election_void", f"term {term}: {decision.why}")], None
        elected = Elected(self._name, term, decision.elected, len(call.votes))
        self.messages += len(self._others)
        text = f"term {term}: {decision.elected} {decision.why}, by {elected.votes} of {len(self._others) + 1} agents"
        return [Tell("election_decided", text), Publish(elected)], elected
