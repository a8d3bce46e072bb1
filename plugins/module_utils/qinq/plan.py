# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From the resolved testbed and the projects' records to the tagged networks of each node. Pure.

A bridged network of several sites goes over the core, the routers of its sites and the circuits between these. Where
that would leave two of its sites with fewer disjoint ways (one instead of two), it goes over all routers and circuits.
A network of one site stays on that site's trunk, and no router knows it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..errors import BadInput, Problem
from ..suggest import nearest
from ..topology.graph import Graph

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

TAGS = 8
"""Octets that the outer and the inner tag take from a circuit's MTU."""
PROJECT_VLANS = range(100, 4000)

_TAG = 4
# The lowest priority is the root of the spanning trees, the next one takes over when it is gone.
_ROOT_PRIORITIES = (4096, 8192)
_PRIORITY = 32768
_HOP_COST = 100
_COST_PER_MS = 100
_LARGEST_COST = 65535
_WAYS = 2


@dataclass(frozen=True)
class CircuitPort:
    """A circuit's end on a router. All tagged networks travel inside its S-tag."""

    circuit: str
    interface: str
    s_tag: int
    mtu: int
    """Of the interface, without any tag."""
    cost: int
    """Of the way over this circuit, for spanning trees: each hop counts, and its delay."""

    @property
    def device(self) -> str:
        """The name of the S-tag's device on Linux."""
        return f"s{self.s_tag}"

    @property
    def inner_mtu(self) -> int:
        """What is left inside of the S-tag, for a packet with its C-tag."""
        return self.mtu - _TAG


@dataclass(frozen=True)
class Member:
    """A port of a bridge: a C-tag inside a circuit's S-tag, or (`s_tag` is None) alone on a trunk."""

    device: str
    """Its name on Linux: `s101.100` or `trunk0.100`."""
    interface: str
    s_tag: int | None
    cost: int


@dataclass(frozen=True)
class Bridge:
    """A bridged C-tag on one node."""

    vlan: int
    name: str
    """On Linux: `br100`."""
    owner: str
    """A segment's name, or `PROJECT/NETWORK`."""
    members: tuple[Member, ...]
    mtu: int
    stp: bool
    priority: int
    mac: str
    addresses: tuple[str, ...] = ()


@dataclass(frozen=True)
class RoutedInterface:
    """A routed C-tag on a circuit or (from `circuit` on, all are None) on the trunk."""

    device: str
    interface: str
    address: str
    circuit: str | None = None
    s_tag: int | None = None
    peer: str | None = None
    peer_address: str | None = None
    peer_asn: int | None = None


@dataclass(frozen=True)
class Routed:
    """A routed C-tag on one router: a VRF with an eBGP session on each circuit."""

    vlan: int
    segment: str
    vrf: str
    table: int
    mtu: int
    asn: int
    router_id: str
    networks: tuple[str, ...]
    """What the router announces of its own."""
    interfaces: tuple[RoutedInterface, ...]


@dataclass(frozen=True)
class RouterPlan:
    """All tagged networks of one router. `trunk` is None where the router has none."""

    name: str
    platform: str
    circuits: tuple[CircuitPort, ...]
    trunk: str | None
    trunk_mtu: int | None
    bridges: tuple[Bridge, ...]
    routed: tuple[Routed, ...]


@dataclass(frozen=True)
class HostLink:
    """A routed C-tag on a KVM host: its address there, and what it reaches by the site's router."""

    vlan: int
    segment: str
    device: str
    address: str
    mtu: int
    gateway: str
    destinations: tuple[str, ...]


@dataclass(frozen=True)
class HostPlan:
    """All tagged networks of one KVM host."""

    name: str
    trunk: str
    trunk_mtu: int
    bridges: tuple[Bridge, ...]
    links: tuple[HostLink, ...]


@dataclass(frozen=True)
class _Network:
    """A bridged C-tag, of a segment or a project."""

    owner: str
    vlan: int
    sites: frozenset[str]
    mtu: int


def plan(
    testbed: Mapping[str, Any], records: Sequence[Mapping[str, Any]], mtu: int | None = None
) -> dict[str, RouterPlan]:
    """Plan every router. `mtu` is what networks must carry, instead of the most that all circuits can carry.

    Raise `BadInput` when records contradict each other or the testbed, or a circuit is too small.
    """
    planner = _Planner(testbed, records, mtu)
    routers = {name: node for name, node in testbed["nodes"].items() if node["kind"] == "router"}
    return {name: planner.router(name, node) for name, node in routers.items()}


def plan_hosts(
    testbed: Mapping[str, Any], records: Sequence[Mapping[str, Any]], mtu: int | None = None
) -> dict[str, HostPlan]:
    """Plan every KVM host, with the arguments and errors of `plan`."""
    planner = _Planner(testbed, records, mtu)
    hosts = {name: node for name, node in testbed["nodes"].items() if node["kind"] == "kvm_host"}
    return {name: planner.host(name, node) for name, node in hosts.items()}


class _Planner:
    def __init__(self, testbed: Mapping[str, Any], records: Sequence[Mapping[str, Any]], mtu: int | None) -> None:
        self._testbed = testbed
        self._mtu = int(testbed["tenant_mtu"]) if mtu is None else mtu
        problems: list[Problem] = []
        self._networks = [*self._segments(), *self._project_networks(records, problems)]
        self._spans: dict[frozenset[str], frozenset[str]] = {}
        self._graph = Graph.from_testbed(testbed)
        if not problems:
            problems += self._too_small()
        if problems:
            raise BadInput(problems)
        self._priorities = self._root_priorities()

    def router(self, name: str, node: Mapping[str, Any]) -> RouterPlan:
        ports = [self._port(interface) for interface in node["interfaces"] if interface["kind"] == "wan"]
        trunk = _trunk(node)
        bridges = (self._router_bridge(network, name, node, ports) for network in self._networks)
        return RouterPlan(
            name=name,
            platform=node["platform"],
            circuits=tuple(ports),
            trunk=trunk["name"] if trunk else None,
            trunk_mtu=trunk["mtu"] if trunk else None,
            bridges=tuple(bridge for bridge in bridges if bridge),
            routed=tuple(self._routed(segment, node) for segment in self._routed_segments()),
        )

    def host(self, name: str, node: Mapping[str, Any]) -> HostPlan:
        trunk = _trunk(node)
        if trunk is None:
            raise BadInput([Problem("", None, name, "has no trunk")])
        return HostPlan(
            name=name,
            trunk=trunk["name"],
            trunk_mtu=trunk["mtu"],
            bridges=tuple(
                self._host_bridge(network, node, trunk) for network in self._networks if node["site"] in network.sites
            ),
            links=tuple(self._host_link(segment, node, trunk) for segment in self._routed_segments()),
        )

    def _segments(self) -> list[_Network]:
        every = frozenset(self._testbed["sites"])
        return [
            _Network(name, segment["vlan"], every, self._mtu)
            for name, segment in self._testbed["segments"].items()
            if segment["kind"] == "l2"
        ]

    def _routed_segments(self) -> list[str]:
        return [name for name, segment in self._testbed["segments"].items() if segment["kind"] == "l3"]

    def _project_networks(self, records: Sequence[Mapping[str, Any]], problems: list[Problem]) -> list[_Network]:
        found: dict[int, _Network] = {}
        every = self._testbed["sites"]
        for record in records:
            for name, network in record["networks"].items():
                owner, vlan = f"{record['name']}/{name}", network["vlan"]
                if vlan not in PROJECT_VLANS:
                    first, last = PROJECT_VLANS[0], PROJECT_VLANS[-1]
                    problems.append(Problem("", None, owner, f"the VLAN {vlan} is not from {first} to {last}"))
                if vlan in found:
                    problems.append(Problem("", None, owner, f"the VLAN {vlan} is that of {found[vlan].owner}"))
                problems += [
                    Problem("", None, owner, f"the testbed has no site {site}", nearest(site, every))
                    for site in network["sites"]
                    if site not in every
                ]
                found.setdefault(vlan, _Network(owner, vlan, frozenset(network["sites"]), self._mtu))
        return [found[vlan] for vlan in sorted(found)]

    def _too_small(self) -> Iterator[Problem]:
        """Every network has the same MTU, so that a circuit is too small for all or for none."""
        for name, circuit in self._testbed["circuits"].items():
            left = circuit["mtu"] - TAGS
            if left < self._mtu:
                message = f"its MTU {circuit['mtu']} leaves {left} beside two tags, and {self._mtu} is asked for"
                yield Problem("", None, f"circuit {name}", message)
        for name, node in self._testbed["nodes"].items():
            trunk = _trunk(node)
            if trunk and trunk["mtu"] - _TAG < self._mtu:
                left = trunk["mtu"] - _TAG
                message = f"its MTU {trunk['mtu']} leaves {left} beside a tag, and {self._mtu} is asked for"
                yield Problem("", None, f"{trunk['name']} of {name}", message)

    def _root_priorities(self) -> dict[str, int]:
        """The lowest-numbered routers of the core stand highest; without a core, those of the sites."""
        routers = [
            (node["role"] != "core", node["number"], name)
            for name, node in self._testbed["nodes"].items()
            if node["kind"] == "router"
        ]
        first = [router[2] for router in sorted(routers)]
        return dict(zip(first, _ROOT_PRIORITIES, strict=False))

    def _port(self, interface: Mapping[str, Any]) -> CircuitPort:
        circuit = self._testbed["circuits"][interface["circuit"]]
        cost = min(_LARGEST_COST, _HOP_COST + round(_COST_PER_MS * circuit["delay_ms"]))
        return CircuitPort(interface["circuit"], interface["name"], circuit["s_tag"], interface["mtu"], cost)

    def _router_bridge(
        self, network: _Network, name: str, node: Mapping[str, Any], ports: Collection[CircuitPort]
    ) -> Bridge | None:
        span = self._span(network.sites)
        members = [
            Member(f"{port.device}.{network.vlan}", port.interface, port.s_tag, port.cost)
            for port in ports
            if port.circuit in span
        ]
        if not members:
            return None
        trunk = _trunk(node)
        if trunk and node["site"] in network.sites:
            members.append(Member(f"{trunk['name']}.{network.vlan}", trunk["name"], None, _HOP_COST))
        return Bridge(
            vlan=network.vlan,
            name=f"br{network.vlan}",
            owner=network.owner,
            members=tuple(members),
            mtu=network.mtu,
            stp=True,
            priority=self._priorities.get(name, _PRIORITY),
            mac=_mac(node["number"], network.vlan),
        )

    def _host_bridge(self, network: _Network, node: Mapping[str, Any], trunk: Mapping[str, Any]) -> Bridge:
        attached = node["segments"].get(network.owner, {})
        return Bridge(
            vlan=network.vlan,
            name=f"br{network.vlan}",
            owner=network.owner,
            members=(Member(f"{trunk['name']}.{network.vlan}", trunk["name"], None, _HOP_COST),),
            mtu=network.mtu,
            # A host has one way out: there is no loop to break, and guests needn't wait for a port.
            stp=False,
            priority=_PRIORITY,
            mac=_mac(node["number"], network.vlan),
            addresses=(attached["address"],) if attached else (),
        )

    def _routed(self, segment: str, node: Mapping[str, Any]) -> Routed:
        wanted = self._testbed["segments"][segment]
        vlan = wanted["vlan"]
        interfaces = [
            RoutedInterface(
                device=f"s{self._testbed['circuits'][each['circuit']]['s_tag']}.{vlan}",
                interface=each["name"],
                address=each["address"],
                circuit=each["circuit"],
                s_tag=self._testbed["circuits"][each["circuit"]]["s_tag"],
                peer=each["peer"],
                peer_address=each["peer_address"],
                peer_asn=each["peer_asn"],
            )
            for each in node["interfaces"]
            if each["kind"] == "wan"
        ]
        trunk, attached = _trunk(node), node["segments"].get(segment)
        if trunk and attached:
            interfaces.append(RoutedInterface(f"{trunk['name']}.{vlan}", trunk["name"], attached["address"]))
        return Routed(
            vlan=vlan,
            segment=segment,
            vrf=wanted["vrf"],
            table=wanted["table"],
            mtu=self._mtu,
            asn=node["asn"],
            router_id=node["loopback"],
            networks=(self._testbed["sites"][node["site"]][segment],) if attached else (),
            interfaces=tuple(interfaces),
        )

    def _host_link(self, segment: str, node: Mapping[str, Any], trunk: Mapping[str, Any]) -> HostLink:
        vlan = self._testbed["segments"][segment]["vlan"]
        attached = node["segments"][segment]
        return HostLink(
            vlan=vlan,
            segment=segment,
            device=f"{trunk['name']}.{vlan}",
            address=attached["address"],
            mtu=self._mtu,
            gateway=attached["gateway"],
            destinations=tuple(site[segment] for name, site in self._testbed["sites"].items() if name != node["site"]),
        )

    def _span(self, sites: frozenset[str]) -> frozenset[str]:
        """Give the circuits that a network of these sites goes over."""
        if sites not in self._spans:
            self._spans[sites] = self._new_span(sites)
        return self._spans[sites]

    def _new_span(self, sites: frozenset[str]) -> frozenset[str]:
        if len(sites) < 2:
            return frozenset()
        nodes, circuits = self._testbed["nodes"], self._testbed["circuits"]
        inside = {
            name
            for name, node in nodes.items()
            if node["kind"] == "router" and (node["role"] == "core" or node["site"] in sites)
        }
        own = frozenset(name for name, circuit in circuits.items() if {circuit["a"], circuit["b"]} <= inside)
        ends = sorted(name for name in inside if nodes[name]["site"] in sites)
        # Having two disjoint ways is transitive: it is enough to look from one site.
        smaller = self._graph.without(cut=set(circuits) - own)
        as_good = all(_ways(smaller, ends[0], end) == _ways(self._graph, ends[0], end) for end in ends[1:])
        return own if as_good else frozenset(circuits)


def _ways(graph: Graph, a: str, b: str) -> int:
    return min(_WAYS, len(graph.disjoint_paths(a, b)))


def _trunk(node: Mapping[str, Any]) -> Mapping[str, Any] | None:
    return next((interface for interface in node["interfaces"] if interface["kind"] == "trunk"), None)


def _mac(number: int, vlan: int) -> str:
    """A bridge keeps its address, whatever ports come and go: spanning trees and neighbours know it by that."""
    return ":".join(f"{byte:02x}" for byte in (2, 5, *number.to_bytes(2, "big"), *vlan.to_bytes(2, "big")))
