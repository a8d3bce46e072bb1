# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From a description to a resolved testbed: names, addresses, tags and numbers of everything.

Whatever is derived for a thing depends on its own number and name alone, so that adding a site or a circuit changes
nothing for the others.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from ipaddress import IPv4Address, IPv4Network
from typing import Any

from ..errors import OkiagariError
from ..suggest import nearest
from .schema import GROUPS, LARGEST_NUMBER, PARALLEL_CIRCUITS, Circuit, Description, End, Item, Problems, Router, Site
from .timetable import Rules, SiteRules

SCHEMA = 2

_SITE_LENGTH = 16
_LAN_LENGTH = 24
_LAN_HOSTS = 10
_LAN = "lan0"
_TRUNK = "trunk0"
_TRUNK_MTU = 1600
# An outer and an inner tag of 4 octets each.
_TAGS = 8
_LARGEST_TENANT_MTU = 1500
# The prefix of the segments has room for this many.
_SEGMENTS = 4
_LONGEST_INTERFACE = 15
# Numbers of nodes: site routers from 1, core routers from 101, the sites' first KVM hosts from 201, second from 301 ...
_HUNDRED = 100
_ASN_BASE = 65000
_FIRST_TAG = 101
_LAST_TAG = 4094
# Light in fibre goes 200 km in a millisecond, and cables are about 1.4 times as long as the great circle.
_KM_PER_MS = 200 / 1.4
_EARTH_RADIUS_KM = 6371.0
_STORAGE = "storage"
_STORAGE_VLAN = 11
_STORAGE_TABLE = 1011
_BRIDGED = {"management": 12, "migration": 13}


@dataclass(frozen=True)
class ManagementNet:
    prefix: str
    gateway: str


@dataclass(frozen=True)
class TestbedSite:
    number: int
    title: str
    lan: str
    prefix: str
    position: tuple[float, float] | None
    nodes: tuple[str, ...]
    storage: str
    drills: SiteRules


@dataclass(frozen=True)
class RoutedSegment:
    """A network in a VRF of its own over all routers; each site has its own prefix in it."""

    kind: str
    vlan: int
    vrf: str
    table: int


@dataclass(frozen=True)
class BridgedSegment:
    """One broadcast domain over all sites."""

    kind: str
    vlan: int
    prefix: str


@dataclass(frozen=True)
class LanInterface:
    name: str
    kind: str
    segment: str
    address: str
    mac: str
    mtu: int


@dataclass(frozen=True)
class TrunkInterface:
    """Carries the tagged networks of a site; it has no address itself."""

    name: str
    kind: str
    segment: str
    mac: str
    mtu: int


@dataclass(frozen=True)
class WanInterface:
    name: str
    kind: str
    circuit: str
    peer: str
    address: str
    peer_address: str
    peer_asn: int
    mac: str
    mtu: int


Interface = LanInterface | TrunkInterface | WanInterface  # pylint: disable=unsupported-binary-operation


@dataclass(frozen=True)
class Disk:
    name: str
    size_mib: int


@dataclass(frozen=True)
class TestbedNode:
    """A router or a KVM host. What a kind of node doesn't have is None: a KVM host's `asn`, a router's `gateway`."""

    kind: str
    role: str
    site: str | None
    number: int
    asn: int | None
    loopback: str | None
    management: str
    gateway: str | None
    platform: str
    position: tuple[float, float] | None
    cpus: int | None
    memory_mib: int | None
    interfaces: tuple[Interface, ...]
    segments: Mapping[str, Mapping[str, str]]
    """Segment to `address` and, where there is one, `gateway`."""
    disks: tuple[Disk, ...]


@dataclass(frozen=True)
class TestbedCircuit:
    a: str
    b: str
    a_interface: str
    b_interface: str
    prefix: str
    s_tag: int
    delay_ms: float
    jitter_ms: float
    rate_bps: int | None
    loss_percent: float
    mtu: int


@dataclass(frozen=True)
class Testbed:
    """A resolved testbed: everything about it is here and nothing needs to be derived any more."""

    # Its name would make pytest take it for a test.
    __test__ = False

    name: str
    management: ManagementNet
    sites: Mapping[str, TestbedSite]
    nodes: Mapping[str, TestbedNode]
    circuits: Mapping[str, TestbedCircuit]
    segments: Mapping[str, RoutedSegment | BridgedSegment]
    guests: str
    """The prefix of the addresses that guests take along from site to site: routers take them from hosts one by one."""
    tenant_mtu: int
    """The largest packet that every network of every project can carry from site to site."""
    drills: Rules

    def to_dict(self) -> dict[str, Any]:
        """Give the resolved testbed as plain JSON values, of which `from_dict` makes an equal testbed."""
        return {"schema": SCHEMA, **_plain(self)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Testbed:
        """Give the testbed that `to_dict` was called on; raise `OkiagariError` for anything else."""
        try:
            if data["schema"] != SCHEMA:
                raise OkiagariError(
                    f"a resolved testbed of schema {data['schema']} can't be read here, only schema {SCHEMA}"
                )
            return cls(
                name=data["name"],
                management=ManagementNet(**data["management"]),
                sites={name: _site(site) for name, site in data["sites"].items()},
                nodes={name: _node(node) for name, node in data["nodes"].items()},
                circuits={name: TestbedCircuit(**circuit) for name, circuit in data["circuits"].items()},
                segments={name: _segment(segment) for name, segment in data["segments"].items()},
                guests=data["guests"],
                tenant_mtu=data["tenant_mtu"],
                drills=Rules.from_dict(data["drills"]),
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise OkiagariError(f"not a resolved testbed: {error}") from error


def derive(description: Description, problems: Problems) -> Testbed:
    """Resolve `description`; what can't be resolved goes to `problems`, and without any the testbed is complete."""
    return _Derivation(description, problems).testbed()


class _Derivation:
    def __init__(self, description: Description, problems: Problems) -> None:
        self._description = description
        self._problems = problems
        self._prefixes = description.prefixes
        self._routers: dict[str, Router] = {site.router: site for site in description.sites.values()}
        self._routers |= description.core
        self._kvm_hosts = {
            site.kvm_host(index): (site, index)
            for site in description.sites.values()
            for index in range(1, site.kvm_hosts + 1)
        }
        self._ends = {site.name: site.router for site in description.sites.values()}
        self._ends |= {name: name for name in self._routers}
        self._names = {name for typed in description.names for name in (typed, f"{typed}-r1")}

    def testbed(self) -> Testbed:
        self._check_names()
        self._check_numbers()
        interfaces: dict[str, list[WanInterface]] = {name: [] for name in self._routers}
        circuits = self._circuits(interfaces)
        nodes: dict[str, TestbedNode] = {}
        sites = {}
        for site in self._description.sites.values():
            own = {site.router: self._site_router(site, interfaces[site.router])}
            own |= {site.kvm_host(index): self._kvm_host(site, index) for index in range(1, site.kvm_hosts + 1)}
            sites[site.name] = TestbedSite(
                number=site.number,
                title=site.title or site.name,
                lan=str(self._lan(site)),
                prefix=str(self._site_prefix(site)),
                position=site.position,
                nodes=tuple(own),
                storage=str(self._storage(site)),
                drills=site.drills,
            )
            nodes |= own
        for router in self._description.core.values():
            nodes[router.name] = self._router(router, "core", None, tuple(interfaces[router.name]), {})
        management = self._prefixes["management"]
        return Testbed(
            name=self._description.name,
            management=ManagementNet(str(management), str(management[-2])),
            sites=sites,
            nodes=nodes,
            circuits=circuits,
            segments=self._segments(),
            guests=str(self._prefixes["guests"]),
            tenant_mtu=min([*(circuit.mtu - _TAGS for circuit in circuits.values()), _LARGEST_TENANT_MTU]),
            drills=self._description.drills,
        )

    def _check_names(self) -> None:
        taken: dict[str, Item] = {}
        for site in self._description.sites.values():
            for name in (site.name, site.router, *(site.kvm_host(index) for index in range(1, site.kvm_hosts + 1))):
                self._claim(taken, name, site.place, "name")
        for router in self._description.core.values():
            self._claim(taken, router.name, router.place, "name")
        for name in (*GROUPS, "localhost"):
            if name in taken:
                self._problems.add(taken[name], f"the name {name} has a meaning of its own in the inventory")

    def _check_numbers(self) -> None:
        doubled: set[str] = set()
        for routers in (self._description.sites, self._description.core):
            numbers: dict[object, Item] = {}
            free = next(
                (n for n in range(1, LARGEST_NUMBER + 1) if n not in {r.number for r in routers.values()}), None
            )
            for router in routers.values():
                hint = f"; {free} is free" if free else ""
                if not self._claim(numbers, router.number, router.place.at("number"), "number", hint):
                    doubled.add(router.place.key)
        # All that would be derived from a number given twice is there twice as well, and no further problem.
        self._ends = {name: node for name, node in self._ends.items() if self._routers[node].place.key not in doubled}
        asns: dict[object, Item] = {}
        for router in self._routers.values():
            if router.place.key not in doubled:
                self._claim(asns, self._asn(router), router.place.at("asn"), "AS number")

    def _claim(self, taken: dict[Any, Item], value: object, place: Item, what: str, hint: str = "") -> bool:
        if value in taken:
            other = taken[value]
            self._problems.add(place, f"the {what} {value} is taken by {other.key} (line {other.line}){hint}")
            return False
        taken[value] = place
        return True

    def _circuits(self, interfaces: dict[str, list[WanInterface]]) -> dict[str, TestbedCircuit]:
        circuits: dict[str, TestbedCircuit] = {}
        names = {
            f"{site.name}-{segment}": site.place
            for site in self._description.sites.values()
            for segment in ("lan", "trunk")
        }
        numbers: dict[tuple[str, ...], Item] = {}
        tags: dict[object, Item] = {}
        devices: dict[object, Item] = {
            (site.router, device): site.place for site in self._description.sites.values() for device in (_LAN, _TRUNK)
        }
        for circuit in self._description.circuits:
            if circuit.tag is not None:
                self._claim(tags, circuit.tag, circuit.place.at("tag"), "S-tag")
            a, b = (self._node_of(end) for end in circuit.ends)
            if a is None or b is None:
                continue
            if a == b:
                self._problems.add(circuit.place.at("between"), f"a circuit from {a} to itself")
                continue
            name = circuit.name or "-".join([*(self._routers[node].name for node in (a, b)), *_suffix(circuit)])
            parallel = (*sorted((a, b)), str(circuit.number))
            if parallel in numbers:
                self._problems.add(
                    circuit.place,
                    f"{a} and {b} have such a circuit already (line {numbers[parallel].line}); "
                    f"tell parallel ones apart by `number`, from 1 to {PARALLEL_CIRCUITS}",
                )
                continue
            numbers[parallel] = circuit.place
            index = self._index(circuit, a, b)
            tag = circuit.tag or _FIRST_TAG + index
            if tag > _LAST_TAG:
                self._problems.add(
                    circuit.place, f"no S-tag is left to derive for {name}; give it a `tag`, from 1 to {_LAST_TAG}"
                )
            if circuit.tag is None:
                self._claim(tags, tag, circuit.place, "S-tag")
            a_name, b_name = self._device(circuit, 0, b), self._device(circuit, 1, a)
            for node, device, end in zip((a, b), (a_name, b_name), circuit.ends, strict=True):
                self._claim(devices, (node, device), end.place, "interface")
            if not self._claim(names, name, circuit.place.at("name"), "name"):
                continue
            link = self._subnet("circuits", circuit.place, index, 31)
            for node, device, peer in ((a, a_name, b), (b, b_name, a)):
                # The side of the link must not depend on the order in which the ends are typed.
                side = int(self._rank(node) > self._rank(peer))
                interfaces[node].append(
                    WanInterface(
                        name=device,
                        kind="wan",
                        circuit=name,
                        peer=peer,
                        address=f"{link[side]}/31",
                        peer_address=str(link[1 - side]),
                        peer_asn=self._asn(self._routers[peer]),
                        mac=_mac(2, 2 * index + side),
                        mtu=circuit.shape.mtu,
                    )
                )
            circuits[name] = TestbedCircuit(
                a=a,
                b=b,
                a_interface=a_name,
                b_interface=b_name,
                prefix=str(link),
                s_tag=tag,
                delay_ms=self._delay(circuit, a, b),
                jitter_ms=circuit.shape.jitter,
                rate_bps=circuit.shape.rate,
                loss_percent=circuit.shape.loss,
                mtu=circuit.shape.mtu,
            )
        return circuits

    def _node_of(self, end: End) -> str | None:
        node = self._ends.get(end.node)
        if node is None and end.node in self._kvm_hosts:
            self._problems.add(end.place, f"a circuit ends at a router, and {end.node} is a KVM host")
        elif node is None and end.node not in self._names:
            choices = {*self._ends, *self._description.names}
            self._problems.add(end.place, f"there is no site or router {end.node}", nearest(end.node, choices))
        return node

    def _device(self, circuit: Circuit, side: int, peer: str) -> str:
        end = circuit.ends[side]
        if end.interface:
            return end.interface
        name = "-".join(["w", peer, *_suffix(circuit)])
        if len(name) > _LONGEST_INTERFACE:
            self._problems.add(
                end.place,
                f"the interface name {name} has more than {_LONGEST_INTERFACE} characters; "
                f"shorten {self._routers[peer].name} by {len(name) - _LONGEST_INTERFACE}, "
                f"or write this end as {{node: {end.node}, interface: ...}}",
            )
        return name

    def _rank(self, node: str) -> int:
        """Give the router's place among all possible ones: sites have the even places, core routers the odd ones."""
        router = self._routers[node]
        return 2 * router.number - (2 if isinstance(router, Site) else 1)

    def _index(self, circuit: Circuit, a: str, b: str) -> int:
        """Give a number to each possible circuit that depends on its two ends and on its own number only."""
        low, high = sorted((self._rank(a), self._rank(b)))
        return PARALLEL_CIRCUITS * (high * (high - 1) // 2 + low) + circuit.number - 1

    def _delay(self, circuit: Circuit, a: str, b: str) -> float:
        delay = circuit.shape.delay
        if delay is None:
            ends = [self._routers[node] for node in (a, b)]
            positions = [router.position for router in ends if router.position is not None]
            if len(positions) < 2:
                without = " and ".join(router.name for router in ends if router.position is None)
                self._problems.add(
                    circuit.place, f"the delay can't follow the distance without a position of {without}"
                )
                return 0.0
            delay = round(_kilometres(*positions) / _KM_PER_MS, 2)
        if circuit.shape.jitter > delay:
            message = f"the jitter {circuit.shape.jitter:g} ms is more than the delay {delay:g} ms"
            self._problems.add(circuit.place.at("jitter"), message)
        return delay

    def _site_router(self, site: Site, interfaces: list[WanInterface]) -> TestbedNode:
        every: tuple[Interface, ...] = (
            self._lan_interface(site, 1, site.number),
            *interfaces,
            _trunk_interface(site, site.number),
        )
        storage = self._storage(site)
        segments = {_STORAGE: {"address": f"{storage[1]}/{storage.prefixlen}"}}
        return self._router(site, "site", site.name, every, segments)

    def _router(
        self,
        router: Router,
        role: str,
        site: str | None,
        interfaces: tuple[Interface, ...],
        segments: Mapping[str, Mapping[str, str]],
    ) -> TestbedNode:
        number = router.number if site else _HUNDRED + router.number
        return TestbedNode(
            kind="router",
            role=role,
            site=site,
            number=number,
            asn=self._asn(router),
            loopback=self._address("loopbacks", router.place, number),
            management=self._address("management", router.place, number),
            gateway=None,
            platform=router.platform,
            position=router.position,
            cpus=None,
            memory_mib=None,
            interfaces=interfaces,
            segments=segments,
            disks=(),
        )

    def _kvm_host(self, site: Site, index: int) -> TestbedNode:
        number = _HUNDRED * (1 + index) + site.number
        return TestbedNode(
            kind="kvm_host",
            role="site",
            site=site.name,
            number=number,
            asn=None,
            loopback=None,
            management=self._address("management", site.place.at("kvm_hosts"), number),
            gateway=str(self._lan(site)[1]),
            platform="linux",
            position=site.position,
            cpus=site.cpus,
            memory_mib=site.memory,
            interfaces=(self._lan_interface(site, _LAN_HOSTS + index, number), _trunk_interface(site, number)),
            segments=self._attachments(site, index, number),
            disks=tuple(Disk(f"disk{place}", size) for place, size in enumerate(site.disks, 1)),
        )

    def _attachments(self, site: Site, index: int, number: int) -> Mapping[str, Mapping[str, str]]:
        storage = self._storage(site)
        found = {
            _STORAGE: {"address": f"{storage[_LAN_HOSTS + index]}/{storage.prefixlen}", "gateway": str(storage[1])}
        }
        for place, name in enumerate(_BRIDGED):
            prefix = self._segment_prefix(place)
            # The last one is the broadcast address.
            if number >= prefix.num_addresses - 1:
                needed = 32 - (number + 1).bit_length() - (_SEGMENTS - 1).bit_length()
                self._too_small("segments", site.place.at("kvm_hosts"), f"address {number} of each quarter", needed)
            else:
                found[name] = {"address": f"{prefix[number]}/{prefix.prefixlen}"}
        return found

    def _segments(self) -> Mapping[str, RoutedSegment | BridgedSegment]:
        bridged = {
            name: BridgedSegment("l2", vlan, str(self._segment_prefix(place)))
            for place, (name, vlan) in enumerate(_BRIDGED.items())
        }
        return {_STORAGE: RoutedSegment("l3", _STORAGE_VLAN, _STORAGE, _STORAGE_TABLE), **bridged}

    def _segment_prefix(self, place: int) -> IPv4Network:
        prefix = self._prefixes["segments"]
        length = min(32, prefix.prefixlen + (_SEGMENTS - 1).bit_length())
        return IPv4Network((int(prefix.network_address) + place * 2 ** (32 - length), length))

    def _lan_interface(self, site: Site, host: int, number: int) -> LanInterface:
        lan = self._lan(site)
        return LanInterface(_LAN, "lan", f"{site.name}-lan", f"{lan[host]}/{lan.prefixlen}", _mac(1, number), 1500)

    def _asn(self, router: Router) -> int:
        if router.asn is not None:
            return router.asn
        return _ASN_BASE + router.number + (0 if isinstance(router, Site) else _HUNDRED)

    def _lan(self, site: Site) -> IPv4Network:
        return next(self._site_prefix(site).subnets(new_prefix=_LAN_LENGTH))

    def _storage(self, site: Site) -> IPv4Network:
        lan = self._lan(site)
        return IPv4Network((int(lan.broadcast_address) + 1, _LAN_LENGTH))

    def _site_prefix(self, site: Site) -> IPv4Network:
        return self._subnet("sites", site.place.at("number"), site.number, _SITE_LENGTH)

    def _subnet(self, kind: str, place: Item, index: int, length: int) -> IPv4Network:
        """Give the subnet with this index (from 0) of a prefix, or a substitute after recording that there is none."""
        prefix = self._prefixes[kind]
        if prefix.prefixlen > length or index >= 2 ** (length - prefix.prefixlen):
            needed = max(0, length - index.bit_length())
            self._too_small(kind, place, f"subnet {index} of length /{length}", needed)
            return IPv4Network((0, length))
        return IPv4Network((int(prefix.network_address) + index * 2 ** (32 - length), length))

    def _address(self, kind: str, place: Item, number: int) -> str:
        prefix = self._prefixes[kind]
        # The last two are the broadcast address and the gateway.
        if number >= prefix.num_addresses - 2:
            self._too_small(kind, place, f"address {number}", 32 - (number + 2).bit_length())
            return str(IPv4Address(0))
        return str(prefix[number])

    def _too_small(self, kind: str, place: Item, what: str, needed: int) -> None:
        message = (
            f"needs {what} of prefixes.{kind}, and {self._prefixes[kind]} is too small; make it at least a /{needed}"
        )
        problem = (place.line, place.key, message)
        if problem not in {(found.line, found.key, found.message) for found in self._problems.found}:
            self._problems.add(place, message)


def _trunk_interface(site: Site, number: int) -> TrunkInterface:
    return TrunkInterface(_TRUNK, "trunk", f"{site.name}-trunk", _mac(4, number), _TRUNK_MTU)


def _suffix(circuit: Circuit) -> list[str]:
    return [str(circuit.number)] if circuit.number > 1 else []


def _mac(kind: int, number: int) -> str:
    """Give a locally administered address; `kind` keeps the numbers apart: 1 LANs, 2 circuits, 4 trunks (3: guests)."""
    return ":".join(f"{byte:02x}" for byte in (2, kind, *number.to_bytes(4, "big")))


def _kilometres(here: tuple[float, float], there: tuple[float, float]) -> float:
    """Give the great-circle distance of two positions in degrees."""
    (lat1, lon1), (lat2, lon2) = ((math.radians(degrees) for degrees in position) for position in (here, there))
    half = math.sin((lat2 - lat1) / 2) ** 2 + math.cos(lat1) * math.cos(lat2) * math.sin((lon2 - lon1) / 2) ** 2
    return 2 * _EARTH_RADIUS_KM * math.asin(math.sqrt(min(1.0, half)))


def _plain(value: Any) -> Any:
    if is_dataclass(value):
        return {each.name: _plain(getattr(value, each.name)) for each in fields(value)}
    if isinstance(value, Mapping):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(each) for each in value]
    return value


def _tuples(data: Mapping[str, Any]) -> dict[str, Any]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in data.items()}


def _site(data: Mapping[str, Any]) -> TestbedSite:
    return TestbedSite(**{**_tuples(data), "drills": SiteRules.from_dict(data["drills"])})


def _node(data: Mapping[str, Any]) -> TestbedNode:
    interfaces = tuple(_interface(each) for each in data["interfaces"])
    disks = tuple(Disk(**each) for each in data["disks"])
    return TestbedNode(**{**_tuples(data), "interfaces": interfaces, "disks": disks})


def _interface(data: Mapping[str, Any]) -> Interface:
    kinds: dict[str, type[Interface]] = {"lan": LanInterface, "trunk": TrunkInterface, "wan": WanInterface}
    return kinds[data["kind"]](**data)


def _segment(data: Mapping[str, Any]) -> RoutedSegment | BridgedSegment:
    return RoutedSegment(**data) if data["kind"] == "l3" else BridgedSegment(**data)
