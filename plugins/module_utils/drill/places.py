# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the words of a drill mean in its testbed: nodes, circuits and their ends, addresses and prefixes."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, Any

from ..errors import BadValue
from ..suggest import nearest

if TYPE_CHECKING:
    from collections.abc import Mapping


class Places:
    """Answers about one resolved testbed. Every method raises `BadValue` for a word that it doesn't know."""

    def __init__(self, testbed: Mapping[str, Any]) -> None:
        self.nodes: Mapping[str, Any] = testbed["nodes"]
        self.circuits: Mapping[str, Any] = testbed["circuits"]
        self.sites: Mapping[str, Any] = testbed["sites"]
        self.owners = {_bare(address): name for name, node in self.nodes.items() for address in _addresses(node)}

    def node(self, value: object) -> str:
        return _known(value, self.nodes, "node")

    def circuit(self, value: object) -> str:
        return _known(value, self.circuits, "circuit")

    def site(self, value: object) -> str:
        return _known(value, self.sites, "site")

    def node_or_circuit(self, value: object) -> str:
        return _known(value, {**self.nodes, **self.circuits}, "node or circuit")

    def interface(self, node: str, value: object) -> str:
        return _known(
            value, {interface["name"]: None for interface in self.nodes[node]["interfaces"]}, f"interface of {node}"
        )

    def ends(self, circuit: str) -> dict[str, str]:
        """The circuit's two nodes, each with its interface."""
        found = self.circuits[circuit]
        return {found["a"]: found["a_interface"], found["b"]: found["b_interface"]}

    def end(self, circuit: str, value: object) -> str:
        """The end of the circuit that is the given node, or stands at the given site."""
        ends = self.ends(circuit)
        for node in ends:
            if value in (node, self.nodes[node].get("site")):
                return node
        words = [word for node in ends for word in (self.nodes[node].get("site"), node) if word]
        raise BadValue(f"{circuit} does not end at {value}", nearest(str(value), words))

    def address(self, value: object) -> str:
        """The address at which a node is pinged: its loopback, or that of its LAN. An address stands for itself."""
        if isinstance(value, str) and value in self.nodes:
            addresses = _addresses(self.nodes[value])
            if not addresses:
                raise BadValue(f"the node {value} has no address in the testbed's own network")
            return _bare(addresses[0])
        try:
            return str(ipaddress.ip_address(str(value)))
        except ValueError:
            raise BadValue(f"{value} is neither a node nor an address", nearest(str(value), self.nodes)) from None

    def prefix(self, value: object) -> str:
        """The prefix of a site's LAN, or that of a single node. A prefix stands for itself."""
        if isinstance(value, str) and value in self.sites:
            return str(self.sites[value]["lan"])
        if isinstance(value, str) and value in self.nodes:
            address = ipaddress.ip_address(self.address(value))
            return f"{address}/{address.max_prefixlen}"
        try:
            return str(ipaddress.ip_network(str(value)))
        except ValueError:
            message = f"{value} is neither a site nor a node nor a prefix"
            raise BadValue(message, nearest(str(value), [*self.sites, *self.nodes])) from None

    def neighbours(self, node: str, value: object) -> tuple[str, ...]:
        """The addresses that the node knows a neighbour by. It is given as a node, its site, or the circuit to it."""
        words: dict[str, list[str]] = {}
        for interface in self.nodes[node]["interfaces"]:
            if interface["kind"] == "wan":
                address, peer = _bare(interface["peer_address"]), interface["peer"]
                for word in dict.fromkeys((peer, interface["circuit"], self._site(peer) or peer, address)):
                    words.setdefault(word, []).append(address)
        if not isinstance(value, str) or value not in words:
            raise BadValue(f"{value} is no neighbour of {node}", nearest(str(value), words))
        return tuple(words[value])

    def neighbour(self, node: str, value: object) -> str:
        """The one address of `neighbours`; parallel circuits to it must be told apart by their names."""
        found = self.neighbours(node, value)
        if len(found) > 1:
            raise BadValue(f"several circuits lead from {node} to {value}; name the circuit")
        return found[0]

    def circuit_to(self, node: str, neighbour: str) -> str | None:
        """The circuit by which a node reaches the address of a direct neighbour."""
        for interface in self.nodes[node]["interfaces"]:
            if interface["kind"] == "wan" and _bare(interface["peer_address"]) == neighbour:
                return str(interface["circuit"])
        return None

    def walk(self, source: str, hops: list[Any]) -> list[str | None]:
        """The nodes that a path goes through, beginning with its source; None for an address that is nobody's."""
        return [source, *(self.owners.get(_bare(hop)) if hop else None for hop in hops)]

    def crossed(self, source: str, hops: list[Any]) -> list[tuple[str, ...]]:
        """For each step of a path from one router to the next, the circuits it may have taken.

        A hop answers from the interface that leads back to the asker, which on an asymmetric path isn't the one the
        packet came in by. So a step is told by its two routers, and the address only chooses between parallel circuits.
        """
        walked = self.walk(source, hops)
        steps: list[tuple[str, ...]] = []
        for here, there, hop in zip(walked, walked[1:], hops, strict=False):
            if here is None or there is None or here == there:
                continue
            parallel = [
                name for name, circuit in self.circuits.items() if {circuit["a"], circuit["b"]} == {here, there}
            ]
            told = [name for name in parallel if self._answers_on(name, there, hop)]
            if parallel:
                steps.append(tuple(told or parallel))
        return steps

    def _answers_on(self, circuit: str, node: str, hop: object) -> bool:
        interface = self.ends(circuit)[node]
        addresses = [
            item["address"]
            for item in self.nodes[node]["interfaces"]
            if item["name"] == interface and item.get("address")
        ]
        return any(_bare(address) == _bare(hop) for address in addresses)

    def _site(self, node: str) -> str | None:
        found = self.nodes.get(node, {}).get("site")
        return None if found is None else str(found)


def _addresses(node: Mapping[str, Any]) -> list[str]:
    """All addresses of a node in the testbed's own network, the one that stands for the node first."""
    ordered = sorted(node["interfaces"], key=lambda interface: interface.get("kind") != "lan")
    candidates = [node.get("loopback"), *(interface.get("address") for interface in ordered)]
    return [str(address) for address in candidates if address]


def _bare(address: object) -> str:
    return str(address).partition("/")[0]


def _known(value: object, choices: Mapping[str, Any], what: str) -> str:
    if isinstance(value, str) and value in choices:
        return value
    shown = value if isinstance(value, (str, int, float)) else f"a {type(value).__name__}"
    raise BadValue(f"there is no {what} {shown}", nearest(str(value), choices))
