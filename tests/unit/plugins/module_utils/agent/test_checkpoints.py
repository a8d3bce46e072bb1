# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What people ask about guests' states, at whatever agent, over an overlay and a store that are in memory."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest
from ansible_collections.okiagari.testbed.plugins.module_utils.agent import checkpoints as module
from ansible_collections.okiagari.testbed.plugins.module_utils.agent.checkpoints import Checkpoints
from ansible_collections.okiagari.testbed.plugins.module_utils.agent.envelope import Opened
from ansible_collections.okiagari.testbed.plugins.module_utils.agent.overlay import NoAnswer
from ansible_collections.okiagari.testbed.plugins.module_utils.checkpoint.machine import Machine
from ansible_collections.okiagari.testbed.plugins.module_utils.errors import OkiagariError

from .agents import NAMES, config, service

if TYPE_CHECKING:
    from collections.abc import Mapping

MADE = {"term": 2, "epoch": 7, "root": "x", "hosts": ["b", "c"]}


class Agents:
    """Three agents, of which `b` holds `db`: it is their overlay, their store, and the states of each, too.

    `a` is no candidate, and only votes. `heads` is what the others answer; a checkpoint takes until `ready`.
    """

    def __init__(self) -> None:
        self.held_by: str | None = "b"
        self.head: Any = {"term": 2, "epoch": 7, "root": "x", "captured": time.time() - 5.0}
        self.heads: dict[str, Any] = {"b": None, "c": {"term": 2, "epoch": 7, "root": "x"}}
        self.asked: list[tuple[Any, ...]] = []
        self.ready = asyncio.Event()
        self.ready.set()
        services = {
            "db": service(machine=Machine(64, {}), candidates=("b", "c")), "web": service(name="web"),
        }  # fmt: skip
        drivers = {name: SimpleNamespace(holder=self.holder) for name in services}
        self.agents = {}
        for name in NAMES:
            states = {} if name == "a" else {"db": SimpleNamespace(checkpoint=self.checkpoint, head=self.heads[name])}
            self.agents[name] = Checkpoints(
                config(Path("/nowhere"), name=name, services=services), cast("Any", self), cast("Any", self),
                cast("Any", drivers), cast("Any", states),
            )  # fmt: skip

    async def request(self, name: str, what: str = "make", **request: Any) -> list[dict[str, Any]]:
        return [each async for each in getattr(self.agents[name], what)({"service": "db", **request})]

    # as the driver and the store
    async def holder(self) -> str | None:
        return self.held_by

    async def committed(self, _service: str) -> Any:
        return self.head and dict(self.head)

    # as the overlay
    async def ask(self, to: str, op: str, body: Mapping[str, Any], timeout_s: float) -> Mapping[str, Any]:
        self.asked.append((to, op, timeout_s))
        return await self.agents[to].answer(Opened("a", op, dict(body), "1"))

    async def ask_all(self, peers: list[str], op: str, body: Mapping[str, Any]) -> dict[str, Any]:
        assert (op, body) == (module.OP_HEAD, {"service": "db"})
        return {
            peer: {"head": self.heads[peer]} if peer in self.heads else NoAnswer(f"{peer} didn't answer")
            for peer in peers
        }

    # as the states at the holder
    async def checkpoint(self, asked_by: str, seconds: float) -> Mapping[str, Any]:
        self.asked.append((asked_by, seconds))
        await self.ready.wait()
        return MADE


def test_whoever_is_asked_has_the_holder_do_it() -> None:
    async def run() -> None:
        agents = Agents()
        assert await agents.request("a", seconds=20) == [{"holder": "b", **MADE}]
        assert agents.asked == [("b", "checkpoint", 25.0), ("a", 20.0)]
        agents.asked.clear()
        assert await agents.request("b") == [{"holder": "b", **MADE}]
        assert agents.asked == [("b", 60.0)]

    asyncio.run(run())


def test_who_waits_hears_so_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_PROGRESS_S", 0.01)

    async def run() -> None:
        agents = Agents()
        agents.ready.clear()
        said = []
        async for each in agents.agents["c"].make({"service": "db"}):
            said.append(each)
            if len(said) == 2:
                agents.ready.set()
        assert said[:2] == [{"waiting_s": 0}] * 2
        assert said[-1] == {"holder": "b", **MADE}

    asyncio.run(run())


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        ({"service": "dbb"}, "there is no service dbb; did you mean db"),
        ({"service": "web"}, "web is no guest: only guests have states that are captured"),
        ({"seconds": 0}, "0 is not a number from 0.1 to 3600"),
        ({"seconds": "long"}, "long is not a number"),
    ],
)
def test_what_is_asked_wrongly_is_told(request_: dict[str, Any], message: str) -> None:
    async def run() -> None:
        agents = Agents()
        with pytest.raises(OkiagariError, match=message):
            await agents.request("a", **request_)
        assert agents.asked == []

    asyncio.run(run())


def test_a_guest_that_nobody_holds_is_not_captured() -> None:
    async def run() -> None:
        agents = Agents()
        agents.held_by = None
        with pytest.raises(OkiagariError, match="nobody holds db now"):
            await agents.request("a")
        with pytest.raises(OkiagariError, match="a is no candidate of db"):
            await agents.agents["a"].answer(Opened("c", "checkpoint", {"service": "db", "seconds": 5}, "1"))

    asyncio.run(run())


@pytest.mark.parametrize("name", NAMES)
def test_which_states_there_are_is_known_at_each_agent(name: str) -> None:
    async def run() -> None:
        agents = Agents()
        (said,) = await agents.request(name, "show")
        assert 5.0 <= said["committed"].pop("age_s") < 5.0 + 60.0
        assert said == {
            "holder": "b", "committed": agents.head, "replicas": agents.heads, "have": ["c"], "domains": ["site-c"],
            "silent": {},
        }  # fmt: skip

    asyncio.run(run())


def test_who_is_behind_or_silent_does_not_have_it() -> None:
    async def run() -> None:
        agents = Agents()
        agents.heads = {"c": {"term": 2, "epoch": 6, "root": "w"}}
        (said,) = await agents.request("a", "show")
        assert (said["have"], said["domains"], said["silent"]) == ([], [], {"b": "b didn't answer"})
        agents.heads["c"] = {"term": 3, "epoch": 1, "root": "y"}
        (said,) = await agents.request("a", "show")
        assert said["have"] == ["c"]
        # What an agent of before has noted says nothing of its time; and at first there is none.
        del agents.head["captured"]
        assert "age_s" not in (await agents.request("a", "show"))[0]["committed"]
        agents.head = None
        (said,) = await agents.request("a", "show")
        assert (said["committed"], said["have"]) == (None, [])

    asyncio.run(run())
