# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.okiagari.testbed.plugins.module_utils.errors import BadInput
from ansible_collections.okiagari.testbed.plugins.module_utils.qinq import RouterPlan, plan, plan_hosts
from ansible_collections.okiagari.testbed.plugins.module_utils.topology import Graph, load, loads
from hypothesis import given
from hypothesis import strategies as st

INVENTORY = Path(__file__).parents[5] / "inventory"
LAB: dict[str, Any] = load(INVENTORY / "lab" / "testbed.yml").to_dict()
DISTCLOUD: dict[str, Any] = load(INVENTORY / "distcloud" / "testbed.yml").to_dict()


def record(name: str, **networks: tuple[int, list[str]]) -> dict[str, Any]:
    return {
        "name": name,
        "networks": {name: {"vlan": vlan, "sites": sites} for name, (vlan, sites) in networks.items()},
    }


def members(plans: dict[str, RouterPlan], vlan: int) -> dict[str, list[str]]:
    """Give the devices of a bridged C-tag by router."""
    return {
        name: [member.device for member in bridge.members]
        for name, router in plans.items()
        for bridge in router.bridges
        if bridge.vlan == vlan
    }


def circuits_of(testbed: dict[str, Any], plans: dict[str, RouterPlan], vlan: int) -> set[str]:
    """Give the circuits that a bridged C-tag goes over; both ends of each must carry it."""
    found: dict[int, list[str]] = {}
    for name, router in plans.items():
        for bridge in router.bridges:
            for member in bridge.members:
                if bridge.vlan == vlan and member.s_tag is not None:
                    found.setdefault(member.s_tag, []).append(name)
    named = {circuit["s_tag"]: (name, circuit) for name, circuit in testbed["circuits"].items()}
    for tag, ends in found.items():
        assert sorted(ends) == sorted((named[tag][1]["a"], named[tag][1]["b"]))
    return {named[tag][0] for tag in found}


def test_segments_go_everywhere() -> None:
    plans = plan(LAB, [])
    assert members(plans, 12) == {
        "hiroshima-r1": ["s101.12", "s113.12", "s105.12", "trunk0.12"],
        "kanazawa-r1": ["s109.12", "s121.12", "s105.12", "trunk0.12"],
        "naist-r1": ["s129.12", "s137.12", "trunk0.12"],
        "osaka": ["s101.12", "s109.12", "s129.12", "s117.12"],
        "otemachi": ["s113.12", "s121.12", "s137.12", "s117.12"],
    }
    assert members(plans, 13).keys() == members(plans, 12).keys()


def test_a_router_knows_its_circuits_and_what_each_costs() -> None:
    router = plan(LAB, [])["hiroshima-r1"]
    assert (router.platform, router.trunk, router.trunk_mtu) == ("linux", "trunk0", 1600)
    assert [(port.device, port.interface, port.mtu, port.inner_mtu, port.cost) for port in router.circuits] == [
        ("s101", "w-osaka", 1600, 1596, 300),
        ("s113", "w-otemachi", 1600, 1596, 600),
        ("s105", "w-kanazawa-r1", 1600, 1596, 500),
    ]
    assert plan(LAB, [])["osaka"].trunk is None


def test_the_core_has_the_root_and_its_successor() -> None:
    priorities = {name: router.bridges[0].priority for name, router in plan(LAB, []).items()}
    assert priorities == {
        "osaka": 4096,
        "otemachi": 8192,
        "hiroshima-r1": 32768,
        "kanazawa-r1": 32768,
        "naist-r1": 32768,
    }


def test_without_a_core_a_site_has_the_root() -> None:
    testbed = loads(
        "plugin: okiagari.testbed.testbed\nname: t\nsites: {b: {number: 2}, a: {number: 1}, c: {number: 3}}\n"
        "circuits: [{between: [a, b]}, {between: [b, c]}, {between: [a, c]}]\n"
    ).to_dict()
    assert [(name, router.bridges[0].priority) for name, router in sorted(plan(testbed, []).items())] == [
        ("a-r1", 4096),
        ("b-r1", 8192),
        ("c-r1", 32768),
    ]


def test_the_routed_segment_has_a_session_on_each_circuit() -> None:
    (routed,) = plan(LAB, [])["naist-r1"].routed
    assert (routed.segment, routed.vrf, routed.table, routed.vlan, routed.mtu) == ("storage", "storage", 1011, 11, 1500)
    assert (routed.asn, routed.router_id, routed.networks) == (65003, "10.255.0.3", ("10.3.1.0/24",))
    assert [(each.device, each.address, each.peer_address, each.peer_asn) for each in routed.interfaces] == [
        ("s129.11", "10.254.0.57/31", "10.254.0.56", 65101),
        ("s137.11", "10.254.0.73/31", "10.254.0.72", 65102),
        ("trunk0.11", "10.3.1.1/24", None, None),
    ]
    (core,) = plan(LAB, [])["osaka"].routed
    assert core.networks == ()
    assert all(each.circuit for each in core.interfaces)


def test_a_host_has_its_segments_and_the_networks_of_its_site() -> None:
    hosts = plan_hosts(LAB, [record("exp1", lan=(100, ["naist", "kanazawa"]), own=(101, ["hiroshima"]))])
    assert {name: [bridge.name for bridge in host.bridges] for name, host in hosts.items()} == {
        "hiroshima-kvm1": ["br12", "br13", "br101"],
        "kanazawa-kvm1": ["br12", "br13", "br100"],
        "naist-kvm1": ["br12", "br13", "br100"],
    }
    host = hosts["naist-kvm1"]
    assert [bridge.addresses for bridge in host.bridges] == [("172.30.0.203/22",), ("172.30.4.203/22",), ()]
    assert [(bridge.stp, [member.device for member in bridge.members]) for bridge in host.bridges] == [
        (False, ["trunk0.12"]),
        (False, ["trunk0.13"]),
        (False, ["trunk0.100"]),
    ]
    (link,) = host.links
    assert (link.device, link.address, link.gateway) == ("trunk0.11", "10.3.1.11/24", "10.3.1.1")
    assert link.destinations == ("10.1.1.0/24", "10.2.1.0/24")


def test_a_network_of_one_site_stays_there() -> None:
    assert members(plan(LAB, [record("exp1", lan=(100, ["naist"]))]), 100) == {}


def test_routers_of_other_sites_are_spared_where_two_ways_are_left() -> None:
    plans = plan(LAB, [record("exp1", lan=(100, ["hiroshima", "naist"]))])
    assert set(members(plans, 100)) == {"hiroshima-r1", "naist-r1", "osaka", "otemachi"}
    assert "s105.100" not in members(plans, 100)["hiroshima-r1"]
    assert len(circuits_of(LAB, plans, 100)) == 5


def test_routers_of_other_sites_help_where_they_are_needed() -> None:
    ring = loads(
        "plugin: okiagari.testbed.testbed\nname: t\n"
        "sites: {a: {number: 1}, b: {number: 2}, c: {number: 3}, d: {number: 4}}\n"
        "circuits: [{between: [a, b]}, {between: [b, c]}, {between: [c, d]}, {between: [a, d]}]\n"
    ).to_dict()
    plans = plan(ring, [record("exp1", lan=(100, ["a", "b"]))])
    assert members(plans, 100).keys() == {"a-r1", "b-r1", "c-r1", "d-r1"}
    assert [name for name, found in members(plans, 100).items() if "trunk0.100" in found] == ["a-r1", "b-r1"]


@given(st.sets(st.sampled_from(sorted(DISTCLOUD["sites"])), min_size=2), st.data())
def test_a_network_survives_any_cut_that_the_testbed_does(sites: set[str], data: st.DataObject) -> None:
    circuits = circuits_of(DISTCLOUD, plan(DISTCLOUD, [record("exp1", lan=(100, sorted(sites)))]), 100)
    cut = data.draw(st.sampled_from(sorted(circuits)))
    left = Graph.from_testbed(DISTCLOUD).without(cut={*set(DISTCLOUD["circuits"]) - circuits, cut})
    ends = [f"{site}-r1" for site in sorted(sites)]
    assert set(ends) <= left.reachable(ends[0])


@given(st.lists(st.sets(st.sampled_from(sorted(DISTCLOUD["sites"])), min_size=1), max_size=6))
def test_a_further_project_changes_nothing_for_the_others(spans: list[set[str]]) -> None:
    records = [record(f"p{number}", lan=(100 + number, sorted(span))) for number, span in enumerate(spans)]
    before, after = plan(DISTCLOUD, records[:-1]), plan(DISTCLOUD, records)
    for name in before:
        kept = [bridge for bridge in after[name].bridges if bridge.vlan != 99 + len(spans)]
        assert kept == list(before[name].bridges)


def test_bridges_have_addresses_of_their_own() -> None:
    records = [record("exp1", lan=(100, sorted(DISTCLOUD["sites"])), other=(3999, ["osaka", "naist"]))]
    macs = [bridge.mac for router in plan(DISTCLOUD, records).values() for bridge in router.bridges]
    macs += [bridge.mac for host in plan_hosts(DISTCLOUD, records).values() for bridge in host.bridges]
    assert len(macs) == len(set(macs))


def test_all_that_is_wrong_with_records_is_told() -> None:
    with pytest.raises(BadInput) as refused:
        plan(LAB, [record("exp1", lan=(100, ["hirosima"])), record("exp2", lan=(100, ["naist"]), b=(13, ["naist"]))])
    assert str(refused.value).splitlines() == [
        "exp1/lan: the testbed has no site hirosima; did you mean hiroshima?",
        "exp2/lan: the VLAN 100 is that of exp1/lan",
        "exp2/b: the VLAN 13 is not from 100 to 3999",
    ]


def test_a_circuit_that_is_too_small_is_named() -> None:
    small = {**LAB, "circuits": {name: dict(circuit) for name, circuit in LAB["circuits"].items()}}
    small["circuits"]["hiroshima-osaka"]["mtu"] = 1504
    with pytest.raises(BadInput) as refused:
        plan(small, [], mtu=1500)
    assert str(refused.value) == (
        "circuit hiroshima-osaka: its MTU 1504 leaves 1496 beside two tags, and 1500 is asked for"
    )
    assert plan(small, [], mtu=1496)["osaka"].bridges[0].mtu == 1496


def test_a_trunk_that_is_too_small_is_named() -> None:
    large = {**LAB, "circuits": {name: {**circuit, "mtu": 9216} for name, circuit in LAB["circuits"].items()}}
    with pytest.raises(BadInput, match="trunk0 of hiroshima-kvm1: its MTU 1600 leaves 1596 beside a tag, and 9000"):
        plan(large, [], mtu=9000)


def test_no_device_name_is_too_long() -> None:
    plans = plan(DISTCLOUD, [record("exp1", lan=(3999, sorted(DISTCLOUD["sites"])))])
    names = itertools.chain.from_iterable(members(plans, 3999).values())
    assert max(map(len, names)) <= 15
