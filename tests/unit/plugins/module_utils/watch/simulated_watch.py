# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts that watch a service without real time: requests, late timers, cut paths and what each agent makes of them.

With `clients_s` clients ask the service too, so often at each observer's host, by its proxy.
"""

from __future__ import annotations

import heapq
import random
from itertools import count
from typing import TYPE_CHECKING

from ansible_collections.okiagari.testbed.plugins.module_utils.watch import (
    Counts,
    Observation,
    Observer,
    OwnHealth,
    Suspicion,
    Traffic,
    Watch,
    observers,
)
from ansible_collections.okiagari.testbed.plugins.module_utils.watch.traffic import LOOKS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

SERVICE = "web"
HOLDER = "a"
SITES = {"a": "hiroshima", "b": "kanazawa", "c": "nagoya", "d": "osaka"}
"""Of these, a, b and c observe the service at a; d only listens."""
CONNECT_S = 1.0
"""After so long a proxy tries a host that is silent once more, and counts that as a failure."""


class World:
    """A service at `HOLDER` and everybody who watches it. Everything random comes from one seed."""

    def __init__(
        self, seed: object, sites: Mapping[str, str] | None = None, *, watch: Watch | None = None, loss: float = 0.0,
        clients_s: float | None = None,
    ) -> None:  # fmt: skip
        sites = SITES if sites is None else sites
        self.chance = random.Random(str(seed))
        self.watch, self.loss, self.clients_s = watch or Watch(), loss, clients_s
        self.now = 0.0
        self.busy: set[str] = set()
        self.dead: set[str] = set()
        self.ill = False
        self.cut: set[frozenset[str]] = set()
        """Hosts of which no request reaches the other."""
        self.unheard: set[frozenset[str]] = set()
        """Hosts that don't hear each other's observations, whatever relays there are."""
        self.requests = 0
        self.said: list[tuple[float, str, bool]] = []
        """When, which agent, and whether it suspects or trusts the server from then on."""
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._number = count()
        everybody = {host: sites.keys() - {host} for host in sites}
        asking = observers(HOLDER, everybody, sites, self.watch.observers)
        self.agents = {host: Agent(self, host, site, observes=host in asking) for host, site in sites.items()}

    def at(self, when: float, what: Callable[[], None]) -> None:
        heapq.heappush(self._events, (when, next(self._number), what))

    def run(self, until: float) -> None:
        while self._events and self._events[0][0] <= until:
            self.now, _number, event = heapq.heappop(self._events)
            event()
        self.now = until

    def reaches(self, one: str, other: str) -> bool:
        return not ({one, other} & self.dead or frozenset((one, other)) in self.cut)

    def isolate(self, hosts: set[str]) -> None:
        """Cut these hosts off all the others, wholly."""
        pairs = {frozenset((one, other)) for one in hosts for other in self.agents.keys() - hosts}
        self.cut |= pairs
        self.unheard |= pairs

    def suspecting(self) -> dict[str, float]:
        """When each agent first suspected the server."""
        return {host: when for when, host, suspected in reversed(self.said) if suspected}


class Agent:
    """One host's agent, which observes or not, and always listens."""

    def __init__(self, world: World, host: str, site: str, *, observes: bool) -> None:
        self.host = host
        self.suspicion = Suspicion(SERVICE, world.watch)
        self.suspicion.begin(0.0, HOLDER)
        self.health = OwnHealth(world.watch.late_s)
        self._world = world
        self._timer = float("inf")
        self._weigh()
        if observes:
            self._observer = Observer(SERVICE, host, site, world.watch, self.health)
            self._observer.begin(0.0, HOLDER)
            self._traffic, self._passed = Traffic(world.watch.period_s), Counts()
            self._plan(world.chance.uniform(0.0, world.watch.period_s))
            if world.clients_s:
                world.at(world.chance.uniform(0.0, world.clients_s), self._serve)
                world.at(world.chance.uniform(0.0, world.watch.period_s / LOOKS), self._see)

    def _plan(self, when: float) -> None:
        woke = when + (self._world.chance.expovariate(1.0) if self.host in self._world.busy else 0.0)
        self._planned = when
        self._world.at(woke, lambda: self._ask(when))

    def _serve(self) -> None:
        """A client asks by this host; a hanging service keeps it waiting."""
        world = self._world
        if not world.reaches(self.host, HOLDER):
            world.at(world.now + CONNECT_S, self._count(0, 1))
        elif not world.ill:
            world.at(world.now + world.chance.uniform(0.001, 0.2), self._count(1, 0))
        world.at(world.now + (world.clients_s or 0.0), self._serve)

    def _count(self, answered: int, failed: int) -> Callable[[], None]:
        def count() -> None:
            self._passed = Counts(self._passed.answered + answered, self._passed.failed + failed)

        return count

    def _see(self) -> None:
        now = self._world.now
        self._traffic.saw(now, self._passed)
        if self._traffic.urges(now):
            self._ask(self._planned, urged=True)
        self._world.at(now + self._world.watch.period_s / LOOKS, self._see)

    def _ask(self, planned: float, *, urged: bool = False) -> None:
        world = self._world
        # Who asked before its time plans anew; its former plan is none any more.
        if self.host in world.dead or planned != self._planned:
            return
        planned = world.now if urged else planned
        self.health.late(world.now - planned)
        if self._traffic.spares(world.now):
            self._conclude(well=True, answered=None)
            self._plan(max(planned + world.watch.period_s, world.now))
            return
        if self.host != HOLDER:
            world.requests += 1
        peers = [host for host in world.agents if host not in (self.host, HOLDER)]
        answered = self._request(world.chance.choice(peers)) if peers else None
        well = self._request(HOLDER) and not world.ill
        takes = world.chance.uniform(0.001, 0.2) if well else world.watch.timeout_s
        world.at(world.now + takes, lambda: self._conclude(well=well, answered=answered))
        self._plan(max(planned + world.watch.period_s, world.now))

    def _request(self, host: str) -> bool:
        """Whether an answer comes in time. A busy host often looks too late for it; none to itself is lost."""
        chance = self._world.chance
        lost = host != self.host and chance.random() < self._world.loss
        missed = self.host in self._world.busy and chance.random() < 0.5
        return self._world.reaches(self.host, host) and not lost and not missed

    def _conclude(self, *, well: bool, answered: bool | None) -> None:
        world = self._world
        if self.host in world.dead:
            return
        if answered:
            self.health.answered()
        elif answered is False:
            self.health.unanswered()
        told = self._observer.result(world.now, well, "answers" if well else "doesn't answer").to_dict()
        observation = Observation.from_dict(told)
        self._hear(observation)
        for host, agent in world.agents.items():
            if host != self.host and frozenset((host, self.host)) not in world.unheard:
                world.at(world.now + world.chance.uniform(0.001, 0.1), agent.hearing(observation))

    def hearing(self, observation: Observation) -> Callable[[], None]:
        return lambda: self._hear(observation)

    def _hear(self, observation: Observation) -> None:
        if self.host not in self._world.dead:
            self.suspicion.heard(self._world.now, observation)
            self._weigh()

    def _wake(self) -> None:
        self._timer = float("inf")
        if self.host not in self._world.dead:
            self._weigh()

    def _weigh(self) -> None:
        changed = self.suspicion.changed(self._world.now)
        if changed is not None:
            self._world.said.append((self._world.now, self.host, changed))
        if self.suspicion.wake_at < self._timer:
            self._timer = self.suspicion.wake_at
            self._world.at(self._timer, self._wake)
