# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The resident agent of one host: what it is made of, and who is told what."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import time
from contextlib import aclosing, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..checkpoint import outlet
from ..election import Profile, Vote, decide
from ..election.charter import AVAILABLE
from ..election.profile import NO_STATE
from ..errors import BadValue, OkiagariError, shown
from ..logpool import Query
from ..logpool.pool import MIB
from ..target.system import SubprocessRunner
from ..values import choice, file_path, items, mapping, number, text, whole
from .available_driver import AvailableDriver
from .blobs import Blobs, digest
from .bulk import OP_CHUNK, OP_SIZE, Bulk
from .catch_up import OP_LINES, OP_POSITIONS, CatchUp
from .checkpoints import OP as OP_CHECKPOINT
from .checkpoints import Checkpoints
from .client import NAME
from .credentials import check
from .driver import Driver
from .driving import OP as OP_ELECTION
from .driving import Driving
from .envelope import Envelopes
from .events import OP as OP_EVENTS
from .events import Events
from .keeper import Keeper
from .leadership import Leadership
from .links import Links
from .local import serve
from .overlay import NoAnswer, Overlay
from .paths import Paths
from .placement import Placement
from .proxies import Proxies
from .rules_file import RulesFile
from .servers import OP_MERGE, OP_REPLICATE, OP_SERVER, Servers
from .sight import OP_SEEN, Sight
from .states import OP_FIND, OP_HEAD, OP_TAKE, OP_WHOLE, States, machines, run_folder
from .store import NotReached, Store
from .trace import Tracer
from .watching import OP as OP_WATCH
from .watching import Watching
from .wire import rules_from_dict, rules_to_dict, vote_from_dict, vote_to_dict

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence

    from ..election import Committed, Decision
    from ..paths import Path as NetworkPath
    from .config import Config, Service
    from .envelope import Opened

OP_RULES = "rules"
_FIGURES = re.compile("[0-9]+")
# Where there is no majority for days, elections come to nothing for days; states are committed every few seconds, or
# aren't.
_UNIMPORTANT = (
    "election_void", "state_committed", "state_not_committed", "checkpoint_wanted", "proxy_switched", "shared",
)  # fmt: skip
_REASONS = 1000
_UNREAD = 10_000
_WATCH_AGAIN_S = 1.0
_FULL_BYTES = 8 * 1024 * 1024
_ANSWER_S = 5.0
_LONGEST_WAIT_S = 86_400
_BLOB_BYTES = 1024**3
_LARGEST_BYTES = 1024**5
_FETCH_S = 3600.0
_INSTANT, _PAUSE_MS = number(0, 1e10), number(0, 1e9)


class Agent:
    """Everything of one agent. Make it and `run` it in an event loop; it ends when `stop` is called."""

    def __init__(self, config: Config, keep: Sequence[str] = ()) -> None:
        """`keep` is the command that keeps replicas of guests."""
        self.config = config
        self._word = check(config)
        certificates = {name: peer.certificate for name, peer in config.peers.items()}
        envelopes = Envelopes(config.name, config.tls.key, certificates, time.time)
        self.overlay = Overlay(config, envelopes)
        blobs = Blobs(config.state / "blobs")
        self.bulk = Bulk(blobs, self.overlay)
        self.events = Events(config.name, config.state, self.overlay, time.time, most_bytes=config.pool_mib * MIB)
        self.catch_up = CatchUp(config.name, self.events, self.overlay)
        answer_s = min((service.timing.answer_s for service in config.services.values()), default=1.0)
        self.store = Store(config.testbed, config.store, config.tls, answer_s)
        self.rules = {name: RulesFile(config.state, name) for name in config.services}
        listening = config.listen[0].partition("/")[2].rpartition(":")
        self._listens = listening[0], int(listening[2])
        addresses = {peer: config.peers[peer].address for peer in config.others}
        self.paths = Paths(addresses if config.trace else {}, self._path_changed)
        neighbours = {peer: config.peers[peer].address for peer in config.me.links}
        self.links = Links(*self._listens, neighbours, frozenset(addresses.values()), self.paths.soon)
        self.sight = Sight(
            config.name, config.others, self.overlay, self.links.answering,
            lambda why: self.events.tell("agent", {"event": "declared_again", "text": why}),
        )  # fmt: skip
        self.drivers: dict[str, Driver | AvailableDriver] = {}
        self.watching: dict[str, Watching] = {}
        for name, service in config.services.items():
            self.drivers[name] = self._make_driver(service, self._teller(name))
        self.keeper = Keeper(keep)
        self.states = {
            name: States(
                config, service, envelopes, self.overlay, self.store, self.bulk, blobs, self.keeper,
                driver.token, self._teller(name), self._place(service),
            )
            for name, service in config.services.items()
            if service.has_replica(config.name) and isinstance(driver := self.drivers[name], Driver)
        }  # fmt: skip
        for name, service in config.services.items():
            driver = self.drivers[name]
            listens = driver if isinstance(driver, AvailableDriver) else self.states.get(name)
            hear = listens.hear if listens else None
            self.watching[name] = Watching(config, service, self.overlay, driver, self._teller(name), hear)
        self.proxies = Proxies(
            config.proxy,
            {
                name: (self.drivers[name], self.watching[name])
                for name, service in config.services.items() if service.has_proxy(config.name)
            },
            self._tell_of_proxies,
        )  # fmt: skip
        self.checkpoints = Checkpoints(config, self.overlay, self.store, self.drivers, self.states)
        self.servers = Servers(config, self.overlay, self.drivers, self._try_election)
        self.leadership = Leadership(
            self.store, {name: peer.domain for name, peer in config.peers.items()}, self._holding,
            lambda old, new: self.events.tell("agent", {"event": "store_leader_moved", "from": old, "to": new}),
        )  # fmt: skip
        self._ended = asyncio.Event()
        self._refused: set[str] = set()
        self._heard: dict[str, Callable[[Opened], object]] = {
            OP_EVENTS: lambda opened: self.events.heard(opened.content.split(b"\n")),
            OP_ELECTION: lambda opened: self._driver(opened.body).heard(_without_service(opened.body), opened.sender),
            OP_WATCH: lambda opened: self._watching(opened.body).heard(opened.body, opened.sender),
            OP_RULES: lambda opened: self._take_rules(self._driver(opened.body), opened.body.get("rules")),
        }
        self._asked: dict[str, Callable[[Opened], Awaitable[Mapping[str, Any] | bytes]]] = {
            "ping": self._ping,
            "vote": self._vote,
            "hand_over": self._hand_over,
            OP_SIZE: self.bulk.size,
            OP_CHUNK: self.bulk.chunk,
            OP_SEEN: self._tell_seen,
            OP_POSITIONS: self._positions,
            OP_LINES: self._lines,
            OP_RULES: self._tell_rules,
            OP_TAKE: lambda opened: self._states(opened.body).take(opened),
            OP_FIND: lambda opened: self._states(opened.body).find(opened),
            OP_WHOLE: lambda opened: self._states(opened.body).whole(opened),
            OP_HEAD: lambda opened: self._states(opened.body).tell_head(opened),
            OP_CHECKPOINT: self.checkpoints.answer,
            OP_REPLICATE: self.servers.begin,
            OP_MERGE: self.servers.end,
            OP_SERVER: self.servers.tell,
        }
        self._operations: dict[str, Callable[[Mapping[str, Any]], AsyncGenerator[dict[str, Any], None]]] = {
            "status": self._status,
            "paths": self._show_paths,
            "ping": self._ping_peers,
            "query": self._query,
            "follow": self._follow,
            "wait": self._wait,
            "tell": self._tell,
            "election": self._election,
            "hand_over": self._ask_hand_over,
            "rules": self._rule,
            "offer": self._offer,
            "fetch": self._fetch,
            "drop": self._drop,
            "checkpoint": self.checkpoints.make,
            "states": self.checkpoints.show,
            "servers": self.servers.show,
            "replicate": self.servers.replicate,
            "merge": self.servers.merge,
            "changed": self.servers.changed,
            "ship": self._ship,
            "collect": lambda request: self._states(request).collect(),
        }

    async def run(self) -> None:
        """Be an agent until `stop`."""
        self.config.state.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.events.open()
        if self._word:
            self.events.tell("agent", {"event": "certificate_expires", "text": self._word}, important=True)
        for name, rules in self.rules.items():
            if rules.damage:
                text = f"{rules.damage}; the rules of {name} are lost here, and taken from peers"
                self.events.tell(f"service/{name}", {"event": "rules_lost", "text": text}, trace=name, important=True)
        server: asyncio.Server | None = None
        tasks: list[asyncio.Task[None]] = []
        try:
            server = await serve(self.config.run / NAME, self._operate)
            self.events.tell("agent", {"event": "agent_started", "pid": os.getpid()})
            # A holder that was started anew has to renew its lease before all else: that needs no overlay.
            work = [driver.run() for driver in self.drivers.values()]
            work += [
                self._connect(),
                self.catch_up.run(),
                self.sight.run(),
                self._measure(),
                self._trace(),
                self.events.run(),
                *(states.open() for states in self.states.values()),
                self._keep_outlets(),
                *(watching.run() for watching in self.watching.values()),
                self.proxies.run(),
                self._ask_for_rules(),
                self.leadership.run(),
                self._watch_store(),
            ]
            tasks += [asyncio.create_task(each) for each in work]
            for task in tasks:
                task.add_done_callback(self._task_done)
            await self._ended.wait()
        finally:
            if server:
                server.close()
            for task in tasks:
                task.cancel()
            results = await asyncio.gather(*tasks, return_exceptions=True)
            for driver in self.drivers.values():
                await driver.stop()
            for states in self.states.values():
                await states.close()
            await self.keeper.close()
            # Whatever happened: zenoh's threads would keep the process from ending, and from being started anew.
            await self.overlay.close()
            await self.store.close()
            self.events.close()
        for result in results:
            if isinstance(result, Exception):
                raise result

    def stop(self) -> None:
        """End. Services that run go on until their deadline, for an agent that is started before it."""
        self._ended.set()

    def profile(self, service: Service) -> Profile:
        """Give this host as a candidate."""
        watching = self.watching.get(service.name)
        return Profile(
            host=self.config.name,
            domain=self.config.me.domain,
            committed=self._newest(service),
            network=len(self.overlay.alive & set(self.config.others)) / max(len(self.config.others), 1),
            distance_ms=round(self.links.distance_ms),
            priority=service.priorities.get(self.config.name, 0),
            hindrance=self._hindrance(service) or (watching.hindrance if watching else ""),
        )

    def _place(self, service: Service) -> Placement | None:
        """Give who chooses where a guest's states are kept; None where all candidates keep them."""
        count = service.checkpoint.replicas if service.checkpoint else None
        hosts = {name: self.config.peers[name].domain for name in service.candidates if name != self.config.name}
        if count is None or count >= len(hosts):
            return None
        tell = self._teller(service.name)
        return Placement(
            hosts, self.config.me.domain, count, lambda: self.overlay.alive, lambda: self.paths.found,
            lambda new, before: tell("states_placed", {"hosts": list(new), "before": list(before)}),
        )  # fmt: skip

    def _holding(self) -> set[str]:
        """Give the failure domains that hold services by a lease, as is known here; none if this host holds none."""
        holders = [driver for driver in self.drivers.values() if isinstance(driver, Driver)]
        if not any(driver.holds for driver in holders):
            return set()
        known = {driver.view.holder for driver in holders if driver.view} | {self.config.name}
        return {peer.domain for name, peer in self.config.peers.items() if name in known}

    def _newest(self, service: Service) -> Committed:
        if service.name in self.states:
            return self.states[service.name].newest
        driver = self.drivers.get(service.name)
        return driver.committed if driver else NO_STATE

    def _hindrance(self, service: Service) -> str:
        if self.config.name not in service.candidates:
            return "it is no candidate"
        try:
            left = shutil.disk_usage(self.config.state).free
        except OSError as error:
            return f"its disk can't be used: {error.strerror}"
        return "its disk is full" if left < _FULL_BYTES else ""

    def _task_done(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and task.exception():
            self.stop()

    def _make_driver(
        self, service: Service, tell: Callable[[str, Mapping[str, Any]], object]
    ) -> Driver | AvailableDriver:
        rules = self.rules[service.name].read()
        if service.charter.consistency == AVAILABLE:
            return AvailableDriver(self.config, service, self.overlay, self.bulk, rules, self.profile, tell)
        return Driver(self.config, service, self.overlay, self.store, rules, self.profile, tell)

    def _teller(self, service: str) -> Callable[[str, Mapping[str, Any]], object]:
        return lambda event, values: self.events.tell(
            f"service/{service}", {"event": event, **values}, trace=service, important=event not in _UNIMPORTANT
        )

    def _tell_of_proxies(self, event: str, values: Mapping[str, Any], service: str) -> None:
        if service:
            self._teller(service)(event, values)
        else:
            self.events.tell("agent", {"event": event, **values}, important=True)

    # from other agents

    def _hear(self, opened: Opened) -> None:
        try:
            self._heard[choice(self._heard, "message")(opened.op)](opened)
        except BadValue as error:
            self._refuse(f"{opened.sender}: {error}")

    async def _answer(self, opened: Opened) -> Mapping[str, Any] | bytes:
        return await self._asked[choice(self._asked, "question")(opened.op)](opened)

    def _refuse(self, why: str) -> None:
        # Ages and other figures make no other reason of it.
        kind = _FIGURES.sub("", why)
        if kind not in self._refused and len(self._refused) < _REASONS:
            self._refused.add(kind)
            self.events.tell("agent", {"event": "message_refused", "text": why}, important=True)

    def _peer_changed(self, peer: str, alive: bool) -> None:
        if peer != self.config.name:
            self.events.tell("agent", {"event": "peer_reachable" if alive else "peer_unreachable", "peer": peer})
            self.catch_up.changed(peer, alive)
            self.sight.changed(peer, alive)
            if alive:
                self.paths.soon(peer)

    def _path_changed(self, peer: str, old: NetworkPath, new: NetworkPath) -> None:
        self.events.tell("agent", {"event": "path_changed", "peer": peer, "old": str(old), "new": str(new)})

    async def _connect(self) -> None:
        await self.overlay.open(self._hear, self._answer, self._peer_changed, self._refuse)

    async def _watch_store(self) -> None:
        """Look at a service in the store as soon as its holder changes there; each does so now and then anyway."""
        drivers = {name: driver for name, driver in self.drivers.items() if isinstance(driver, Driver)}
        while drivers:
            with suppress(NotReached):
                async for name in self.store.changes():
                    if name in drivers:
                        drivers[name].look()
            await asyncio.sleep(_WATCH_AGAIN_S)

    async def _ask_for_rules(self) -> None:
        """Take the rules that were made while this agent was not there, or that its disk has lost."""
        while not self.overlay.alive - {self.config.name}:
            await asyncio.sleep(1.0)
        for peer in sorted(self.overlay.alive - {self.config.name}):
            with suppress(OkiagariError):
                said = mapping((await self.overlay.ask(peer, OP_RULES, {})).get("rules"))
                for name in said.keys() & self.drivers.keys():
                    self._take_rules(self.drivers[name], said[name])

    async def _keep_outlets(self) -> None:
        """Have ports for the guests that may come here. Where that can't be done, a guest that comes says why."""
        guests = {
            run_folder(self.config, name): service.machine.networks
            for name, service in self.config.services.items()
            if name in self.states and service.machine
        }
        if not guests and not machines(self.config).exists():
            return
        try:
            await asyncio.to_thread(outlet.keep, SubprocessRunner(), machines(self.config), guests)
        except OkiagariError as error:
            self.events.tell("agent", {"event": "outlets_missing", "text": str(error)}, important=True)

    async def _measure(self) -> None:
        """Probe the links. Where that can't be done all else goes on: it serves the choice between equal candidates."""
        try:
            await self.links.run()
        except OSError as error:
            self.events.tell("agent", {"event": "links_not_measured", "text": str(error)}, important=True)

    async def _trace(self) -> None:
        """Trace the peers; without it all else goes on, too."""
        try:
            with Tracer(*self._listens) as tracer:
                await self.paths.run(tracer)
        except OSError as error:
            self.events.tell("agent", {"event": "paths_not_traced", "text": str(error)}, important=True)

    def _driver(self, said: Mapping[str, Any]) -> Driver | AvailableDriver:
        return self.drivers[choice(self.drivers, "service")(said.get("service"))]

    def _states(self, said: Mapping[str, Any]) -> States:
        return self.states[choice(self.states, "service that is a guest")(said.get("service"))]

    def _watching(self, said: Mapping[str, Any]) -> Watching:
        return self.watching[choice(self.watching, "service")(said.get("service"))]

    async def _ping(self, _opened: Opened) -> Mapping[str, Any]:
        return {}

    async def _vote(self, opened: Opened) -> Mapping[str, Any]:
        return {"vote": vote_to_dict(self._own_vote(self._driver(opened.body)))}

    async def _tell_seen(self, _opened: Opened) -> Mapping[str, Any]:
        return self.sight.seen()

    async def _positions(self, opened: Opened) -> Mapping[str, Any]:
        return self.catch_up.positions(opened.body)

    async def _lines(self, opened: Opened) -> Mapping[str, Any]:
        return self.catch_up.lines(opened.body)

    async def _tell_rules(self, _opened: Opened) -> Mapping[str, Any]:
        return {"rules": {name: rules_to_dict(driver.rules) for name, driver in self.drivers.items()}}

    async def _hand_over(self, opened: Opened) -> Mapping[str, Any]:
        return self._begin_hand_over(self._driver(opened.body), text(opened.body.get("to")))

    # from this host

    async def _operate(self, request: Mapping[str, Any]) -> AsyncGenerator[dict[str, Any], None]:
        operation = self._operations[choice(self._operations, "operation")(request.get("op"))]
        async with aclosing(operation(request)) as answers:
            async for said in answers:
                yield said

    async def _status(self, _request: Mapping[str, Any]) -> AsyncGenerator[dict[str, Any], None]:
        counts = self.events.pool.counts
        yield {
            "testbed": self.config.testbed,
            "name": self.config.name,
            "reachable": sorted(self.overlay.alive - {self.config.name}),
            "unreachable": sorted(set(self.config.others) - self.overlay.alive),
            "links": {peer: link | {"path": self.paths.hops(peer)} for peer, link in self.links.to_dict().items()},
            "refused_messages": self.overlay.refused,
            "events": {"held": len(self.events.pool), "bytes": self.events.pool.size, "dropped": counts.dropped},
            "services": {name: self._service_status(name) for name in self.drivers},
        }

    def _service_status(self, name: str) -> dict[str, Any]:
        driver, watching = self.drivers[name], self.watching[name]
        participant, view = driver.participant, driver.view
        return {
            "holder": view.holder if view else None,
            "term": view.term if view else 0,
            "token": view.token if view else 0,
            "here": driver.here,
            "suspicion": round(watching.level, 3),
            "rules": rules_to_dict(driver.rules),
            "election_messages": participant.elector.messages if participant else 0,
            **driver.status(),
            **({"proxy": self.proxies.leads_to(name)} if driver.service.has_proxy(self.config.name) else {}),
        }

    async def _show_paths(self, request: Mapping[str, Any]) -> AsyncGenerator[dict[str, Any], None]:
        """Give the paths to peers, and what each two of them share."""
        known = choice(self.config.others, "other agent")
        peers = [known(peer) for peer in items(request.get("peers", self.config.others))]
        if not self.config.trace:
            raise OkiagariError(
                "paths aren't traced from here: set agent_trace to true for this host, and run the role"
            )
        for said in self.paths.show(peers):
            yield said

    async def _ping_peers(self, request: Mapping[str, Any]) -> AsyncGenerator[dict[str, Any], None]:
        """Run a task that does nothing at each peer."""
        loop = asyncio.get_running_loop()
        peers = [choice(self.config.peers, "agent")(peer) for peer in items(request.get("peers", self.config.others))]
        begun = loop.time()
        said = await self.overlay.ask_all(peers, "ping", {})
        took_ms = round(1000 * (loop.time() - begun), 3)
        for peer in peers:
            answer = said[peer]
            yield {"peer": peer, "error" if isinstance(answer, OkiagariError) else "answer": str(answer)}
        yield {"took_ms": took_ms}

    async def _query(self, request: Mapping[str, Any]) -> AsyncGenerator[dict[str, Any], None]:
        query = Query(text(request.get("text")))
        for rows in self.events.pool.steps(query):
            for row in rows:
                yield {"row": row}
            await asyncio.sleep(0)
        yield {"complete_from": self.events.pool.complete_from}

    async def _follow(self, request: Mapping[str, Any]) -> AsyncGenerator[dict[str, Any], None]:
        """Give rows as they come, until whoever asked is gone."""
        rows: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

        def deliver(row: dict[str, Any]) -> None:
            if rows.qsize() < _UNREAD:
                rows.put_nowait(row)

        number = self.events.follow(text(request.get("text")), deliver)
        try:
            yield {"following": True}
            while rows.qsize() < _UNREAD:
                yield {"row": await rows.get()}
            raise OkiagariError(f"more than {_UNREAD} rows are waiting to be read: read them faster, or ask for fewer")
        finally:
            self.events.following.remove(number)

    async def _wait(self, request: Mapping[str, Any]) -> AsyncGenerator[dict[str, Any], None]:
        """Give the first row there is, or that comes within so many `seconds`; nothing if there is none."""
        row = await self.events.wait(text(request.get("text")), number(0, _LONGEST_WAIT_S)(request.get("seconds")))
        if row is not None:
            yield {"row": row}

    async def _tell(self, request: Mapping[str, Any]) -> AsyncGenerator[dict[str, Any], None]:
        if "events" in request:
            yield {"new": await self.events.tell_all(items(request["events"]))}
            return
        trace = request.get("trace", "")
        event = self.events.tell(
            text(request.get("source")),
            mapping(request.get("values", {})),
            trace=trace if isinstance(trace, str) else shown(trace),
            important=request.get("important") is True,
        )
        yield {"id": event.id}

    async def _election(self, request: Mapping[str, Any]) -> AsyncGenerator[dict[str, Any], None]:
        """Hold a dry run: what an election would come to now. Nobody votes."""
        driver = self._driver(request)
        decision, silent = await self._try_election(driver)
        yield {
            "holder": driver.view.holder if driver.view else None, "decision": decision.to_dict(), "silent": silent
        }  # fmt: skip

    async def _try_election(self, driver: Driving[Any]) -> tuple[Decision, dict[str, str]]:
        """Give what an election would come to now, and why others don't say how they would vote."""
        others = [name for name in driver.service.agents if name != self.config.name]
        said = await self.overlay.ask_all(others, "vote", {"service": driver.service.name})
        votes = [self._own_vote(driver)]
        silent = {}
        for name, answer in said.items():
            if isinstance(answer, OkiagariError):
                silent[name] = str(answer)
            else:
                votes.append(vote_from_dict(answer.get("vote"), name))
        term = (driver.view.term if driver.view else 0) + 1
        return decide(driver.service.charter, term, votes, driver.rules, len(driver.service.agents)), silent

    async def _ask_hand_over(self, request: Mapping[str, Any]) -> AsyncGenerator[dict[str, Any], None]:
        driver, to = self._driver(request), text(request.get("to"))
        holder = await driver.holder()
        if holder is None:
            raise OkiagariError(f"nobody holds {driver.service.name} now; an election will give it to somebody")
        if holder == to:
            yield {"holder": holder, "handed_over": False}
            return
        if holder == self.config.name:
            yield {"holder": holder, **self._begin_hand_over(driver, to)}
            return
        body = {"service": driver.service.name, "to": to}
        yield {"holder": holder, **await self.overlay.ask(holder, "hand_over", body, _ANSWER_S)}

    async def _rule(self, request: Mapping[str, Any]) -> AsyncGenerator[dict[str, Any], None]:
        """Forbid, prefer or allow hosts; what isn't named stays as it is, and where nobody is allowed everybody is."""
        driver = self._driver(request)
        before = driver.rules
        known = choice(driver.service.candidates, "candidate")
        changes: dict[str, Any] = {}
        for key in ("forbidden", "preferred", "allowed"):
            if key in request:
                names = request[key]
                changes[key] = None if key == "allowed" and not names else frozenset(map(known, items(names)))
        rules = replace(before, **changes)
        if rules != before and request.get("dry_run") is not True:
            rules = replace(rules, revision=before.revision + 1)
            self._take_rules(driver, rules_to_dict(rules))
            self.overlay.publish(OP_RULES, {"service": driver.service.name, "rules": rules_to_dict(rules)})
        yield {"before": rules_to_dict(before), "after": rules_to_dict(rules)}

    def _offer(self, request: Mapping[str, Any]) -> AsyncGenerator[dict[str, Any], None]:
        """Take a file of this host for peers to fetch."""
        return self.bulk.offer(Path(file_path(request.get("path"))))

    def _fetch(self, request: Mapping[str, Any]) -> AsyncGenerator[dict[str, Any], None]:
        """Have here what a peer offers."""
        return self.bulk.fetch(
            choice(self.config.others, "other agent")(request.get("peer")),
            digest(request.get("digest")),
            whole(0, _LARGEST_BYTES)(request.get("most_bytes", _BLOB_BYTES)),
            number(0, _LONGEST_WAIT_S)(request.get("seconds", _FETCH_S)),
        )

    async def _drop(self, request: Mapping[str, Any]) -> AsyncGenerator[dict[str, Any], None]:
        self.bulk.drop(name := digest(request.get("digest")))
        yield {"dropped": name}

    def _ship(self, request: Mapping[str, Any]) -> AsyncGenerator[dict[str, Any], None]:
        """Have committed what the program that runs the guest has captured."""
        return self._states(request).ship(
            Path(file_path(request.get("path"))), _INSTANT(request.get("at", 0)), _PAUSE_MS(request.get("pause_ms", 0))
        )

    def _begin_hand_over(self, driver: Driver | AvailableDriver, to: str) -> dict[str, Any]:
        if not driver.holds:
            raise OkiagariError(f"{self.config.name} doesn't hold {driver.service.name}")
        if to in driver.rules.forbidden:
            raise BadValue(f"{to} is forbidden; allow it first")
        choice(driver.service.candidates, "candidate")(to)
        if to == self.config.name:
            raise BadValue(f"{to} holds it already")
        if to not in self.overlay.alive:
            raise NoAnswer(f"{to} can't be reached")
        driver.participate(lambda participant, _now: participant.hand_over(to))
        return {"handed_over": True}

    def _take_rules(self, driver: Driver | AvailableDriver, said: object) -> None:
        rules = rules_from_dict(said).merged(driver.rules)
        if rules != driver.rules:
            driver.rule(rules)
            with suppress(OSError):
                self.rules[driver.service.name].write(rules)

    def _own_vote(self, driver: Driving[Any]) -> Vote:
        return Vote(self.profile(driver.service), driver.rules)


def _without_service(body: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in body.items() if key != "service"}
