# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From the resolved testbed to what the lab must make: bridges, taps, nodes. Pure."""

from __future__ import annotations

import hashlib
import ipaddress
import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from ..errors import OkiagariError

if TYPE_CHECKING:
    from collections.abc import Mapping

MANAGEMENT = "mgmt"
CIRCUIT_HANDLE = "c1c:"
"""The root qdisc that emulates a circuit; faults hang under it (docs/reference/faults.md)."""

_MEMORY_MB = {"router": 256, "kvm_host": 1024}
_SMALLEST_QUEUE = 1000


@dataclass(frozen=True)
class Tap:
    """One cable between a node and a bridge. `guest` is the interface's name inside the node."""

    name: str
    guest: str
    mac: str
    bridge: str
    mtu: int


@dataclass(frozen=True)
class Disk:
    """A further disk of a node, empty at first; it is kept as long as the lab."""

    name: str
    size_mib: int


@dataclass(frozen=True)
class NodePlan:
    """All that a provider needs to start one node. `taps[0]` is the management interface."""

    name: str
    kind: str
    memory_mb: int
    cpus: int
    taps: tuple[Tap, ...]
    management: str
    files: Mapping[str, str]
    """Path below `/` to text: what the node's seed disk lays over its image."""
    disks: tuple[Disk, ...] = ()

    @property
    def machine_id(self) -> str:
        """The systemd machine id: the same for a name, so that a node that is made again stays the same machine."""
        return hashlib.sha256(f"okiagari {self.name}".encode()).hexdigest()[:32]

    @property
    def fingerprint(self) -> str:
        """Changes when the node must be made again to follow its description."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class LabPlan:
    """A whole lab. `gateway` is the lab's own end of the management network, with prefix length."""

    nodes: tuple[NodePlan, ...]
    bridges: tuple[str, ...]
    gateway: str

    def node(self, name: str) -> NodePlan:
        """Give one node; `OkiagariError` when the testbed has none of this name."""
        for node in self.nodes:
            if node.name == name:
                return node
        raise OkiagariError(f"the testbed has no node {name}; it has {', '.join(node.name for node in self.nodes)}")


def plan_lab(testbed: Mapping[str, Any], memory_mb: Mapping[str, int] | None = None) -> LabPlan:
    """Plan the lab of a resolved testbed. `memory_mb` overrides the memory of a kind of node (`router`, `kvm_host`)."""
    memory = {**_MEMORY_MB, **(memory_mb or {})}
    management = ipaddress.ip_network(testbed["management"]["prefix"])
    bridges = {_segment(interface) for node in testbed["nodes"].values() for interface in node["interfaces"]}
    names = {segment: _bridge_name(segment) for segment in sorted(bridges)}
    return LabPlan(
        nodes=tuple(
            _plan_node(name, node, testbed, names, management, memory)
            for name, node in sorted(testbed["nodes"].items())
        ),
        bridges=(MANAGEMENT, *names.values()),
        gateway=f"{testbed['management']['gateway']}/{management.prefixlen}",
    )


def _plan_node(
    name: str,
    node: Mapping[str, Any],
    testbed: Mapping[str, Any],
    bridges: Mapping[str, str],
    management: ipaddress.IPv4Network | ipaddress.IPv6Network,
    memory: Mapping[str, int],
) -> NodePlan:
    address = node["management"]
    taps = [_tap(MANAGEMENT + "0", _management_mac(address), MANAGEMENT, 1500)]
    taps += [
        _tap(interface["name"], interface["mac"], bridges[_segment(interface)], interface["mtu"])
        for interface in node["interfaces"]
    ]
    disks = tuple(Disk(**disk) for disk in node["disks"])
    return NodePlan(
        name=name,
        kind=node["kind"],
        memory_mb=memory[node["kind"]],
        cpus=1,
        taps=tuple(taps),
        management=address,
        files=_files(name, taps, f"{address}/{management.prefixlen}", _circuit_commands(node, testbed["circuits"])),
        disks=disks,
    )


def _files(name: str, taps: list[Tap], management: str, circuits: str) -> dict[str, str]:
    # What hangs on an interface, a VLAN for example, has its address too; but it has a kind.
    links = {
        f"etc/systemd/network/10-{tap.guest}.link": (
            f"[Match]\nMACAddress={tap.mac}\nKind=!*\n\n[Link]\nName={tap.guest}\nMTUBytes={tap.mtu}\n"
        )
        for tap in taps
    }
    network = (
        f"[Match]\nName={MANAGEMENT}0\n\n[Network]\nAddress={management}\nLinkLocalAddressing=no\nIPv6AcceptRA=no\n"
    )
    return {
        "etc/hostname": f"{name}\n",
        "etc/hosts": f"127.0.0.1 localhost\n127.0.1.1 {name}\n",
        f"etc/systemd/network/20-{MANAGEMENT}0.network": network,
        "etc/okiagari/circuits.tc": circuits,
        **links,
    }


def _circuit_commands(node: Mapping[str, Any], circuits: Mapping[str, Any]) -> str:
    """Give a `tc -batch` file that shapes what leaves a node's circuits."""
    lines = []
    for interface in node["interfaces"]:
        if interface["kind"] != "wan":
            continue
        circuit = circuits[interface["circuit"]]
        delay, jitter, rate = circuit["delay_ms"], circuit["jitter_ms"], circuit["rate_bps"]
        in_flight = int(rate * (delay + jitter) / 1000 / 8 / circuit["mtu"]) if rate else 0
        netem = [f"limit {max(_SMALLEST_QUEUE, 2 * in_flight)}"]
        if delay:
            netem.append(f"delay {delay:g}ms" + (f" {jitter:g}ms" if jitter else ""))
        if circuit["loss_percent"]:
            netem.append(f"loss {circuit['loss_percent']:g}%")
        if rate:
            netem.append(f"rate {rate:.0f}bit")
        lines.append(f"qdisc add dev {interface['name']} root handle {CIRCUIT_HANDLE} netem {' '.join(netem)}\n")
    return "".join(lines)


def _segment(interface: Mapping[str, Any]) -> str:
    return str(interface["circuit"] if interface["kind"] == "wan" else interface["segment"])


def _tap(guest: str, mac: str, bridge: str, mtu: int) -> Tap:
    return Tap(name="t" + mac.replace(":", ""), guest=guest, mac=mac, bridge=bridge, mtu=mtu)


def _bridge_name(segment: str) -> str:
    """Linux takes 15 characters: keep the start for people, add a hash for uniqueness."""
    if len(segment) <= 13:
        return f"b-{segment}"
    return f"b-{segment[:6]}-{hashlib.sha256(segment.encode()).hexdigest()[:6]}"


def _management_mac(address: str) -> str:
    octets = ipaddress.ip_address(address).packed[-4:]
    return ":".join(f"{octet:02x}" for octet in (0x02, 0x4D, *octets))
