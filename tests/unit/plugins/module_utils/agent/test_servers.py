# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""More and fewer servers, as people ask for them at whatever agent: three real participants, and all else in memory."""

from __future__ import annotations

import asyncio
import random
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest
from ansible_collections.okiagari.testbed.plugins.module_utils.agent import servers as module
from ansible_collections.okiagari.testbed.plugins.module_utils.agent.available_driver import AvailableDriver
from ansible_collections.okiagari.testbed.plugins.module_utils.agent.envelope import Opened
from ansible_collections.okiagari.testbed.plugins.module_utils.agent.overlay import NoAnswer
from ansible_collections.okiagari.testbed.plugins.module_utils.agent.servers import Servers
from ansible_collections.okiagari.testbed.plugins.module_utils.agent.supervise import boottime
from ansible_collections.okiagari.testbed.plugins.module_utils.authority import Available, Held, Ledger, Timing, View
from ansible_collections.okiagari.testbed.plugins.module_utils.authority import actions as act
from ansible_collections.okiagari.testbed.plugins.module_utils.election import Charter, Profile, Rules, Vote, decide
from ansible_collections.okiagari.testbed.plugins.module_utils.errors import OkiagariError

from .agents import NAMES, config, service, until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence

CHARTER = Charter("db", {}, "priority", "available")
TIMING = Timing(keepalive_s=0.05, poll_s=0.05)
SILENCE_S = 10.0
PRIORITIES = {"a": 3, "b": 2, "c": 1}


class Driver(AvailableDriver):
    """A driver whose participant's wishes are granted at once."""

    def __init__(self, agents: Agents, name: str, most: int) -> None:
        self.service = service(charter=CHARTER, servers=most)
        self.agents, self._config = agents, config(Path("/nowhere"), name=name)
        held = Held(0, 4, 4, boottime() + 3600) if name == "a" else None
        self.participant: Available | None = Available(
            name, NAMES, CHARTER, TIMING, SILENCE_S, ledger=Ledger(4, 3, owed=True) if held else Ledger(),
            profile=Profile(name, f"site-{name}"), rules=Rules(), chance=random.Random(1), most=most, held=held,
            now=boottime(),
        )  # fmt: skip

    @property
    def view(self) -> View | None:
        server = self.participant.server(boottime()) if self.participant else None
        return View(holder=server.host if server else None)

    def participate(self, event: Callable[[Available, float], Sequence[act.Action]]) -> None:
        if self.participant:
            self.agents.do(self._config.name, event(self.participant, boottime()))


class Agents:
    """Three agents, the first of which has the server of `db`: their drivers, their overlay and their elections."""

    def __init__(self, most: int = 3) -> None:
        self.silent: set[str] = set()
        self.merges = True
        self.crashes = False
        self.drivers = {name: Driver(self, name, most) for name in NAMES}
        self.agents = {
            name: Servers(
                config(Path("/nowhere"), name=name), cast("Any", self), {"db": driver, "web": cast("Any", Quorum())},
                self.try_election,
            )
            for name, driver in self.drivers.items()
        }  # fmt: skip

    async def request(self, name: str, what: str, **request: Any) -> list[dict[str, Any]]:
        return [each async for each in getattr(self.agents[name], what)({"service": "db", **request})]

    async def try_election(self, _driver: Any) -> Any:
        votes = [Vote(Profile(name, f"site-{name}", priority=PRIORITIES[name]), Rules()) for name in NAMES]
        return decide(CHARTER, 9, votes), {}

    # as the overlay
    async def ask(self, to: str, op: str, body: Mapping[str, Any], _timeout_s: float) -> Mapping[str, Any]:
        if to in self.silent:
            raise NoAnswer(f"{to} didn't answer")
        at = self.agents[to]
        answers = {module.OP_REPLICATE: at.begin, module.OP_MERGE: at.end, module.OP_SERVER: at.tell}
        return await answers[op](Opened("a", op, dict(body), "1"))

    def do(self, name: str, actions: Sequence[act.Action]) -> None:
        loop = asyncio.get_running_loop()
        for action in actions:
            loop.call_soon(self.perform, name, action)

    def perform(self, name: str, action: act.Action) -> None:
        here = self.drivers[name].participate
        match action:
            case act.Send() | act.Publish():
                for to in [action.to] if isinstance(action, act.Send) else set(NAMES) - {name}:
                    self.drivers[to].participate(lambda each, now, said=action.message: each.heard(now, said))
            case act.StartService() if self.crashes:
                here(lambda each, now: each.stopped(now))
            case act.StopService():
                here(lambda each, now: each.stopped(now))
            case act.Export(term=term):
                here(lambda each, now: each.exported(now, term, f"{term:064x}", 9))
            case act.Merge(host=host, term=term, digest=digest) if self.merges:
                here(lambda each, now: each.merged(now, host, term, digest))

    async def live(self) -> None:
        while True:
            for driver in self.drivers.values():
                driver.participate(lambda each, now: each.tick(now))
            await asyncio.sleep(0.005)


WEB = service(name="web")


class Quorum:
    service = WEB


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_AGAIN_S", 0.005)


@asynccontextmanager
async def living(**others: Any) -> AsyncIterator[Agents]:
    agents = Agents(**others)
    task = asyncio.create_task(agents.live())
    try:
        await until(lambda: all(driver.nearest == "a" for driver in agents.drivers.values()))
        yield agents
        assert not task.done()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def use(what: Callable[[Agents], Coroutine[Any, Any, None]], **others: Any) -> None:
    async def run() -> None:
        async with living(**others) as agents:
            await what(agents)

    asyncio.run(run())


@pytest.mark.parametrize("asked", NAMES)
def test_servers_come_and_go_whoever_is_asked(asked: str) -> None:
    async def what(agents: Agents) -> None:
        shown = {"holder": "a", "servers": ["a"], "most": 3, "next": ["b", "c"], "silent": {}}
        assert await agents.request(asked, "show") == [shown]
        # The best one, without a word for whom.
        said = await agents.request(asked, "replicate")
        assert said[-1]["host"] == "b"
        assert agents.drivers["b"].nearest == "b"
        assert (await agents.request(asked, "replicate", to="c"))[-1]["host"] == "c"
        await until(lambda: len(agents.agents[asked]._hosts(cast("Any", agents.drivers[asked].participant))) == 3)
        (shown,) = await agents.request(asked, "show")
        assert (shown["servers"], shown["next"]) == (["a", "b", "c"], [])
        with pytest.raises(OkiagariError, match="no candidate is left for a further server of db"):
            await agents.request(asked, "replicate")
        # The one that came last.
        said = await agents.request(asked, "merge")
        assert (said[-1]["host"], said[-1]["servers"]) == ("c", ["a", "b"])
        assert (await agents.request(asked, "merge", host="b"))[-1]["servers"] == ["a"]
        assert not any(driver.participant.merging.ledger.owed for driver in list(agents.drivers.values())[1:])
        await until(lambda: agents.agents[asked]._hosts(cast("Any", agents.drivers[asked].participant)) == ["a"])
        with pytest.raises(OkiagariError, match="there is no further server of db that could be merged"):
            await agents.request(asked, "merge")

    use(what)


@pytest.mark.parametrize(
    ("op", "request_", "message"),
    [
        ("show", {"service": "dbb"}, "there is no service dbb; did you mean db"),
        ("replicate", {"service": "web"}, "web has the consistency quorum: it has one server, and never two"),
        ("replicate", {"to": "d"}, "there is no candidate d"),
        ("replicate", {"to": "a"}, "a has a server already"),
        ("replicate", {"seconds": 0}, "0 is not a number from 0.1 to 3600"),
        ("merge", {"host": "a"}, "a has the elected server; hand the service over first"),
        ("merge", {"host": "b"}, "b has no server"),
        ("changed", {}, "b has no server of db"),
    ],
)
def test_what_can_not_be_is_refused_before_it_begins(op: str, request_: dict[str, Any], message: str) -> None:
    async def what(agents: Agents) -> None:
        with pytest.raises(OkiagariError, match=message):
            await agents.request("b", op, **request_)

    use(what)


def test_a_service_that_allows_one_server_says_so() -> None:
    async def what(agents: Agents) -> None:
        with pytest.raises(OkiagariError, match="the service allows one server only"):
            await agents.request("c", "replicate")

    use(what, most=1)


def test_who_waits_hears_so_and_at_last_why_nothing_comes_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_PROGRESS_S", 0.01)
    monkeypatch.setattr(module, "_AGAIN_S", 0.02)

    async def what(agents: Agents) -> None:
        agents.merges = False
        answers = agents.agents["c"].replicate({"service": "db", "to": "b", "seconds": 0.2})
        assert await anext(answers) == {"waiting_s": 0}
        # Once it doesn't answer; that is no reason for what comes later.
        agents.silent.add("b")
        assert await anext(answers) == {"waiting_s": 0}
        agents.silent.remove("b")
        with pytest.raises(OkiagariError, match=r"b has not what the others have within 0.2 s\. It may still come to"):
            _left = [each async for each in answers]
        agents.silent.add("b")
        with pytest.raises(OkiagariError, match="b didn't answer"):
            await agents.request("c", "merge", host="b")

    use(what)


def test_a_server_that_ends_as_soon_as_it_starts_is_told_at_once() -> None:
    async def what(agents: Agents) -> None:
        agents.crashes = True
        with pytest.raises(OkiagariError, match="the server has ended"):
            await agents.request("c", "replicate", to="b", seconds=3600)

    use(what)


def test_a_service_says_that_it_has_changed() -> None:
    async def what(agents: Agents) -> None:
        await agents.request("a", "replicate", to="b")
        sharing = cast("Available", agents.drivers["b"].participant).sharing
        version = sharing._version
        assert await agents.request("b", "changed") == [{"changed": True}]
        assert sharing._version == version + 1

    use(what)


def test_an_agent_that_has_just_begun_says_so() -> None:
    async def what(agents: Agents) -> None:
        participant, agents.drivers["c"].participant = agents.drivers["c"].participant, None
        with pytest.raises(OkiagariError, match="c has just begun to take part in db; ask again"):
            await agents.request("c", "show")
        agents.drivers["c"].participant = participant

    use(what)
