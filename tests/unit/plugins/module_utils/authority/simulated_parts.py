# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts of a service with the consistency `available`: sets of writes on disks, and hooks that take time and fail."""

from __future__ import annotations

import hashlib
import random
from collections import Counter
from functools import partial
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from ansible_collections.okiagari.testbed.plugins.module_utils.authority import Timing
from ansible_collections.okiagari.testbed.plugins.module_utils.authority import actions as act
from ansible_collections.okiagari.testbed.plugins.module_utils.authority.available import Available
from ansible_collections.okiagari.testbed.plugins.module_utils.authority.ledger import LOST, Ledger, decode, encode
from ansible_collections.okiagari.testbed.plugins.module_utils.election import Charter, Profile, Rules
from ansible_collections.okiagari.testbed.plugins.module_utils.errors import BadValue

from .simulated_agents import SERVICE, Host, World
from .simulated_network import Clock, Events, Network

if TYPE_CHECKING:
    from collections.abc import Callable

SILENCE_S = 5.0
FETCH_S = 10.0
FAILS = 0.1
"""The share of hooks that fail."""


class Parts(World):
    """A service, and the hosts that may run it, some of them at one time. Everything random comes from one seed."""

    def __init__(self, seed: object, agents: int) -> None:
        self.chance = random.Random(str(seed))
        self.timing = Timing()
        self.events = Events()
        self.network = Network(self.events, self.chance)
        self.names = [f"h{number}" for number in range(agents)]
        self.members = list(range(agents))
        self.charter = Charter(SERVICE, {}, consistency="available")
        self.store = SimpleNamespace(watchers=[])
        self.running: dict[int, int] = {}
        self.messages = 0
        self.starts: list[float] = []
        self.most = self.chance.randint(1, 3)
        """How many servers may run beside each other on purpose."""
        self.replicas = 0
        self.written: set[str] = set()
        self.merges: Counter[tuple[str, str, str]] = Counter()
        """How often a hook has merged at a host what another one exported."""
        self.doubts: Counter[tuple[str, str, str]] = Counter()
        """How often it did so and died before it had noted that, or lost its note."""
        self.hosts: list[Place] = [
            Place(self, number, Clock(self.events, self.chance, self.timing.drift)) for number in range(agents)
        ]
        for host in self.hosts:
            host.start_agent()

    def launched(self, host: Host, token: int) -> None:
        self.running[host.number] = token
        self.starts.append(self.events.now)

    @property
    def holder(self) -> Any:
        numbers = sorted(self.running)
        return self.hosts[self.chance.choice(numbers)] if numbers else None

    @property
    def elected(self) -> dict[int, int]:
        """Give the servers that run and aren't further ones, each with its token."""
        further = {host.number for host in self.hosts if host.participant and host.participant.own.further}
        return {number: token for number, token in self.running.items() if number not in further}


class Place(Host):
    """A machine with the service's state, a ledger and blobs on its disk."""

    def __init__(self, world: Parts, number: int, clock: Clock) -> None:
        super().__init__(world, number, clock)
        self.world: Parts = world
        self.participant: Available | None = None
        self.state: set[str] = set()
        self.ledger = encode(SERVICE, Ledger())
        self.blobs: dict[str, frozenset[str]] = {}
        self.unknown: set[str] = set()
        self.hook = 0
        self.in_hook = ""
        self.perform |= {
            act.Keep: self._keep, act.Publish: self._publish, act.Export: self._export, act.Merge: self._merge,
            act.Cancel: self._cancel, act.Drop: lambda action: self.blobs.pop(action.digest, None),
        }  # fmt: skip

    def start_agent(self) -> None:
        now = self.clock()
        if not self.on or self.participant:
            return
        held = self.supervisor.held(now)
        if self.number in self.world.running and not held:
            self._do(self.supervisor.stop())
            self.events.after(0.3, self.start_agent)
            return
        chance = random.Random(self.world.chance.random())
        self.awake, self.waiting = True, []
        self.participant = Available(
            self.name, self.world.names, self.world.charter, self.world.timing, SILENCE_S,
            ledger=self.written(), profile=Profile(self.name, "site", machine=chance.random()),
            rules=Rules(), chance=chance, most=self.world.most, held=held, now=now,
        )  # fmt: skip
        self.wakes_at = float("inf")
        self.tell(lambda _participant, _now: [])

    def written(self) -> Ledger:
        """Give what its disk says, as an agent reads it."""
        try:
            return decode(SERVICE, self.ledger)
        except BadValue:
            return LOST

    def kill_agent(self) -> None:
        super().kill_agent()
        self.hook += 1
        self.in_hook = ""
        kept = {(self.name, host, each.digest) for host, each in self.written().merged.items()}
        for each, count in self.world.merges.items():
            if each[0] == self.name and each not in kept:
                self.world.doubts[each] = count

    def replicate(self) -> None:
        """Somebody asks for a further server here."""
        self.tell(lambda each, now: [] if each.why_no_replica(now) else self._replicate(each, now))

    def _replicate(self, each: Any, now: float) -> list[act.Action]:
        self.world.replicas += 1
        actions: list[act.Action] = each.replicate(now)
        return actions

    def merge_back(self) -> None:
        """Somebody asks for its further server to be merged."""
        self.tell(lambda each, now: [] if each.why_no_merge(now) else each.merge(now))

    def forget(self) -> None:
        """What it has merged so far it doesn't know any more, and neither what it holds for others."""
        self.unknown |= self.blobs.keys()
        for each, count in self.world.merges.items():
            if each[0] == self.name:
                self.world.doubts[each] = count

    def exit(self, instance: int) -> None:
        if instance == self.instance and self.number in self.world.running:
            self.instance += 1
            self.world.ended(self)
            self.supervisor.exited()
            self._stopped()

    def _stopped(self) -> None:
        self.tell(lambda participant, now: participant.stopped(now))

    def _start_service(self, action: act.StartService) -> None:
        assert self.in_hook not in ("export", "snapshot"), "the service starts while its state is written"
        do = self.supervisor.start(
            self.clock(), token=action.token, lease=action.lease, term=action.term, deadline=action.deadline
        )
        if do:
            self._do(do)
        elif self.number not in self.world.running:
            self.events.after(0.0, self._stopped)

    def _keep(self, action: act.Keep) -> None:
        self.ledger = encode(SERVICE, action.ledger)

    def _publish(self, action: act.Publish) -> None:
        for name in self.world.names:
            if name != self.name:
                self._send(act.Send(name, action.message))

    def _write(self, instance: int, token: int) -> None:
        if instance == self.instance and self.number in self.world.running:
            write = f"{self.name} {len(self.world.written)}"
            self.state.add(write)
            self.world.written.add(write)
            self.tell(lambda each, _now: each.changed())
            self.events.after(1.0, self._write, instance, token)

    # the hooks

    def _begin(self, what: str) -> Callable[..., None]:
        assert not self.in_hook, f"{what} begins while {self.in_hook} is at work"
        self.hook += 1
        self.in_hook = what
        return partial(self._if_same, self.hook)

    def _if_same(self, hook: int, what: Callable[..., None], *arguments: Any) -> None:
        if hook == self.hook:
            what(*arguments)

    def _over(self, event: Callable[[Any, float], Any]) -> None:
        self.in_hook = ""
        self.tell(event)

    def _export(self, action: act.Export) -> None:
        then = self._begin("snapshot" if action.running else "export")
        self.events.after(self.world.chance.uniform(0.05, 3.0), then, self._exported, action)

    def _exported(self, action: act.Export) -> None:
        runs = self.number in self.world.running
        assert action.running or not runs, "the state is exported while the service runs"
        if runs != action.running or self.world.chance.random() < FAILS:
            self._over(lambda each, now: each.export_failed(now, "no"))
            return
        content = frozenset(self.state)
        digest = hashlib.sha256(repr(sorted(content)).encode()).hexdigest()
        self.blobs[digest] = content
        self._over(lambda each, now: each.exported(now, action.term, digest, len(content)))

    def _merge(self, action: act.Merge) -> None:
        then = self._begin("fetch")
        self.events.after(self.world.chance.uniform(0.05, 1.0), then, self._fetch, then, action, self.events.now)

    def _fetch(self, then: Callable[..., None], action: act.Merge, since: float) -> None:
        chance, host = self.world.chance, self.world.hosts[self.world.names.index(action.host)]
        if host.on and host.participant and self.network.both_ways(self.number, host.number):
            if (content := host.blobs.get(action.digest)) is None:
                self._merge_failed(action)
                return
            self.in_hook = "merge"
            # Where it fails or dies, half of it may have been done.
            self.state |= set(sorted(content)[::2])
            self.events.after(chance.uniform(0.05, 3.0), then, self._merged, action, content)
        elif self.events.now > since + FETCH_S:
            self._merge_failed(action)
        else:
            self.events.after(1.0, then, self._fetch, then, action, since)

    def _merged(self, action: act.Merge, content: frozenset[str]) -> None:
        if self.world.chance.random() < FAILS:
            self._merge_failed(action)
            return
        self.state |= content
        self.world.merges[(self.name, action.host, action.digest)] += 1
        self._over(lambda each, now: each.merged(now, action.host, action.term, action.digest))

    def _merge_failed(self, action: act.Merge) -> None:
        self._over(lambda each, now: each.merge_failed(now, action.host, "no"))

    def _cancel(self, _action: act.Cancel) -> None:
        if self.in_hook == "merge":
            return
        what, self.hook, self.in_hook = self.in_hook, self.hook + 1, ""
        if what in ("export", "snapshot"):
            self.events.after(0.01, self.tell, lambda each, now: each.export_failed(now, ""))
        elif what == "fetch":
            self.events.after(0.01, self.tell, lambda each, now: each.merge_failed(now, "", ""))
