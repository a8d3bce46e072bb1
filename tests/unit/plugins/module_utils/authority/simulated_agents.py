# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts with an agent, a supervisor and the service, whose every run is noted in true time."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

from ansible_collections.okiagari.testbed.plugins.module_utils.authority import (
    Do,
    Fence,
    Fenced,
    Participant,
    Supervisor,
    Timing,
    record,
)
from ansible_collections.okiagari.testbed.plugins.module_utils.authority import actions as act
from ansible_collections.okiagari.testbed.plugins.module_utils.authority.messages import Result
from ansible_collections.okiagari.testbed.plugins.module_utils.election import Committed, Profile, Rules, read_charter

from .simulated_network import Clock, Events, Network
from .simulated_store import Store

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

SERVICE = "web"


class TwoServers(AssertionError):  # noqa: N818 - it says what was seen
    """Two instances of the service ran at one time."""


class World:
    """A service, the hosts that may run it, and the store. Everything random comes from one seed."""

    def __init__(self, seed: object, agents: int, voters: int, timing: Timing) -> None:
        self.chance = random.Random(str(seed))
        self.timing = timing
        self.events = Events()
        self.network = Network(self.events, self.chance)
        self.names = [f"h{number}" for number in range(agents)]
        self.members = sorted(self.chance.sample(range(agents), voters))
        self.charter = read_charter(SERVICE, {self.names[each]: f"site{each}" for each in self.members})
        clocks = [Clock(self.events, self.chance, timing.drift) for _name in self.names]
        self.running: dict[int, int] = {}
        self.starts: list[float] = []
        self.votes: dict[tuple[str, int], str] = {}
        self.results: dict[int, Result] = {}
        self.fences = [Fence(SERVICE) for _number in range(3)]
        self.refused = 0
        self.messages = 0
        self.hosts: list[Host] = []
        self.store = Store(
            self.network, self.members, clocks, lambda each: not self.hosts or self.hosts[each].on, timing.ttl_s
        )
        self.hosts += [Host(self, number, clocks[number]) for number in range(agents)]
        for host in self.hosts:
            host.start_agent()

    def launched(self, host: Host, token: int) -> None:
        if self.running:
            others = ", ".join(f"{self.names[each]} with {held}" for each, held in self.running.items())
            raise TwoServers(f"at {self.events.now:.3f} s {host.name} starts with token {token}, and {others} runs")
        self.running[host.number] = token
        self.starts.append(self.events.now)

    def ended(self, host: Host) -> None:
        del self.running[host.number]

    def voted(self, host: Host, kept: record.Record) -> None:
        """Check, for what goes to disk, that it takes no vote back and gives no second one.

        A vote for itself that it lost with its record died with its call.
        """
        if kept.voted and not (host.forgot and kept.voted == host.name):
            first = self.votes.setdefault((host.name, kept.term), kept.voted)
            assert first == kept.voted, f"{host.name} voted for {first} and {kept.voted} in term {kept.term}"

    def decided(self, result: Result) -> None:
        """Check that no two calls of one term came to a result."""
        first = self.results.setdefault(result.term, result)
        assert first == result, f"two results of one term: {first} and {result}"

    def write(self, replica: int, token: int) -> None:
        """An effect of the service arrives at a replica."""
        try:
            self.fences[replica] = self.fences[replica].admit(token)
        except Fenced:
            self.refused += 1

    @property
    def holder(self) -> Host | None:
        return next((self.hosts[number] for number in self.running), None)


class Host:
    """A machine. Its agent can hang, die and be started anew while the supervisor and the service go on."""

    def __init__(self, world: World, number: int, clock: Clock) -> None:
        self.world, self.number, self.clock, self.name = world, number, clock, world.names[number]
        self.events, self.network, self.store = world.events, world.network, world.store
        self.on, self.awake, self.forgot = True, True, False
        self.stalls: tuple[type, ...] = ()
        self.participant: Participant | None = None
        self.supervisor = Supervisor()
        self.instance = 0
        self.wakes_at = float("inf")
        self.waiting: list[Callable[[], None]] = []
        self.copies: dict[str, bytes | None] = dict.fromkeys(("a", "b"), record.encode(SERVICE, record.Record()))
        self.member = world.chance.choice(world.members)
        self.asked_at: float | None = None
        self.said: list[str] = []
        self.store.watchers.append(self._watched)
        self.perform: dict[type, Callable[[Any], None]] = {
            act.Persist: self._persist,
            act.Send: self._send,
            act.Read: self._read,
            act.Acquire: self._acquire,
            act.KeepAlive: self._keep_alive,
            act.Release: self._release,
            act.Abandon: self._abandon,
            act.Prepare: self._prepare,
            act.StartService: self._start_service,
            act.Feed: self._feed,
            act.StopService: self._stop_service,
            act.Tell: self._tell,
        }

    @property
    def forgetful(self) -> bool:
        """Whether its record is lost: then it has no vote until it could ask everybody."""
        return record.read(SERVICE, self.copies).record is None

    # the agent

    def start_agent(self) -> None:
        now = self.clock()
        if not self.on or self.participant:
            return
        held = self.supervisor.held(now)
        if self.world.running.get(self.number) and not held:
            self._do(self.supervisor.stop())
            self.events.after(0.3, self.start_agent)
            return
        reading = record.read(SERVICE, self.copies)
        self.said += reading.said
        if reading.record is None and not self.forgot:
            self.forgot = True
            self.world.votes = {
                key: vote for key, vote in self.world.votes.items() if (key[0], vote) != (self.name, self.name)
            }
        chance = random.Random(self.world.chance.random())
        profile = Profile(
            self.name, f"site{self.number}", Committed(1, chance.randrange(3)), chance.random(), chance.random()
        )
        self.awake, self.waiting = True, []
        self.participant = Participant(
            self.name, self.world.names, self.world.charter, self.world.timing,
            record=reading.record, profile=profile, rules=Rules(), chance=chance, held=held, now=now,
        )  # fmt: skip
        if reading.record and reading.repair:
            self._persist(act.Persist(reading.record))
        self.wakes_at = float("inf")
        self.tell(lambda _participant, _now: [])

    def tell(self, event: Callable[[Participant, float], Sequence[act.Action]]) -> None:
        """An event for the agent; while it is stopped it waits, and is lost where there is none."""
        if self.participant is None:
            return
        if not self.awake:
            self.waiting.append(lambda: self.tell(event))
            return
        actions = event(self.participant, self.clock())
        if any(isinstance(action, self.stalls) for action in actions):
            self.stalls, self.awake = (), False
            self.waiting.insert(0, lambda: self._do_all(actions))
            return
        self._do_all(actions)

    def stop_agent(self) -> None:
        """As SIGSTOP does."""
        self.awake = False

    def continue_agent(self) -> None:
        self.stalls, self.awake = (), True
        waiting, self.waiting = self.waiting, []
        for each in waiting:
            each()
        self._wake()

    def kill_agent(self) -> None:
        self.participant, self.waiting, self.awake, self.stalls = None, [], True, ()

    def power_off(self) -> None:
        self.kill_agent()
        if self.number in self.world.running:
            self.world.ended(self)
        self.instance += 1
        self.supervisor, self.on = Supervisor(), False
        self.network.changed()

    def power_on(self) -> None:
        self.on = True
        self.network.changed()
        self.start_agent()

    def _do_all(self, actions: Sequence[act.Action]) -> None:
        for action in actions:
            self.perform[type(action)](action)
        if self.participant:
            wake_at = self.clock.true(self.participant.wake_at)
            if wake_at < self.wakes_at:
                self.wakes_at = wake_at
                self.events.at(max(wake_at, self.events.now) + 1e-6, self._wake)

    def _wake(self) -> None:
        if self.events.now < self.wakes_at or not self.awake:
            return
        self.wakes_at = float("inf")
        self.tell(lambda participant, now: participant.tick(now))

    # what it wants done

    def _persist(self, action: act.Persist) -> None:
        self.world.voted(self, action.record)
        self.copies = dict.fromkeys(self.copies, record.encode(SERVICE, action.record))

    def _send(self, action: act.Send) -> None:
        self.world.messages += 1
        if isinstance(action.message, Result):
            self.world.decided(action.message)
        target = self.world.hosts[self.world.names.index(action.to)]
        message = action.message
        self.network.send(
            self.number, target.number, target.tell, lambda participant, now: participant.heard(now, message)
        )

    def _read(self, _action: act.Read) -> None:
        self._ask(self.store.view, lambda view: lambda participant, now: participant.saw(now, view))

    def _acquire(self, action: act.Acquire) -> None:
        lease = action.lease

        def answer(token: int | None) -> Callable[[Participant, float], Sequence[act.Action]]:
            if token is None:
                return lambda participant, _now: participant.refused(lease)
            return lambda participant, now: participant.acquired(now, lease, token)

        self._ask(lambda: self.store.acquire(self.name, lease, action.term, action.after), answer)

    def _keep_alive(self, action: act.KeepAlive) -> None:
        def answer(kept: bool) -> Callable[[Participant, float], Sequence[act.Action]]:
            if kept:
                return lambda participant, now: participant.kept(action.lease, self.counted_from(action.sent_at, now))
            return lambda participant, _now: participant.lost(action.lease)

        self._ask(lambda: self.store.keep_alive(action.lease, action.token), answer)

    @staticmethod
    def counted_from(sent_at: float, _now: float) -> float:
        """From when on a lease is counted that was renewed: a place for the error that everybody makes once."""
        return sent_at

    def _release(self, action: act.Release) -> None:
        self._ask(lambda: self.store.release(action.lease, action.token, clean=action.clean), None)

    def _abandon(self, action: act.Abandon) -> None:
        self._ask(lambda: self.store.revoke(action.lease), None)

    def _prepare(self, action: act.Prepare) -> None:
        if self.supervisor.prepare(self.clock(), token=action.token):
            self.instance += 1
            if self.world.chance.random() < 0.2:
                self.events.after(self.world.chance.uniform(0.0, 5.0), self.exit, self.instance)

    def _start_service(self, action: act.StartService) -> None:
        do = self.supervisor.start(
            self.clock(), token=action.token, lease=action.lease, term=action.term, deadline=action.deadline
        )
        self._do(do)
        if do is Do.KILL or (do is None and self.number not in self.world.running):
            self.events.after(0.0, self.tell, lambda participant, _now: participant.stopped())

    def _feed(self, action: act.Feed) -> None:
        self.supervisor.feed(self.clock(), token=action.token, deadline=action.deadline)

    def _stop_service(self, _action: act.StopService) -> None:
        self._do(self.supervisor.stop())

    def _tell(self, action: act.Tell) -> None:
        self.said.append(action.text)

    # the store, from here

    def _ask(self, serve: Callable[[], Any], answer: Callable[[Any], Any] | None) -> None:
        """Send a request to a member, and to the next one when that one hasn't answered for some time."""
        members, now = self.world.members, self.events.now
        if self.asked_at is not None and now - self.asked_at > self.world.timing.answer_s / 2:
            self.member = members[(members.index(self.member) + 1) % len(members)]
            self.asked_at = None
        if answer and self.asked_at is None:
            self.asked_at = now
        self.network.send(self.number, self.member, self._serve, self.member, serve, answer)

    def _serve(self, member: int, serve: Callable[[], Any], answer: Callable[[Any], Any] | None) -> None:
        if self.store.serves(member):
            said = serve()
            if answer:
                # a member on this host had to ask the leader itself
                source = self.store.leader if member == self.number else member
                self.network.send(source, self.number, self._answered, answer(said))

    def _answered(self, event: Callable[[Participant, float], Sequence[act.Action]]) -> None:
        self.asked_at = None
        self.tell(event)

    def _watched(self, view: Any) -> None:
        if self.participant and self.store.serves(self.member):
            self.network.send(self.member, self.number, self.tell, lambda participant, now: participant.saw(now, view))

    # the service

    def _do(self, do: Do | None) -> None:
        chance, timing = self.world.chance, self.world.timing
        if do in (Do.LAUNCH, Do.GO_ON):
            held = self.supervisor.held(self.clock())
            assert held is not None
            self.instance += do is Do.LAUNCH
            self.world.launched(self, held.token)
            self._guard(self.instance)
            self._write(self.instance, held.token)
        elif do is Do.TERMINATE and chance.random() < 0.8:
            self.events.after(chance.uniform(0.0, timing.stop_s), self.exit, self.instance)
        elif do is Do.KILL:
            self.events.after(chance.uniform(0.0, timing.kill_s), self.exit, self.instance)

    def _guard(self, instance: int) -> None:
        """The supervisor's timer."""
        if instance == self.instance and self.number in self.world.running:
            do = self.supervisor.tick(self.clock())
            self._do(do)
            if not do:
                self.events.at(self.clock.true(self.supervisor.wake_at) + 1e-6, self._guard, instance)

    def _write(self, instance: int, token: int) -> None:
        """The service writes to its replicas every few seconds; what it wrote may come late, also after its end."""
        if instance == self.instance and self.number in self.world.running:
            for replica in range(len(self.world.fences)):
                self.events.after(self.world.chance.uniform(0.0, 15.0), self.world.write, replica, token)
            self.events.after(5.0, self._write, instance, token)

    def exit(self, instance: int) -> None:
        if instance != self.instance:
            return
        self.instance += 1
        if self.number in self.world.running:
            self.world.ended(self)
        if self.supervisor.exited():
            self.tell(lambda participant, _now: participant.stopped())
