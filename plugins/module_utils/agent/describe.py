# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From a testbed and what people say of its services to the files that an agent reads; no I/O."""

from __future__ import annotations

import itertools
import json
import re
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from typing import TYPE_CHECKING, Any

from ..checkpoint.machine import SHAPE as MACHINE
from ..errors import BadInput, Problem, shown
from ..haproxy import Listener, settings
from ..haproxy.proxy import SHAPE as PROXY
from ..haproxy.proxy import clashes, read_proxy
from ..suggest import nearest
from ..topology.graph import Graph
from ..values import Shape, mismatch
from .config import POOL_MIB, read_service, unknown_keys

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from ..guest.machine import Network

PROXY_SOCKET = "/run/okiagari-proxy/haproxy.sock"
_PROGRAM = "/usr/local/bin/okiagari-agent"
_NEAREST = 2
_FEWEST_LINKED = 3
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,39}")
_SERVICE: dict[str, Shape] = {
    "command?": [str], "request?": [(str, int)], "voters?": [str], "candidates?": [str], "ranking?": str,
    "consistency?": str, "priorities?": {"*": int}, "timing?": {"*": (int, float)}, "user?": str,
    "watch?": {"*": (int, float)}, "machine?": MACHINE,
    "checkpoint?": {"period_s?": (int, float), "copies?": int, "replicas?": int, "on_request?": bool},
    "merge?": (dict, str), "proxy?": PROXY, "servers?": int,
}  # fmt: skip


def links(testbed: Mapping[str, Any], hosts: Sequence[str]) -> dict[str, list[str]]:
    """Say which agents keep a connection: all of them in a ring, and each with the two nearest of other sites.

    The ring goes from each host to the nearest one that it has not passed. So no single host's loss parts the others,
    and what is near is reached in one hop. Near is by the delay of the circuits on the way.
    """
    graph, sites = Graph.from_testbed(testbed), {host: testbed["nodes"][host]["site"] for host in hosts}
    joined: dict[str, set[str]] = {host: set() for host in hosts}

    def far(a: str, b: str) -> tuple[float, str]:
        return _delay(graph, a, b), b

    ring, left = list(hosts[:1]), set(hosts[1:])
    while left:
        ring.append(min(left, key=lambda host: far(ring[-1], host)))
        left.discard(ring[-1])
    pairs = list(itertools.pairwise(ring)) + ([(ring[-1], ring[0])] if len(ring) >= _FEWEST_LINKED else [])
    for host in hosts:
        others = sorted((each for each in hosts if sites[each] != sites[host]), key=lambda each: far(host, each))
        pairs += [(host, each) for each in others[:_NEAREST]]
    for a, b in pairs:
        joined[a].add(b)
        joined[b].add(a)
    return {host: sorted(others) for host, others in joined.items()}


def agent(
    testbed: Mapping[str, Any], name: str, hosts: Sequence[str], *, addresses: Mapping[str, str], port: int,
    certificates: Mapping[str, str], store: Sequence[str], folder: str, cgroup: bool = True,
    pool_mib: int = POOL_MIB, trace: bool = True,
) -> str:  # fmt: skip
    """Give `agent.json` of the host `name`; `folder` is where its certificate, key and authority's certificate are.

    A connection is opened by the one of its two ends that comes later in `hosts`.
    """
    joined = links(testbed, hosts)
    earlier = set(hosts[: list(hosts).index(name)])
    described = {
        "testbed": testbed["name"],
        "name": name,
        "listen": [f"tls/{addresses[name]}:{port}"],
        "connect": [f"tls/{addresses[peer]}:{port}" for peer in joined[name] if peer in earlier],
        "state": "/var/lib/okiagari/agent",
        "run": "/run/okiagari-agent",
        "tls": {
            "authority": f"{folder}/ca.pem", "certificate": f"{folder}/certificate.pem", "key": f"{folder}/key.pem",
        },
        "peers": {
            host: {
                "domain": testbed["nodes"][host]["site"], "address": addresses[host], "links": joined[host],
                "certificate": certificates.get(host, ""),
            }
            for host in hosts
        },
        "store": list(store),
        "cgroup": cgroup,
        "pool_mib": pool_mib,
        "trace": trace,
        "proxy": PROXY_SOCKET,
    }  # fmt: skip
    return json.dumps(described, indent=1, sort_keys=True) + "\n"


def services(
    testbed: Mapping[str, Any], hosts: Sequence[str], voters: Sequence[str], asked: Mapping[str, Any], folder: str,
    templates: Mapping[str, str], port: int = 0,
) -> dict[str, str]:  # fmt: skip
    """Give each service's file by its name; raise `BadInput` with all that is wrong with what was `asked`.

    Where a service names no candidates, each of the hosts is one; where it names no voters, `voters` are. One that is a
    guest has its key in `folder`, the program that runs guests as its command, and one of the `templates`, which are
    folders of the hosts by their names. `port` is that of the agents.
    """
    problems: list[Problem] = []
    found: dict[str, str] = {}
    ports: dict[str, int] = {}
    routed: dict[str, Mapping[str, Network]] = {}
    for name, service in asked.items():
        where = f"services.{shown(name)}"
        flaws = unknown_keys(service, _SERVICE) if isinstance(service, dict) else []
        if wrong := _wrong_name(name) or mismatch(service, _SERVICE) or _wrong_kind(service, templates):
            problems += [Problem("", None, where, wrong), *(replace(each, key=f"{where}.{each.key}") for each in flaws)]
            continue
        described = {
            **service,
            **(_guest(name, service, folder, templates) if "machine" in service else {}),
            "request": [str(word) for word in service.get("request", [])],
            "candidates": service.get("candidates", list(hosts)),
            "voters": {
                voter: testbed["nodes"].get(voter, {}).get("site", "") for voter in service.get("voters", voters)
            },
        }
        read, more = read_service(name, described, hosts)
        if read and read.proxy:
            ports[name] = read.proxy.port
        problems += [replace(each, key=f"{where}.{each.key}") for each in (*flaws, *more)]
        if read and read.machine and not more:
            routed[name] = {card: network for card, network in read.machine.networks.items() if network.routed}
        found[name] = json.dumps(described, indent=1, sort_keys=True) + "\n"
    problems += _unroutable(testbed, routed)
    for name, message in clashes(ports, [port]):
        problems.append(Problem("", None, f"services.{name}.proxy.port", message))
    if problems:
        raise BadInput(problems)
    return found


def proxies(name: str, hosts: Sequence[str], addresses: Mapping[str, str], asked: Mapping[str, Any]) -> str:
    """Give HAProxy's settings at the host `name`, for services that `services` takes; nothing where it has no proxy."""
    listeners = {
        service: Listener(
            read_proxy(said["proxy"]), {host: addresses[host] for host in said.get("candidates", hosts)}
        )
        for service, said in asked.items() if "proxy" in said and name in said.get("candidates", hosts)
    }  # fmt: skip
    return settings(PROXY_SOCKET, listeners, addresses[name])


def _wrong_kind(service: Mapping[str, Any], templates: Mapping[str, str]) -> str | None:
    if "command" in service and "machine" in service:
        return "has a command and a machine: what runs a guest is known, leave the command out"
    if "command" not in service and "machine" not in service:
        return "has no command: say what is to be run, or describe a guest as machine"
    if "checkpoint" in service and "machine" not in service:
        return "has a checkpoint and no machine: only guests are captured"
    template = service.get("machine", {}).get("template")
    if template is not None and template not in templates:
        near = nearest(template, templates)
        return f"asks for the template {template}, which is not known{f'; did you mean {near}?' if near else ''}"
    return None


def _guest(name: str, service: Mapping[str, Any], folder: str, templates: Mapping[str, str]) -> dict[str, Any]:
    machine: Mapping[str, Any] = service["machine"]
    made_from = {"template": templates[machine["template"]]} if "template" in machine else {}
    return {
        "machine": {**machine, **made_from},
        "command": [_PROGRAM, "vm", name],
        "checkpoint": {**service.get("checkpoint", {}), "key": f"{folder}/keys/{name}"},
    }


def _unroutable(testbed: Mapping[str, Any], routed: Mapping[str, Mapping[str, Network]]) -> Iterator[Problem]:
    """Give what is wrong with the addresses of routed guests: routers take those of a prefix only, and each once."""
    taken: dict[IPv4Address, str] = {}
    for name, networks in routed.items():
        for card, network in networks.items():
            where = f"services.{name}.machine.networks.{card}.address"
            address = IPv4Interface(str(network.address)).ip
            if address not in IPv4Network(testbed["guests"]):
                message = f"{address} isn't in prefixes.guests ({testbed['guests']}), and no router would take it"
                yield Problem("", None, where, message)
            if address in taken:
                yield Problem("", None, where, f"{address} is {taken[address]}'s, too")
            taken[address] = name


def _wrong_name(name: object) -> str | None:
    """A service's name is part of names of files, sockets and units."""
    if isinstance(name, str) and _NAME.fullmatch(name):
        return None
    return "is no name of a service: use letters, digits, - and _, at most 40 of them, and begin with a letter"


def _delay(graph: Graph, a: str, b: str) -> float:
    path = graph.shortest_path(a, b)
    if path is None:
        return float("inf")
    hops = itertools.pairwise(path)
    return sum(min(graph.delays.get(name, 0.0) for name in _between(graph, one, other)) for one, other in hops)


def _between(graph: Graph, a: str, b: str) -> list[str]:
    return [name for name, ends in graph.edges.items() if {a, b} <= ends]
