# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an agent is told by its role, read as a whole before anything starts.

`agent.json` says who is who; beside it, `services/NAME.json` describes one service each, so that a supervisor has to be
started anew only when its own service has changed.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from ..authority import Timing
from ..election import Charter, read_charter
from ..errors import BadInput, BadValue, Problem
from ..suggest import nearest
from ..values import Shape, from_json, mismatch
from ..watch import Watch

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

_Kind = TypeVar("_Kind", Timing, Watch)
_SERVICE: dict[str, Shape] = {
    "command": [str], "request?": [str], "voters": {"*": str}, "candidates": [str], "ranking?": str,
    "consistency?": str, "priorities?": {"*": int}, "timing?": {"*": (int, float)}, "user?": str,
    "watch?": {"*": (int, float)},
}  # fmt: skip
_SHAPE: dict[str, Shape] = {
    "testbed": str, "name": str, "listen": [str], "connect": [str], "state": str, "run": str,
    "tls": {"authority": str, "certificate": str, "key": str},
    "peers": {"*": {"domain": str, "address": str, "certificate": str, "links": [str]}},
    "store": [str], "cgroup?": bool,
}  # fmt: skip


@dataclass(frozen=True)
class Tls:
    """Files in PEM: the testbed's authority, and this host's certificate and private key."""

    authority: Path
    certificate: Path
    key: Path


@dataclass(frozen=True)
class Peer:
    """An agent of the testbed, this one among them.

    `domain` is what it falls with, mostly its site; `certificate` is its certificate in PEM, by whose key it signs;
    `links` are the agents with which it keeps a connection.
    """

    name: str
    domain: str
    address: str
    certificate: str
    links: tuple[str, ...]


@dataclass(frozen=True)
class Service:
    """A service that agents keep running at one host.

    `request` is the dummy request by which its neighbours ask it; `{address}` and `{host}` in it are the holder's.
    """

    name: str
    command: tuple[str, ...]
    request: tuple[str, ...]
    charter: Charter
    candidates: tuple[str, ...]
    priorities: Mapping[str, int]
    timing: Timing
    watch: Watch
    user: str


@dataclass(frozen=True)
class Config:
    """Everything that an agent knows of its testbed when it starts."""

    testbed: str
    name: str
    listen: tuple[str, ...]
    connect: tuple[str, ...]
    state: Path
    run: Path
    tls: Tls
    peers: Mapping[str, Peer]
    store: tuple[str, ...]
    services: Mapping[str, Service]
    cgroup: bool

    @property
    def me(self) -> Peer:
        return self.peers[self.name]

    @property
    def others(self) -> tuple[str, ...]:
        return tuple(name for name in self.peers if name != self.name)


def read_config(path: Path) -> Config:
    """Read an agent's files; raise `BadInput` with all that is wrong with them, each with the file's name."""
    problems: list[Problem] = []
    said = _read(path, _SHAPE, problems)
    files = sorted((path.parent / "services").glob("*.json"))
    found = {file: _read(file, _SERVICE, problems) for file in files}
    if problems:
        raise BadInput(problems)
    services = {file.stem: _service(file, value, problems) for file, value in found.items()}
    problems += [Problem(str(path), None, key, message) for key, message in _contradictions(said)]
    for file, value in found.items():
        problems += [Problem(str(file), None, key, message) for key, message in _flaws(value, said["peers"])]
    if problems:
        raise BadInput(problems)
    return Config(
        testbed=said["testbed"],
        name=said["name"],
        listen=tuple(said["listen"]),
        connect=tuple(said["connect"]),
        state=Path(said["state"]),
        run=Path(said["run"]),
        tls=Tls(*(Path(said["tls"][field.name]) for field in fields(Tls))),
        peers={
            name: Peer(name, peer["domain"], peer["address"], peer["certificate"], tuple(peer["links"]))
            for name, peer in said["peers"].items()
        },
        store=tuple(said["store"]),
        services={name: service for name, service in services.items() if service},
        cgroup=said.get("cgroup", False),
    )


def _read(path: Path, shape: Shape, problems: list[Problem]) -> dict[str, Any]:
    try:
        said = from_json(path.read_text(encoding="utf-8"))
        wrong = mismatch(said, shape)
    except OSError as error:
        wrong = f"can't be read: {error.strerror}; the role agent writes it"
    except BadValue as error:
        wrong = error.message
    if not wrong and isinstance(said, dict):
        return said
    problems.append(Problem(str(path), None, "", wrong or "is not a mapping"))
    return {}


def _service(file: Path, said: Mapping[str, Any], problems: list[Problem]) -> Service | None:
    try:
        return Service(
            name=file.stem,
            command=tuple(said["command"]),
            request=tuple(said.get("request", ())),
            charter=read_charter(
                file.stem, said["voters"], said.get("ranking", "best"), said.get("consistency", "quorum")
            ),
            candidates=tuple(said["candidates"]),
            priorities=dict(said.get("priorities", {})),
            timing=_settings(Timing, "timing", said.get("timing", {})),
            watch=_settings(Watch, "watch", said.get("watch", {})),
            user=said.get("user", ""),
        )  # fmt: skip
    except BadInput as error:
        problems += [Problem(str(file), None, each.key, each.message, each.suggestion) for each in error.problems]
        return None


def _settings(kind: type[_Kind], key: str, said: Mapping[str, Any]) -> _Kind:
    """Make a dataclass of checked numbers; its own complaints get the key before them."""
    known = [field.name for field in fields(kind)]
    unknown = [name for name in said if name not in known]
    if unknown:
        raise BadInput([Problem("", None, f"{key}.{name}", "is not known", nearest(name, known)) for name in unknown])
    try:
        return kind(**said)
    except BadInput as error:
        raise BadInput([replace(each, key=f"{key}.{each.key}") for each in error.problems]) from error


def _contradictions(said: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    peers: Mapping[str, Any] = said["peers"]
    if said["name"] not in peers:
        yield "name", f"{said['name']} is not among the peers"
    for name, peer in peers.items():
        yield from ((f"peers.{name}.links", text) for text in _unknown(peer["links"], peers))


def _flaws(service: Mapping[str, Any], peers: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for key in ("candidates", "voters"):
        yield from ((key, text) for text in _unknown(service[key], peers))
    if not service["command"]:
        yield "command", "is empty: say what is to be run"


def _unknown(names: Iterable[str], peers: Mapping[str, Any]) -> Iterator[str]:
    return (f"there is no agent {name}" for name in names if name not in peers)
