# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The quorum store: etcd itself, with the settings of its role."""

from __future__ import annotations

import asyncio
import shutil
import sys
from base64 import b64encode
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from ansible_collections.okiagari.testbed.plugins.module_utils.agent.config import Tls
from ansible_collections.okiagari.testbed.plugins.module_utils.agent.leadership import Leadership
from ansible_collections.okiagari.testbed.plugins.module_utils.agent.store import Store
from real_etcd import RealEtcd, Refused

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def store(tmp_path: Path) -> Iterator[RealEtcd]:
    store = RealEtcd(tmp_path / "etcd", tmp_path / "authority")
    try:
        store.start()
        store.wait()
        yield store
    finally:
        store.kill()


def text(value: str) -> str:
    return b64encode(value.encode()).decode()


def acquire(service: str, lease: str) -> dict[str, Any]:
    """Give the transaction by which a holder acquires a service that nobody holds."""
    key = text(f"/test/{service}")
    return {
        "compare": [{"key": key, "target": "CREATE", "result": "EQUAL", "create_revision": "0"}],
        "success": [{"request_put": {"key": key, "value": text("holder"), "lease": lease}}],
    }


def test_only_who_has_a_good_certificate_is_answered(store: RealEtcd, tmp_path: Path) -> None:
    store.issue("agent", "thief")
    member = store.members[0]
    _code, lease = store.ask(member, "/v3/lease/grant", {"TTL": 60}, name="agent")
    code, first = store.ask(member, "/v3/kv/txn", acquire("web", lease["ID"]), name="agent")
    assert (code, first["succeeded"]) == (200, True)
    _code, second = store.ask(store.members[1], "/v3/kv/txn", acquire("web", lease["ID"]), name="thief")
    assert "succeeded" not in second
    assert second["header"]["revision"] == first["header"]["revision"]
    _code, kept = store.ask(member, "/v3/lease/keepalive", {"ID": lease["ID"]}, name="agent")
    assert kept["result"]["TTL"] == "60"

    stranger = RealEtcd(tmp_path / "other", tmp_path / "stranger", count=1)
    stranger.issue("agent")
    for suffix in ("pem", "key"):
        (tmp_path / f"stranger/agent.{suffix}").rename(tmp_path / f"authority/stranger.{suffix}")
        shutil.copy(tmp_path / f"authority/thief.{suffix}", tmp_path / f"authority/revoked.{suffix}")
    store.revoke("thief")
    for name in (None, "stranger", "revoked"):
        for each in store.members:
            with pytest.raises(Refused):
                store.ask(each, "/v3/kv/txn", acquire("mail", lease["ID"]), name=name)
    assert store.healthy(member)


def put(store: RealEtcd, member: str, value: str) -> int:
    """Write through `member`; give the code."""
    body = {"key": text("/test/key"), "value": text(value)}
    return store.ask(member, "/v3/kv/put", body, name=member, timeout=20)[0]


def test_a_majority_goes_on_and_a_minority_does_not(store: RealEtcd) -> None:
    leader = store.leader()
    others = [member for member in store.members if member != leader]
    store.kill(leader)
    store.wait(*others)
    assert store.leader() in others
    assert put(store, others[0], "majority") == 200
    store.stop(others[1])
    assert not store.healthy(others[0])
    with pytest.raises(Refused):
        store.ask(
            others[0], "/v3/kv/put", {"key": text("/test/key"), "value": text("minority")}, name=others[0], timeout=2
        )
    store.start(leader, others[1])
    store.wait()


def test_a_member_that_lost_its_data_takes_its_place_again(store: RealEtcd) -> None:
    lost, *others = store.members
    assert put(store, lost, "before") == 200
    store.kill(lost)
    store.lose(lost)
    # By itself it doesn't: it would have forgotten what it has voted for.
    store.start(lost)
    assert store.process(lost).wait(60) != 0
    assert "has already been bootstrapped" in store.said(lost)
    # That is how the role sees that its data is gone.
    data = store.folder / lost / "data/member"
    assert (data.exists(), (data / "wal").exists()) == (True, False)
    store.wait(*others)
    store.rejoin(lost, through=others[0])
    store.wait()
    _code, found = store.ask(lost, "/v3/kv/range", {"key": text("/test/key"), "serializable": True}, name=lost)
    assert found["kvs"][0]["value"] == text("before")


def _client(store: RealEtcd) -> Store:
    """Give an agent's client, which asks one first that runs for sure; after a failure it asks the next one."""
    store.issue("agent")
    identity = {part: store.authority / f"agent.{part}" for part in ("pem", "key")}
    tls = Tls(certificate=identity["pem"], key=identity["key"], authority=store.authority / "ca.pem")
    first = sorted(store.endpoints.items(), key=lambda item: item[0] != store.leader())
    return Store("test", [endpoint for _member, endpoint in first], tls, 10.0)


def test_the_leader_leaves_the_site_that_holds_a_service(store: RealEtcd) -> None:
    moved: list[tuple[str, str]] = []

    async def look(holding: set[str], away: bool = False) -> None:
        client = _client(store)
        try:
            domains = {member: f"site of {member}" for member in store.members}
            leadership = Leadership(client, domains, set, lambda *said: moved.append(said))
            leader, members = await client.members()
            reached = await client.reached(members.values())
            assert (reached < set(store.members)) is away
            await leadership.move(leader, members, holding, reached)
        finally:
            await client.close()

    before = store.leader()
    asyncio.run(look({f"site of {before}"}))
    after = store.leader()
    assert moved == [(before, after)]
    assert before != after
    asyncio.run(look({f"site of {before}"}))
    assert store.leader() == after
    assert put(store, before, "as ever") == 200
    # With a member away, the leader stays: the other one couldn't go on alone.
    (third,) = set(store.members) - {before, after}
    store.kill(third)
    asyncio.run(look({f"site of {after}"}, away=True))
    assert store.leader() == after


def test_a_change_of_holder_is_told_at_once(store: RealEtcd) -> None:
    client = _client(store)

    async def listen() -> list[str]:
        told: list[str] = []

        async def note() -> None:
            async for name in client.changes():
                told.append(name)  # noqa: PERF401 - each as it comes

        noting = asyncio.create_task(note())
        try:
            token = None
            while not told:
                # Nobody says when a watch has begun: one more change, until one is seen.
                if token:
                    await client.release("web", lease=7, token=token, clean=True)
                last = (await client.read("web")).token
                token = await client.acquire("web", "a", lease=7, term=1, after=last, ttl_s=60.0)
                assert token
                await asyncio.sleep(0.1)
            told.clear()
            await client.commit("web", token=token or 0, state={"term": 1, "epoch": 1, "root": "00"})
            await client.release("web", lease=7, token=token or 0, clean=True)
            async with asyncio.timeout(20):
                while not told:
                    await asyncio.sleep(0.01)
        finally:
            noting.cancel()
            await client.close()
        return told

    assert set(asyncio.run(listen())) == {"web"}
