# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import itertools
import json
from pathlib import Path

import pytest
from ansible_collections.okiagari.testbed.plugins.module_utils.errors import BadInput, OkiagariError
from ansible_collections.okiagari.testbed.plugins.module_utils.topology import Graph, Testbed, load, loads
from hypothesis import given
from hypothesis import strategies as st

INVENTORY = Path(__file__).parents[5] / "inventory"
HEAD = "plugin: okiagari.testbed.testbed\nname: t\n"


def describe(sites, core, circuits):
    """Give the text of a description; `sites` and `core` are numbers by name."""
    return HEAD + "".join(
        f"{key}: {json.dumps(value)}\n"
        for key, value in {
            "sites": {name: {"number": number} for name, number in sites.items()},
            "core": {name: {"number": number} for name, number in core.items()},
            "circuits": circuits,
        }.items()
    )


def test_everything_is_derived_from_a_few_numbers():
    testbed = load(INVENTORY / "lab" / "testbed.yml").to_dict()
    assert testbed["schema"] == 2
    assert testbed["management"] == {"prefix": "172.31.0.0/22", "gateway": "172.31.3.254"}
    assert testbed["sites"]["kanazawa"] == {
        "number": 2,
        "title": "Kanazawa University",
        "lan": "10.2.0.0/24",
        "prefix": "10.2.0.0/16",
        "position": [36.54, 136.71],
        "nodes": ["kanazawa-r1", "kanazawa-kvm1"],
        "storage": "10.2.1.0/24",
        "drills": {"windows": [], "blackouts": [], "consent": "always"},
    }
    router = testbed["nodes"]["hiroshima-r1"]
    assert (router["kind"], router["role"], router["asn"]) == ("router", "site", 65001)
    assert (router["loopback"], router["management"], router["platform"]) == ("10.255.0.1", "172.31.0.1", "linux")
    assert router["interfaces"][:2] == [
        {
            "name": "lan0",
            "kind": "lan",
            "segment": "hiroshima-lan",
            "address": "10.1.0.1/24",
            "mac": "02:01:00:00:00:01",
            "mtu": 1500,
        },
        {
            "name": "w-osaka",
            "kind": "wan",
            "circuit": "hiroshima-osaka",
            "peer": "osaka",
            "address": "10.254.0.0/31",
            "peer_address": "10.254.0.1",
            "peer_asn": 65101,
            "mac": "02:02:00:00:00:00",
            "mtu": 1600,
        },
    ]
    host = testbed["nodes"]["naist-kvm1"]
    assert (host["kind"], host["asn"], host["loopback"], host["gateway"]) == ("kvm_host", None, None, "10.3.0.1")
    assert host["interfaces"][0]["address"] == "10.3.0.11/24"
    assert testbed["nodes"]["otemachi"]["site"] is None
    assert testbed["circuits"]["hiroshima-osaka"] == {
        "a": "hiroshima-r1",
        "b": "osaka",
        "a_interface": "w-osaka",
        "b_interface": "w-hiroshima-r1",
        "prefix": "10.254.0.0/31",
        "s_tag": 101,
        "delay_ms": 2.0,
        "jitter_ms": 0.2,
        "rate_bps": 1_000_000_000,
        "loss_percent": 0.0,
        "mtu": 1600,
    }


def test_the_segments_of_a_testbed():
    testbed = load(INVENTORY / "lab" / "testbed.yml").to_dict()
    assert testbed["segments"] == {
        "storage": {"kind": "l3", "vlan": 11, "vrf": "storage", "table": 1011},
        "management": {"kind": "l2", "vlan": 12, "prefix": "172.30.0.0/22"},
        "migration": {"kind": "l2", "vlan": 13, "prefix": "172.30.4.0/22"},
    }
    nodes = testbed["nodes"]
    assert nodes["osaka"]["segments"] == {}
    assert nodes["hiroshima-r1"]["segments"] == {"storage": {"address": "10.1.1.1/24"}}
    assert nodes["hiroshima-kvm1"]["segments"] == {
        "storage": {"address": "10.1.1.11/24", "gateway": "10.1.1.1"},
        "management": {"address": "172.30.0.201/22"},
        "migration": {"address": "172.30.4.201/22"},
    }
    trunks = {name: [each for each in node["interfaces"] if each["kind"] == "trunk"] for name, node in nodes.items()}
    assert {name for name, found in trunks.items() if found} == {name for name, node in nodes.items() if node["site"]}
    assert trunks["hiroshima-kvm1"] == [
        {"name": "trunk0", "kind": "trunk", "segment": "hiroshima-trunk", "mac": "02:04:00:00:00:c9", "mtu": 1600}
    ]


@pytest.mark.parametrize(("mtus", "tenant"), [([], 1500), ([1500], 1492), ([9000, 1600], 1500), ([1600, 1504], 1496)])
def test_projects_have_what_the_smallest_circuit_leaves_beside_two_tags(mtus, tenant):
    circuits = [{"between": ["a", "x"], "number": number, "mtu": mtu} for number, mtu in enumerate(mtus, 1)]
    assert loads(describe({"a": 1}, {"x": 1}, circuits)).tenant_mtu == tenant


def test_every_host_of_a_site_has_its_disks():
    text = describe({"a": 1}, {}, []).replace('{"number": 1}', "{number: 1, kvm_hosts: 2, disks: [4gib, 512mib]}")
    nodes = loads(text).to_dict()["nodes"]
    disks = [{"name": "disk1", "size_mib": 4096}, {"name": "disk2", "size_mib": 512}]
    assert {name: node["disks"] for name, node in nodes.items()} == {"a-r1": [], "a-kvm1": disks, "a-kvm2": disks}


@pytest.mark.parametrize(("name", "sites"), [("lab", 3), ("distcloud", 12)])
def test_every_pair_of_sites_has_two_disjoint_paths(name, sites):
    testbed = load(INVENTORY / name / "testbed.yml").to_dict()
    graph = Graph.from_testbed(testbed)
    routers = [f"{site}-r1" for site in testbed["sites"]]
    assert len(routers) == sites
    for a, b in itertools.combinations(routers, 2):
        assert len(graph.node_disjoint_paths(a, b)) >= 2


def test_the_direct_circuit_of_the_lab_is_one_hop_and_can_be_spared():
    graph = Graph.from_testbed(load(INVENTORY / "lab" / "testbed.yml").to_dict())
    ends = ("hiroshima-r1", "kanazawa-r1")
    assert graph.shortest_path(*ends, weight=lambda edge: 1) == list(ends)
    assert graph.isolated_sites(cut={"hiroshima-kanazawa"}) == set()


@pytest.mark.parametrize("name", ["lab", "distcloud"])
def test_a_testbed_survives_json(name):
    testbed = load(INVENTORY / name / "testbed.yml")
    assert Testbed.from_dict(json.loads(json.dumps(testbed.to_dict()))) == testbed


@pytest.mark.parametrize("data", [{}, {"schema": 1}, {"schema": 2}, {"schema": 2, "name": "x", "management": 3}])
def test_something_else_is_no_testbed(data):
    with pytest.raises(OkiagariError, match="resolved testbed"):
        Testbed.from_dict(data)


def test_a_parallel_circuit_has_names_and_numbers_of_its_own():
    ends = ["a", "x"]
    circuits = loads(describe({"a": 1}, {"x": 1}, [{"between": ends}, {"between": ends, "number": 2}])).circuits
    assert list(circuits) == ["a-x", "a-x-2"]
    assert [circuit.b_interface for circuit in circuits.values()] == ["w-a-r1", "w-a-r1-2"]
    assert len({circuit.prefix for circuit in circuits.values()}) == len({c.s_tag for c in circuits.values()}) == 2


def test_the_order_of_the_ends_changes_no_address():
    def addresses(ends):
        testbed = loads(describe({"a": 1, "b": 2}, {}, [{"between": ends}]))
        return {name: node.interfaces[1].address for name, node in testbed.nodes.items() if node.kind == "router"}

    assert addresses(["a", "b"]) == addresses(["b-r1", "a"])


def test_real_gear_keeps_its_interface_names():
    ends = [{"node": "osaka-university", "interface": "eth1"}, {"node": "tokyo", "interface": "eth2"}]
    circuit = loads(describe({"osaka-university": 1}, {"tokyo": 1}, [{"between": ends}])).circuits[
        "osaka-university-tokyo"
    ]
    assert (circuit.a, circuit.a_interface, circuit.b_interface) == ("osaka-university-r1", "eth1", "eth2")


def test_the_delay_follows_the_distance_on_request():
    text = describe({"a": 1}, {"x": 1}, [{"between": ["a", "x"], "delay": "distance"}])
    text = text.replace('{"a": {"number": 1}}', "{a: {number: 1, position: [0, 0]}}")
    text = text.replace('{"x": {"number": 1}}', "{x: {number: 1, position: [0, 90]}}")
    assert loads(text).circuits["a-x"].delay_ms == pytest.approx(70.05, abs=0.01)


def test_profiles_build_on_each_other():
    text = describe({"a": 1}, {"x": 1}, [{"between": ["a", "x"], "profile": "far", "loss": "1%"}])
    text += "profiles: {far: {extends: wan, delay: 9ms}, wan: {delay: 1ms, rate: 1gbit, mtu: 9000}}\n"
    circuit = loads(text).circuits["a-x"]
    assert (circuit.delay_ms, circuit.rate_bps, circuit.mtu, circuit.loss_percent) == (9.0, 10**9, 9000, 1.0)


@st.composite
def descriptions(draw):
    every = draw(st.permutations([f"n{letter}" for letter in "abcdefghijklmnop"]))
    sites = dict(zip(every, draw(st.lists(st.integers(1, 15), min_size=2, max_size=8, unique=True)), strict=False))
    core = dict(zip(every[8:], draw(st.lists(st.integers(1, 22), max_size=8, unique=True)), strict=False))
    pairs = list(itertools.combinations([*sites, *core], 2))
    keys = st.tuples(st.sampled_from(pairs), st.integers(1, 4))
    circuits = [
        {"between": list(ends), "number": number, "delay": "1ms"}
        for ends, number in draw(st.lists(keys, max_size=12, unique=True))
    ]
    return sites, core, circuits


@given(descriptions())
def test_what_must_be_unique_is(description):
    testbed = loads(describe(*description))
    interfaces = [interface for node in testbed.nodes.values() for interface in node.interfaces]
    routers = [node for node in testbed.nodes.values() if node.kind == "router"]
    for values in (
        [interface.mac for interface in interfaces],
        [interface.address for interface in interfaces if interface.kind != "trunk"]
        + [each["address"] for node in testbed.nodes.values() for each in node.segments.values()],
        [(name, interface.name) for name, node in testbed.nodes.items() for interface in node.interfaces],
        [node.management for node in testbed.nodes.values()],
        [node.number for node in testbed.nodes.values()],
        [node.loopback for node in routers],
        [node.asn for node in routers],
        [circuit.s_tag for circuit in testbed.circuits.values()],
        [circuit.prefix for circuit in testbed.circuits.values()],
    ):
        assert len(values) == len(set(values))
    assert all(1 <= circuit.s_tag <= 4094 for circuit in testbed.circuits.values())
    assert Testbed.from_dict(testbed.to_dict()) == testbed


@given(descriptions(), st.data())
def test_adding_something_changes_nothing_for_the_others(description, data):
    sites, core, circuits = description
    before = loads(describe(*description)).to_dict()
    added = data.draw(st.integers(1, 15).filter(lambda number: number not in sites.values()))
    place = data.draw(st.integers(0, len(circuits)))
    ends = ["new", data.draw(st.sampled_from([*sites, *core]))]
    more = [*circuits[:place], {"between": ends}, *circuits[place:]]
    after = loads(describe({"new": added} | sites, core, more)).to_dict()
    assert {name: after["sites"][name] for name in before["sites"]} == before["sites"]
    assert {name: after["circuits"][name] for name in before["circuits"]} == before["circuits"]
    for name, node in before["nodes"].items():
        left = [each for each in after["nodes"][name]["interfaces"] if each.get("peer") != "new-r1"]
        assert {**after["nodes"][name], "interfaces": left} == node


def test_a_missing_file_is_a_problem(tmp_path):
    with pytest.raises(BadInput, match="cannot be read: No such file"):
        load(tmp_path / "testbed.yml")


def test_a_file_that_is_no_text_is_a_problem(tmp_path):
    path = tmp_path / "testbed.yml"
    path.write_bytes(b"\xff\xfe\xff")
    with pytest.raises(BadInput, match="not UTF-8"):
        load(path)
