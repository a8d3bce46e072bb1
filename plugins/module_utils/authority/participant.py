# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One agent's part in the authority over one service: events in, actions out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import BadValue
from ..values import choice
from .actions import Abandon, Read, Send, Tell
from .elector import Elector
from .holder import Holder, State
from .messages import Answer, Ask, Ballot, Call, HandOver, Message, Result
from .successor import Successor

if TYPE_CHECKING:
    import random
    from collections.abc import Sequence

    from ..election import Charter, Profile, Rules
    from .actions import Action
    from .record import Record
    from .supervisor import Held
    from .timing import Timing
    from .view import View


class Participant:
    """Watches the store's view, takes part in elections, acquires and holds; with the consistency `quorum`.

    `now` is always the time by one monotonic clock that counts suspended time (CLOCK_BOOTTIME). `held` is what the
    supervisor answered when the agent started: the service that it kept running, or None; then nothing runs. `tick` is
    to be called at `wake_at`; to be late is safe.
    """

    def __init__(
        self, name: str, agents: Sequence[str], charter: Charter, timing: Timing, *,
        record: Record | None, profile: Profile, rules: Rules, chance: random.Random,
        held: Held | None = None, now: float = 0.0,
    ) -> None:  # fmt: skip
        self.elector = Elector(name, agents, charter, timing, record, profile, rules, chance)
        self.successor = Successor(timing, chance)
        self.holder: Holder | None = None
        self._name, self._timing = name, timing
        self._others = tuple(agent for agent in agents if agent != name)
        self._suspected = -1
        self._heir: str | None = None
        self._read_at = now
        if held:
            self.holder = Holder.resumed(timing, held, now)

    @property
    def wake_at(self) -> float:
        side = self.holder or self.successor
        return min(side.wake_at, self.elector.wake_at, self._read_at)

    def tick(self, now: float) -> list[Action]:
        """Do what is due."""
        actions: list[Action] = []
        if now >= self._read_at:
            self._read_at = now + self._pause_s(now)
            actions.append(Read())
        self._weigh(now)
        more, result = self.elector.tick(now)
        actions += more + self._stood(now, result)
        return actions + (self._swept(self.holder.tick(now)) if self.holder else self.successor.tick(now))

    def saw(self, now: float, view: View) -> list[Action]:
        """The store said this, to a `Read` or by a watch."""
        if not self.successor.saw(now, view):
            return []
        if self.holder:
            if view.revision < self.holder.token or (view.token == self.holder.token and view.holder is not None):
                return []
            return self._swept(self.holder.lost(f"the store says that {view.holder or 'nobody'} holds the service"))
        self._weigh(now)
        return self.successor.tick(now)

    def suspect(self, now: float) -> None:
        """The holder is suspected: an election begins, whose winner is ready when the lease is over. Nothing starts."""
        self._suspected = self.successor.view.token
        self._weigh(now)

    def trust(self) -> None:
        """The holder is not suspected any more."""
        self._suspected = -1

    def heard(self, now: float, message: Message) -> list[Action]:
        """Another agent said this."""
        match message:
            case Call():
                return self.elector.called(now, message, loyal=self._loyal(now))
            case Ballot():
                actions, result = self.elector.answered(now, message)
                return actions + self._stood(now, result)
            case Result():
                return self._stood(now, message) if self.elector.announced(now, message) else []
            case HandOver() if message.to == self._name:
                self.successor.stand(message.term, now)
                self._read_at = now
                return [] if self.holder else self.successor.tick(now)
            case Ask():
                return self.elector.asked(message)
            case Answer():
                return self.elector.told(message)
        return []

    def acquired(self, now: float, lease: int, token: int) -> list[Action]:
        """The store gave this agent the service, for its request with this lease."""
        if self.holder and self.holder.lease == lease:
            return []
        holder = None if self.holder else self.successor.acquired(lease, token)
        if holder is None:
            return [Abandon(lease)]
        self.holder = holder
        text = f"token {token}, term {holder.term}; the service starts in {max(holder.start_at - now, 0.0):.1f} s"
        return [Tell("authority_acquired", text), *self._swept(holder.tick(now))]

    def refused(self, lease: int) -> list[Action]:
        """The store did not give this agent the service; or did, to the same request when it came the first time."""
        if self.holder and self.holder.lease == lease:
            return []
        self.successor.refused(lease)
        return [Abandon(lease), Read()]

    def kept(self, lease: int, sent_at: float) -> list[Action]:
        """The store renewed the lease, asked by the keepalive that was sent at `sent_at`."""
        return self.holder.kept(sent_at) if self.holder and self.holder.lease == lease else []

    def lost(self, lease: int) -> list[Action]:
        """The store says that the lease is over, or that the key isn't this holder's."""
        if not self.holder or self.holder.lease != lease:
            return []
        return self._swept(self.holder.lost("the store says that the lease is over"))

    def stopped(self) -> list[Action]:
        """The supervisor says that the service is dead, or that it was too late to start it."""
        return self._swept(self.holder.stopped()) if self.holder else []

    def hand_over(self, to: str) -> list[Action]:
        """Stop the service and give it to another agent, as planned; that one starts it without any wait.

        Raises `BadValue` for an agent that there isn't, or that may not have it.
        """
        choice(self._others, "other agent")(to)
        if to in self.elector.rules.forbidden:
            raise BadValue(f"{to} is forbidden; allow it first")
        if not self.holder:
            return [Tell("hand_over_refused", f"{self._name} doesn't hold the service; ask {self._whose()}")]
        self._heir = to
        return self._swept(self.holder.stop(f"handed over to {to}"))

    def _pause_s(self, now: float) -> float:
        """Give the time from one look at the store to the next: who is elected looks as often as a holder renews."""
        timing = self._timing
        return min(timing.poll_s, timing.keepalive_s) if self.successor.waits(now) else timing.poll_s

    def _weigh(self, now: float) -> None:
        """Want an election where there is no holder or a suspected one, as far as the store was reachable of late."""
        view = self.successor.view
        if self.holder:
            self.elector.settle(self.holder.term)
        elif not (self.successor.vacant or self._suspected == view.token) or now > self.successor.fresh_until:
            self.elector.settle(view.term)
        else:
            self.elector.want(now, view.term, view.holder if self._suspected == view.token else None)

    def _loyal(self, now: float) -> bool:
        view = self.successor.view
        if self.holder:
            return self._suspected != view.token
        return view.holder is not None and self._suspected != view.token and now <= self.successor.fresh_until

    def _stood(self, now: float, result: Result | None) -> list[Action]:
        """Stand for the service, in the place that the result gives this agent; or make room for who was elected."""
        if result is None:
            return []
        if self._name in result.order:
            self.successor.stand(result.term, now + result.order.index(self._name) * 2 * self._timing.answer_s)
            self._read_at = min(self._read_at, now + self._pause_s(now))
        return self._make_room(result) if self.holder else self.successor.tick(now)

    def _make_room(self, result: Result) -> list[Action]:
        """A holder that is suspected has its lease, and would keep it: nobody else could ever take the service."""
        heir = next((name for name in result.order if name != self._name), None)
        if self._suspected != self.successor.view.token or heir is None:
            return []
        return self.hand_over(heir)

    def _swept(self, actions: list[Action]) -> list[Action]:
        """Forget a holder that is over, and tell the one to whom it hands over."""
        if not self.holder or self.holder.state is not State.OVER:
            return actions
        term, self.holder = self.holder.term, None
        if self._heir:
            actions = [*actions, Send(self._heir, HandOver(self._name, term + 1, self._heir))]
            self._heir = None
        return actions

    def _whose(self) -> str:
        return self.successor.view.holder or "the agent that will, once one does"
