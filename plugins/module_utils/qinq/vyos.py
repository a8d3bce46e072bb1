# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a VyOS router of the testbed is told: the lines of its tagged networks and of its routing. Pure.

A testbed's interface names are not always names that VyOS takes; `ports` maps them to the router's own.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple

from ..errors import BadInput, Problem
from ..vyos.lines import PORT
from .plan import PROJECT_VLANS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from .plan import Bridge, Routed, RouterPlan

_DESCRIPTION = 255
_WAN_PROFILE = "circuit"
_SEGMENT_PROFILE = "segment"
_GUESTS, _NONE = "okiagari-guests", "okiagari-none"
_HOSTS = "okiagari-hosts"


class Rendering(NamedTuple):
    """What shall stand on a router, and the scopes of which nothing else is left there."""

    lines: list[str]
    scopes: list[str]

    def text(self, router: str) -> str:
        """Give the lines as a file to look through."""
        return "".join(f"{line}\n" for line in [f"# {router}", *self.lines])


class Timers(NamedTuple):
    """How soon a session is given up."""

    bfd_interval_ms: int
    bfd_multiplier: int
    keepalive_s: int
    hold_s: int


WAN_TIMERS = Timers(100, 3, 3, 9)
SEGMENT_TIMERS = Timers(300, 3, 3, 9)


def qinq_lines(
    plan: RouterPlan, segments: Iterable[int], ports: Mapping[str, str] | None = None, release: str = "1.4"
) -> Rendering:
    """Render the devices of one router's tagged networks. `segments` are the C-tags of all segments of the testbed.

    Raises `BadInput` with all that is wrong with `release` or `ports`.
    """
    problems: list[Problem] = []
    _grammar(release, problems)
    names = [port.interface for port in plan.circuits] + ([plan.trunk] if plan.trunk else [])
    port = _Ports(plan.name, names, ports or {}, problems)
    if problems:
        raise BadInput(problems)
    lines = [*_ports(plan, port), *_bridges(plan.bridges, port)]
    for routed in plan.routed:
        lines += _routed(routed, port)
    return Rendering(lines, _qinq_scopes(plan, port, segments))


def wan_lines(
    testbed: Mapping[str, Any],
    plan: RouterPlan,
    ports: Mapping[str, str] | None = None,
    release: str = "1.4",
    timers: Timers = WAN_TIMERS,
    segment_timers: Timers = SEGMENT_TIMERS,
    own_bgp: bool = False,
) -> Rendering:
    """Render a router's addresses and its eBGP sessions, those inside routed segments too.

    With `own_bgp` all of the router's BGP is the testbed's, else only the neighbours that are circuits now. Raises
    `BadInput` with all that the release can't do, or that `ports` leaves open.
    """
    problems: list[Problem] = []
    grammar = _grammar(release, problems)
    node = testbed["nodes"][plan.name]
    interfaces = [each for each in node["interfaces"] if each.get("address")]
    port = _Ports(plan.name, [each["name"] for each in interfaces], ports or {}, problems)
    if grammar == "1.3" and plan.routed:
        names = ", ".join(routed.segment for routed in plan.routed)
        message = f"VyOS {release} has no BGP in a VRF, which the routed segment {names} needs; 1.4 has it"
        problems.append(Problem("", None, plan.name, message))
    if problems:
        raise BadInput(problems)
    bgp = f"protocols bgp {node['asn']}" if grammar == "1.3" else "protocols bgp"
    neighbours = [_neighbour(each) for each in interfaces if each["kind"] == "wan"]
    networks = [f"{node['loopback']}/32"] + ([testbed["sites"][node["site"]]["lan"]] if node["site"] else [])
    lines = [*_addresses(node, interfaces, port)]
    # A LAN may have addresses that the testbed doesn't know, even the one that we come in by.
    scopes = [f"{port.path(each['name'])} address" for each in interfaces if each["kind"] == "wan"]
    if grammar == "1.3":
        for neighbour in neighbours:
            lines += _bfd(f"protocols bfd peer {neighbour.address}", timers)
            scopes.append(f"protocols bfd peer {neighbour.address}")
        lines += _bgp(bgp, node["asn"], node["loopback"], neighbours, networks, timers, None)
    else:
        lines += _bfd(f"protocols bfd profile {_WAN_PROFILE}", timers)
        lines.append(f"set {bgp} system-as {node['asn']}")
        lines += _bgp(bgp, node["asn"], node["loopback"], neighbours, networks, timers, _WAN_PROFILE)
        scopes.append(f"protocols bfd profile {_WAN_PROFILE}")
    scopes += [bgp] if own_bgp else [f"{bgp} neighbor {neighbour.address}" for neighbour in neighbours]
    if node["site"]:
        hosts = _hosts(testbed, node["site"])
        lines += _guests(bgp, testbed["guests"], hosts)
        scopes += [f"policy prefix-list {name}" for name in (_GUESTS, _NONE)]
        scopes += [] if own_bgp else [f"{bgp} peer-group {_HOSTS}"]
    if plan.routed:
        lines += _bfd(f"protocols bfd profile {_SEGMENT_PROFILE}", segment_timers)
        scopes.append(f"protocols bfd profile {_SEGMENT_PROFILE}")
    for routed in plan.routed:
        inside = f"vrf name {routed.vrf} protocols bgp"
        peers = [
            _Neighbour(each.peer_address, each.peer_asn, each.circuit or "")
            for each in routed.interfaces
            if each.peer_address is not None and each.peer_asn is not None
        ]
        lines.append(f"set {inside} system-as {routed.asn}")
        lines += _bgp(inside, routed.asn, routed.router_id, peers, routed.networks, segment_timers, _SEGMENT_PROFILE)
        scopes.append(inside)
    return Rendering(lines, scopes)


class _Neighbour(NamedTuple):
    address: str
    asn: int
    circuit: str


def _neighbour(interface: Mapping[str, Any]) -> _Neighbour:
    return _Neighbour(interface["peer_address"], interface["peer_asn"], interface["circuit"])


class _Ports:
    """The router's own names of the testbed's interfaces."""

    def __init__(self, router: str, names: Iterable[str], ports: Mapping[str, str], problems: list[Problem]) -> None:
        wanted = list(dict.fromkeys(names))
        self._ports = {name: ports.get(name, name) for name in wanted}
        for name, port in self._ports.items():
            if not PORT.fullmatch(port):
                message = (
                    f"VyOS has no interface {port}; say which one it is, as in ports: {{{name}: eth1}}, "
                    "or name it in the testbed's description"
                )
                problems.append(Problem("", None, f"{router}: {name}", message))
        for port, count in Counter(self._ports.values()).items():
            if count > 1:
                both = " and ".join(name for name, taken in self._ports.items() if taken == port)
                problems.append(Problem("", None, router, f"{both} are both {port}"))

    def __getitem__(self, name: str) -> str:
        return self._ports[name]

    def path(self, name: str) -> str:
        port = self._ports[name]
        return f"interfaces {'bonding' if port.startswith('bond') else 'ethernet'} {port}"

    def tagged(self, name: str, s_tag: int | None, c_tag: int) -> str:
        """Give the path of a C-tag, inside an S-tag or alone."""
        return f"{self.path(name)} vif-s {s_tag} vif-c {c_tag}" if s_tag else f"{self.path(name)} vif {c_tag}"

    def device(self, name: str, s_tag: int | None, c_tag: int) -> str:
        """Give the name of a C-tag's device."""
        return ".".join(str(part) for part in (self._ports[name], s_tag, c_tag) if part is not None)


def _grammar(release: str, problems: list[Problem]) -> str:
    """Give 1.3, or 1.4 for that and all later ones, which have the same grammar here."""
    match = re.match(r"([0-9]+)\.([0-9]+)", str(release))
    number = (int(match[1]), int(match[2])) if match else (0, 0)
    if number < (1, 3):
        problems.append(Problem("", None, "release", f"{release} is not a release of VyOS from 1.3 on"))
    return "1.3" if number == (1, 3) else "1.4"


def _ports(plan: RouterPlan, port: _Ports) -> Iterator[str]:
    # A child's MTU can't be above its parent's: the parents come first.
    for circuit in plan.circuits:
        yield f"set {port.path(circuit.interface)} mtu {circuit.mtu}"
    if plan.trunk:
        yield f"set {port.path(plan.trunk)} mtu {plan.trunk_mtu}"
    for circuit in plan.circuits:
        outer = f"{port.path(circuit.interface)} vif-s {circuit.s_tag}"
        yield f"set {outer} description {_quoted(circuit.circuit)}"
        yield f"set {outer} mtu {circuit.inner_mtu}"


def _bridges(bridges: Iterable[Bridge], port: _Ports) -> Iterator[str]:
    for bridge in bridges:
        for member in bridge.members:
            tagged = port.tagged(member.interface, member.s_tag, bridge.vlan)
            yield f"set {tagged} description {_quoted(bridge.owner)}"
            yield f"set {tagged} mtu {bridge.mtu}"
        path = f"interfaces bridge br{bridge.vlan}"
        yield f"set {path} description {_quoted(bridge.owner)}"
        yield f"set {path} mac {bridge.mac}"
        if bridge.stp:
            yield f"set {path} stp"
            yield f"set {path} priority {bridge.priority}"
            yield f"set {path} hello-time 1"
            yield f"set {path} forwarding-delay 2"
            yield f"set {path} max-age 6"
        for member in bridge.members:
            device = port.device(member.interface, member.s_tag, bridge.vlan)
            yield f"set {path} member interface {device} cost {member.cost}"


def _routed(routed: Routed, port: _Ports) -> Iterator[str]:
    yield f"set vrf name {routed.vrf} table {routed.table}"
    for interface in routed.interfaces:
        tagged = port.tagged(interface.interface, interface.s_tag, routed.vlan)
        yield f"set {tagged} description {_quoted(routed.segment)}"
        yield f"set {tagged} mtu {routed.mtu}"
        yield f"set {tagged} address {interface.address}"
        yield f"set {tagged} vrf {routed.vrf}"


def _addresses(node: Mapping[str, Any], interfaces: Iterable[Mapping[str, Any]], port: _Ports) -> Iterator[str]:
    yield f"set interfaces loopback lo address {node['loopback']}/32"
    for interface in interfaces:
        where = port.path(interface["name"])
        if interface["kind"] == "wan":
            yield f"set {where} description {_quoted(interface['circuit'])}"
            yield f"set {where} mtu {interface['mtu']}"
        yield f"set {where} address {interface['address']}"


def _bgp(
    bgp: str,
    own_asn: int,
    router_id: str,
    neighbours: Iterable[_Neighbour],
    networks: Iterable[str],
    timers: Timers,
    profile: str | None,
) -> Iterator[str]:
    yield f"set {bgp} parameters router-id {router_id}"
    # The best path must not depend on which came first: after a repair it is the same as before.
    yield f"set {bgp} parameters bestpath compare-routerid"
    yield f"set {bgp} address-family ipv4-unicast maximum-paths ebgp 1"
    for network in networks:
        yield f"set {bgp} address-family ipv4-unicast network {network}"
    for address, asn, circuit in neighbours:
        neighbour = f"{bgp} neighbor {address}"
        yield f"set {neighbour} remote-as {asn}"
        yield f"set {neighbour} description {_quoted(circuit)}"
        yield f"set {neighbour} bfd profile {profile}" if profile else f"set {neighbour} bfd"
        yield f"set {neighbour} timers keepalive {timers.keepalive_s}"
        yield f"set {neighbour} timers holdtime {timers.hold_s}"
        yield f"set {neighbour} timers connect 1"
        if asn < own_asn:
            # One end calls, the other waits: both at once collide, again and again, when a circuit is back.
            yield f"set {neighbour} passive"
        # Without an address family there is a session, but no route.
        yield f"set {neighbour} address-family ipv4-unicast"


def _hosts(testbed: Mapping[str, Any], site: str) -> list[str]:
    """Give the addresses of a site's KVM hosts in its LAN."""
    nodes = [testbed["nodes"][name] for name in testbed["sites"][site]["nodes"]]
    return [
        interface["address"].partition("/")[0]
        for node in nodes
        if node["kind"] == "kvm_host"
        for interface in node["interfaces"]
        if interface["kind"] == "lan"
    ]


def _guests(bgp: str, prefix: str, hosts: Iterable[str]) -> Iterator[str]:
    """Have a site's hosts announce the guests that are routed, while these run there, and tell them nothing."""
    yield f"set policy prefix-list {_GUESTS} rule 10 action permit"
    yield f"set policy prefix-list {_GUESTS} rule 10 prefix {prefix}"
    yield f"set policy prefix-list {_GUESTS} rule 10 ge 32"
    yield f"set policy prefix-list {_NONE} rule 10 action deny"
    yield f"set policy prefix-list {_NONE} rule 10 prefix 0.0.0.0/0"
    yield f"set policy prefix-list {_NONE} rule 10 le 32"
    group = f"{bgp} peer-group {_HOSTS}"
    yield f"set {group} remote-as internal"
    yield f"set {group} address-family ipv4-unicast prefix-list import {_GUESTS}"
    yield f"set {group} address-family ipv4-unicast prefix-list export {_NONE}"
    for host in hosts:
        yield f"set {bgp} listen range {host}/32 peer-group {_HOSTS}"


def _bfd(path: str, timers: Timers) -> Iterator[str]:
    yield f"set {path} interval transmit {timers.bfd_interval_ms}"
    yield f"set {path} interval receive {timers.bfd_interval_ms}"
    yield f"set {path} interval multiplier {timers.bfd_multiplier}"


def _qinq_scopes(plan: RouterPlan, port: _Ports, segments: Iterable[int]) -> list[str]:
    tags = sorted({*segments, *(bridge.vlan for bridge in plan.bridges), *(routed.vlan for routed in plan.routed)})
    ours = [str(tag) for tag in tags if tag not in PROJECT_VLANS]
    ours.append(f"{{{PROJECT_VLANS[0]}..{PROJECT_VLANS[-1]}}}")
    scopes = [f"{port.path(circuit.interface)} vif-s {circuit.s_tag}" for circuit in plan.circuits]
    if plan.trunk:
        scopes += [f"{port.path(plan.trunk)} vif {tag}" for tag in ours]
    scopes += [f"interfaces bridge br{tag}" for tag in ours]
    return scopes


def _quoted(text: str) -> str:
    clean = re.sub(r"[^A-Za-z0-9 _./:-]", "-", text)[:_DESCRIPTION]
    return f"'{clean}'" if " " in clean else clean
