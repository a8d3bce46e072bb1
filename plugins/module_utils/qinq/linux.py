# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A plan as systemd-networkd's files, and as the devices that the kernel has once they are applied. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .plan import HostPlan, RouterPlan

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from .plan import Bridge

FOLDER = "/etc/systemd/network"
PRUNE = (
    f"{FOLDER}/60-okiagari-*.netdev",
    f"{FOLDER}/60-okiagari-*.network",
    f"{FOLDER}/*.network.d/okiagari-qinq.conf",
)
"""What `files` owns: anything else that matches is of a network that is gone."""

HELLO_S, MAX_AGE_S, FORWARD_DELAY_S = 1, 6, 2
_HEADER = "# From the testbed's description and its projects: change it there.\n"
_QUIET = {"LinkLocalAddressing": "no", "IPv6AcceptRA": "no"}


def interface_files(node: Mapping[str, Any]) -> list[dict[str, str]]:
    """Give the networkd files of a router's or host's own interfaces, as far as they have an address."""
    interfaces = [interface for interface in node["interfaces"] if "address" in interface]
    if node["loopback"]:
        interfaces.insert(0, {"name": "lo", "kind": "loopback", "address": f"{node['loopback']}/32"})
    return [_interface_file(interface, node["gateway"]) for interface in interfaces]


def files(plan: RouterPlan | HostPlan, node: Mapping[str, Any]) -> list[dict[str, str]]:
    """Give all files of a node's tagged networks: `path` and `content` of each.

    Those of the circuits' own interfaces are among them, the same as in `interface_files`: nothing hangs on an
    interface that networkd doesn't manage.
    """
    if isinstance(plan, HostPlan):
        return [*_host_files(plan), *(file for bridge in plan.bridges for file in _bridge_files(bridge))]
    circuits = {port.interface for port in plan.circuits}
    own = [_interface_file(each, None) for each in node["interfaces"] if each["name"] in circuits]
    bridges = [file for bridge in plan.bridges for file in _bridge_files(bridge)]
    return [*own, *_circuit_files(plan), *_trunk_files(plan), *_routed_files(plan), *bridges]


def devices(plan: RouterPlan | HostPlan) -> dict[str, dict[str, Any]]:
    """Give every device that the kernel has by this plan, by name, in the order in which one needs another."""
    wanted: dict[str, dict[str, Any]] = {}
    if isinstance(plan, RouterPlan):
        for port in plan.circuits:
            # networkd gives an interface the room that what hangs on it needs.
            wanted[port.interface] = {"kind": "own", "mtu": port.inner_mtu}
            wanted[port.device] = _vlan(port.interface, "802.1ad", port.s_tag, port.inner_mtu)
        for routed in plan.routed:
            wanted[routed.vrf] = {"kind": "vrf", "table": routed.table}
            for each in routed.interfaces:
                parent = each.interface if each.s_tag is None else f"s{each.s_tag}"
                vlan = _vlan(parent, "802.1Q", routed.vlan, routed.mtu)
                wanted[each.device] = {**vlan, "master": routed.vrf, "addresses": [each.address]}
    else:
        for link in plan.links:
            vlan = _vlan(plan.trunk, "802.1Q", link.vlan, link.mtu)
            wanted[link.device] = {**vlan, "addresses": [link.address]}
    if plan.trunk:
        on_trunk = [device["mtu"] for device in wanted.values() if device.get("parent") == plan.trunk]
        on_trunk += [bridge.mtu for bridge in plan.bridges]
        wanted[plan.trunk] = {"kind": "own", "mtu": max(on_trunk, default=0)}
    for bridge in plan.bridges:
        wanted[bridge.name] = _bridge(bridge)
        for member in bridge.members:
            parent = member.interface if member.s_tag is None else f"s{member.s_tag}"
            vlan = _vlan(parent, "802.1Q", bridge.vlan, bridge.mtu)
            wanted[member.device] = {**vlan, "master": bridge.name, "cost": member.cost}
    return wanted


def reach(plan: RouterPlan | HostPlan) -> list[dict[str, Any]]:
    """Give where a full packet must get from a router, to prove that each of its circuits carries it."""
    if isinstance(plan, HostPlan):
        return []
    return [
        {"device": each.device, "circuit": each.circuit, "peer": each.peer, "to": each.peer_address, "mtu": routed.mtu}
        for routed in plan.routed
        for each in routed.interfaces
        if each.peer_address
    ]


def _vlan(parent: str, protocol: str, tag: int, mtu: int) -> dict[str, Any]:
    return {"kind": "vlan", "parent": parent, "protocol": protocol, "tag": tag, "mtu": mtu}


def _bridge(bridge: Bridge) -> dict[str, Any]:
    wanted: dict[str, Any] = {"kind": "bridge", "mac": bridge.mac, "mtu": bridge.mtu, "stp": bridge.stp}
    if bridge.stp:
        wanted["priority"] = bridge.priority
    return {**wanted, "addresses": list(bridge.addresses)}


def _host_files(plan: HostPlan) -> Iterator[dict[str, str]]:
    inner = [link.device for link in plan.links]
    inner += [member.device for bridge in plan.bridges for member in bridge.members]
    yield _trunk_file(plan.trunk, inner)
    for link in plan.links:
        yield _netdev(link.device, "vlan", link.mtu, VLAN={"Id": link.vlan})
        routes = [{"Destination": prefix, "Gateway": link.gateway} for prefix in link.destinations]
        yield _network(link.device, {**_QUIET, "Address": link.address}, routes)


def _circuit_files(plan: RouterPlan) -> Iterator[dict[str, str]]:
    for port in plan.circuits:
        folder = f"{FOLDER}/50-{port.interface}.network.d"
        yield _file(f"{folder}/okiagari-qinq.conf", [("Network", {"VLAN": port.device})])
        yield _netdev(port.device, "vlan", port.inner_mtu, VLAN={"Id": port.s_tag, "Protocol": "802.1ad"})
        inner = [each.device for routed in plan.routed for each in routed.interfaces if each.s_tag == port.s_tag]
        inner += [member.device for bridge in plan.bridges for member in bridge.members if member.s_tag == port.s_tag]
        yield _network(port.device, {**_QUIET, "VLAN": inner})


def _trunk_files(plan: RouterPlan) -> Iterator[dict[str, str]]:
    if plan.trunk:
        inner = [each.device for routed in plan.routed for each in routed.interfaces if each.s_tag is None]
        inner += [member.device for bridge in plan.bridges for member in bridge.members if member.s_tag is None]
        yield _trunk_file(plan.trunk, inner)


def _routed_files(plan: RouterPlan) -> Iterator[dict[str, str]]:
    for routed in plan.routed:
        yield _netdev(routed.vrf, "vrf", None, VRF={"Table": routed.table})
        yield _network(routed.vrf, _QUIET)
        for each in routed.interfaces:
            yield _netdev(each.device, "vlan", routed.mtu, VLAN={"Id": routed.vlan})
            yield _network(each.device, {**_QUIET, "VRF": routed.vrf, "Address": each.address})


def _bridge_files(bridge: Bridge) -> Iterator[dict[str, str]]:
    settings: dict[str, object] = {"STP": _yes(bridge.stp), "MulticastSnooping": "no"}
    if bridge.stp:
        settings |= {
            "Priority": bridge.priority,
            "HelloTimeSec": HELLO_S,
            "MaxAgeSec": MAX_AGE_S,
            "ForwardDelaySec": FORWARD_DELAY_S,
        }
    yield _netdev(bridge.name, "bridge", bridge.mtu, bridge.owner, mac=bridge.mac, Bridge=settings)
    # A bridge has its address and is up whether or not anything hangs on it.
    own = {**_QUIET, "ConfigureWithoutCarrier": "yes", "Address": list(bridge.addresses)}
    yield _network(bridge.name, own)
    for member in bridge.members:
        yield _netdev(member.device, "vlan", bridge.mtu, bridge.owner, VLAN={"Id": bridge.vlan})
        port: dict[str, object] = {"Cost": member.cost}
        if bridge.stp and member.s_tag is None:
            # The root is in the core, whatever a guest on the site's trunk says.
            port["AllowPortToBeRoot"] = "no"
        yield _network(member.device, {**_QUIET, "Bridge": bridge.name}, sections=[("Bridge", port)])


def _interface_file(interface: Mapping[str, Any], gateway: str | None) -> dict[str, str]:
    network: dict[str, object] = {"Address": interface["address"]}
    if gateway and interface["kind"] == "lan":
        network["Gateway"] = gateway
    sections: list[tuple[str, Mapping[str, object]]] = [("Match", {"Name": interface["name"]})]
    if "circuit" in interface:
        network["Description"] = f"{interface['circuit']}: the other end is {interface['peer']}"
    return _file(f"{FOLDER}/50-{interface['name']}.network", [*sections, ("Network", {**network, **_QUIET})])


def _trunk_file(trunk: str, inner: Sequence[str]) -> dict[str, str]:
    return _network(trunk, {**_QUIET, "VLAN": inner})


def _netdev(
    name: str, kind: str, mtu: int | None, owner: str = "", mac: str | None = None, **sections: Mapping[str, object]
) -> dict[str, str]:
    netdev: dict[str, object] = {"Name": name, "Kind": kind}
    if owner:
        netdev["Description"] = owner
    if mtu:
        netdev["MTUBytes"] = mtu
    if mac:
        netdev["MACAddress"] = mac
    return _file(f"{FOLDER}/60-okiagari-{name}.netdev", [("NetDev", netdev), *sections.items()])


def _network(
    name: str,
    network: Mapping[str, object],
    routes: Sequence[Mapping[str, object]] = (),
    sections: Sequence[tuple[str, Mapping[str, object]]] = (),
) -> dict[str, str]:
    every = [("Match", {"Name": name}), ("Network", network), *sections, *(("Route", route) for route in routes)]
    return _file(f"{FOLDER}/60-okiagari-{name}.network", every)


def _file(path: str, sections: Sequence[tuple[str, Mapping[str, object]]]) -> dict[str, str]:
    return {"path": path, "content": _text(sections)}


def _text(sections: Sequence[tuple[str, Mapping[str, object]]]) -> str:
    """Give the text of a unit file; a list of values is that many lines."""
    blocks = []
    for section, settings in sections:
        lines = [f"[{section}]\n"]
        for key, value in settings.items():
            values = value if isinstance(value, (list, tuple)) else [value]
            lines += [f"{key}={each}\n" for each in values]
        blocks.append("".join(lines))
    return _HEADER + "\n" + "\n".join(blocks)


def _yes(value: bool) -> str:
    return "yes" if value else "no"
