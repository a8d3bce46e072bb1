# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The election of one service as one agent takes part in it: calls, votes and results; what it decides is `decide`.

The caller asks everybody, everybody's answer carries its profile, and the caller tells everybody the result: three
messages for each other agent (`message_bound`). In a term an agent votes once, for itself if it calls. Whoever gets no
majority tries again in a new term, after a time of its own; where calls have met, one of the callers does at once. An
election keeps nobody from running the service, and lets nobody: it says in which order candidates ask the store.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ..election import Decision, Vote, decide
from .actions import Persist, Send, Tell
from .messages import Answer, Ask, Ballot, Call, Result
from .record import Record, Recovery

if TYPE_CHECKING:
    import random
    from collections.abc import Sequence

    from ..election import Charter, Profile, Rules
    from .actions import Action
    from .timing import Timing

PLACES = 3
"""How many candidates a result names: whoever is behind them is reached by another election sooner than by waiting."""

_SCATTER = 4
"""Over how many times that an answer takes the agents' calls are scattered."""


@dataclass
class _Call:
    """An election that this agent called and that isn't decided."""

    term: int
    until: float
    votes: dict[str, Vote] = field(default_factory=dict)
    met: set[str] = field(default_factory=set)
    """Who else has called in this term: they have their own votes."""


class Elector:
    """The elections of one service, at the agent `name`, one of `agents`.

    `record` is None if it was lost. `profile` and `rules` are replaced by whoever knows newer ones. `chance` scatters
    the calls of the agents, so that few call at once.
    """

    def __init__(
        self, name: str, agents: Sequence[str], charter: Charter, timing: Timing,
        record: Record | None, profile: Profile, rules: Rules, chance: random.Random,
    ) -> None:  # fmt: skip
        self._others = tuple(agent for agent in agents if agent != name)
        if record is None and not self._others:
            record = Record()  # nobody else ever asked for a vote
        self.profile, self.rules, self.record = profile, rules, record
        self.messages = 0
        self.decision: Decision | None = None
        self._name, self._charter, self._timing, self._chance = name, charter, timing, chance
        self._newest = record.term if record else 0
        self._open: _Call | None = None
        self._call_at: float | None = None
        self._loss = chance.getrandbits(62)
        self._recovery = None if record else Recovery(self._others)
        self._ask_at = float("-inf")
        self._suspect: str | None = None

    @property
    def wake_at(self) -> float:
        """When `tick` has something to do, if nothing comes before."""
        waits = [self._call_at, self._open.until if self._open else None]
        waits.append(self._ask_at if self._recovery else None)
        return min((at for at in waits if at is not None), default=float("inf"))

    @property
    def wanted(self) -> bool:
        return self._call_at is not None or self._open is not None

    def want(self, now: float, term: int, suspect: str | None = None) -> None:
        """There is to be a successor to the holder of this term: this agent calls an election if nobody else does.

        A holder that is a `suspect` isn't waited for, if the others' votes are enough.
        """
        self._newest, self._suspect = max(self._newest, term), suspect
        if not self.wanted:
            # The more of them want it, the sooner the first one calls, and the farther apart they have to be.
            self._call_at = now + self._scatter(min(len(self._others), _SCATTER))

    def settle(self, term: int) -> None:
        """There need be no election: the service has a holder, of this term, and nobody suspects it."""
        self._newest = max(self._newest, term)
        self._call_at = self._open = None

    def tick(self, now: float) -> tuple[list[Action], Result | None]:
        """Do what is due. Give also the result, if this agent's own call came to one."""
        actions: list[Action] = []
        if self._recovery and now >= self._ask_at:
            self._ask_at = now + 4 * self._timing.answer_s
            actions += [self._send(agent, Ask(self._name, self._loss)) for agent in self._recovery.missing]
        if self._open and now >= self._open.until:
            told, result = self._conclude(now, self._open)
            return actions + told, result
        if self._call_at is not None and now >= self._call_at:
            actions += self._call(now)
        return actions, None

    def called(self, now: float, call: Call, *, loyal: bool) -> list[Action]:
        """Answer a call. `loyal` says that the holder is well as far as this agent knows: then it doesn't vote."""
        abstains = loyal or self.record is None or call.term < self._newest
        record = None if abstains or self.record is None else self.record.vote(call.term, call.sender)
        actions: list[Action] = []
        if self._open and self._open.term == call.term:
            self._open.met.add(call.sender)
        if record:
            if record != self.record:
                actions.append(Persist(record))
                self.record = record
            if self.wanted:
                self._put_off(now, 1)
            if self._open and self._open.term < call.term:
                self._open = None
        self._newest = max(self._newest, call.term)
        vote = Vote(self.profile, self.rules, granted=record is not None)
        actions.append(self._send(call.sender, Ballot(self._name, call.term, vote, self._newest)))
        return actions

    def answered(self, now: float, ballot: Ballot) -> tuple[list[Action], Result | None]:
        """Count a vote; give the result when it was the last one that was missing."""
        self._newest = max(self._newest, ballot.newest)
        if not self._open or ballot.term != self._open.term or ballot.sender not in self._others:
            return [], None
        self._open.votes[ballot.sender] = ballot.vote
        missing = [agent for agent in self._others if agent not in self._open.votes]
        if missing and (missing != [self._suspect] or not (self._open.met or self._decide(self._open).elected)):
            return [], None
        return self._conclude(now, self._open)

    def announced(self, now: float, result: Result) -> bool:
        """Take somebody's result; say whether it is one to act on, which those of older elections aren't."""
        if result.term < self._newest:
            return False
        self._newest = result.term
        if self.wanted:
            self._open = None
            self._put_off(now, len(result.order))
        return True

    def asked(self, ask: Ask) -> list[Action]:
        newest = self.record.term if self.record else None
        return [self._send(ask.sender, Answer(self._name, ask.loss, newest))]

    def told(self, answer: Answer) -> list[Action]:
        """Hear what another agent knows, after the record was lost."""
        if not self._recovery or answer.loss != self._loss or answer.newest is None:
            return []
        self.record = self._recovery.heard(answer.sender, answer.newest)
        if self.record is None:
            return []
        self._recovery, self._newest = None, max(self._newest, self.record.term)
        text = f"all agents said which terms they know; this host votes again from term {self.record.term + 1} on"
        return [Persist(self.record), Tell("record_recovered", text)]

    def _call(self, now: float) -> list[Action]:
        if self.record is None:
            self._put_off(now)
            return []
        term = self._newest + 1
        self._newest, self._call_at = term, None
        self.record = Record(term, self._name)
        self._open = _Call(term, now + self._timing.answer_s)
        self._open.votes[self._name] = Vote(self.profile, self.rules)
        return [Persist(self.record), *(self._send(agent, Call(self._name, term)) for agent in self._others)]

    def _conclude(self, now: float, call: _Call) -> tuple[list[Action], Result | None]:
        self._open = None
        decision = self.decision = self._decide(call)
        if decision.elected is None:
            self._try_again(now, call)
            return [Tell("election_void", f"term {call.term}: {decision.why}")], None
        result = Result(self._name, call.term, decision.order[:PLACES])
        self._put_off(now, len(result.order))
        told = Tell("election_decided", f"term {call.term}: {decision.elected} {decision.why}")
        return [told, *(self._send(agent, result) for agent in self._others)], result

    def _decide(self, call: _Call) -> Decision:
        return decide(self._charter, call.term, call.votes.values(), self.rules, len(self._others) + 1)

    def _put_off(self, now: float, places: int = 0) -> None:
        """Call the next election only after those that were elected, or this call, had their time."""
        self._call_at = now + 2 * self._timing.answer_s * places + self._scatter(_SCATTER)

    def _try_again(self, now: float, call: _Call) -> None:
        """Call again some time; where calls have met, the first of those who called does at once, and has all votes."""
        if call.met:
            self._call_at = now + 2 * self._timing.answer_s * sorted([self._name, *call.met]).index(self._name)
        else:
            self._put_off(now)

    def _scatter(self, answers: int) -> float:
        return self._chance.uniform(0.0, answers * self._timing.answer_s)

    def _send(self, agent: str, message: Call | Ballot | Result | Ask | Answer) -> Send:
        self.messages += 1
        return Send(agent, message)
