# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""States on their way between hosts: real packs, replicas and shelves, over an overlay in memory that is cut."""

from __future__ import annotations

import asyncio
import hashlib
import shutil
import time
from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pytest
from ansible_collections.okiagari.testbed.plugins.module_utils.agent import states as module
from ansible_collections.okiagari.testbed.plugins.module_utils.agent.blobs import Blobs
from ansible_collections.okiagari.testbed.plugins.module_utils.agent.config import Checkpointing, Peer
from ansible_collections.okiagari.testbed.plugins.module_utils.agent.envelope import Opened
from ansible_collections.okiagari.testbed.plugins.module_utils.agent.overlay import NoAnswer
from ansible_collections.okiagari.testbed.plugins.module_utils.agent.shelf import KEPT
from ansible_collections.okiagari.testbed.plugins.module_utils.agent.states import States, children, folder
from ansible_collections.okiagari.testbed.plugins.module_utils.agent.supervise import boottime
from ansible_collections.okiagari.testbed.plugins.module_utils.agent.wish_file import NOBODY, WishFile
from ansible_collections.okiagari.testbed.plugins.module_utils.checkpoint.keep import Keep, Kept
from ansible_collections.okiagari.testbed.plugins.module_utils.election import Committed
from ansible_collections.okiagari.testbed.plugins.module_utils.errors import OkiagariError
from ansible_collections.okiagari.testbed.tests.unit.plugins.module_utils.checkpoint.conftest import (
    KEY,
    Holder,
    noise,
    sign,
    verify,
)

from .agents import BOUND_S, config, service, until

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping
    from pathlib import Path

LINE = {"a": ("b",), "b": ("a", "c"), "c": ("b", "d"), "d": ("c",)}


class Host:
    """One host: it is the overlay, the bulk transfer and the keeper of its own `States`, too."""

    def __init__(self, world: World, name: str) -> None:
        self.world, self.name = world, name
        self.reachable = True
        self.told: list[tuple[str, Mapping[str, Any]]] = []
        self.fetched: list[tuple[str, str]] = []
        self.hangs: set[str] = set()
        self.stalls: set[str] = set()
        self.waits = False
        peers = {each: Peer(each, f"site-{each}", "127.0.0.1", "", LINE[each]) for each in LINE}
        self.config = replace(
            config(world.folder, name=name, peers=peers), state=world.folder / name, run=world.folder / f"{name}-run"
        )
        self.blobs = Blobs(self.config.state / "blobs")
        self.blobs.make_room(0)
        self.keep = Keep(name, {"db": Kept(folder(self.config, "db") / "replica", KEY)}, sign, verify)
        described = service(
            candidates=tuple(LINE), checkpoint=Checkpointing(world.folder / "key", on_request=name == "a")
        )
        self.states = States(
            self.config, described, cast("Any", SimpleNamespace(verify=verify)), cast("Any", self),
            cast("Any", world), cast("Any", self), self.blobs, cast("Any", SimpleNamespace(ask=self.keeper)),
            lambda: world.token, lambda event, values: self.told.append((event, values)),
        )  # fmt: skip
        self.wish = WishFile(self.config.run, "db")

    def events(self, name: str) -> list[Mapping[str, Any]]:
        return [values for event, values in self.told if event == name]

    # as the keeper
    async def keeper(self, do: str, service: str, path: str = "") -> Mapping[str, Any]:
        return self.keep.do({"do": do, "service": service, "path": path})

    # as the overlay
    async def ask(self, to: str, op: str, body: Mapping[str, Any], _timeout_s: float = 0) -> Mapping[str, Any]:
        other = self.world.hosts[to]
        if not (self.reachable and other.reachable):
            raise NoAnswer(f"{to} didn't answer")
        asked = {
            module.OP_TAKE: other.states.take, module.OP_FIND: other.states.find, module.OP_WHOLE: other.states.whole,
            module.OP_HEAD: other.states.tell_head,
        }  # fmt: skip
        return await asked[op](Opened(self.name, op, body, "1"))

    async def ask_all(self, peers: list[str], op: str, body: Mapping[str, Any]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for peer in peers:
            try:
                found[peer] = await self.ask(peer, op, body)
            except OkiagariError as error:
                found[peer] = error
        return found

    # as the bulk transfer
    async def offer(self, path: Path) -> AsyncGenerator[dict[str, Any], None]:
        name = hashlib.sha256(path.read_bytes()).hexdigest()
        shutil.copy(path, self.blobs.folder / name)
        yield {"digest": name}

    async def fetch(self, peer: str, name: str, *_bounds: float) -> AsyncGenerator[dict[str, Any], None]:
        if peer in self.hangs:
            self.waits = True
            try:
                await asyncio.Event().wait()
            finally:
                self.waits = False
        while peer in self.stalls:
            yield {"received": 0, "of": 9}
        there = self.world.hosts[peer].blobs.path(name)
        if not (self.reachable and self.world.hosts[peer].reachable) or there is None:
            raise NoAnswer(f"{peer} didn't answer")
        self.fetched.append((peer, name))
        shutil.copy(there, self.blobs.folder / name)
        yield {}

    def drop(self, name: str) -> None:
        self.blobs.drop(name)

    @property
    def newest(self) -> Committed:
        return self.states.newest


class World:
    """Four hosts in a line; it is the store of leases, too."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.token: int | None = 7
        self.head: Mapping[str, Any] | None = None
        self.hosts: dict[str, Host] = {}
        self.hosts.update({name: Host(self, name) for name in LINE})
        self.holder = Holder("db")
        self.image = noise(1, 8)

    async def commit(self, _service: str, *, token: int, state: Mapping[str, Any]) -> bool:
        if token == self.token:
            self.head = dict(state)
        return token == self.token

    async def committed(self, _service: str) -> Mapping[str, Any] | None:
        return self.head

    def pack(self) -> Path:
        self.image = self.image.copy()
        self.image[self.holder.epoch % 8] = noise(100 + self.holder.epoch)[0]
        path = self.folder / f"{self.holder.epoch}.pack"
        path.write_bytes(self.holder.pack({"ram": self.image}))
        return path

    async def ship(self, name: str = "a", path: Path | None = None, **captured: float) -> dict[str, Any]:
        """Ship one more epoch, and wait until all have it that can."""
        states = self.hosts[name].states
        said = [each async for each in states.ship(path or self.pack(), **captured)]
        await asyncio.gather(*states._behind)
        return said[-1]

    async def collect(self, name: str) -> dict[str, Any]:
        return [each async for each in self.hosts[name].states.collect()][-1]


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setattr(module, "_COLLECT_S", 0.0)
    return World(tmp_path)


def test_each_link_carries_a_pack_once(world: World) -> None:
    async def run() -> None:
        said = await world.ship()
        assert said["committed"] == world.head == {"term": 1, "epoch": 1, "root": world.holder.parent}
        sources = {name: [peer for peer, _name in host.fetched] for name, host in world.hosts.items()}
        assert sources == {"a": [], "b": ["a"], "c": ["b"], "d": ["c"]}
        assert {host.newest for name, host in world.hosts.items() if name != "a"} == {Committed(1, 1)}

    asyncio.run(run())


def test_who_takes_it_from_whom() -> None:
    peers = {name: Peer(name, "", "", "", links) for name, links in LINE.items()}
    found = cast("Any", SimpleNamespace(peers=peers))
    assert children(found, "b", "acd") == {"b": ["a", "c"], "c": ["d"]}
    # Who isn't a candidate only relays; who has no link is reached somehow.
    assert children(found, "a", "bd") == {"a": ["b"], "b": ["d"]}
    found.peers["e"] = Peer("e", "", "", "", ())
    assert children(found, "a", "be") == {"a": ["b", "e"]}


def test_a_majority_of_sites_is_enough_and_less_is_not(world: World) -> None:
    async def run() -> None:
        world.hosts["b"].reachable = False
        assert (await world.ship())["committed"]["epoch"] == 1
        world.hosts["c"].reachable = False
        path = world.pack()
        with pytest.raises(OkiagariError, match="only 2 of 3 sites have it: b: b didn't answer; c: c didn't answer"):
            await world.ship(path=path)
        assert world.head
        assert world.head["epoch"] == 1
        # The same one again, and whoever was away takes what it missed from whoever has it.
        world.hosts["b"].reachable = world.hosts["c"].reachable = True
        assert (await world.ship(path=path))["committed"]["epoch"] == 2
        assert [host.newest for host in world.hosts.values()][1:] == 3 * [Committed(1, 2)]

    asyncio.run(run())


def test_packs_go_only_where_states_are_kept_and_to_another_host_when_one_is_away_for_long(world: World) -> None:
    async def run() -> None:
        keeping = ["b", "d"]
        begun: list[set[str]] = []
        placement = SimpleNamespace(hosts=lambda _now: keeping, begin=begun.append)
        world.hosts["a"].states._placement = cast("Any", placement)
        await world.collect("a")
        assert begun == [set()]
        # By way of c, who has no part in it; two of their three sites are a majority.
        assert (await world.ship())["committed"]["epoch"] == 1
        world.hosts["b"].reachable = False
        assert (await world.ship())["committed"]["epoch"] == 2
        assert [world.hosts[name].newest for name in "bcd"] == [Committed(1, 1), Committed(), Committed(1, 2)]
        # Whoever begins to keep them takes what there is before, and then follows.
        keeping[0] = "c"
        assert (await world.ship())["committed"]["epoch"] == 3
        assert [world.hosts[name].newest for name in "bcd"] == [Committed(1, 1), Committed(1, 3), Committed(1, 3)]

    asyncio.run(run())


def test_who_has_a_pack_already_counts_when_it_is_shipped_again(world: World) -> None:
    async def run() -> None:
        await world.ship()
        world.hosts["b"].reachable = world.hosts["c"].reachable = False
        path = world.pack()
        with pytest.raises(OkiagariError, match="only 2 of 3 sites have it"):
            await world.ship(path=path)
        assert world.hosts["d"].newest == Committed(1, 2)
        world.hosts["b"].reachable = True
        assert (await world.ship(path=path))["committed"]["epoch"] == 2
        assert [name for name, _values in world.hosts["d"].told] == []

    asyncio.run(run())


def test_a_pack_that_is_refused_takes_no_room(world: World) -> None:
    async def run() -> None:
        await world.ship()
        old, image = world.holder, world.image
        world.holder = Holder("db", term=2)
        world.holder.parent, world.holder.images = old.parent, {"ram": world.image}
        await world.ship("b")
        there = sorted(world.hosts["c"].blobs.folder.iterdir())
        world.holder, world.image = old, image
        with pytest.raises(OkiagariError, match="of term 1, older than 2"):
            await world.ship("a")
        assert sorted(world.hosts["c"].blobs.folder.iterdir()) == there

    asyncio.run(run())


def test_who_is_too_far_behind_takes_the_whole(world: World) -> None:
    async def run() -> None:
        await world.ship()
        world.hosts["d"].reachable = False
        for _epoch in range(KEPT + 2):
            await world.ship()
        assert len(list(world.hosts["b"].blobs.folder.iterdir())) == KEPT
        world.hosts["d"].reachable = True
        await world.ship()
        assert world.hosts["d"].newest == world.hosts["b"].newest == Committed(1, KEPT + 4)
        replica = np.fromfile(next(folder(world.hosts["d"].config, "db").glob("replica/*/images/ram")), np.uint64)
        assert (replica.reshape(-1, 512) == world.image).all()

    asyncio.run(run())


def test_the_holder_has_what_it_ships_in_its_own_replica(world: World) -> None:
    """It counts among those who have a state: when its service stops, that is still so."""

    async def run() -> None:
        for _epoch in range(KEPT + 2):
            await world.ship()
        assert world.hosts["a"].newest == Committed(1, KEPT + 2)
        # Whoever was away meanwhile can have the whole from it.
        world.hosts["d"].reachable = False
        for _epoch in range(KEPT + 2):
            await world.ship()
        world.hosts["b"].reachable = world.hosts["c"].reachable = False
        world.hosts["d"].reachable = True
        with pytest.raises(OkiagariError, match="only 2 of 3 sites have it"):
            await world.ship()
        assert world.hosts["d"].newest == world.hosts["a"].newest == Committed(1, 2 * KEPT + 5)

    asyncio.run(run())


def test_a_holder_whom_nobody_can_follow_begins_anew(world: World) -> None:
    """The others were away for so long that no host has what its pack changes: its own replica is lost, too."""

    async def run() -> None:
        await world.ship()
        for name in "bcd":
            world.hosts[name].reachable = False
        for _epoch in range(KEPT + 1):
            with pytest.raises(OkiagariError, match="only 1 of 3 sites have it"):
                await world.ship()
        for name in "bcd":
            world.hosts[name].reachable = True
        shutil.rmtree(folder(world.hosts["a"].config, "db"))
        world.hosts["a"] = Host(world, "a")
        shipping = world.hosts["a"].states.ship(world.pack())
        said = await anext(shipping)
        assert "nobody who can be reached has what leads to" in said["begin_anew"]
        with pytest.raises(OkiagariError, match="only 0 of 3 sites have it"):
            await anext(shipping)
        world.holder.parent, world.holder.images = "", {}
        await world.ship()
        assert world.hosts["c"].newest == Committed(1, KEPT + 4)

    asyncio.run(run())


def test_a_holder_that_lost_the_service_commits_nothing(world: World) -> None:
    async def run() -> None:
        await world.ship()
        state, world.token = world.head, None
        with pytest.raises(OkiagariError, match="a doesn't hold db any more"):
            await world.ship()
        assert world.head == state

    asyncio.run(run())


def test_the_successor_collects_what_it_lacks_and_no_less_than_what_is_committed(world: World) -> None:
    async def run() -> None:
        assert (await world.collect("b"))["head"] is None
        await world.ship()
        world.hosts["d"].reachable = False
        await world.ship()
        await world.ship()
        world.hosts["d"].reachable = True
        world.hosts["a"].reachable = world.hosts["b"].reachable = False
        world.head["captured"] = 1795341600.25
        said = await world.collect("d")
        assert (said["head"]["epoch"], said["committed"]["epoch"]) == (3, 3)
        event, values = world.hosts["d"].told[-1]
        assert (event, values["epoch"], values["captured"]) == ("state_collected", 3, 1795341600.25)
        world.head = {"term": 1, "epoch": 9, "root": "x"}
        with pytest.raises(OkiagariError, match="the committed state is term 1, epoch 9, here is term 1, epoch 3"):
            await world.collect("d")

    asyncio.run(run())


async def waiting_for_a_dead_holder(host: Host) -> asyncio.Future[Any]:
    """Have a host begin to take a pack of term 1 from a, which dies when it has begun to give it."""
    host.hangs = {"a"}
    pack = {"digest": "0" * 64, "term": 1, "epoch": 9, "parent": "", "root": "x"}
    taking = asyncio.ensure_future(host.states.take(Opened("a", module.OP_TAKE, {"source": "a", "pack": pack}, "1")))
    while not host.waits:
        await asyncio.sleep(0)
    host.world.hosts["a"].reachable = False
    return taking


def test_a_successor_does_not_wait_for_a_holder_that_died_while_it_gave_a_pack(world: World) -> None:
    async def run() -> None:
        await world.ship()
        taking = await waiting_for_a_dead_holder(world.hosts["b"])
        async with asyncio.timeout(5):
            assert (await world.collect("b"))["head"]["epoch"] == 1
        assert not world.hosts["b"].waits
        with pytest.raises(OkiagariError, match="what the holder of term 1 wanted is given up"):
            await taking

    asyncio.run(run())


def test_what_a_dead_holder_has_begun_is_given_up_for_the_next_one(world: World) -> None:
    async def run() -> None:
        await world.ship()
        old = world.holder
        taking = await waiting_for_a_dead_holder(world.hosts["c"])
        world.holder = Holder("db", term=2)
        world.holder.parent, world.holder.images = old.parent, {"ram": world.image}
        async with asyncio.timeout(5):
            await world.ship("b")
        assert world.hosts["c"].newest == Committed(2, 1)
        with pytest.raises(OkiagariError, match="is given up"):
            await taking

    asyncio.run(run())


def test_where_nothing_comes_any_more_others_are_asked(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    async def run() -> None:
        monkeypatch.setattr(module, "_SILENT_S", 0.0)
        world.hosts["c"].stalls = {"b"}
        await world.ship()
        assert world.hosts["c"].newest == Committed(1, 1)
        assert [peer for peer, _name in world.hosts["c"].fetched] == ["a"]

    asyncio.run(run())


def test_the_next_holder_goes_on_and_the_old_one_is_refused(world: World) -> None:
    async def run() -> None:
        await world.ship()
        old, image = world.holder, world.image
        await world.ship()
        world.holder = Holder("db", term=2)
        world.holder.parent, world.holder.images = old.parent, {"ram": world.image}
        await world.ship("b")
        assert world.hosts["c"].newest == Committed(2, 1)
        world.holder, world.image = old, image
        with pytest.raises(OkiagariError, match="of term 1, older than 2"):
            await world.ship("a")
        assert world.hosts["c"].told[-1][0] == "pack_refused"
        # A host that was the holder takes the new one's states like any other, and opens with them after a restart.
        assert world.hosts["a"].newest == Committed(2, 1)
        again = Host(world, "a")
        await again.states.open()
        assert again.newest == Committed(2, 1)

    asyncio.run(run())


def test_what_was_asked_for_is_what_was_captured_since(world: World) -> None:
    async def run() -> None:
        host, before = world.hosts["a"], boottime()
        waiting = asyncio.create_task(host.states.checkpoint("c", BOUND_S))
        since = await until(lambda: (wish := host.wish.read(boottime())) != NOBODY and wish)
        # One that was on its way already isn't it.
        await world.ship(at=before, pause_ms=3.0)
        assert not waiting.done()
        path = world.pack()
        size = path.stat().st_size
        world.hosts["d"].reachable = False
        began = time.time() - (boottime() - since)
        await world.ship(path=path, at=since, pause_ms=12.5)
        said = dict(await waiting)
        assert world.head
        assert said.pop("captured") == world.head["captured"] == pytest.approx(began, abs=1.0)
        assert said.pop("took_ms") >= 0
        assert said == {
            "term": 1, "epoch": 2, "root": world.holder.parent, "bytes": size, "pause_ms": 12.5,
            "hosts": ["a", "b", "c"], "domains": ["site-a", "site-b", "site-c"],
        }  # fmt: skip
        assert host.events("checkpoint_wanted") == [{"by": "c"}]
        assert host.events("state_committed")[-1] | {"epoch": 2, "bytes": size, "domains": 3} == host.told[-1][1]

    asyncio.run(run())


def test_what_is_not_committed_in_time_says_why_and_stands(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    patience: list[asyncio.Timeout] = []
    timeout = asyncio.timeout

    def until_it_is_over(seconds: float) -> asyncio.Timeout:
        if seconds != 0.5:
            return timeout(seconds)
        patience.append(timeout(None))
        return patience[0]

    async def run() -> None:
        host = world.hosts["a"]
        monkeypatch.setattr(asyncio, "timeout", until_it_is_over)
        world.hosts["b"].reachable = world.hosts["c"].reachable = False
        waiting = asyncio.create_task(host.states.checkpoint("c", 0.5))
        since = await until(lambda: (wish := host.wish.read(boottime())) != NOBODY and wish)
        path = world.pack()
        with pytest.raises(OkiagariError, match="only 2 of 3 sites"):
            await world.ship(path=path, at=since)
        patience[0].reschedule(asyncio.get_running_loop().time())
        with pytest.raises(OkiagariError, match=r"is committed within 0.5 s: only 2 of 3 .*What was asked for stands"):
            await waiting
        assert "only 2 of 3 sites have it: b: b didn't answer" in host.events("state_not_committed")[0]["text"]
        assert host.wish.read(boottime()) == since

    asyncio.run(run())


def test_nobody_waits_for_a_holder_that_is_none_any_more(world: World) -> None:
    async def run() -> None:
        host = world.hosts["a"]
        waiting = asyncio.create_task(host.states.checkpoint("c", BOUND_S))
        await until(lambda: host.wish.read(boottime()) != NOBODY)
        world.token = None
        with pytest.raises(OkiagariError, match="doesn't hold db any more"):
            await world.ship(at=boottime())
        with pytest.raises(OkiagariError, match=r"a lost db before a state was committed: a doesn't hold db any more"):
            await waiting
        with pytest.raises(OkiagariError, match="a doesn't hold db any more"):
            await host.states.checkpoint("c", BOUND_S)

    asyncio.run(run())


def test_nobody_waits_for_a_holder_that_ships_nothing_any_more(world: World) -> None:
    async def run() -> None:
        host = world.hosts["a"]
        waiting = asyncio.create_task(host.states.checkpoint("c", BOUND_S))
        await until(lambda: host.wish.read(boottime()) != NOBODY)
        world.token = None
        with pytest.raises(OkiagariError, match=r"a lost db before a state was committed$"):
            await waiting

    asyncio.run(run())


def test_the_service_asks_once_by_each_word(world: World) -> None:
    async def run() -> None:
        host, wishes = world.hosts["a"], []
        for said in ("pong", "pong checkpoint=1", "pong checkpoint=1", "", "pong checkpoint=2", "ponycheckpoint=3"):
            host.states.hear(said)
            wishes.append(host.wish.read(boottime()))
        assert wishes[0] == NOBODY < wishes[1] == wishes[2] == wishes[3] < wishes[4] == wishes[5]
        assert host.events("checkpoint_wanted") == [{"by": "the service"}] * 2
        world.token = None
        host.states.hear("pong checkpoint=4")
        assert host.wish.read(boottime()) == wishes[4]
        # One that may not isn't heard.
        world.token = 7
        world.hosts["b"].states.hear("pong checkpoint=1")
        assert world.hosts["b"].wish.read(boottime()) == NOBODY
        # What can't be noted is no end of the agent, and is tried again.
        shutil.rmtree(host.config.run)
        host.config.run.write_text("no folder")
        host.states.hear("pong checkpoint=5")
        host.config.run.unlink()
        host.states.hear("pong checkpoint=5")
        assert host.wish.read(boottime()) > wishes[4]

    asyncio.run(run())
