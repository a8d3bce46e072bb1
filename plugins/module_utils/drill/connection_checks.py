# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks of whether services answer: TCP, HTTP and DNS."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..fault.parameters import address as plain_address
from ..target.connection_probes import PORT, web_address
from ..target.dns import TYPES, host_name
from ..target.probe import timeout
from ..units import milliseconds
from ..values import choice, flag, text, whole
from .check import Asked
from .reader import one_or_more
from .said import Said

if TYPE_CHECKING:
    from .check import Answer, Context, Scope
    from .reader import Reader

_PATIENCE_S = 2.0


def _too_slow(answer: Answer, most_ms: float | None) -> list[str]:
    took = answer.value.get("ms")
    slow = most_ms is not None and took is not None and took > most_ms
    return [f"{took:g} ms, expected at most {most_ms:g} ms"] if slow else []


@dataclass(frozen=True)
class Tcp(Asked):
    """A connection from a node to a port; `connects` false: it is refused, or nobody answers."""

    name = "tcp"
    allowed = ("from", "to", "port", "connects", "max_time", "timeout")
    source: str
    to: str
    address: str
    port: int
    connects: bool = True
    max_ms: float | None = None
    timeout: float = _PATIENCE_S

    @classmethod
    def read(cls, entry: Reader, scope: Scope) -> Tcp | None:
        source, address = entry.need("from", scope.places.node), entry.need("to", scope.places.address)
        port, connects = entry.need("port", PORT), entry.take("connects", flag, True)
        most, patience = entry.maybe("max_time", milliseconds), entry.take("timeout", timeout, _PATIENCE_S)
        if source is None or address is None or port is None:
            return None
        return cls(source, str(entry.values["to"]), address, port, connects, most, patience)

    def asserts(self) -> str:
        return f"{self.source} {'connects' if self.connects else 'does not connect'} to {self.to} port {self.port}"

    def parameters(self) -> dict[str, Any]:
        return {"to": self.address, "port": self.port, "timeout": self.timeout}

    def faults(self, answer: Answer, context: Context) -> list[str]:  # noqa: ARG002
        if "connected" not in answer.value:
            return ["it is not known"]
        if answer.ok != self.connects:
            return ["it does not connect" if self.connects else "it connects, and should not"]
        return _too_slow(answer, self.max_ms)


@dataclass(frozen=True)
class Http(Asked):
    """A page that a node gets: its status, what it says, and how fast."""

    name = "http"
    allowed = ("from", "url", "to", "port", "path", "status", *Said.KEYS, "max_time", "timeout")
    source: str
    url: str
    status: int
    said: Said
    max_ms: float | None = None
    timeout: float = _PATIENCE_S

    @classmethod
    def read(cls, entry: Reader, scope: Scope) -> Http | None:
        source = entry.need("from", scope.places.node)
        status, said = entry.take("status", whole(100, 599), 200), Said.read(entry)
        most, patience = entry.maybe("max_time", milliseconds), entry.take("timeout", timeout, _PATIENCE_S)
        url = cls._url(entry, scope)
        return cls(source, url, status, said, most, patience) if source and url else None

    @staticmethod
    def _url(entry: Reader, scope: Scope) -> str | None:
        parts = [key for key in ("to", "port", "path") if entry.has(key)]
        if entry.has("url"):
            for key in parts:
                entry.problem(key, "is a part of the url; give either the one or the other")
            return entry.need("url", web_address)
        if not parts:
            entry.problem("url", "is missing; or give to, port and path")
            return None
        to, port = entry.need("to", scope.places.address), entry.take("port", PORT, 80)
        host = f"[{to}]" if to and ":" in to else to
        build = f"http://{host}:{port}"
        url = entry.take("path", lambda path: web_address(f"{build}/{text(path).removeprefix('/')}"), f"{build}/")
        return url if to else None

    def asserts(self) -> str:
        says = f" that {self.said}" if str(self.said) else ""
        return f"{self.source} gets {self.url} with status {self.status}{says}"

    def parameters(self) -> dict[str, Any]:
        return {"url": self.url, "timeout": self.timeout}

    def faults(self, answer: Answer, context: Context) -> list[str]:  # noqa: ARG002
        if not answer.ok:
            return ["no answer"]
        found = []
        if answer.value["status"] != self.status:
            found.append(f"status {answer.value['status']}, expected {self.status}")
        return [*found, *self.said.faults(answer.value["body"]), *_too_slow(answer, self.max_ms)]


@dataclass(frozen=True)
class Dns(Asked):
    """What a server answers for a name: some address, exactly `answers`, or (empty) none."""

    name = "dns"
    allowed = ("from", "server", "port", "name", "type", "answers", "max_time", "timeout")
    source: str
    server: str
    address: str
    host: str
    kind: str = "A"
    answers: frozenset[str] | None = None
    port: int = 53
    max_ms: float | None = None
    timeout: float = _PATIENCE_S

    @classmethod
    def read(cls, entry: Reader, scope: Scope) -> Dns | None:
        source, address = entry.need("from", scope.places.node), entry.need("server", scope.places.address)
        host, kind = entry.need("name", host_name), entry.take("type", choice(TYPES, "type of record"), "A")
        answers = entry.maybe("answers", one_or_more(plain_address))
        port, most = entry.take("port", PORT, 53), entry.maybe("max_time", milliseconds)
        patience = entry.take("timeout", timeout, _PATIENCE_S)
        if source is None or address is None or host is None:
            return None
        expected = None if answers is None else frozenset(answers)
        return cls(source, str(entry.values["server"]), address, host, kind, expected, port, most, patience)

    def asserts(self) -> str:
        is_what = "" if self.answers is None else f" as {', '.join(sorted(self.answers)) or 'nothing'}"
        return f"{self.server} tells {self.source} the {self.kind} of {self.host}{is_what}"

    def parameters(self) -> dict[str, Any]:
        where = {"server": self.address, "port": self.port}
        return {**where, "name": self.host, "kind": self.kind, "timeout": self.timeout}

    def faults(self, answer: Answer, context: Context) -> list[str]:  # noqa: ARG002
        if not answer.value.get("code"):
            return ["no answer"]
        found = frozenset(answer.value["answers"])
        if self.answers is None and not found:
            return ["the name is not known", *_too_slow(answer, self.max_ms)]
        if self.answers is not None and found != self.answers:
            return [f"answers {_listed(found)}, expected {_listed(self.answers)}"]
        return _too_slow(answer, self.max_ms)


def _listed(addresses: frozenset[str]) -> str:
    return ", ".join(sorted(addresses)) or "nothing"
