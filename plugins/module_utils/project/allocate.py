# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The decision: which VLANs, prefixes, addresses and hosts a project gets. Pure; who calls it holds the lock.

What a project holds already never moves. The same request, testbed and records always give the same answer.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network
from typing import TYPE_CHECKING, Any, Final

from ..errors import BadInput, BadValue, Problem
from .capacity import Amounts, fits, held, shortages, take
from .record import SCHEMA, Record, leaving
from .request import FIRST_VLAN, LAST_VLAN, MachineRequest, NetworkRequest, Request, first_host, machine_names, room

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

POOL: Final = "10.240.0.0/12"
_LENGTH: Final = 24
_FIXED: Final = {"vcpus": "vcpus", "memory_mib": "memory", "disk_mib": "disk", "template": "template"}


def allocate(
    request: Request,
    testbed: Mapping[str, Any],
    records: Iterable[Record],
    capacities: Mapping[str, Amounts],
    *,
    created: str,
    pool: str = POOL,
) -> dict[str, Any]:
    """Give the record of the project after `request`; raise `BadInput` with all that is short or can't be changed.

    `records` are all that the registrar has, `capacities` what each KVM host that answers can carry. Machines and
    networks that aren't asked for any more stay in the record, marked as releasing.
    """
    return _Allocation(request, testbed, list(records), capacities, pool_network(pool)).record(created)


def pool_network(pool: str) -> IPv4Network:
    """Give the pool of prefixes as a network; raise `BadInput` if it is none."""
    try:
        network = IPv4Network(pool)
    except ValueError as error:
        raise BadInput([Problem("", None, "pool", f"{pool} is not a network: {error}")]) from error
    if network.prefixlen > _LENGTH:
        raise BadInput([Problem("", None, "pool", f"{pool} is smaller than a /{_LENGTH}, the prefix of one network")])
    return network


class _Allocation:
    def __init__(
        self,
        request: Request,
        testbed: Mapping[str, Any],
        records: list[Record],
        capacities: Mapping[str, Amounts],
        pool: IPv4Network,
    ) -> None:
        self._request = request
        self._testbed = testbed
        self._capacities = capacities
        self._pool = pool
        self._problems: list[Problem] = []
        self._old: Record = next((each for each in records if each["name"] == request.name), {})
        self._others = [each for each in records if each["name"] != request.name]
        self._held = held(records)
        self._networks: dict[str, dict[str, Any]] = {}
        self._machines: dict[str, dict[str, Any]] = {}

    def record(self, created: str) -> dict[str, Any]:
        if leaving(self._old):
            self._refuse("", f"the project {self._request.name} is being removed; finish that with state=absent first")
        else:
            self._decide_networks()
            self._decide_machines()
        if self._problems:
            raise BadInput(self._problems)
        return {
            "schema": SCHEMA,
            "name": self._request.name,
            "contact": self._request.contact,
            "created": self._old.get("created", created),
            "authorized_keys": list(self._request.authorized_keys),
            "networks": self._with_leaving("networks", self._networks),
            "machines": self._with_leaving("machines", self._machines),
        }

    def _with_leaving(self, part: str, asked: Mapping[str, Any]) -> dict[str, Any]:
        left = {name: {**thing, "releasing": True} for name, thing in self._had(part).items() if name not in asked}
        return {**asked, **left}

    def _had(self, part: str) -> Mapping[str, Any]:
        return self._old.get(part, {})  # type: ignore[no-any-return]

    def _refuse(self, key: str, message: str) -> None:
        self._problems.append(Problem("", None, key, message))

    def _decide_networks(self) -> None:
        # Typed VLANs come first, so that none of them is given to a network that takes any.
        asked = self._request.networks.values()
        for network in sorted(asked, key=lambda network: network.vlan is None):
            key = f"networks.{network.name}"
            old = self._had("networks").get(network.name)
            if old is not None:
                self._keep_network(key, network, old)
                continue
            try:
                vlan = self._vlan(network)
                prefix = network.prefix or self._prefix()
            except BadValue as error:
                self._refuse(key, error.message)
                continue
            self._networks[network.name] = {"vlan": vlan, "prefix": prefix, "sites": self._sites(network)}
        self._networks = {name: self._networks[name] for name in self._request.networks if name in self._networks}

    def _keep_network(self, key: str, network: NetworkRequest, old: Mapping[str, Any]) -> None:
        for name, wanted in (("vlan", network.vlan), ("prefix", network.prefix)):
            if wanted is not None and wanted != old[name]:
                self._refuse(key, f"its {name} can't change from {old[name]} to {wanted} while it exists")
        self._networks[network.name] = {
            "vlan": old["vlan"],
            "prefix": old["prefix"],
            "sites": self._sites(network),
        }

    def _sites(self, network: NetworkRequest) -> list[str]:
        return [site for site in self._testbed["sites"] if site in network.sites]

    def _vlan(self, network: NetworkRequest) -> int:
        taken = {each["vlan"]: name for name, each in (*self._had("networks").items(), *self._networks.items())}
        taken |= {each["vlan"]: record["name"] for record in self._others for each in record["networks"].values()}
        if network.vlan is not None:
            if network.vlan in taken:
                raise BadValue(f"the VLAN {network.vlan} is held by {taken[network.vlan]}")
            return network.vlan
        reserved = {each.vlan for each in self._request.networks.values() if each.vlan is not None}
        free = (vlan for vlan in range(FIRST_VLAN, LAST_VLAN + 1) if vlan not in taken and vlan not in reserved)
        vlan = next(free, None)
        if vlan is None:
            raise BadValue(f"no VLAN is free: all from {FIRST_VLAN} to {LAST_VLAN} are held")
        return vlan

    def _prefix(self) -> str:
        taken = self._taken_prefixes()
        least = int(self._pool.network_address)
        step = 2 ** (32 - _LENGTH)
        while least <= int(self._pool.broadcast_address):
            prefix = IPv4Network((least, _LENGTH))
            ends = [int(other.broadcast_address) for other in taken if other.overlaps(prefix)]
            if not ends:
                return str(prefix)
            # On to the first candidate behind all that is in the way.
            least = max(least, max(ends) // step * step) + step
        raise BadValue(f"no prefix is free: every /{_LENGTH} of {self._pool} is held")

    def _taken_prefixes(self) -> list[IPv4Network]:
        testbed = self._testbed
        own = [testbed["management"]["prefix"]]
        own += [each["prefix"] for each in (*testbed["sites"].values(), *testbed["circuits"].values())]
        own += [each["prefix"] for each in testbed.get("segments", {}).values() if "prefix" in each]
        own += [node["loopback"] for node in testbed["nodes"].values() if node["loopback"]]
        records = [record["networks"].values() for record in (*self._others, self._old) if record]
        own += [each["prefix"] for networks in (*records, self._networks.values()) for each in networks]
        own += [each.prefix for each in self._request.networks.values() if each.prefix]
        networks = [IPv4Network(prefix) for prefix in own]
        return [network for network in networks if network.overlaps(self._pool)]

    def _decide_machines(self) -> None:
        new: list[tuple[str, MachineRequest]] = []
        others = {name: record["name"] for record in self._others for name in record["machines"]}
        for group in self._request.machines.values():
            for name in machine_names(self._request.name, group):
                old = self._had("machines").get(name)
                if name in others:
                    self._refuse(f"machines.{group.name}", f"the name {name} is held by {others[name]}")
                elif old is None:
                    new.append((name, group))
                else:
                    self._keep_machine(name, group, old)
        self._check_room(new)
        self._place(new)
        if not self._problems:
            self._address(new)
            names = [
                name for group in self._request.machines.values() for name in machine_names(self._request.name, group)
            ]
            self._machines = {name: self._machines[name] for name in names}

    def _keep_machine(self, name: str, group: MachineRequest, old: Mapping[str, Any]) -> None:
        key = f"machines.{group.name}"
        for field, word in _FIXED.items():
            if getattr(group, field) != old[field]:
                self._refuse(key, f"the {word} of {name} can't change from {old[field]} to {getattr(group, field)}")
        had = tuple(each["name"] for each in old["networks"])
        if had != group.networks:
            self._refuse(
                key, f"the networks of {name} can't change from {', '.join(had)} to {', '.join(group.networks)}"
            )
        for network in group.networks:
            if network in had and old["site"] not in self._networks.get(network, {"sites": [old["site"]]})["sites"]:
                self._refuse(f"networks.{network}", f"must go on spanning {old['site']}: {name} is there")
        self._machines[name] = {key: value for key, value in old.items() if key != "releasing"}

    def _check_room(self, new: list[tuple[str, MachineRequest]]) -> None:
        for name, network in self._networks.items():
            prefix = IPv4Network(network["prefix"])
            stay = len(self._indexes(name))
            asked = sum(1 for _machine, group in new if name in group.networks)
            if stay + asked > room(prefix):
                self._refuse(
                    f"networks.{name}",
                    f"{prefix} has addresses for {room(prefix)} machines: {stay} are held and {asked} more are asked",
                )

    def _place(self, new: list[tuple[str, MachineRequest]]) -> None:
        """Choose a host for every new machine: those with the fewest sites and the largest come first."""
        order = sorted(new, key=lambda entry: (len(entry[1].sites), -entry[1].memory_mib, -entry[1].vcpus))
        unplaced: dict[str, int] = {}
        for name, group in order:
            machine = {"vcpus": group.vcpus, "memory_mib": group.memory_mib, "disk_mib": group.disk_mib}
            host = None if group.name in unplaced else self._host(group, machine)
            if host is None:
                unplaced[group.name] = unplaced.get(group.name, 0) + 1
                continue
            self._machines[name] = {
                "site": self._testbed["nodes"][host]["site"],
                "host": host,
                **machine,
                "template": group.template,
                "networks": [],
            }
            take(self._held, host, machine)
        for name, missing in unplaced.items():
            self._refuse_place(self._request.machines[name], missing, sum(group.name == name for _each, group in new))

    def _host(self, group: MachineRequest, machine: Mapping[str, Any]) -> str | None:
        """Give the best host with room: at the site with the fewest of the group, with the fewest guests of all."""
        names = set(machine_names(self._request.name, group))
        here = [each["site"] for name, each in self._machines.items() if name in names]
        for site in sorted(group.sites, key=here.count):
            hosts = [
                host
                for host in self._hosts(site)
                if host in self._capacities and fits(self._capacities[host], self._held.get(host, {}), machine)
            ]
            if hosts:
                return min(hosts, key=lambda host: self._held.get(host, {}).get("guests", 0))
        return None

    def _hosts(self, site: str) -> list[str]:
        nodes = self._testbed["nodes"]
        return [node for node in self._testbed["sites"][site]["nodes"] if nodes[node]["kind"] == "kvm_host"]

    def _refuse_place(self, group: MachineRequest, missing: int, asked: int) -> None:
        machine = {"vcpus": group.vcpus, "memory_mib": group.memory_mib, "disk_mib": group.disk_mib}
        why = []
        for site in group.sites:
            hosts = self._hosts(site)
            why += [] if hosts else [f"{site} has no KVM host"]
            for host in hosts:
                if host in self._capacities:
                    why += shortages(host, self._capacities[host], self._held.get(host, {}), machine)
                else:
                    why.append(f"{host} doesn't say what it can carry (is it up, and was it made ready for guests?)")
        key = f"machines.{group.name}"
        self._refuse(key, f"there is no room for {missing} of {asked} new machines")
        for reason in why:
            self._refuse(key, reason)

    def _address(self, new: list[tuple[str, MachineRequest]]) -> None:
        for name, group in new:
            for network in group.networks:
                entry = self._networks[network]
                prefix = IPv4Network(entry["prefix"])
                taken = self._indexes(network)
                index = next(index for index in range(first_host(prefix), prefix.num_addresses) if index not in taken)
                self._machines[name]["networks"].append(
                    {
                        "name": network,
                        "vlan": entry["vlan"],
                        "bridge": f"br{entry['vlan']}",
                        "address": f"{prefix[index]}/{prefix.prefixlen}",
                        "mac": mac(entry["vlan"], index),
                        "mtu": self._testbed["tenant_mtu"],
                    }
                )

    def _indexes(self, network: str) -> set[int]:
        """Give the places in the prefix of `network` that are held, also by machines on their way out."""
        base = int(IPv4Network(self._networks[network]["prefix"]).network_address)
        every = {**self._had("machines"), **self._machines}.values()
        return {
            int(IPv4Address(each["address"].split("/")[0])) - base
            for machine in every
            for each in machine["networks"]
            if each["name"] == network
        }


def mac(vlan: int, index: int) -> str:
    """Give the address of the guest's interface with this place in its network; no two networks share a VLAN."""
    return ":".join(f"{byte:02x}" for byte in (2, 3, *vlan.to_bytes(2, "big"), *index.to_bytes(2, "big")))
