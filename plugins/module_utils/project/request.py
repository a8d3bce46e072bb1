# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a project asks for: the user's small file, read and checked against the testbed. Every problem has its place."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Network
from typing import Any, Final

from ..errors import BadInput, BadValue
from ..guest.machine import LEAST_MEMORY_MIB
from ..suggest import nearest
from ..topology.schema import UNREADABLE, Item, Problems
from ..units import mebibytes

FIRST_VLAN: Final = 100
LAST_VLAN: Final = 3999
ALL: Final = "all"
_MOST_MACHINES: Final = 500
_PREFIX_LENGTHS: Final = range(16, 30)
_RESERVED_HOSTS: Final = 11
_SMALL_PREFIX: Final = 27

_NAME = re.compile(r"[a-z](?:[a-z0-9-]{0,18}[a-z0-9])?")


@dataclass(frozen=True)
class NetworkRequest:
    """One network; `prefix` and `vlan` are None where the testbed shall choose."""

    name: str
    place: Item
    sites: tuple[str, ...]
    prefix: str | None = None
    vlan: int | None = None


@dataclass(frozen=True)
class MachineRequest:
    """`count` machines of one kind. `sites` says where new ones may go, in the order of preference."""

    name: str
    place: Item
    sites: tuple[str, ...]
    networks: tuple[str, ...]
    count: int = 1
    vcpus: int = 1
    memory_mib: int = 96
    disk_mib: int = 0
    template: str = "tiny"


@dataclass(frozen=True)
class Request:
    name: str
    contact: str
    authorized_keys: tuple[str, ...]
    networks: Mapping[str, NetworkRequest]
    machines: Mapping[str, MachineRequest]


def read(root: Item, problems: Problems, testbed: Mapping[str, Any]) -> Request:
    """Read a request for `testbed`; what is wrong with it goes to `problems`, and without any it is complete."""
    return _Reading(problems, testbed).request(root)


def from_plain(data: object, testbed: Mapping[str, Any]) -> Request:
    """Give the request that plain values hold; raise `BadInput` with the key of all that is wrong."""
    problems = Problems("")
    request = read(items(data), problems, testbed)
    if problems.found:
        raise BadInput(problems.found)
    return request


def items(value: object, key: str = "") -> Item:
    """Give plain values as `Item`s, whose places are keys without lines."""
    if isinstance(value, Mapping):
        named = {str(name): child for name, child in value.items()}
        return Item({name: items(child, f"{key}.{name}" if key else name) for name, child in named.items()}, 0, key)
    if isinstance(value, (list, tuple)):
        return Item([items(child, f"{key}[{index}]") for index, child in enumerate(value)], 0, key)
    return Item(value, 0, key)


def plain(item: Item) -> Any:
    """Give the plain values of `item`."""
    if isinstance(item.value, dict):
        return {name: plain(child) for name, child in item.value.items()}
    if isinstance(item.value, list):
        return [plain(child) for child in item.value]
    return None if item.value is UNREADABLE else item.value


def first_host(network: IPv4Network) -> int:
    """Give the index of the first address of `network` that a machine gets: some are left to its users."""
    return _RESERVED_HOSTS if network.prefixlen <= _SMALL_PREFIX else 2


def room(network: IPv4Network) -> int:
    """Give how many machines `network` has addresses for."""
    return network.num_addresses - 1 - first_host(network)


class _Reading:
    def __init__(self, problems: Problems, testbed: Mapping[str, Any]) -> None:
        self._problems = problems
        self._sites = tuple(testbed["sites"])
        self._nodes = testbed["nodes"]
        self._hosting = tuple(
            name
            for name, site in testbed["sites"].items()
            if any(self._nodes[node]["kind"] == "kvm_host" for node in site["nodes"])
        )

    def request(self, root: Item) -> Request:
        top = self._problems.fields(
            root,
            {
                "project": _name,
                "contact": _text,
                "authorized_keys": self._keys,
                "networks": _mapping,
                "machines": _mapping,
            },
            required=("project", "networks"),
        )
        networks = {}
        for name, item in top.get("networks", {}).items():
            network = self._network(name, item)
            if network is not None:
                networks[name] = network
        if top.get("networks") == {}:
            self._problems.add(root.at("networks"), "a project needs at least one network")
        machines = {}
        for name, item in top.get("machines", {}).items():
            group = self._machine(name, item, networks, top.get("networks", {}))
            if group is not None:
                machines[name] = group
        request = Request(
            top.get("project", ""), top.get("contact", ""), top.get("authorized_keys", ()), networks, machines
        )
        self._check_prefixes(request)
        self._check_vlans(request)
        self._check_machine_names(request)
        return request

    def _network(self, name: str, item: Item) -> NetworkRequest | None:
        good = self._problems.read(Item(name, item.line, item.key), _name)
        values = self._problems.fields(item, {"sites": self._site_list, "prefix": _prefix, "vlan": _vlan})
        if good is None or ("sites" not in values and "sites" in _keys(item)):
            return None
        return NetworkRequest(name, item, **({"sites": self._sites} | values))

    def _machine(
        self, name: str, item: Item, networks: Mapping[str, NetworkRequest], typed: Mapping[str, Item]
    ) -> MachineRequest | None:
        def network_list(child: Item) -> tuple[str, ...] | None:
            return self._chosen(child, typed, "network", "the project has no network")

        good = self._problems.read(Item(name, item.line, item.key), _name)
        values = self._problems.fields(
            item,
            {
                "count": _whole(1, _MOST_MACHINES),
                "sites": self._site_list,
                "vcpus": _whole(1, 64),
                "memory": _memory,
                "disk": _size,
                "networks": network_list,
                "template": _template,
            },
        )
        if good is None or any(key not in values for key in ("sites", "networks") if key in _keys(item)):
            return None
        on = values.pop("networks", tuple(typed))
        spans = {each: networks[each].sites for each in on if each in networks}
        if _keys(item).get("sites", ALL) == ALL:
            values["sites"] = tuple(site for site in self._hosting if all(site in sites for sites in spans.values()))
            if not values["sites"]:
                self._problems.add(item.at("networks"), "no site with a KVM host has all these networks")
        for each, sites in spans.items():
            for site in values["sites"]:
                if site not in sites:
                    self._problems.add(item.at("sites"), f"the network {each} doesn't span {site}")
        for key in ("memory", "disk"):
            if key in values:
                values[f"{key}_mib"] = values.pop(key)
        return MachineRequest(name, item, networks=on, **values)

    def _keys(self, item: Item) -> tuple[str, ...]:
        if not isinstance(item.value, list):
            raise BadValue("must be a list of public keys")
        keys = [self._problems.read(child, _public_key) for child in item.value]
        return tuple(key for key in keys if key)

    def _site_list(self, item: Item) -> tuple[str, ...] | None:
        if item.value == ALL:
            return self._sites
        return self._chosen(item, self._sites, "site", "the testbed has no site")

    def _chosen(self, item: Item, choices: Any, what: str, lacks: str) -> tuple[str, ...] | None:
        """Give the members of a list that must be among `choices`, or None after recording what is wrong with it."""
        children = [item] if isinstance(item.value, str) else item.value
        if not isinstance(children, list):
            raise BadValue(f"must be a list of {what}s" + (f", or {ALL}" if what == "site" else ""))
        if not children:
            raise BadValue(f"must name at least one {what}")
        chosen: list[str] = []
        good = True
        for child in children:
            if child.value in chosen:
                self._problems.add(child, f"{child.value} is given twice")
            elif isinstance(child.value, str) and child.value in choices:
                chosen.append(child.value)
                continue
            elif child.value is not UNREADABLE:
                near = nearest(str(child.value), choices)
                self._problems.add(child, f"{lacks} {_shown(child.value)}", near)
            good = False
        return tuple(chosen) if good else None

    def _check_prefixes(self, request: Request) -> None:
        typed = [(each, IPv4Network(each.prefix)) for each in request.networks.values() if each.prefix]
        for index, (network, prefix) in enumerate(typed):
            for other, taken in typed[:index]:
                if prefix.overlaps(taken):
                    self._problems.add(network.place.at("prefix"), f"{prefix} overlaps {taken} of {other.name}")
            asked = sum(group.count for group in request.machines.values() if network.name in group.networks)
            if asked > room(prefix):
                self._problems.add(
                    network.place.at("prefix"), f"{prefix} has addresses for {room(prefix)} machines, {asked} are asked"
                )

    def _check_vlans(self, request: Request) -> None:
        taken: dict[int, str] = {}
        for network in request.networks.values():
            if network.vlan is not None and taken.setdefault(network.vlan, network.name) != network.name:
                message = f"the VLAN {network.vlan} is that of {taken[network.vlan]} already"
                self._problems.add(network.place.at("vlan"), message)

    def _check_machine_names(self, request: Request) -> None:
        for group in request.machines.values():
            for name in machine_names(request.name, group):
                if name in self._nodes:
                    self._problems.add(group.place, f"the name {name} is that of a node of the testbed")


def machine_names(project: str, group: MachineRequest) -> list[str]:
    """Give the names of all machines of `group`."""
    return [f"{project}-{group.name}-{number}" for number in range(1, group.count + 1)]


def _keys(item: Item) -> Mapping[str, Any]:
    return {name: child.value for name, child in item.value.items()} if isinstance(item.value, dict) else {}


def _mapping(item: Item) -> dict[str, Item]:
    if not isinstance(item.value, dict):
        raise BadValue("must be a mapping of names to what each shall be")
    return item.value


def _text(item: Item) -> str:
    if not isinstance(item.value, str) or len(item.value) > 200 or not item.value.isprintable():
        raise BadValue("must be one line of text, of at most 200 characters")
    return item.value.strip()


def _name(item: Item) -> str:
    if not isinstance(item.value, str) or not _NAME.fullmatch(item.value):
        raise BadValue(
            f"{_shown(item.value)} is no name: it has at most 20 small letters, digits and inner hyphens, "
            "and begins with a letter",
            _corrected(str(item.value)),
        )
    return item.value


def _corrected(name: str) -> str | None:
    better = re.sub(r"[^a-z0-9]+", "-", name.casefold()).strip("-")
    return better if better != name and _NAME.fullmatch(better) else None


def _template(item: Item) -> str:
    if not isinstance(item.value, str) or not re.fullmatch(r"[a-z0-9](?:[a-z0-9._-]{0,62})", item.value):
        raise BadValue(f"{_shown(item.value)} is no name of a template")
    return item.value


def _public_key(item: Item) -> str:
    text = item.value.strip() if isinstance(item.value, str) else ""
    if "PRIVATE" in text:
        raise BadValue("is a private key; give the public one, and take a new pair")
    if not re.fullmatch(r"[a-z0-9@.-]+ [A-Za-z0-9+/=]{40,}( [ -~]*)?", text):
        raise BadValue("is not a public key as it stands in id_ed25519.pub")
    return text


def _whole(least: int, most: int) -> Callable[[Item], int]:
    def reader(item: Item) -> int:
        value = item.value
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise BadValue(f"must be a whole number from {least} to {most}, not {_shown(value)}")
        return value

    return reader


def _size(item: Item) -> int:
    return mebibytes(item.value)


def _memory(item: Item) -> int:
    size = mebibytes(item.value)
    if size < LEAST_MEMORY_MIB:
        raise BadValue(f"must be at least {LEAST_MEMORY_MIB}mib")
    return size


def _prefix(item: Item) -> str:
    text = item.value if isinstance(item.value, str) else ""
    try:
        loose = IPv4Network(text, strict=False)
    except ValueError:
        raise BadValue(f"{_shown(item.value)} is not a network such as 192.168.7.0/24") from None
    if loose.prefixlen not in _PREFIX_LENGTHS:
        raise BadValue(f"must have a length from /{_PREFIX_LENGTHS[0]} to /{_PREFIX_LENGTHS[-1]}")
    if str(loose) != text:
        raise BadValue(f"{text} has bits set to the right of its length", str(loose))
    if loose.is_multicast or loose.is_loopback or loose.is_link_local or loose.is_reserved:
        raise BadValue(f"{text} is not a range for hosts")
    return text


def _shown(value: object) -> str:
    if value is None or value == "":
        return "nothing"
    text = str(value) if isinstance(value, (str, int, float)) else "a list or mapping"
    return text if len(text) <= 40 else text[:37] + "..."


_vlan = _whole(FIRST_VLAN, LAST_VLAN)
