# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# pylint: disable=dangerous-default-value
from __future__ import annotations

import fnmatch
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.okiagari.testbed.plugins.module_utils.qinq import plan, plan_hosts
from ansible_collections.okiagari.testbed.plugins.module_utils.qinq.linux import (
    PRUNE,
    devices,
    files,
    interface_files,
    reach,
)
from ansible_collections.okiagari.testbed.plugins.module_utils.topology import load

LAB: dict[str, Any] = load(Path(__file__).parents[5] / "inventory" / "lab" / "testbed.yml").to_dict()
RECORDS = [{"name": "exp1", "networks": {"lan": {"vlan": 100, "sites": ["hiroshima", "kanazawa"]}}}]
HEADER = "# From the testbed's description and its projects: change it there.\n\n"
QUIET = "LinkLocalAddressing=no\nIPv6AcceptRA=no\n"


def rendered(node: str, records: Any = RECORDS) -> dict[str, str]:
    """Give the files of a node, without folder and header."""
    entry = LAB["nodes"][node]
    mine = plan(LAB, records)[node] if entry["kind"] == "router" else plan_hosts(LAB, records)[node]
    found = files(mine, entry)
    assert len({file["path"] for file in found}) == len(found)
    assert all(file["content"].startswith(HEADER) for file in found)
    return {file["path"].removeprefix("/etc/systemd/network/"): file["content"][len(HEADER) :] for file in found}


def test_a_circuit_carries_its_outer_tag_and_that_the_inner_ones() -> None:
    found = rendered("hiroshima-r1")
    assert found["50-w-osaka.network"] == (
        "[Match]\nName=w-osaka\n\n"
        "[Network]\nAddress=10.254.0.0/31\nDescription=hiroshima-osaka: the other end is osaka\n" + QUIET
    )
    assert found["50-w-osaka.network.d/okiagari-qinq.conf"] == "[Network]\nVLAN=s101\n"
    assert found["60-okiagari-s101.netdev"] == (
        "[NetDev]\nName=s101\nKind=vlan\nMTUBytes=1596\n\n[VLAN]\nId=101\nProtocol=802.1ad\n"
    )
    assert found["60-okiagari-s101.network"] == (
        f"[Match]\nName=s101\n\n[Network]\n{QUIET}VLAN=s101.11\nVLAN=s101.12\nVLAN=s101.13\nVLAN=s101.100\n"
    )
    assert found["60-okiagari-trunk0.network"] == (
        f"[Match]\nName=trunk0\n\n[Network]\n{QUIET}VLAN=trunk0.11\nVLAN=trunk0.12\nVLAN=trunk0.13\nVLAN=trunk0.100\n"
    )


def test_a_bridged_network_on_a_router() -> None:
    found = rendered("hiroshima-r1")
    assert found["60-okiagari-br100.netdev"] == (
        "[NetDev]\nName=br100\nKind=bridge\nDescription=exp1/lan\nMTUBytes=1500\nMACAddress=02:05:00:01:00:64\n\n"
        "[Bridge]\nSTP=yes\nMulticastSnooping=no\nPriority=32768\nHelloTimeSec=1\nMaxAgeSec=6\nForwardDelaySec=2\n"
    )
    assert found["60-okiagari-br100.network"] == (
        f"[Match]\nName=br100\n\n[Network]\n{QUIET}ConfigureWithoutCarrier=yes\n"
    )
    assert found["60-okiagari-s101.100.netdev"] == (
        "[NetDev]\nName=s101.100\nKind=vlan\nDescription=exp1/lan\nMTUBytes=1500\n\n[VLAN]\nId=100\n"
    )
    assert found["60-okiagari-s101.100.network"] == (
        f"[Match]\nName=s101.100\n\n[Network]\n{QUIET}Bridge=br100\n\n[Bridge]\nCost=300\n"
    )
    assert found["60-okiagari-trunk0.100.network"].endswith("[Bridge]\nCost=100\nAllowPortToBeRoot=no\n")


def test_a_routed_network_on_a_router() -> None:
    found = rendered("hiroshima-r1")
    assert found["60-okiagari-storage.netdev"] == "[NetDev]\nName=storage\nKind=vrf\n\n[VRF]\nTable=1011\n"
    assert found["60-okiagari-s101.11.network"] == (
        f"[Match]\nName=s101.11\n\n[Network]\n{QUIET}VRF=storage\nAddress=10.254.0.0/31\n"
    )
    assert found["60-okiagari-trunk0.11.network"].endswith("VRF=storage\nAddress=10.1.1.1/24\n")


def test_a_host_has_addresses_and_ways_to_the_other_sites() -> None:
    found = rendered("hiroshima-kvm1")
    assert found["60-okiagari-trunk0.11.network"] == (
        f"[Match]\nName=trunk0.11\n\n[Network]\n{QUIET}Address=10.1.1.11/24\n\n"
        "[Route]\nDestination=10.2.1.0/24\nGateway=10.1.1.1\n\n[Route]\nDestination=10.3.1.0/24\nGateway=10.1.1.1\n"
    )
    assert "[Bridge]\nSTP=no\nMulticastSnooping=no\n" in found["60-okiagari-br12.netdev"]
    assert found["60-okiagari-br12.network"].endswith("ConfigureWithoutCarrier=yes\nAddress=172.30.0.201/22\n")
    assert "br100" in "".join(found)
    assert not [path for path in rendered("naist-kvm1") if "100" in path]


@pytest.mark.parametrize("node", LAB["nodes"])
def test_a_project_touches_no_file_of_the_others_but_lists(node: str) -> None:
    without, with_project = rendered(node, []), rendered(node)
    changed = {path for path in without if without[path] != with_project[path]}
    assert all(path.endswith(".network") and "VLAN=" in without[path] for path in changed)
    assert not [path for path in changed if ".11" in path or ".12" in path or "br" in path]


@pytest.mark.parametrize("node", LAB["nodes"])
def test_pruning_knows_all_that_goes_away_and_nothing_of_the_other_role(node: str) -> None:
    own = {file["path"] for file in interface_files(LAB["nodes"][node])}
    for path in rendered(node):
        full = f"/etc/systemd/network/{path}"
        assert any(fnmatch.fnmatch(full, pattern) for pattern in PRUNE) is not (full in own)
    assert not [path for path in own if any(fnmatch.fnmatch(path, pattern) for pattern in PRUNE)]


@pytest.mark.parametrize("node", ["hiroshima-r1", "osaka"])
def test_two_roles_write_the_same_of_a_circuit(node: str) -> None:
    entry = LAB["nodes"][node]
    mine = {file["path"]: file["content"] for file in interface_files(entry)}
    shared = [file for file in files(plan(LAB, [])[node], entry) if file["path"] in mine]
    assert len(shared) == sum(interface["kind"] == "wan" for interface in entry["interfaces"])
    assert all(mine[file["path"]] == file["content"] for file in shared)


def test_interfaces_with_an_address_are_addressed() -> None:
    found = {file["path"]: file["content"][len(HEADER) :] for file in interface_files(LAB["nodes"]["naist-r1"])}
    assert [path.rpartition("/")[2] for path in found] == [
        "50-lo.network",
        "50-lan0.network",
        "50-w-osaka.network",
        "50-w-otemachi.network",
    ]
    assert found["/etc/systemd/network/50-lo.network"] == (
        f"[Match]\nName=lo\n\n[Network]\nAddress=10.255.0.3/32\n{QUIET}"
    )
    (host,) = interface_files(LAB["nodes"]["naist-kvm1"])
    assert "Address=10.3.0.11/24\nGateway=10.3.0.1\n" in host["content"]


def test_every_device_has_what_it_hangs_on() -> None:
    every = [devices(router) for router in plan(LAB, RECORDS).values()]
    every += [devices(host) for host in plan_hosts(LAB, RECORDS).values()]
    for wanted in every:
        for name, device in wanted.items():
            assert device.get("parent", name) in wanted
            assert device.get("master", name) in wanted
            parent = wanted.get(device.get("parent", ""))
            assert parent is None or parent["mtu"] >= device["mtu"]
    assert devices(plan(LAB, RECORDS)["hiroshima-r1"])["s101.100"] == {
        "kind": "vlan",
        "parent": "s101",
        "protocol": "802.1Q",
        "tag": 100,
        "mtu": 1500,
        "master": "br100",
        "cost": 300,
    }


def test_every_file_has_its_device_and_the_other_way_round() -> None:
    for name, entry in LAB["nodes"].items():
        mine = plan(LAB, RECORDS)[name] if entry["kind"] == "router" else plan_hosts(LAB, RECORDS)[name]
        made = {
            path.removeprefix("60-okiagari-").removesuffix(".netdev")
            for path in rendered(name)
            if path.endswith(".netdev")
        }
        assert made == {device for device, wanted in devices(mine).items() if wanted["kind"] != "own"}


def test_where_full_packets_must_get_to() -> None:
    assert reach(plan(LAB, [])["naist-r1"]) == [
        {"device": "s129.11", "circuit": "naist-osaka", "peer": "osaka", "to": "10.254.0.56", "mtu": 1500},
        {"device": "s137.11", "circuit": "naist-otemachi", "peer": "otemachi", "to": "10.254.0.72", "mtu": 1500},
    ]
    assert reach(plan_hosts(LAB, [])["naist-kvm1"]) == []
