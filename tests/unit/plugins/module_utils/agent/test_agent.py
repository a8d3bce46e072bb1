# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One agent as a whole, over an overlay that is in memory and a store that nobody answers for."""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import replace
from random import Random
from typing import TYPE_CHECKING, Any

import pytest
from ansible_collections.okiagari.testbed.plugins.module_utils.agent import agent as module
from ansible_collections.okiagari.testbed.plugins.module_utils.agent import leadership
from ansible_collections.okiagari.testbed.plugins.module_utils.agent.agent import Agent
from ansible_collections.okiagari.testbed.plugins.module_utils.agent.client import NAME, ask
from ansible_collections.okiagari.testbed.plugins.module_utils.agent.envelope import Opened
from ansible_collections.okiagari.testbed.plugins.module_utils.agent.overlay import NoAnswer
from ansible_collections.okiagari.testbed.plugins.module_utils.agent.trace import Tracer
from ansible_collections.okiagari.testbed.plugins.module_utils.agent.wire import rules_to_dict
from ansible_collections.okiagari.testbed.plugins.module_utils.authority import Available, Holder, Ledger, Timing, View
from ansible_collections.okiagari.testbed.plugins.module_utils.election import Charter, Committed, Rules
from ansible_collections.okiagari.testbed.plugins.module_utils.errors import OkiagariError
from ansible_collections.okiagari.testbed.plugins.module_utils.haproxy import Proxy
from ansible_collections.okiagari.testbed.plugins.module_utils.logpool import Query
from ansible_collections.okiagari.testbed.plugins.module_utils.paths import Path as NetworkPath

from .agents import NAMES, authority, config, service, until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
    from pathlib import Path


class FakeOverlay:
    refused = 0

    def __init__(self, *_arguments: Any) -> None:
        self.alive = {"a", "b"}
        self.closed = False
        self.published: list[tuple[str, Any]] = []
        self.raised: list[Exception] = []

    async def open(self, *_arguments: Any) -> None:
        for error in self.raised:
            raise error

    async def close(self) -> None:
        self.closed = True

    def publish(self, op: str, body: Mapping[str, Any], content: bytes = b"") -> None:
        self.published.append((op, body))

    def send(self, *_arguments: Any) -> None:
        pass

    async def ask(self, to: str, *_arguments: Any) -> Mapping[str, Any]:
        raise NoAnswer(f"{to} didn't answer")

    async def ask_all(self, peers: Any, *_arguments: Any) -> dict[str, Any]:
        return {peer: NoAnswer(f"{peer} didn't answer") for peer in peers}


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return authority(tmp_path_factory.mktemp("keys"), *NAMES)


@pytest.fixture
def make(keys: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Agent]:
    monkeypatch.setattr(module, "Overlay", FakeOverlay)
    described = config(keys)
    peers = {
        name: replace(peer, certificate=(keys / f"{name}.pem").read_text()) for name, peer in described.peers.items()
    }

    def agent(**services: Any) -> Agent:
        return Agent(
            replace(described, peers=peers, state=tmp_path / "state", run=tmp_path / "run", services=services)
        )  # fmt: skip

    return agent


def use(make: Callable[..., Agent], what: Callable[[Agent], Coroutine[Any, Any, None]], **services: Any) -> None:
    async def run() -> None:
        agent = make(**services)
        task = asyncio.create_task(agent.run())
        try:
            await until(lambda: (agent.config.run / NAME).exists() or task.done())
            await what(agent)
            assert not task.done()
        finally:
            agent.stop()
            await task
        assert agent.overlay.closed

    asyncio.run(run())


async def asked(agent: Agent, op: str, **values: Any) -> list[dict[str, Any]]:
    return await asyncio.to_thread(lambda: list(ask({"op": op, **values}, agent.config.run)))


def told(agent: Agent, event: str) -> list[str]:
    return [row["values"]["text"] for row in agent.events.pool.run(Query(f"where values.event = {event}"))]


def test_a_service_that_is_not_asked_is_no_end_of_the_agent(make: Callable[..., Agent]) -> None:
    async def what(agent: Agent) -> None:
        (status,) = await asked(agent, "status")
        assert (status["reachable"], status["unreachable"]) == (["b"], ["c"])
        assert status["services"]["db"]["here"] == "not held"
        assert agent.profile(agent.config.services["db"]).hindrance == ""

    use(make, what, db=service(request=()))


def test_a_service_of_each_part_says_who_serves_here(make: Callable[..., Agent]) -> None:
    charter = Charter("db", {}, consistency="available")

    async def what(agent: Agent) -> None:
        (status,) = await asked(agent, "status")
        assert status["services"]["db"] | {"here": "not serving", "owed": None, "hook": ""} == status["services"]["db"]
        with pytest.raises(OkiagariError, match="nobody holds db now"):
            await asked(agent, "hand_over", service="db", to="b")
        with pytest.raises(OkiagariError, match="a doesn't hold db"):
            agent._begin_hand_over(agent.drivers["db"], "b")
        driver = agent.drivers["db"]
        driver.participant = Available(
            "a", NAMES, charter, Timing(), 5.0, ledger=Ledger(4, 2, owed=True), profile=agent.profile(driver.service),
            rules=Rules(), chance=Random(0),
        )  # fmt: skip
        assert agent.profile(driver.service).committed == Committed(4)
        (status,) = await asked(agent, "status")
        assert status["services"]["db"]["owed"] is True
        (dry,) = await asked(agent, "election", service="db")
        assert (dry["holder"], dry["decision"]["elected"]) == (None, "a")

    use(make, what, db=service(charter=charter))


def test_what_happens_to_proxies_is_told_of_the_service_or_the_agent(make: Callable[..., Agent]) -> None:
    async def what(agent: Agent) -> None:
        (status,) = await asked(agent, "status")
        assert status["services"]["db"]["proxy"] is None
        assert "proxy" not in status["services"]["web"]
        agent._tell_of_proxies("proxy_switched", {"to": "b"}, "db")
        agent._tell_of_proxies("proxy_unreachable", {"text": "why"}, "")
        rows = agent.events.pool.run(Query("where values.event in (proxy_switched, proxy_unreachable)"))
        assert {(row["source"], row["trace"], row["important"]) for row in rows} == {
            ("service/db", "db", False), ("agent", "", True),
        }  # fmt: skip

    use(make, what, db=service(proxy=Proxy(7080, "{address}", 7000)), web=service(name="web"))


@pytest.mark.parametrize("where", ["overlay", "socket", "driver"])
def test_an_error_ends_the_agent_and_leaves_no_thread_of_the_overlay(make: Callable[..., Agent], where: str) -> None:
    """It is started anew then; with threads of zenoh left, the process wouldn't even end."""

    async def fail() -> None:
        raise ZeroDivisionError

    async def run() -> None:
        agent = make(db=service())
        if where == "overlay":
            agent.overlay.raised.append(ZeroDivisionError())
        elif where == "socket":
            (agent.config.run / NAME / "in the way").mkdir(parents=True)
        else:
            agent.drivers["db"].run = fail
        with pytest.raises(OSError if where == "socket" else ZeroDivisionError):
            async with asyncio.timeout(60):
                await agent.run()
        assert agent.overlay.closed

    asyncio.run(run())


@pytest.mark.parametrize(
    ("op", "values", "message"),
    [
        ("dance", {}, "there is no operation dance"),
        (["status"], {}, "is not a text"),
        ("paths", {"peers": 3}, "3 is not a list"),
        ("paths", {"peers": ["bb"]}, "no other agent bb; did you mean b"),
        ("paths", {"peers": ["a"]}, "no other agent a"),
        ("ping", {"peers": 3}, "3 is not a list"),
        ("ping", {"peers": ["bb"]}, "no agent bb; did you mean"),
        ("query", {}, "is not a text"),
        ("query", {"text": "wher"}, "did you mean where"),
        ("wait", {"text": "last 1", "seconds": "long"}, "long is not a number"),
        ("tell", {"source": "x", "values": []}, "is not a mapping"),
        ("tell", {"source": "x" * 500}, "an event.source"),
        ("tell", {"events": {}}, "is not a list"),
        ("tell", {"events": [{}]}, "event 1: it.source is missing"),
        ("rules", {"service": "d"}, "no service d; did you mean db"),
        ("rules", {"service": "db", "forbidden": None}, "is not a list"),
        ("rules", {"service": "db", "forbidden": [3]}, "is not a text"),
        ("rules", {"service": "db", "preferred": ["d"]}, "no candidate d"),
        ("election", {}, "is not a text"),
        ("hand_over", {"service": "db", "to": "b"}, "no member of the store is known"),
        ("checkpoint", {"service": "db"}, "db is no guest"),
        ("states", {"service": "d"}, "no service d; did you mean db"),
        ("ship", {"service": "db", "path": "/pack"}, "there is no service that is a guest db"),
        ("offer", {"path": "file"}, "not the absolute path of a file"),
        ("fetch", {"peer": "a", "digest": "0" * 64}, "no other agent a"),
        ("fetch", {"peer": "b", "digest": "0" * 63}, "is not a SHA-256"),
        ("fetch", {"peer": "b", "digest": "0" * 64, "most_bytes": -1}, "-1 is not a whole number"),
        ("fetch", {"peer": "b", "digest": "0" * 64, "seconds": "long"}, "long is not a number"),
        ("fetch", {"peer": "b", "digest": "0" * 64, "seconds": 0.01}, "within 0.01 s from b; b didn't answer"),
        ("drop", {"digest": "0" * 64}, "there is no blob"),
    ],
)
def test_what_is_asked_wrongly_is_told(
    make: Callable[..., Agent], op: Any, values: dict[str, Any], message: str
) -> None:
    async def what(agent: Agent) -> None:
        with pytest.raises(OkiagariError, match=message):
            await asked(agent, op, **values)

    use(make, what, db=service())


def test_the_log_pool_from_outside(make: Callable[..., Agent]) -> None:
    async def what(agent: Agent) -> None:
        (said,) = await asked(agent, "tell", source="x", values={"n": 1})
        row, end = await asked(agent, "query", text="where has values.n | select values.n")
        assert (row, list(end)) == ({"row": {"values.n": 1}}, ["complete_from"])
        (found,) = await asked(agent, "wait", text="where has values.n", seconds=60)
        assert found["row"]["id"] == said["id"]
        assert await asked(agent, "wait", text="where has values.m", seconds=0) == []
        told = [{"source": "y", "values": {"m": 1}}, {"source": "y", "values": {"m": 2}}]
        assert await asked(agent, "tell", events=told) == [{"new": 2}]
        rows = await asked(agent, "query", text="where has values.m | select source")
        assert rows[:-1] == [{"row": {"source": "y"}}] * 2

    use(make, what)


def test_what_was_missed_is_taken_from_whoever_comes(make: Callable[..., Agent]) -> None:
    async def what(agent: Agent) -> None:
        other = make()
        other.events.tell("x", {"n": 1}, important=True)

        async def ask(_to: str, op: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
            return await other._asked[op](Opened("a", op, body, "1"))

        agent.overlay.ask = ask
        agent._peer_changed("c", alive=True)
        await until(lambda: list(agent.events.pool.run(Query("where has values.n"))))
        agent._peer_changed("c", alive=False)
        assert not agent.catch_up._waiting

    use(make, what)


def test_events_are_taken_from_others(make: Callable[..., Agent]) -> None:
    async def what(agent: Agent) -> None:
        own = agent.events.tell("x", {"n": 1}).wire()
        other = own.replace(b'"n":1', b'"n":2').replace(b"a/", b"b/")
        agent._hear(Opened("b", "events", {}, "2", own + b"\n" + other))
        assert agent.events.pool.counts.twice == 1
        assert len(list(agent.events.pool.run(Query("where has values.n")))) == 2

    use(make, what)


def test_the_bound_of_the_pool_is_that_of_the_configuration(make: Callable[..., Agent]) -> None:
    async def what(agent: Agent) -> None:
        bounded = Agent(replace(agent.config, pool_mib=7))
        assert (agent.events.pool.most_bytes, bounded.events.pool.most_bytes) == (64 * 2**20, 7 * 2**20)

    use(make, what)


def test_paths_are_shown_and_told_of_when_they_change(make: Callable[..., Agent]) -> None:
    old, new = (NetworkPath(frozenset([way]), arrived=True, seen_at=1.0) for way in (("r1", None), ("r2", None)))

    async def what(agent: Agent) -> None:
        agent.paths.take("b", old)
        assert (await asked(agent, "paths", peers=["c"])) == [{"peer": "c", "path": None}, {"on_all": []}]
        agent.paths.take("c", new)
        b, c, on_all, pair = await asked(agent, "paths")
        assert [each["path"]["hops"] for each in (b, c)] == [[["r1"], []], [["r2"], []]]
        assert on_all == {"on_all": []}
        assert pair == {"pair": ["b", "c"], "verdict": "unknown", "hops": [], "silent": [1, 1]}
        agent.paths.take("b", new)
        (row,) = agent.events.pool.run(Query("where values.event = path_changed"))
        assert (row["values"]["old"], row["values"]["new"], row["important"]) == ("r1 *", "r2 *", False)
        assert (await asked(agent, "paths"))[2] == {"on_all": ["r2"]}

    use(make, what)


def test_what_may_not_be_traced_is_not(make: Callable[..., Agent]) -> None:
    async def what(agent: Agent) -> None:
        forbidden = Agent(replace(agent.config, trace=False))
        forbidden._peer_changed("b", alive=True)
        await forbidden._trace()
        with pytest.raises(OkiagariError, match="set agent_trace to true"):
            await anext(forbidden._show_paths({}))

    use(make, what)


def test_a_host_that_can_not_trace_goes_on_without(make: Callable[..., Agent], monkeypatch: pytest.MonkeyPatch) -> None:
    async def what(agent: Agent) -> None:
        await until(lambda: told(agent, "paths_not_traced"))
        assert "Cannot assign requested address" in told(agent, "paths_not_traced")[0]

    monkeypatch.setattr(module, "Tracer", lambda _address, port: Tracer("192.0.2.77", port))
    use(make, what)


def test_what_is_offered_is_given_to_peers_until_it_is_dropped(make: Callable[..., Agent], tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"pack")

    async def what(agent: Agent) -> None:
        (*_progress, said) = await asked(agent, "offer", path=str(tmp_path / "file"))
        name = said["digest"]
        assert said == {"digest": hashlib.sha256(b"pack").hexdigest(), "bytes": 4}
        assert await agent._answer(Opened("b", "bulk.size", {"digest": name}, "1")) == {"bytes": 4}
        assert await agent._answer(Opened("b", "bulk.chunk", {"digest": name, "offset": 1}, "2")) == b"ack"
        (*_progress, said) = await asked(agent, "fetch", peer="b", digest=name)
        assert (said["path"], said["bytes"]) == (str(tmp_path / "state" / "blobs" / name), 4)
        assert await asked(agent, "drop", digest=name) == [{"dropped": name}]
        with pytest.raises(OkiagariError, match="there is no blob"):
            await agent._answer(Opened("b", "bulk.size", {"digest": name}, "3"))

    use(make, what)


def test_whoever_follows_and_is_gone_is_forgotten_and_whoever_does_not_read_too(
    make: Callable[..., Agent], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_UNREAD", 3)

    async def what(agent: Agent) -> None:
        _reader, writer = await asyncio.open_unix_connection(str(agent.config.run / NAME))
        writer.write(b'{"op": "follow", "text": "where has values.n"}\n')
        await until(lambda: len(agent.events.following))
        writer.close()
        await until(lambda: not len(agent.events.following))
        answers = agent._follow({"text": "where has values.n"})
        assert await anext(answers) == {"following": True}
        for number in range(10):
            agent.events.tell("x", {"n": number})
        with pytest.raises(OkiagariError, match="read them faster"):
            await anext(answers)
        assert len(agent.events.following) == 0

    use(make, what)


def test_rules_are_taken_kept_and_published(make: Callable[..., Agent]) -> None:
    async def what(agent: Agent) -> None:
        (said,) = await asked(agent, "rules", service="db", forbidden=["b"], allowed=["a", "b"], dry_run=True)
        assert (said["before"]["revision"], said["after"]["forbidden"]) == (0, ["b"])
        assert agent.rules["db"].read() == Rules()
        await asked(agent, "rules", service="db", forbidden=["b"])
        assert agent.rules["db"].read() == agent.drivers["db"].rules == Rules(1, None, frozenset("b"))
        assert [op for op, _body in agent.overlay.published if op == "rules"] == ["rules"]
        agent._hear(Opened("c", "rules", {"service": "db", "rules": {"revision": 9}}, "1"))
        assert agent.drivers["db"].rules.revision == 1

    use(make, what, db=service())


@pytest.mark.parametrize("everybody", [[], "", None])
def test_where_nobody_is_allowed_everybody_is(make: Callable[..., Agent], everybody: object) -> None:
    async def what(agent: Agent) -> None:
        await asked(agent, "rules", service="db", allowed=["a"], forbidden=["b"])
        assert agent.drivers["db"].rules == Rules(1, frozenset("a"), frozenset("b"))
        await asked(agent, "rules", service="db", allowed=everybody)
        assert agent.drivers["db"].rules == Rules(2, None, frozenset("b"))

    use(make, what, db=service())


def test_rules_that_the_disk_lost_are_told_and_taken_from_a_peer(
    make: Callable[..., Agent], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "db.rules.json").write_bytes(b"{")

    async def ask(_overlay: FakeOverlay, to: str, op: str, *_arguments: Any) -> Mapping[str, Any]:
        if op != "rules":
            raise NoAnswer(f"{to} didn't answer")
        return {"rules": {"db": rules_to_dict(Rules(4, None, frozenset("c"))), "unknown": 3}}

    monkeypatch.setattr(FakeOverlay, "ask", ask)

    async def what(agent: Agent) -> None:
        (row,) = agent.events.pool.run(Query("where values.event = rules_lost"))
        assert "the rules of db are lost here" in row["values"]["text"]
        await until(lambda: agent.drivers["db"].rules == Rules(4, None, frozenset("c")))
        assert agent.rules["db"].read() == agent.drivers["db"].rules
        said = await agent._asked["rules"](Opened("b", "rules", {}, "1"))
        assert said == {"rules": {"db": rules_to_dict(agent.drivers["db"].rules)}}

    use(make, what, db=service())


def test_an_election_is_tried_with_whoever_may_vote_and_nobody_but_candidates_is_elected(
    make: Callable[..., Agent],
) -> None:
    async def what(agent: Agent) -> None:
        (said,) = await asked(agent, "election", service="db")
        assert sorted(said["silent"]) == ["b", "c"]
        assert said["decision"]["elected"] is None
        (place,) = said["decision"]["candidates"]
        assert (place["host"], place["place"], place["why"]) == ("a", None, "it is no candidate")

    use(make, what, db=service(candidates=("b",)))


def test_messages_that_are_none_are_told_once_whatever_figures_are_in_them(make: Callable[..., Agent]) -> None:
    async def what(agent: Agent) -> None:
        for op, body in (("dance", {}), ("events", {}), ("election", {}), ("observation", {"service": 3})):
            agent._hear(Opened("b", op, body, "1"))
        before = len(told(agent, "message_refused"))
        assert before == 4
        for age in range(100):
            agent._refuse(f"it is {age} s old")
        assert len(told(agent, "message_refused")) == before + 1

    use(make, what, db=service())


def test_a_service_whose_holder_changes_in_the_store_is_looked_at(make: Callable[..., Agent]) -> None:
    async def what(agent: Agent) -> None:
        looked: list[str] = []

        async def changes() -> AsyncIterator[str]:
            yield "another's"
            yield "db"
            await asyncio.Event().wait()

        agent.drivers["db"].look = lambda: looked.append("db")
        agent.store.changes = changes
        await until(lambda: looked)
        assert looked == ["db"]

    use(make, what, db=service())


def test_the_sites_that_hold_services_are_known_to_a_holder_alone(
    make: Callable[..., Agent], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leadership, "_LOOK_S", 0.01)

    async def what(agent: Agent) -> None:
        looked: list[set[str]] = []

        async def members() -> tuple[str, dict[str, str]]:
            return "first", {}

        async def reached(_members: object) -> frozenset[str]:
            return frozenset()

        async def move(_leader: str, _members: object, holding: set[str], _reached: object) -> None:
            looked.append(holding)

        monkeypatch.setattr(agent.store, "members", members)
        monkeypatch.setattr(agent.store, "reached", reached)
        monkeypatch.setattr(agent.leadership, "move", move)
        assert agent._holding() == set()
        first, second = agent.drivers["db"], agent.drivers["web"]
        holder = Holder(Timing(), lease=1, token=2, term=3, sent_at=0.0, start_at=0.0)
        first.participant = type("Participant", (), {"holder": holder, "wake_at": float("inf")})()
        second._view = View(17, "b", 2, 9)
        assert agent._holding() == {"site-a", "site-b"}
        # It is the leader of the store that this is for.
        await until(lambda: looked)

    use(make, what, db=service(), web=service(name="web"))


def test_a_hand_over_that_can_not_be_is_refused_before_it_begins(make: Callable[..., Agent]) -> None:
    async def what(agent: Agent) -> None:
        driver = agent.drivers["db"]
        with pytest.raises(OkiagariError, match="a doesn't hold db"):
            agent._begin_hand_over(driver, "b")
        holder = Holder(Timing(), lease=1, token=2, term=3, sent_at=0.0, start_at=0.0)
        driver.participant = type("Participant", (), {"holder": holder, "wake_at": float("inf")})()
        driver.rules = Rules(1, forbidden=frozenset("b"))
        for to, message in (
            ("a", "holds it already"),
            ("b", "b is forbidden"),
            ("c", "c can't be reached"),
            ("d", "no"),
        ):
            with pytest.raises(OkiagariError, match=message):
                agent._begin_hand_over(driver, to)
        driver.participant = None

    use(make, what, db=service())


def test_a_full_disk_is_a_hindrance(make: Callable[..., Agent], monkeypatch: pytest.MonkeyPatch) -> None:
    async def what(agent: Agent) -> None:
        usage = module.shutil.disk_usage
        monkeypatch.setattr(module.shutil, "disk_usage", lambda path: usage(path)._replace(free=1000))
        assert agent.profile(agent.config.services["db"]).hindrance == "its disk is full"

        def fail(_path: Path) -> Any:
            raise OSError(5, "Input/output error")

        monkeypatch.setattr(module.shutil, "disk_usage", fail)
        assert "Input/output error" in agent.profile(agent.config.services["db"]).hindrance

    use(make, what, db=service())
