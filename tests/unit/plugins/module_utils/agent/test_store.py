# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The store's client over scripted answers, as etcd's gateway gives them."""

from __future__ import annotations

import asyncio
import json
import re
from base64 import b64decode, b64encode
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from ansible_collections.okiagari.testbed.plugins.module_utils.agent.store import Member, NotReached, Store
from ansible_collections.okiagari.testbed.plugins.module_utils.authority import View
from ansible_collections.okiagari.testbed.plugins.module_utils.errors import BadValue

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

LARGE = str(2**64 - 1)
HEADER = {"header": {"cluster_id": "1", "member_id": "2", "revision": "17", "raft_term": "2"}}
# What gRPC's errors are there, with its code for HTTP.
NO_LEASE = (404, {"error": "etcdserver: requested lease not found", "code": 5})
NO_LEADER = (503, {"error": "etcdserver: no leader", "code": 14})


def base64(text: str) -> str:
    return b64encode(text.encode()).decode()


def kv(value: str, revision: int) -> dict[str, Any]:
    return {"kvs": [{"key": "eA==", "mod_revision": str(revision), "value": base64(value)}], "count": "1"}


def ranges(*found: dict[str, Any] | None) -> dict[str, Any]:
    return {
        **HEADER,
        "succeeded": True,
        "responses": [{"response_range": {**HEADER, **(each or {})}} for each in found],
    }


class Gateway:
    """Gives its answers in turn: a body, a status with a body, text, or an error; and notes what it was asked."""

    def __init__(self, *answers: Any) -> None:
        self.answers, self.asked = list(answers), []

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append((request.url.host.removesuffix(".example"), request.url.path, json.loads(request.content)))
        answer = self.answers.pop(0)
        await asyncio.sleep(0)
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, str):
            return httpx.Response(200, text=answer)
        status, body = answer if isinstance(answer, tuple) else (200, answer)
        return httpx.Response(status, json=body)


def use(
    gateway: Gateway,
    what: Callable[[Store], Awaitable[Any]],
    endpoints: Sequence[str] = ("http://a.example", "http://b.example"),
) -> Any:
    async def run() -> Any:
        store = Store("t", endpoints, None, 1.0)
        await store._client.aclose()
        store._client = httpx.AsyncClient(transport=httpx.MockTransport(gateway))
        try:
            return await what(store)
        finally:
            await store.close()

    return asyncio.run(run())


def acquire(store: Store) -> Awaitable[int | None]:
    return store.acquire("db", "a", lease=5, term=3, after=0, ttl_s=9.5)


HELD = json.dumps({"host": "b", "term": 4})


@pytest.mark.parametrize(
    ("found", "view"),
    [
        ((None, None, None, None), View(17)),
        ((kv(HELD, 9), kv(HELD, 9), None, None), View(17, "b", 4, 9)),
        ((kv(HELD, 9), kv(HELD, 9), None, kv("9", 15)), View(17, "b", 4, 9, renewed=15)),
        ((None, kv(HELD, 9), None, kv("8", 7)), View(17, None, 4, 9, renewed=7)),
        ((None, kv(HELD, 9), kv("9", 12), None), View(17, None, 4, 9, released=True)),
        ((None, kv(HELD, 9), kv("8", 12), None), View(17, None, 4, 9)),
        ((None, None, kv("0", 12), None), View(17)),
    ],
)
def test_a_view(found: tuple[dict[str, Any] | None, ...], view: View) -> None:
    gateway = Gateway(ranges(*found))
    assert use(gateway, lambda store: store.read("db")) == view
    (_host, path, body), *_others = gateway.asked
    keys = [b64decode(each["request_range"]["key"]).decode() for each in body["success"]]
    names = ("holder", "last", "released", "renewed")
    assert (path, keys) == ("/v3/kv/txn", [f"okiagari/t/service/db/{key}" for key in names])
    assert not any(each["request_range"].get("serializable") for each in body["success"])


@pytest.mark.parametrize("value", ["", "{", "[]", '{"host": 3, "term": 1}', '{"host": "b"}'])
def test_what_somebody_else_has_written_is_no_view(value: str) -> None:
    with pytest.raises(BadValue):
        use(Gateway(ranges(kv(value, 9), None, None, None)), lambda store: store.read("db"))


def test_a_value_that_is_not_in_base_64() -> None:
    found = kv("", 9)
    found["kvs"][0]["value"] = "x"
    with pytest.raises(BadValue, match="base 64"):
        use(Gateway(ranges(found, None, None, None)), lambda store: store.read("db"))


def test_the_service_is_taken_by_one_transaction_under_a_lease() -> None:
    gateway = Gateway({**HEADER, "ID": "5", "TTL": "10"}, {**HEADER, "succeeded": True, "responses": [{}, {}]})
    assert use(gateway, acquire) == 17
    (_a, grant, lease), (_b, _path, txn) = gateway.asked
    assert (grant, lease) == ("/v3/lease/grant", {"ID": "5", "TTL": "10"})
    holder, last = base64("okiagari/t/service/db/holder"), base64("okiagari/t/service/db/last")
    assert txn["compare"] == [
        {"key": holder, "target": "CREATE", "result": "EQUAL", "create_revision": "0"},
        {"key": last, "target": "MOD", "result": "EQUAL", "mod_revision": "0"},
    ]
    puts = [each["request_put"] for each in txn["success"]]
    assert [(put["key"], put.get("lease")) for put in puts] == [(holder, "5"), (last, None)]
    assert {b64decode(put["value"]) for put in puts} == {b'{"host": "a", "term": 3}'}


@pytest.mark.parametrize(
    "answers",
    [
        [{**HEADER, "ID": "5", "TTL": "10"}, HEADER],  # somebody else has it: "succeeded" isn't there when it's false
        [{**HEADER, "ID": "5", "TTL": "9"}],
        [{**HEADER, "ID": "5"}],
        [{**HEADER, "ID": "5", "TTL": "10"}, NO_LEASE],
        [(400, {"error": "etcdserver: lease already exists", "code": 9})],
    ],
)
def test_a_refusal(answers: list[Any]) -> None:
    gateway = Gateway(*answers)
    assert use(gateway, acquire) is None
    assert gateway.answers == []


def keep(store: Store) -> Awaitable[bool]:
    return store.keep_alive("db", lease=5, token=17)


@pytest.mark.parametrize(
    ("answers", "kept"),
    [
        ([{"result": {**HEADER, "ID": "5", "TTL": "10"}}, {**HEADER, "succeeded": True}], True),
        ([{"result": {**HEADER, "ID": "5", "TTL": "10"}}, HEADER], False),
        ([{"result": {**HEADER, "ID": "5"}}], False),  # the lease is gone: its TTL is 0
        ([NO_LEASE], False),
        ([NO_LEADER], None),
        ([HEADER], None),
        ([{"error": {"grpc_code": 14}}], None),
        ([{"result": {**HEADER, "ID": "5", "TTL": "10"}}, NO_LEADER], None),
    ],
)
def test_a_lease_is_kept_only_if_the_key_is_still_ours(answers: list[Any], kept: bool | None) -> None:
    gateway = Gateway(*answers)
    if kept is None:
        with pytest.raises(NotReached):
            use(gateway, keep)
        return
    assert use(gateway, keep) is kept
    assert gateway.answers == []
    assert gateway.asked[0][1:] == ("/v3/lease/keepalive", {"ID": "5"})
    if len(gateway.asked) > 1:
        txn = gateway.asked[1][2]
        assert txn["compare"][0]["create_revision"] == "17"
        assert b64decode(txn["success"][0]["request_put"]["key"]) == b"okiagari/t/service/db/renewed"


@pytest.mark.parametrize("clean", [True, False])
def test_a_service_is_given_back_if_it_is_ours(clean: bool) -> None:
    gateway = Gateway(HEADER, NO_LEASE)
    use(gateway, lambda store: store.release("db", lease=5, token=17, clean=clean))
    (_a, _path, txn), (_b, revoke, body) = gateway.asked
    assert txn["compare"][0]["create_revision"] == "17"
    assert "request_delete_range" in txn["success"][0]
    puts = [each["request_put"] for each in txn["success"][1:]]
    assert [b64decode(put["value"]) for put in puts] == ([b"17"] if clean else [])
    assert (revoke, body) == ("/v3/lease/revoke", {"ID": "5"})


@pytest.mark.parametrize(
    "answer",
    [
        httpx.ConnectError("refused"),
        httpx.ReadTimeout(""),
        NO_LEADER,
        (500, {}),
        (404, "not found"),
        "",
        "<html>",
        "[]",
        "null",
        "{}",
        '{"header": {}}',
        '{"header": {"revision": "x"}}',
        '{"header": {"revision": 17}}',
        json.dumps(HEADER),
        json.dumps({**HEADER, "responses": []}),
        json.dumps({**HEADER, "responses": [{}, {}, {}]}),
        json.dumps({**HEADER, "responses": [{"response_range": {"kvs": 3}}] * 3}),
        json.dumps({**HEADER, "responses": [{"response_range": {"kvs": [{}]}}] * 3}),
    ],
)
def test_after_any_other_answer_nothing_is_known(answer: Any) -> None:
    gateway = Gateway(answer, answer)
    with pytest.raises(NotReached):
        use(gateway, lambda store: store.read("db"))


@pytest.mark.parametrize("answer", [httpx.ConnectError("refused"), NO_LEADER, "<html>", '{"result": null}'])
def test_after_a_failure_the_next_member_is_asked(answer: Any) -> None:
    gateway = Gateway(answer, HEADER, HEADER)

    async def three(store: Store) -> None:
        with pytest.raises(NotReached, match=re.escape("http://a.example")):
            await store.abandon(5)
        await store.abandon(5)
        await store.abandon(5)

    use(gateway, three)
    assert [host for host, _path, _body in gateway.asked] == ["a", "b", "b"]


@pytest.mark.parametrize("answer", [httpx.ReadTimeout(""), NO_LEADER, json.dumps(HEADER)])
def test_what_one_member_does_not_say_is_asked_again_at_once(answer: Any) -> None:
    gateway = Gateway(answer, ranges(*4 * [None]))
    assert use(gateway, lambda store: store.read("db")) == View(17)
    assert len(gateway.asked) == 2


def test_requests_that_fail_together_pass_over_nobody() -> None:
    gateway = Gateway(*[httpx.ConnectError("refused")] * 2, *[ranges(*4 * [None])] * 2)

    async def together(store: Store) -> None:
        await asyncio.gather(store.read("db"), store.read("web"))

    use(gateway, together)
    assert [host for host, _path, _body in gateway.asked] == ["a", "a", "b", "b"]


def test_a_store_without_members_is_not_reached() -> None:
    with pytest.raises(NotReached, match="no member of the store is known"):
        use(Gateway(), acquire, [])


STATE = {"term": 2, "epoch": 5, "root": "ab"}


def test_a_committed_state_is_said_and_read() -> None:
    gateway = Gateway({**HEADER, "succeeded": True}, {**HEADER}, ranges(kv(json.dumps(STATE), 9)), ranges(None))

    async def what(store: Store) -> list[Any]:
        said = [await store.commit("db", token=7, state=STATE), await store.commit("db", token=7, state=STATE)]
        return [*said, await store.committed("db"), await store.committed("db")]

    assert use(gateway, what) == [True, False, STATE, None]
    asked = gateway.asked[0][2]
    assert b64decode(asked["compare"][0]["key"]).endswith(b"/db/holder")
    assert (asked["compare"][0]["target"], asked["compare"][0]["create_revision"]) == ("CREATE", "7")
    put = asked["success"][0]["request_put"]
    assert (b64decode(put["key"])[-13:], json.loads(b64decode(put["value"]))) == (b"/db/committed", STATE)


def test_a_committed_state_that_is_none_is_not_believed() -> None:
    gateway = Gateway(ranges(kv('{"term": 2}', 9)))
    with pytest.raises(NotReached, match="what the store says of a state"):
        use(gateway, lambda store: store.committed("db"))


def known(*members: tuple[str, str, str]) -> dict[str, Any]:
    said = [{"ID": number, **({"name": name} if name else {}), "clientURLs": [url]} for number, name, url in members]
    return {"header": {"cluster_id": "1", "member_id": "2", "raft_term": "2"}, "members": said}


def test_it_knows_who_leads_and_has_another_member_lead() -> None:
    async def move(store: Store) -> str:
        leader, members = await store.members()
        await store.lead(leader, members["b"])
        return f"{leader.name} of {' '.join(members)}"

    # One that was added and hasn't started yet has no name.
    members = known(("11", "a", "http://a.example"), (LARGE, "b", "http://b.example"), ("13", "", "http://c.example"))
    gateway = Gateway({**HEADER, "leader": "11"}, members, {"header": {}})
    assert use(gateway, move, ["http://b.example"]) == "a of a b"
    assert gateway.asked == [
        ("b", "/v3/maintenance/status", {}),
        ("b", "/v3/cluster/member/list", {}),
        # Nobody but the leader can.
        ("a", "/v3/maintenance/transfer-leadership", {"targetID": LARGE}),
    ]


@pytest.mark.parametrize("status", [HEADER, {**HEADER, "leader": "9"}, {**HEADER, "leader": 11}])
def test_a_store_without_a_leader_is_not_reached(status: dict[str, Any]) -> None:
    gateway = Gateway(status, known(("11", "a", "http://a.example")))
    with pytest.raises(NotReached):
        use(gateway, lambda store: store.members())


def test_it_knows_which_members_answer() -> None:
    members = [Member(str(number), name, f"http://{name}.example") for number, name in enumerate("abc")]
    gateway = Gateway({**HEADER, "leader": "11"}, (500, {"error": "etcdserver: stopped"}), HEADER)
    # The last one answers, but has no leader: it is cut off from the others.
    assert use(gateway, lambda store: store.reached(members)) == {"a"}
    assert [host for host, _path, _body in gateway.asked] == ["a", "b", "c"]


def test_a_leader_that_refuses_is_heard() -> None:
    async def move(store: Store) -> None:
        await store.lead(Member("11", "a", "http://a.example"), Member("12", "b", "http://b.example"))

    with pytest.raises(NotReached, match="not leader"):
        use(Gateway((500, {"error": "etcdserver: not leader"})), move)


def changed(*keys: str) -> str:
    """Give a line of a watch, as the gateway gives it."""
    events = [{"type": "DELETE", "kv": {"key": base64(key), "mod_revision": "3"}} for key in keys]
    return json.dumps({"result": {**HEADER, **({"events": events} if events else {"created": True})}}) + "\n"


async def heard(store: Store) -> list[str]:
    return [name async for name in store.changes()]


def test_it_tells_of_which_services_the_holder_changed() -> None:
    key = "okiagari/t/service/{}/{}".format
    lines = [
        changed(),
        changed(key("web", "holder"), key("web", "last"), key("mail", "released")),
        # States are committed all the time.
        changed(key("web", "committed"), "okiagari", "x/y"),
        changed(key("web", "holder")),
    ]
    gateway = Gateway("".join(lines))
    assert use(gateway, heard) == ["web", "mail", "web"]
    ((_host, path, asked),) = gateway.asked
    assert path == "/v3/watch"
    request = {name: b64decode(value).decode() for name, value in asked["create_request"].items()}
    # All keys that begin with the first one.
    assert request == {"key": "okiagari/t/service/", "range_end": "okiagari/t/service0"}


def test_a_member_that_is_silent_may_have_nothing_to_tell() -> None:
    gateway = Gateway(httpx.ReadTimeout("silent"))
    assert use(gateway, heard) == []


NO_BASE64 = changed("a/holder").replace(base64("a/holder"), "a")


@pytest.mark.parametrize(
    "answer",
    [
        "[]\n",
        "nonsense\n",
        '{"result": {"events": [{}]}}\n',
        NO_BASE64,
        httpx.ConnectError("refused"),
        httpx.ReadError("gone"),
    ],
)
def test_the_next_member_is_listened_to_when_one_tells_nothing_sensible(answer: Any) -> None:
    async def listen(store: Store) -> list[str]:
        with pytest.raises(NotReached, match=r"a\.example"):
            await heard(store)
        return await heard(store)

    assert use(Gateway(answer, changed("s/web/holder")), listen) == ["web"]
