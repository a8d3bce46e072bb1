# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One agent's part in a service with the consistency `available`: each part of a split network has its own server.

There is no lease: a part without a majority could not renew it. A server says all the time that it serves. Whoever
hears none for `silence_s` takes part in a poll among those who answer. Where two servers hear each other, the one that
`outranks` the other goes on; the other stops, and what it did is merged into that one.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..errors import BadValue
from ..values import choice
from .actions import Feed, Publish, Send, StartService, StopService, Tell
from .merging import Merging
from .messages import Ballot, Call, Elected, Ended, Merged, Offer, Serving
from .poll import Poll

if TYPE_CHECKING:
    import random
    from collections.abc import Sequence

    from ..election import Charter, Profile, Rules
    from .actions import Action
    from .ledger import Ledger
    from .messages import Message
    from .supervisor import Held
    from .timing import Timing


_LATE_S = 60.0
"""No message comes later than this after it was sent: what is known of an end need not be remembered longer."""


class Role(enum.Enum):
    """What this host is to the service at present."""

    IDLE = "not serving"
    SERVING = "serving"
    STOPPING = "stopping"


@dataclass(frozen=True)
class Server:
    """Who serves, since which term, and how many agents elected it. Nothing of it changes while it serves."""

    host: str
    term: int
    votes: int

    def outranks(self, other: Server) -> bool:
        """Whether this one goes on where both are heard. Any two agents say the same of the same two.

        The one that more agents elected, since it is likely to have served more; then the one of the older term, whose
        state is likely to be the larger one to move; then the first name.
        """
        return (-self.votes, self.term, self.host) < (-other.votes, other.term, other.host)


@dataclass(frozen=True)
class _Heard:
    """A server as it was heard last `at`, and without a gap `since`."""

    server: Server
    since: float
    at: float


class Available:
    """Announces, hears, takes part in polls, serves, yields and merges.

    `now` is always the time by one monotonic clock that counts suspended time (CLOCK_BOOTTIME). `held` is what the
    supervisor kept running while the agent was started anew, or None; then nothing runs. `ledger` is what is on disk.
    The supervisor kills the service `timing.lease_s` after this agent has last fed it. `tick` is to be called at
    `wake_at`; to be late is safe.
    """

    def __init__(
        self, name: str, agents: Sequence[str], charter: Charter, timing: Timing, silence_s: float, *,
        ledger: Ledger, profile: Profile, rules: Rules, chance: random.Random, discard: bool = False,
        held: Held | None = None, now: float = 0.0,
    ) -> None:  # fmt: skip
        self.elector = Poll(name, agents, charter, timing, profile, rules, chance)
        self.merging = Merging(name, ledger, timing.poll_s, discard=discard)
        self.role = Role.IDLE
        self._name, self._timing, self._silence_s = name, timing, silence_s
        self._others = tuple(agent for agent in agents if agent != name)
        self._takes_part = name in agents
        self._own = Server(name, ledger.term, ledger.votes)
        self._heard: dict[str, _Heard] = {}
        self._ended: dict[str, tuple[int, float]] = {}
        self._told: set[Server] = set()
        self._suspected: Server | None = None
        self._leave = self._heir = ""
        self._elected: Elected | None = None
        self._failed_until = float("-inf")
        self._announce_at = self._looked_at = now
        # A host that has just come up hears nobody at first.
        self._deaf_until = now + 2 * silence_s
        self.elector.newest = ledger.term
        if held:
            if ledger.term != held.term:
                self.merging.begin(held.term, 1)
            self._own = Server(name, held.term, self.merging.ledger.votes)
            self.role = Role.SERVING

    @property
    def token(self) -> int:
        """By which token this host serves, or served last."""
        return self._own.term

    @property
    def wake_at(self) -> float:
        return min(self._announce_at, self.elector.wake_at)

    def server(self, now: float) -> Server | None:
        """Give the one that serves this part as far as is known here: of several the one that will go on."""
        known = self._fresh(now)
        if self.role is Role.SERVING or self._heir:
            known.append(self._own)
        return _first(known)

    def tick(self, now: float) -> list[Action]:
        """Do what is due."""
        if now > self._looked_at + self._silence_s:
            # What wasn't heard because this agent slept is no silence.
            self._deaf_until = now + self._silence_s
        self._looked_at = now
        actions = self._announce(now) if now >= self._announce_at else []
        self._forget(now)
        self._weigh(now)
        polled, elected = self.elector.tick(now)
        actions += polled
        if elected:
            actions += self._hear_elected(now, elected)
        return actions + self._yield(now) + self._owe(now)

    def suspect(self, now: float) -> None:
        """The server is suspected: a poll begins. Nothing starts."""
        self._suspected = self.server(now)

    def trust(self) -> None:
        """The server is not suspected any more."""
        self._suspected = None

    def heard(self, now: float, message: Message) -> list[Action]:
        """Another agent said this."""
        match message:
            case Serving():
                return self._hear_server(now, message)
            case Ended():
                return self._hear_end(now, message)
            case Call():
                return self._called(now, message)
            case Ballot():
                actions, elected = self.elector.answered(now, message)
                return actions + (self._hear_elected(now, elected) if elected else [])
            case Elected():
                return self._hear_elected(now, message)
            case Offer() if self.role is Role.SERVING and not self._leave and self._rival(now) is None:
                return self.merging.offered(now, message)
            case Merged():
                return self.merging.accepted(message)
        return []

    def stopped(self, now: float) -> list[Action]:
        """The supervisor says that the service is dead, or that it was too late to start it."""
        if self.role is Role.IDLE:
            return []
        if self.role is Role.SERVING and not self._leave:
            # Another host may have more luck with it.
            self._failed_until = now + 2 * self._silence_s
        heir, self._heir, self._leave, self.role = self._heir, "", "", Role.IDLE
        if not heir:
            return [Publish(Ended(self._name, self._own.term))]
        elected = Elected(self._name, self.elector.newest + 1, heir, self._own.votes)
        return [Publish(elected), *self._hear_elected(now, elected)]

    def exported(self, now: float, term: int, digest: str, size: int) -> list[Action]:
        """The service's state is among the blobs, by this digest."""
        return self.merging.exported(term, digest, size) + self._go_on(now)

    def export_failed(self, now: float, why: str) -> list[Action]:
        """The service's state could not be exported; with no reason, that was cancelled."""
        return self.merging.export_failed(now, why) + self._go_on(now)

    def export_lost(self) -> list[Action]:
        """The blob that is offered is gone from the disk."""
        return self.merging.lost() if self.merging.ledger.digest and not self.merging.busy else []

    def merged(self, now: float, host: str, term: int, digest: str) -> list[Action]:
        """What this host exported is merged."""
        return self.merging.merged(host, term, digest) + self._go_on(now)

    def merge_failed(self, now: float, host: str, why: str) -> list[Action]:
        """What this host exported could not be merged; with no reason, that was cancelled."""
        return self.merging.merge_failed(now, host, why) + self._go_on(now)

    def hand_over(self, to: str) -> list[Action]:
        """Stop the service and have another agent start it, as planned; what was done here is merged there.

        Raises `BadValue` for an agent that there isn't, or that may not have it.
        """
        choice(self._others, "other agent")(to)
        if to in self.elector.rules.forbidden:
            raise BadValue(f"{to} is forbidden; allow it first")
        if self.role is not Role.SERVING:
            return [Tell("hand_over_refused", f"{self._name} doesn't run the service")]
        self._heir, self._leave = to, f"handed over to {to}"
        return []

    def _announce(self, now: float) -> list[Action]:
        self._announce_at = now + self._timing.keepalive_s
        actions: list[Action] = []
        if self.role is Role.SERVING:
            actions.append(Feed(self._own.term, now + self._timing.lease_s))
        if self.role is Role.SERVING or self._heir:
            own = self._own
            actions.append(Publish(Serving(self._name, own.host, own.term, own.votes)))
        return actions

    def _forget(self, now: float) -> None:
        self._heard = {host: each for host, each in self._heard.items() if now < each.at + _LATE_S}
        self._ended = {host: each for host, each in self._ended.items() if now < each[1] + _LATE_S}

    def _weigh(self, now: float) -> None:
        """Want a poll where no server is heard, or where it is suspected."""
        server = self.server(now)
        if self._suspected and self._suspected != server:
            self._suspected = None
        self.elector.hindrance = self._hindrance(now)
        if not self._takes_part or now < self._deaf_until or (server and not self._suspected) or self._elected:
            self.elector.settle()
        else:
            self.elector.want(now)

    def _hindrance(self, now: float) -> str:
        if self.role is Role.STOPPING or self._leave:
            return "it is stopping the service"
        return "the service ended there a moment ago" if now < self._failed_until else ""

    def _hear_server(self, now: float, said: Serving) -> list[Action]:
        self.elector.newest = max(self.elector.newest, said.term)
        if said.answers:
            self.elector.objected(now, said.answers, self._silence_s)
        at, known = now - said.age_s, self._heard.get(said.host)
        if said.host == self._name or not 0 <= said.age_s < self._silence_s:
            return []
        if said.term <= self._ended.get(said.host, (0, 0.0))[0] or (known and said.term < known.server.term):
            return []
        server = Server(said.host, said.term, said.votes)
        if known and known.server == server:
            since = known.since if at <= known.at + self._silence_s else at
            self._heard[said.host] = _Heard(server, since, max(at, known.at))
        else:
            self._heard[said.host] = _Heard(server, at, at)
        return self._see_rival(server)

    def _see_rival(self, server: Server) -> list[Action]:
        if self.role is not Role.SERVING or server in self._told:
            return []
        self._told.add(server)
        first, other = (server, self._own) if server.outranks(self._own) else (self._own, server)
        text = (
            f"{server.host} serves too: {first.host}, elected in term {first.term} by {first.votes}, goes on before "
            f"{other.host}, in term {other.term} by {other.votes}"
        )
        return [Tell("rival_seen", text)]

    def _hear_end(self, now: float, ended: Ended) -> list[Action]:
        host = ended.sender
        self._ended[host] = max(self._ended.get(host, (0, 0.0))[0], ended.term), now
        if (known := self._heard.get(host)) and known.server.term <= ended.term:
            del self._heard[host]
        return []

    def _called(self, now: float, call: Call) -> list[Action]:
        self.elector.newest = max(self.elector.newest, call.term - 1)
        # Whoever calls for a server is none.
        self._heard.pop(call.sender, None)
        server = self.server(now)
        if server is None or server == self._suspected:
            return self.elector.called(now, call)
        age_s = 0.0 if server == self._own else now - self._heard[server.host].at
        return [
            Send(call.sender, Serving(self._name, server.host, server.term, server.votes, max(age_s, 0.0), call.term))
        ]

    def _hear_elected(self, now: float, elected: Elected) -> list[Action]:
        if elected.term < self.elector.newest:
            return []
        self.elector.newest = elected.term
        # Whoever has another one elected serves no more.
        self._heard.pop(elected.sender, None)
        if elected.host != self._name:
            self.elector.wait(now, 2 * self._timing.answer_s)
            if self.role is Role.SERVING and self._suspected == self._own and not self._leave:
                self._leave = f"suspected, and {elected.host} was elected"
            return []
        server = self.server(now)
        if server and server != self._suspected:
            return []
        if self.role is not Role.IDLE or elected.term <= self.merging.ledger.term or self._elected:
            return []
        self._elected = elected
        return self.merging.cancel() or self._go_on(now)

    def _go_on(self, now: float) -> list[Action]:
        """Start the service, if this host was elected and no hook is at work on its state any more."""
        elected, self._elected = self._elected, None
        if elected is None or self.role is not Role.IDLE:
            return []
        self.role, self._own = Role.SERVING, Server(self._name, elected.term, elected.votes)
        self.elector.settle()
        self._told.clear()
        start = StartService(elected.term, 0, elected.term, now + self._timing.lease_s)
        return [*self.merging.begin(elected.term, elected.votes), start, *self._announce(now)]

    def _yield(self, now: float) -> list[Action]:
        """Stop where another server goes on, or this one is to leave; not before a merge that runs has ended."""
        if self.role is not Role.SERVING:
            return []
        if not self._leave and (rival := self._rival(now)) and now >= rival.since + self._silence_s:
            self._leave = f"{rival.server.host} serves too, and goes on; what was done here is merged there"
        if not self._leave:
            return []
        if self.merging.busy:
            return self.merging.cancel()
        self.role = Role.STOPPING
        return [Tell("service_stopping", self._leave), StopService(self._leave)]

    def _rival(self, now: float) -> _Heard | None:
        """Give the server that outranks this one, if any is heard."""
        above = [each for each in self._fresh(now) if each.outranks(self._own)]
        first = _first(above)
        return self._heard[first.host] if first else None

    def _owe(self, now: float) -> list[Action]:
        server = self.server(now)
        if self.role is not Role.IDLE or server is None or self._elected:
            return []
        return self.merging.owe(now, server.host, server.term)

    def _fresh(self, now: float) -> list[Server]:
        return [each.server for each in self._heard.values() if now < each.at + self._silence_s]


def _first(servers: Sequence[Server]) -> Server | None:
    first: Server | None = None
    for each in servers:
        if first is None or each.outranks(first):
            first = each
    return first
