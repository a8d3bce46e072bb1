# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A machine as it is asked for."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from ..errors import BadInput, Problem
from ..suggest import nearest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

LEAST_MEMORY_MIB = 80
"""With less a Debian kernel runs out of memory while it starts: not always, but often."""
NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_MAC = re.compile(r"[0-9a-f][02468ace](:[0-9a-f]{2}){5}")
_LINK = re.compile(r"[A-Za-z0-9_.-]{1,15}")
_MOST_NETWORKS = 8


@dataclass(frozen=True)
class Network:
    """One network card, and the address (with prefix length) that the guest shall take.

    `bridge` is the host's. One that is `routed` has none: the host itself is the `gateway`, and routes to the address.
    """

    name: str
    bridge: str
    mac: str
    address: str | None = None
    gateway: str | None = None
    mtu: int = 1500
    routed: bool = False


@dataclass(frozen=True)
class Machine:
    """A machine. `disk_mib` 0 is the template's own size."""

    name: str
    vcpus: int = 1
    memory_mib: int = 96
    disk_mib: int = 0
    template: str = "tiny"
    networks: tuple[Network, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Give the machine as plain data, as `read_machines` takes it."""
        return {**asdict(self), "networks": [asdict(network) for network in self.networks]}


def read_machines(items: Iterable[Mapping[str, Any]], templates: Iterable[str] | None = None) -> list[Machine]:
    """Read machines as a project's record has them (with the key `name`), and refuse with all that is wrong.

    Keys that say where a machine belongs (`project`, `site`, `host`, `state`, a network's `vlan`) are passed over.
    `templates` are the known ones; None: whatever the machine names.
    """
    problems: list[Problem] = []
    machines = [_machine(number, item, problems) for number, item in enumerate(items)]
    for what, values in (
        ("machine", [machine.name for machine in machines]),
        ("MAC address", [network.mac for machine in machines for network in machine.networks]),
    ):
        twice = sorted({value for value in values if value and values.count(value) > 1})
        problems += [_problem("", f"{what} {value} is asked for twice") for value in twice]
    known = None if templates is None else sorted(templates)
    problems += [
        _problem(machine.name, f"there is no template {machine.template}", nearest(machine.template, known))
        for machine in machines
        if known is not None and machine.template not in known
    ]
    if problems:
        raise BadInput(problems)
    return machines


def _machine(number: int, item: Mapping[str, Any], problems: list[Problem]) -> Machine:
    name = str(item.get("name", ""))
    label = name or f"machine {number + 1}"
    if not NAME.fullmatch(name):
        problems.append(_problem(label, "a name is made of a to z, 0 to 9 and -, at most 63 of them"))
    allowed = {"name", "vcpus", "memory_mib", "disk_mib", "template", "networks", "project", "site", "host", "state"}
    _refuse_unknown(label, item, allowed, problems)
    networks = item.get("networks") or []
    if len(networks) > _MOST_NETWORKS:
        problems.append(_problem(label, f"a machine has at most {_MOST_NETWORKS} networks"))
    return Machine(
        name=name,
        vcpus=_number(label, item, "vcpus", 1, 1, 64, problems),
        memory_mib=_number(label, item, "memory_mib", 96, LEAST_MEMORY_MIB, 1 << 20, problems),
        disk_mib=_number(label, item, "disk_mib", 0, 0, 1 << 24, problems),
        template=str(item.get("template") or "tiny"),
        networks=tuple(_bridged(f"{label}: network {at + 1}", one, problems) for at, one in enumerate(networks)),
    )


def _bridged(label: str, item: Mapping[str, Any], problems: list[Problem]) -> Network:
    network = read_network(label, item, problems)
    if network.routed:
        problems.append(_problem(label, "is routed, which only a guest of agents can be: name its bridge"))
    return network


def read_network(label: str, item: Mapping[str, Any], problems: list[Problem]) -> Network:
    """Read a network card; what is wrong with it comes to `problems`, by the name `label`."""
    _refuse_unknown(label, item, {"name", "vlan", "bridge", "mac", "address", "gateway", "mtu", "routed"}, problems)
    mac, bridge = str(item.get("mac", "")).lower(), str(item.get("bridge", ""))
    address, gateway = item.get("address") or None, item.get("gateway") or None
    if not _MAC.fullmatch(mac):
        problems.append(_problem(label, f"{mac or 'nothing'} is not the MAC address of one card"))
    routed = bool(item.get("routed"))
    if routed:
        problems += [_problem(label, what) for what in _unroutable(bridge, address, gateway)]
    elif not _LINK.fullmatch(bridge):
        problems.append(_problem(label, f"{bridge or 'nothing'} is not the name of a bridge"))
    try:
        if address is not None:
            ipaddress.ip_interface(address)
        if gateway is not None:
            ipaddress.ip_address(gateway)
    except ValueError as error:
        problems.append(_problem(label, str(error)))
    if address is not None and "/" not in str(address):
        problems.append(_problem(label, f"{address} has no prefix length"))
    mtu = _number(label, item, "mtu", 1500, 576, 9216, problems)
    return Network(str(item.get("name", "")), bridge, mac, address, gateway, mtu, routed)


def _unroutable(bridge: str, address: object, gateway: object) -> Iterator[str]:
    if bridge:
        yield f"is routed, and so in no bridge: leave {bridge} out, or routed"
    for what, value, example in (("address", address, "10.253.0.10/24"), ("gateway", gateway, "10.253.0.1")):
        if not value or ":" in str(value):
            yield f"is routed, and needs an IPv4 {what}, such as {example}"


def _number(
    label: str, item: Mapping[str, Any], key: str, default: int, least: int, most: int, problems: list[Problem]
) -> int:
    value = item.get(key)
    if value is None:
        return default
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        problems.append(_problem(label, f"{key} is {value}, not a number from {least} to {most}"))
        return default
    return value


def _refuse_unknown(label: str, item: Mapping[str, Any], known: set[str], problems: list[Problem]) -> None:
    problems += [_problem(label, f"unknown key {key}", nearest(key, known)) for key in sorted(set(item) - known)]


def _problem(label: str, message: str, suggestion: str | None = None) -> Problem:
    return Problem("", None, label, message, suggestion)
