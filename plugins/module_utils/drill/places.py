# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the words of a drill mean in its testbed: nodes, circuits and their ends, addresses and prefixes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..errors import BadValue, shown
from ..fault.parameters import address, prefix
from ..suggest import nearest
from ..values import choice, text
from .reader import one_or_more

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


@dataclass(frozen=True)
class Power:
    """What gives a node its power: the target `by`, which knows the node as `machine`."""

    by: str
    machine: str


@dataclass(frozen=True)
class Device:
    """A node on which nothing of Okiagari can run: its `os`, and what it calls the node's interfaces."""

    os: str
    ports: Mapping[str, str]

    @property
    def interfaces(self) -> tuple[str, ...]:
        return tuple(self.ports.values())


class Places:
    """Answers about one resolved testbed. Every method raises `BadValue` for a word that it doesn't know.

    `power` says what gives the nodes their power, as far as that is known, and `devices` which of them are devices.
    """

    def __init__(
        self,
        testbed: Mapping[str, Any],
        power: Mapping[str, Power] | None = None,
        devices: Mapping[str, Device] | None = None,
    ) -> None:
        self._power = power or {}
        self.devices = devices or {}
        self.nodes: Mapping[str, Any] = testbed["nodes"]
        self.circuits: Mapping[str, Any] = testbed["circuits"]
        self.sites: Mapping[str, Any] = testbed["sites"]
        self.owners = {_bare(address): name for name, node in self.nodes.items() for address in _addresses(node)}

    def node(self, value: object) -> str:
        return choice(self.nodes, "node")(value)

    def power(self, node: str) -> Power:
        """What gives a node its power."""
        if node not in self._power:
            raise BadValue(f"nothing is known that could cut the power of {node}: it has no variable okiagari_power")
        return self._power[node]

    def two_nodes(self, value: object) -> tuple[str, str]:
        found = one_or_more(self.node)(value)
        if len(found) != 2 or found[0] == found[1]:
            raise BadValue("is not two different nodes")
        return found[0], found[1]

    def circuit(self, value: object) -> str:
        return choice(self.circuits, "circuit")(value)

    def site(self, value: object) -> str:
        return choice(self.sites, "site")(value)

    def node_or_circuit(self, value: object) -> str:
        return choice((*self.nodes, *self.circuits), "node or circuit")(value)

    def interface(self, node: str, value: object) -> str:
        names = [interface["name"] for interface in self.nodes[node]["interfaces"]]
        return choice(names, f"interface of {node}")(value)

    def port(self, node: str, interface: str) -> str:
        """What the node itself calls its interface."""
        device = self.devices.get(node)
        if device is None:
            return interface
        if interface not in device.ports:
            raise BadValue(
                f"it is not known what {node}, a device ({device.os}), calls its interface {interface}: say so in its "
                f"variable okiagari_device, as in ports: {{{interface}: eth1}}, or name it in the testbed's description"
            )
        return device.ports[interface]

    def ends(self, circuit: str) -> dict[str, str]:
        """The circuit's two nodes, each with its interface."""
        found = self.circuits[circuit]
        return {found["a"]: found["a_interface"], found["b"]: found["b_interface"]}

    def end(self, circuit: str, value: object) -> str:
        """The end of the circuit that is the given node, or stands at the given site."""
        return self.one_of(self.ends(circuit), value, f"{circuit} does not end at")

    def one_of(self, nodes: Iterable[str], value: object, refusal: str) -> str:
        """The one of `nodes` that is meant by its own name or its site's; `refusal` and the word say that none is."""
        words = {word: node for node in reversed([*nodes]) for word in (self._site(node), node) if word}
        if (word := text(value)) not in words:
            raise BadValue(f"{refusal} {shown(word)}", nearest(word, words))
        return words[word]

    def address(self, value: object) -> str:
        """The address at which a node is pinged: its loopback, or that of its LAN. An address stands for itself."""
        word = text(value)
        if word in self.nodes:
            addresses = _addresses(self.nodes[word])
            if not addresses:
                raise BadValue(f"the node {word} has no address in the testbed's own network")
            return _bare(addresses[0])
        try:
            return address(word)
        except BadValue:
            raise BadValue(f"{shown(word)} is neither a node nor an address", nearest(word, self.nodes)) from None

    def prefix(self, value: object) -> str:
        """The prefix of a site's LAN, or that of a single node. A prefix stands for itself."""
        word = text(value)
        if word in self.sites:
            return str(self.sites[word]["lan"])
        if word in self.nodes:
            return prefix(self.address(word))
        try:
            return prefix(word)
        except BadValue as error:
            message = f"{shown(word)} is neither a site nor a node nor a prefix"
            raise BadValue(message, error.suggestion or nearest(word, [*self.sites, *self.nodes])) from None

    def neighbours(self, node: str, value: object) -> tuple[str, ...]:
        """The addresses that the node knows a neighbour by. It is given as a node, its site, or the circuit to it."""
        words: dict[str, list[str]] = {}
        for interface in self.nodes[node]["interfaces"]:
            if interface["kind"] == "wan":
                known, peer = _bare(interface["peer_address"]), interface["peer"]
                for word in dict.fromkeys((peer, interface["circuit"], self._site(peer) or peer, known)):
                    words.setdefault(word, []).append(known)
        if (word := text(value)) not in words:
            raise BadValue(f"{shown(word)} is no neighbour of {node}", nearest(word, words))
        return tuple(words[word])

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
