# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One agent's part in a service with the consistency `available`: each part of a split network has its own server.

There is no lease: a part without a majority could not renew it. A server says all the time that it serves. Whoever
hears none for `silence_s` takes part in a poll among those who answer. Where two servers hear each other, the one that
`outranks` the other goes on; the other stops, and what it did is merged into that one.

Where the service allows it, further servers run beside the elected one on purpose, for load and throughput (P1.10).
They are no rivals, and no elected one is missed less for them; if there is none, one of them may well be elected.
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
from .sharing import SNAPSHOT, Sharing

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
    """Who serves, since which term, and how many agents elected it: none a further server.

    Nothing of it changes while it serves, but that a further server may be elected.
    """

    host: str
    term: int
    votes: int

    @property
    def further(self) -> bool:
        return not self.votes

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
    At most `most` servers run beside each other on purpose, the elected one among them. The supervisor kills the
    service `timing.lease_s` after this agent has last fed it. `tick` is to be called at `wake_at`; to be late is safe.
    """

    def __init__(
        self, name: str, agents: Sequence[str], charter: Charter, timing: Timing, silence_s: float, *,
        ledger: Ledger, profile: Profile, rules: Rules, chance: random.Random, discard: bool = False,
        most: int = 1, held: Held | None = None, now: float = 0.0,
    ) -> None:  # fmt: skip
        self.elector = Poll(name, agents, charter, timing, profile, rules, chance)
        self.merging = Merging(name, ledger, timing.poll_s, discard=discard)
        self.sharing = Sharing(name, self.merging, timing.poll_s)
        self.role = Role.IDLE
        self.token = ledger.term
        """By which token this host serves, or served last."""
        self._discard, self._most = discard, most
        self._filled = False
        self._name, self._timing, self._silence_s = name, timing, silence_s
        self._others = tuple(agent for agent in agents if agent != name)
        self._takes_part = name in agents
        self.own = Server(name, ledger.term, ledger.votes)
        """The server that runs here, or ran here last."""
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
            # One that was elected while it ran has a newer term than the one by which it was started.
            if ledger.term < held.term:
                self.merging.begin(held.term, 1)
            self.own = Server(name, self.merging.ledger.term, self.merging.ledger.votes)
            self.role, self.token, self._filled = Role.SERVING, held.token, True

    @property
    def first(self) -> bool:
        """Whether the elected server runs here."""
        return self.role is Role.SERVING and not self.own.further

    @property
    def further(self) -> bool:
        """Whether a further server runs here."""
        return self.role is Role.SERVING and self.own.further

    @property
    def ready(self) -> bool:
        """Whether clients of this host may use a server that runs here: a further one has the other's state by then."""
        return self.role is Role.SERVING and not self._leave and (self._filled or not self.own.further)

    @property
    def begins(self) -> bool:
        """Whether a server is to start here as soon as the hook that is at work has ended."""
        return self._elected is not None

    @property
    def wake_at(self) -> float:
        return min(self._announce_at, self.elector.wake_at)

    def server(self, now: float) -> Server | None:
        """Give the one that serves this part as far as is known here: of several the one that will go on."""
        known = [each for each in self._fresh(now) if not each.further]
        if self.first or self._heir:
            known.append(self.own)
        return _first(known)

    def servers(self, now: float) -> list[Server]:
        """Give all that are known here to serve: the one that goes on, then others, those that came last at the end."""
        known = self._fresh(now) + ([self.own] if self.role is Role.SERVING else [])
        first = self.server(now)
        return sorted(known, key=lambda each: (each != first, each.further, each.term, each.host))

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
        return actions + self._yield(now) + self._share(now) + self._owe(now)

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
                actions = self.merging.offered(now, message)
                answered = any(isinstance(each, Send) for each in actions)
                return actions + (self._fill(now, message.sender) if answered else [])
            case Merged():
                self.sharing.accepted(message, self._partners(now))
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
            return [Publish(Ended(self._name, self.own.term))]
        elected = Elected(self._name, self.elector.newest + 1, heir, self.own.votes)
        return [Publish(elected), *self._hear_elected(now, elected)]

    def exported(self, now: float, term: int, digest: str, size: int) -> list[Action]:
        """The service's state is among the blobs, by this digest."""
        if self.merging.busy == SNAPSHOT:
            running = self.role is Role.SERVING
            return self.sharing.written(now, term, digest, size, running=running) + self._go_on(now)
        return self.merging.exported(term, digest, size) + self._go_on(now)

    def export_failed(self, now: float, why: str) -> list[Action]:
        """The service's state could not be exported; with no reason, that was cancelled."""
        side = self.sharing.failed if self.merging.busy == SNAPSHOT else self.merging.export_failed
        return side(now, why) + self._go_on(now)

    def export_lost(self) -> list[Action]:
        """The blob that is offered is gone from the disk."""
        if self.merging.busy:
            return []
        return self.merging.lost() if self.merging.ledger.digest else self.sharing.end()

    def merged(self, now: float, host: str, term: int, digest: str) -> list[Action]:
        """What this host exported is merged."""
        if self.first:
            self.sharing.merged(host)
        return self.merging.merged(host, term, digest) + self._fill(now, host) + self._go_on(now)

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
        if not self.first:
            return [Tell("hand_over_refused", f"{self._name} doesn't run the service")]
        self._heir, self._leave = to, f"handed over to {to}"
        return []

    def why_no_replica(self, now: float) -> str:
        """Say why no further server may start at this host now; nothing if one may."""
        servers, rules = self.servers(now), self.elector.rules
        if self._most == 1:
            return "the service allows one server only; how many may run beside each other, say as servers"
        if self.role is Role.SERVING or self.begins:
            return f"{self._name} has a server already"
        if self._name in rules.forbidden or (rules.allowed is not None and self._name not in rules.allowed):
            return f"{self._name} is forbidden; allow it first"
        if hindrance := self._hindrance(now) or self.elector.profile.hindrance:
            return f"{self._name} can't: {hindrance}"
        if self.server(now) is None:
            return f"{self._name} hears no server; a further one needs one whose changes it gets"
        if len(servers) >= self._most:
            names = ", ".join(each.host for each in servers)
            return f"there are {len(servers)} servers already, at {names}, and the service allows no more"
        return ""

    def replicate(self, now: float) -> list[Action]:
        """Start a further server at this host: it begins with what is here, and is given what the others have.

        Raises `BadValue` where that can't be.
        """
        if why := self.why_no_replica(now):
            raise BadValue(why)
        self.elector.newest += 1
        self._elected = Elected(self._name, self.elector.newest, self._name, 0)
        return self.merging.cancel() or self._go_on(now)

    def why_no_merge(self, now: float) -> str:
        """Say why this host's server can't stop and be merged into the elected one; nothing if it can."""
        if self.first:
            return f"{self._name} has the elected server; hand the service over first"
        if not self.further:
            return f"{self._name} has no server"
        return "" if self.server(now) else f"{self._name} hears no other server that could go on with what was done"

    def merge(self, now: float, why: str = "merged, as was asked for") -> list[Action]:
        """Stop the further server of this host; what it did is merged into the elected one.

        Raises `BadValue` where that can't be.
        """
        if refusal := self.why_no_merge(now):
            raise BadValue(refusal)
        self._leave = self._leave or why
        return []

    def unwell(self, now: float, why: str) -> list[Action]:
        """The further server of this host doesn't do what it should: others go on with what it did."""
        if self.why_no_merge(now):
            return []
        self._failed_until = now + 2 * self._silence_s
        return self.merge(now, why)

    def changed(self) -> list[Action]:
        """The server of this host says that it has changed: the others are to get that."""
        if self.role is Role.SERVING:
            self.sharing.changed()
        return []

    def _announce(self, now: float) -> list[Action]:
        self._announce_at = now + self._timing.keepalive_s
        actions: list[Action] = []
        if self.role is Role.SERVING:
            actions.append(Feed(self.token, now + self._timing.lease_s))
        if self.role is Role.SERVING or self._heir:
            own = self.own
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
        if not self.first or server.further or server in self._told:
            return []
        self._told.add(server)
        first, other = (server, self.own) if server.outranks(self.own) else (self.own, server)
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
        self._no_server(call.sender)
        server = self.server(now)
        if server is None or server == self._suspected:
            return self.elector.called(now, call)
        age_s = 0.0 if server == self.own else now - self._heard[server.host].at
        return [
            Send(call.sender, Serving(self._name, server.host, server.term, server.votes, max(age_s, 0.0), call.term))
        ]

    def _hear_elected(self, now: float, elected: Elected) -> list[Action]:
        if elected.term < self.elector.newest:
            return []
        self.elector.newest = elected.term
        # Whoever has another one elected serves no more.
        self._no_server(elected.sender)
        if elected.host != self._name:
            self.elector.wait(now, 2 * self._timing.answer_s)
            if self.first and self._suspected == self.own and not self._leave:
                self._leave = f"suspected, and {elected.host} was elected"
            return []
        server = self.server(now)
        if (server and server != self._suspected) or elected.term <= self.merging.ledger.term:
            return []
        if self.further and not self._leave:
            return self._promote(now, elected)
        if self.role is not Role.IDLE or self._elected:
            return []
        self._elected = elected
        return self.merging.cancel() or self._go_on(now)

    def _promote(self, now: float, elected: Elected) -> list[Action]:
        """Go on as the elected server, with what runs here."""
        told = Tell(
            "promoted", f"a further server until now: goes on in term {elected.term}, elected by {elected.votes}"
        )
        return [*self._begin(elected), told, *self._announce(now)]

    def _begin(self, elected: Elected) -> list[Action]:
        self.role, self.own = Role.SERVING, Server(self._name, elected.term, elected.votes)
        self.elector.settle()
        self._told.clear()
        return self.merging.begin(elected.term, elected.votes)

    def _go_on(self, now: float) -> list[Action]:
        """Start the service, if this host was elected and no hook is at work on its state any more."""
        elected, self._elected = self._elected, None
        if elected is None or self.role is not Role.IDLE:
            return []
        begun = self._begin(elected)
        self.token, self._filled = elected.term, self._discard
        start = StartService(elected.term, 0, elected.term, now + self._timing.lease_s)
        return [*begun, *self.sharing.begin(), start, *self._announce(now)]

    def _yield(self, now: float) -> list[Action]:
        """Stop where another server goes on, or this one is to leave; not before a merge that runs has ended."""
        if self.role is not Role.SERVING:
            return []
        if not self._leave and self._too_many(now):
            self._leave = f"the service allows {self._most} servers, and others came first"
        if not self._leave and (rival := self._rival(now)) and now >= rival.since + self._silence_s:
            self._leave = f"{rival.server.host} serves too, and goes on; what was done here is merged there"
        if not self._leave:
            return []
        if self.merging.busy:
            return self.merging.cancel()
        self.role = Role.STOPPING
        return [Tell("service_stopping", self._leave), StopService(self._leave)]

    def _rival(self, now: float) -> _Heard | None:
        """Give the server that outranks this one, if any is heard; a further server has no rivals."""
        if self.own.further:
            return None
        above = [each for each in self._fresh(now) if each.outranks(self.own)]
        first = _first(above)
        return self._heard[first.host] if first else None

    def _too_many(self, now: float) -> bool:
        """Whether enough others serve, heard for a while, which came before the further server of this host."""
        if not self.further or self.server(now) is None:
            return False
        own = self.own.term, self._name
        before = [
            each for each in self._fresh(now)
            if each.further and (each.term, each.host) < own
            and now >= self._heard[each.host].since + self._silence_s
        ]  # fmt: skip
        return len(before) >= self._most - 1

    def _partners(self, now: float) -> list[Server]:
        """Give whom the server of this host tells of changes: the elected one all others, and these that one."""
        if self.first:
            return [each for each in self._fresh(now) if each.further]
        server = self.server(now)
        return [server] if server else []

    def _share(self, now: float) -> list[Action]:
        if self.role is not Role.SERVING:
            return [] if self.merging.busy else self.sharing.end()
        if self._discard or self._leave or self._rival(now):
            return []
        return self.sharing.tick(now, self.own.term, self._partners(now))

    def _fill(self, now: float, host: str) -> list[Action]:
        """The further server of this host has what this one has: it is as good a server as that by now."""
        server = self.server(now)
        if not self.further or self._filled or server is None or server.host != host:
            return []
        self._filled = True
        return [Tell("replicated", f"has what {host} does since term {server.term}, and serves clients beside it")]

    def _no_server(self, host: str) -> None:
        """What this host says shows that it isn't the elected server; a further one it may be."""
        if (known := self._heard.get(host)) and not known.server.further:
            del self._heard[host]

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
