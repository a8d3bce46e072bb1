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
from ..checkpoint.machine import SHAPE as MACHINE
from ..checkpoint.machine import Machine, machine
from ..checkpoint.machine import flaws as machine_flaws
from ..election import Charter, read_charter
from ..election.charter import AVAILABLE, QUORUM
from ..errors import BadInput, BadValue, Problem, shown
from ..haproxy.proxy import SHAPE as PROXY
from ..haproxy.proxy import Proxy, clashes, read_proxy
from ..haproxy.proxy import flaws as proxy_flaws
from ..suggest import nearest
from ..values import Shape, from_json, mismatch, number, whole
from ..watch import Watch
from .merge_hooks import MergeHooks, read_hooks, unheard, wrong_servers
from .requests import wrong_request

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

POOL_MIB = 64
_POOL_MIB = whole(4, 65_536)
_PERIOD_S = number(0.1, 86_400)
_COPIES = whole(1, 16)
_CHECKPOINT: dict[str, Shape] = {
    "key": str, "period_s?": (int, float), "copies?": int, "replicas?": int, "on_request?": bool,
}  # fmt: skip
_Kind = TypeVar("_Kind", Timing, Watch)
_BOOTS: Mapping[str, Any] = {"grace_s": 120.0}
"""How long a guest may take to boot; one that goes on from a state has answered before."""
_SERVICE: dict[str, Shape] = {
    "command": [str], "request?": [str], "voters": {"*": str}, "candidates": [str], "ranking?": str,
    "consistency?": str, "priorities?": {"*": int}, "timing?": {"*": (int, float)}, "user?": str,
    "watch?": {"*": (int, float)}, "machine?": MACHINE, "checkpoint?": _CHECKPOINT, "merge?": (dict, str),
    "proxy?": PROXY, "servers?": int,
}  # fmt: skip
_SHAPE: dict[str, Shape] = {
    "testbed": str, "name": str, "listen": [str], "connect": [str], "state": str, "run": str,
    "tls": {"authority": str, "certificate": str, "key": str},
    "peers": {"*": {"domain": str, "address": str, "certificate": str, "links": [str]}},
    "store": [str], "cgroup?": bool, "pool_mib?": int, "trace?": bool, "proxy?": str,
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
class Checkpointing:
    """How a service's states are kept: captured every `period_s`, and committed when `copies` failure domains have it.

    `key` is the file of the service's key, by which its packs are sealed; the holder's own domain counts as one.
    Without `copies` it is a majority of the domains in which it is kept: states are committed also while one of them is
    lost. They are kept by `replicas` candidates besides the holder, or by all of them. With `on_request` the service
    may ask for it in between, when it is asked whether it is well.
    """

    key: Path
    period_s: float = 2.0
    copies: int | None = None
    replicas: int | None = None
    on_request: bool = False


@dataclass(frozen=True)
class Service:
    """A service that agents keep running at one host, or at one in each part of a network (`available`).

    `request` is the dummy request by which its neighbours ask it; `{address}` and `{host}` in it are the holder's.
    `hooks` merge what several servers did; where they are None nothing is. At most so many `servers` run beside each
    other on purpose.
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
    machine: Machine | None = None
    """The guest that it is, if it is one; then its command is that of this program which runs it."""
    checkpoint: Checkpointing | None = None
    hooks: MergeHooks | None = None
    proxy: Proxy | None = None
    servers: int = 1

    @property
    def speaks(self) -> bool:
        """Say whether it may tell agents more than that it is well, in its answer to `request`."""
        return self.servers > 1 or (self.checkpoint is not None and self.checkpoint.on_request)

    def has_proxy(self, host: str) -> bool:
        """Say whether clients may use a host's address: who may run it, where it has a proxy at all."""
        return self.proxy is not None and host in self.candidates

    def has_replica(self, host: str) -> bool:
        """Say whether a host keeps its states: who may run a guest, and nobody else."""
        return self.machine is not None and host in self.candidates

    @property
    def obeys(self) -> bool:
        """Say whether its program is told what to do by its supervisor, and stands by until then."""
        return self.machine is not None

    @property
    def agents(self) -> tuple[str, ...]:
        """Who takes part in its elections: whoever may run it, and whoever votes without that."""
        return tuple(dict.fromkeys((*self.candidates, *self.charter.voters)))


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
    pool_mib: int = POOL_MIB
    """The memory that the log pool may take."""
    trace: bool = True
    """Whether the paths to peers may be traced from here."""
    proxy: Path | None = None
    """Where HAProxy takes orders."""

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
    services = {}
    for file, value in found.items():
        if value:
            service, flaws = read_service(file.stem, value, said.get("peers"))
            services[file.stem] = service
            problems += [replace(each, file=str(file)) for each in flaws]
    if said:
        stored = any(value.get("consistency") != AVAILABLE for value in found.values())
        problems += [Problem(str(path), None, key, message) for key, message in _contradictions(said, stored=stored)]
        proxied = {name: service.proxy.port for name, service in services.items() if service and service.proxy}
        if proxied and "proxy" not in said:
            problems.append(Problem(str(path), None, "proxy", "is missing: say where HAProxy takes orders"))
        problems += [
            Problem(str(path.parent / "services" / f"{name}.json"), None, "proxy.port", message)
            for name, message in clashes(proxied, _ports(said["listen"]))
        ]
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
        pool_mib=said.get("pool_mib", POOL_MIB),
        trace=said.get("trace", True),
        proxy=Path(said["proxy"]) if "proxy" in said else None,
    )


def _read(path: Path, shape: dict[str, Shape], problems: list[Problem]) -> dict[str, Any]:
    said: object = None
    try:
        said = from_json(path.read_text(encoding="utf-8"))
        wrong = mismatch(said, shape)
    except OSError as error:
        wrong = f"can't be read: {error.strerror}; the role agent writes it"
    except BadValue as error:
        wrong = error.message
    except UnicodeDecodeError:
        wrong = "is not text in UTF-8"
    if isinstance(said, dict):
        problems += [replace(each, file=str(path)) for each in unknown_keys(said, shape)]
    if not wrong and isinstance(said, dict):
        return said
    problems.append(Problem(str(path), None, "", wrong or "is not a mapping"))
    return {}


def unknown_keys(said: Mapping[str, Any], shape: Mapping[str, Shape]) -> list[Problem]:
    """Give a problem for each key that the shape doesn't have, with the nearest that it has."""
    known = [key.removesuffix("?") for key in shape]
    return [Problem("", None, shown(key), "is not known", nearest(key, known)) for key in said if key not in known]


def read_service(
    name: str, said: Mapping[str, Any], agents: Collection[str] | None
) -> tuple[Service | None, list[Problem]]:
    """Give the service that a file of this shape describes, and all that is wrong with it.

    `agents` are those that there are; None: that isn't known.
    """
    problems = [] if agents is None else [Problem("", None, *flaw) for flaw in _flaws(said, agents)]
    consistency = said.get("consistency", QUORUM)
    try:
        charter = read_charter(name, said["voters"], said.get("ranking", "best"), consistency)
    except BadInput as error:
        problems += error.problems
    hooks, flaws = read_hooks(consistency, said.get("merge"))
    problems += flaws
    problems += wrong_servers(consistency, said.get("merge"), said.get("servers", 1), said["candidates"])
    if "proxy" in said:
        problems += [Problem("", None, f"proxy.{key}", why, near) for key, why, near in proxy_flaws(said["proxy"])]
    timing = _settings(Timing, "timing", said.get("timing", {}), problems)
    patience = _BOOTS if "machine" in said else {}
    watch = _settings(Watch, "watch", {**patience, **said.get("watch", {})}, problems)
    if timing and watch and consistency == AVAILABLE:
        problems += unheard(timing, watch)
    if problems or timing is None or watch is None:
        return None, problems
    service = Service(
        name=name,
        command=tuple(said["command"]),
        request=tuple(said.get("request", ())),
        charter=charter,
        candidates=tuple(said["candidates"]),
        priorities=dict(said.get("priorities", {})),
        timing=timing,
        watch=watch,
        user=said.get("user", ""),
        machine=machine(name, said["machine"]) if "machine" in said else None,
        checkpoint=_checkpointing(said["checkpoint"]) if "checkpoint" in said else None,
        hooks=hooks,
        proxy=read_proxy(said["proxy"]) if "proxy" in said else None,
        servers=said.get("servers", 1),
    )
    return service, []


def _settings(kind: type[_Kind], key: str, said: Mapping[str, Any], problems: list[Problem]) -> _Kind | None:
    """Make a dataclass of checked numbers; its own complaints get the key before them."""
    known = [field.name for field in fields(kind)]
    unknown = [name for name in said if name not in known]
    problems += [Problem("", None, f"{key}.{name}", "is not known", nearest(name, known)) for name in unknown]
    try:
        return kind(**{name: value for name, value in said.items() if name in known})
    except BadInput as error:
        problems += [replace(each, key=f"{key}.{each.key}") for each in error.problems]
    except OverflowError:
        problems.append(Problem("", None, key, "has a number that is too large"))
    return None


def _contradictions(said: Mapping[str, Any], *, stored: bool) -> Iterator[tuple[str, str]]:
    peers: Mapping[str, Any] = said["peers"]
    if said["name"] not in peers:
        yield "name", f"{said['name']} is not among the peers"
    if stored and not said["store"]:
        yield "store", "is empty: services need a store of leases; say where its members are"
    try:
        _POOL_MIB(said.get("pool_mib", POOL_MIB))
    except BadValue as error:
        yield "pool_mib", error.message
    for name, peer in peers.items():
        yield from ((f"peers.{name}.links", text) for text, _near in _unknown(peer["links"], peers))


def _ports(listen: Iterable[str]) -> Iterator[int]:
    ports = (end.rpartition(":")[2] for end in listen)
    return (int(port) for port in ports if port.isdecimal())


def _flaws(service: Mapping[str, Any], agents: Collection[str]) -> Iterator[tuple[str, str, str | None]]:
    for key in ("candidates", "voters", "priorities"):
        yield from ((key, text, near) for text, near in _unknown(service.get(key, ()), agents))
    if not service["candidates"]:
        yield "candidates", "is empty: say who may run it", None
    if not service["command"]:
        yield "command", "is empty: say what is to be run", None
    if wrong := wrong_request(service.get("request", ())):
        yield "request", wrong, None
    if ("machine" in service) != ("checkpoint" in service):
        yield "machine", "is a guest whose states are kept: give checkpoint with it, and only with it", None
    if "machine" in service and service.get("consistency", QUORUM) == AVAILABLE:
        yield "machine", f"is a guest, which nobody can merge: it needs the consistency {QUORUM}", None
    for key, shape in (("machine", MACHINE), ("checkpoint", _CHECKPOINT), ("proxy", PROXY)):
        for flaw in unknown_keys(service.get(key, {}), shape):
            yield f"{key}.{flaw.key}", flaw.message, flaw.suggestion
    yield from ((f"checkpoint.{key}", why, None) for key, why in _checkpoint_flaws(service))
    if "machine" in service:
        yield from ((f"machine.{key}", why, None) for key, why in machine_flaws(service["machine"]))


def _checkpoint_flaws(service: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    said = service.get("checkpoint", {})
    for key, check in (("period_s", _PERIOD_S), ("copies", _COPIES), ("replicas", _COPIES)):
        try:
            check(said.get(key, 1))
        except BadValue as error:
            yield key, error.message
    if said.get("copies", 1) > said.get("replicas", said.get("copies", 1)) + 1:
        yield "copies", f"is {said['copies']}: the holder and {said['replicas']} replicas are in fewer failure domains"
    if said.get("on_request") and not service.get("request"):
        yield "on_request", "needs a request, in whose answer the service asks for it"


def _checkpointing(said: Mapping[str, Any]) -> Checkpointing:
    rest = {key: said[key] for key in ("period_s", "copies", "replicas", "on_request") if key in said}
    return Checkpointing(Path(said["key"]), **rest)


def _unknown(names: Iterable[str], agents: Collection[str]) -> Iterator[tuple[str, str | None]]:
    return ((f"there is no agent {shown(name)}", nearest(name, agents)) for name in names if name not in agents)
