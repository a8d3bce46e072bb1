# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The store of leases and terms: etcd, asked through its JSON gateway by any of its members that answers.

Each method makes one request or two, in the way that `authority.actions` says of its action. `NotReached` means that
nothing is known: neither that it was done nor that it wasn't.
"""

from __future__ import annotations

import asyncio
import json
import math
import re
import ssl
from base64 import b64decode, b64encode
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from ..authority import View
from ..errors import BadValue, OkiagariError
from ..values import Shape, from_json, mismatch

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterable, Iterator, Mapping, Sequence

    import httpx

    from .config import Tls

_KEYS = ("holder", "last", "released")
"""Those whose changes are told. How a service is held says `renewed`, too, which its holder puts with each renewal."""
_READ = (*_KEYS, "renewed")
_HELD: Shape = {"host": str, "term": int}
_STATE: Shape = {"term": int, "epoch": int, "root": str, "captured?": (int, float)}
# int64 and uint64 are texts in JSON, and a field that is 0, false or empty isn't there.
_INT = re.compile("-?[0-9]{1,19}")
_ID = re.compile("[0-9]{1,20}")
_ANSWER: Shape = {"header": {"revision": _INT}, "TTL?": _INT, "succeeded?": bool}
_STATUS: Shape = {"leader?": _ID}
_MEMBERS: Shape = {"members": [{"ID": _ID, "name?": str, "clientURLs?": [str]}]}
_RANGES: Shape = {"responses": [{"response_range": {"kvs?": [{"mod_revision": _INT, "value?": str}]}}]}
_WATCHED: Shape = {"result": {"events?": [{"kv": {"key": str}}]}}
_OK = 200
_SILENT_S = 20.0
"""A member that lost its power says no more than one that has nothing to say."""
_LEASE_GONE = ("lease not found", "lease already exists")


class NotReached(OkiagariError):  # noqa: N818 - it says what is
    """No member of the store answered in time."""


@dataclass(frozen=True)
class Member:
    """A member of the store, by the name that it has there, and where it is asked."""

    id: str
    name: str
    endpoint: str


class Store:
    """A client of the store. Not for several event loops."""

    def __init__(self, testbed: str, endpoints: Sequence[str], tls: Tls | None, answer_s: float) -> None:
        self._prefix = f"okiagari/{testbed}/service"
        self._endpoints, self._at = tuple(endpoints), 0
        self._tls, self._answer_s = tls, answer_s

    async def close(self) -> None:
        if "_client" in vars(self):
            await self._client.aclose()

    @cached_property
    def _client(self) -> httpx.AsyncClient:
        """Made when it is used: an agent without services needs none of it, a sixth of its memory."""
        import httpx

        verify = _context(self._tls) if self._tls else True
        return httpx.AsyncClient(verify=verify, timeout=self._answer_s, trust_env=False)

    async def read(self, service: str) -> View:
        """Read a service's keys, linearizable; of the next member at once where one doesn't answer."""
        ranges = [{"request_range": {"key": self._key(service, name)}} for name in _READ]
        try:
            said = await self._read(ranges)
        except NotReached:
            # Its site may be lost with the holder: whoever sees late what was renewed last starts late.
            said = await self._read(ranges)
        holder, last, released, renewed = (_found(each) for each in said["responses"])
        held = _held(holder)
        before = _held(last)
        token = int(last["mod_revision"]) if last else 0
        return View(
            revision=int(said["header"]["revision"]),
            holder=held["host"] if held else None,
            term=before["term"] if before else 0,
            token=token,
            released=bool(token) and _value(released) == str(token),
            renewed=int(renewed["mod_revision"]) if renewed else 0,
        )

    async def acquire(self, service: str, host: str, *, lease: int, term: int, after: int, ttl_s: float) -> int | None:
        """Take the service, if nobody has it; give the token, None for a refusal."""
        granted = await self._ask("/v3/lease/grant", {"ID": str(lease), "TTL": str(math.ceil(ttl_s))})
        if int(granted.get("TTL", 0)) < ttl_s:
            return None
        value = _encoded(json.dumps({"host": host, "term": term}))
        holder, last = self._key(service, "holder"), self._key(service, "last")
        said = await self._ask(
            "/v3/kv/txn",
            {
                "compare": [_created(holder, 0), _compared(last, "MOD", "mod_revision", after)],
                "success": [
                    {"request_put": {"key": holder, "value": value, "lease": str(lease)}},
                    {"request_put": {"key": last, "value": value}},
                ],
            },
        )
        return int(said["header"]["revision"]) if said.get("succeeded") else None

    async def keep_alive(self, service: str, *, lease: int, token: int) -> bool:
        """Renew the lease, then say so where the key is still this holder's; False if one of them isn't so."""
        said = await self._ask("/v3/lease/keepalive", {"ID": str(lease)}, within="result")
        if int(said.get("TTL", 0)) <= 0:
            return False
        held = _created(self._key(service, "holder"), token)
        renewed = {"key": self._key(service, "renewed"), "value": _encoded(str(token))}
        said = await self._ask("/v3/kv/txn", {"compare": [held], "success": [{"request_put": renewed}]})
        return bool(said.get("succeeded"))

    async def release(self, service: str, *, lease: int, token: int, clean: bool) -> None:
        """Give the service back, and with `clean` say that no instance of it runs."""
        holder = self._key(service, "holder")
        steps: list[dict[str, Any]] = [{"request_delete_range": {"key": holder}}]
        if clean:
            released = {"key": self._key(service, "released"), "value": _encoded(str(token))}
            steps.append({"request_put": released})
        await self._ask("/v3/kv/txn", {"compare": [_created(holder, token)], "success": steps})
        await self.abandon(lease)

    async def committed(self, service: str) -> dict[str, Any] | None:
        """Give which state of a service is committed, by `term`, `epoch` and `root`, and when it was `captured`.

        None if none is yet.
        """
        ranges = [{"request_range": {"key": self._key(service, "committed")}}]
        said = await self._ask("/v3/kv/txn", {"success": ranges})
        if wrong := mismatch(said, _RANGES, "the store's answer"):
            raise NotReached(wrong)
        found = _found(said["responses"][0])
        if found is None:
            return None
        state = from_json(_value(found))
        if wrong := mismatch(state, _STATE, "what the store says of a state"):
            raise NotReached(wrong)
        return dict(state) if isinstance(state, dict) else None

    async def commit(self, service: str, *, token: int, state: Mapping[str, Any]) -> bool:
        """Say which state of a service is committed; False if another one has the service by now."""
        committed = {"key": self._key(service, "committed"), "value": _encoded(json.dumps(dict(state)))}
        held = _created(self._key(service, "holder"), token)
        said = await self._ask("/v3/kv/txn", {"compare": [held], "success": [{"request_put": committed}]})
        return bool(said.get("succeeded"))

    async def abandon(self, lease: int) -> None:
        """Revoke a lease, and with it whatever was put with it; nothing happens if there is none."""
        await self._ask("/v3/lease/revoke", {"ID": str(lease)})

    async def changes(self) -> AsyncGenerator[str, None]:
        """Give the name of each service of which a member says that its holder has changed, as it happens.

        It ends when the member has said nothing for a while, which it does without changes, too, and raises
        `NotReached` when it is gone. What changes while nobody listens isn't told: read.
        """
        import httpx

        every = {"key": _encoded(f"{self._prefix}/"), "range_end": _encoded(f"{self._prefix}0")}
        timeout = httpx.Timeout(self._answer_s, read=_SILENT_S)
        with self._member() as endpoint, suppress(httpx.ReadTimeout):
            async with self._client.stream(
                "POST", endpoint + "/v3/watch", json={"create_request": every}, timeout=timeout
            ) as answer:
                async for line in answer.aiter_lines():
                    for service in _changed(line):
                        yield service

    async def members(self) -> tuple[Member, Mapping[str, Member]]:
        """Give the member that leads, and all that have a name, whether they answer or not."""
        leader = (await self._ask("/v3/maintenance/status", {}, shape=_STATUS)).get("leader", "0")
        said = await self._ask("/v3/cluster/member/list", {}, shape=_MEMBERS)
        known = {
            each["ID"]: Member(each["ID"], each["name"], each["clientURLs"][0])
            for each in said["members"]
            if each.get("name") and each.get("clientURLs")
        }
        if leader not in known:
            raise NotReached("the store has no leader now")
        return known[leader], {member.name: member for member in known.values()}

    async def reached(self, members: Iterable[Member]) -> frozenset[str]:
        """Give the names of those members that answer, and know of a leader."""

        async def asked(member: Member) -> str | None:
            try:
                with _reaching(member.endpoint):
                    said = await self._asked(member.endpoint, "/v3/maintenance/status", {}, "", _STATUS)
            except NotReached:
                return None
            return member.name if "leader" in said else None

        said = await asyncio.gather(*map(asked, members))
        return frozenset(filter(None, said))

    async def lead(self, leader: Member, heir: Member) -> None:
        """Have a member lead in the place of the one that does; raise `NotReached` if it can't."""
        with _reaching(leader.endpoint):
            await self._asked(leader.endpoint, "/v3/maintenance/transfer-leadership", {"targetID": heir.id}, "", {})

    def _key(self, service: str, name: str) -> str:
        return _encoded(f"{self._prefix}/{service}/{name}")

    async def _read(self, ranges: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        said = await self._ask("/v3/kv/txn", {"success": ranges})
        if (wrong := mismatch(said, _RANGES, "the store's answer")) or len(said["responses"]) != len(ranges):
            raise NotReached(wrong or "the store answered another question")
        return said

    async def _ask(
        self, path: str, body: Mapping[str, Any], within: str = "", shape: Shape | None = None
    ) -> dict[str, Any]:  # fmt: skip
        with self._member() as endpoint:
            return await self._asked(endpoint, path, body, within, shape or _ANSWER)

    @contextmanager
    def _member(self) -> Iterator[str]:
        """Give the member that answered last, and after a failure leave the next request to the next one."""
        if not self._endpoints:
            raise NotReached("no member of the store is known: say where they are in agent.json")
        at = self._at
        try:
            with _reaching(self._endpoints[at]):
                yield self._endpoints[at]
        except NotReached:
            # Of several requests that failed there at a time only one moves on, lest they pass over one that is well.
            if self._at == at:
                self._at = (at + 1) % len(self._endpoints)
            raise

    async def _asked(
        self, endpoint: str, path: str, body: Mapping[str, Any], within: str, shape: Shape
    ) -> dict[str, Any]:  # fmt: skip
        answer = await self._client.post(endpoint + path, json=body)
        if answer.status_code != _OK:
            if any(text in answer.text for text in _LEASE_GONE):
                return {}
            raise BadValue(answer.text[:200] or f"HTTP {answer.status_code}")
        said = from_json(answer.text)
        if within and isinstance(said, dict):
            said = said.get(within)
        if wrong := mismatch(said, shape, "the store's answer"):
            raise BadValue(wrong)
        return dict(said)


@contextmanager
def _reaching(endpoint: str) -> Iterator[None]:
    """Raise `NotReached` for whatever goes wrong with a request to this member."""
    import httpx

    try:
        yield
    except (httpx.HTTPError, httpx.InvalidURL, ssl.SSLError, BadValue) as error:
        raise NotReached(f"{endpoint}: {str(error) or type(error).__name__}") from error


def _context(tls: Tls) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(tls.authority))
    context.load_cert_chain(tls.certificate, tls.key)
    return context


def _changed(line: str) -> list[str]:
    """Give the services whose holder changed by a line of a watch, which has keys as they were put or deleted."""
    said = from_json(line)
    if wrong := mismatch(said, _WATCHED, "what the store tells"):
        raise BadValue(wrong)
    events = said["result"].get("events", ()) if isinstance(said, dict) else ()
    keys = [_decoded(event["kv"]["key"]).split("/") for event in events]
    return list(dict.fromkeys(key[-2] for key in keys if len(key) > 1 and key[-1] in _KEYS))


def _encoded(text: str) -> str:
    return b64encode(text.encode()).decode()


def _created(key: str, revision: int) -> dict[str, Any]:
    return _compared(key, "CREATE", "create_revision", revision)


def _compared(key: str, target: str, field: str, revision: int) -> dict[str, Any]:
    return {"key": key, "target": target, "result": "EQUAL", field: str(revision)}


def _found(response: Mapping[str, Any]) -> dict[str, Any] | None:
    found: list[dict[str, Any]] = response["response_range"].get("kvs", [])
    return found[0] if found else None


def _value(found: Mapping[str, Any] | None) -> str:
    return _decoded(found.get("value", "")) if found else ""


def _decoded(text: str) -> str:
    try:
        return b64decode(text).decode("utf-8", "replace")
    except ValueError as error:
        raise BadValue("what the store says of a service is not in base 64") from error


def _held(found: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if found is None:
        return None
    said = from_json(_value(found))
    if wrong := mismatch(said, _HELD, "what the store says of a service"):
        raise BadValue(wrong)
    return dict(said)
