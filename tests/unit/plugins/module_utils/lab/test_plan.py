# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from ansible_collections.okiagari.testbed.plugins.module_utils.errors import OkiagariError
from ansible_collections.okiagari.testbed.plugins.module_utils.lab import Disk, LabPlan, plan_lab
from ansible_collections.okiagari.testbed.plugins.module_utils.topology import load, loads
from hypothesis import given, settings
from hypothesis import strategies as st

if TYPE_CHECKING:
    from collections.abc import Mapping

INVENTORY = Path(__file__).parents[5] / "inventory"
NAMES = st.from_regex(r"[a-z]([a-z0-9]|-(?=[a-z0-9])){0,20}", fullmatch=True).map(lambda name: f"x{name}")


def describe(sites: Mapping[str, int], core: Mapping[str, int], circuits: list[dict[str, Any]]) -> dict[str, Any]:
    """Give the resolved testbed of a description; `sites` and `core` are numbers by name."""
    return loads(
        json.dumps(
            {
                "plugin": "okiagari.testbed.testbed",
                "name": "t",
                "sites": {name: {"number": number} for name, number in sites.items()},
                "core": {name: {"number": number} for name, number in core.items()},
                "circuits": circuits,
            }
        )
    ).to_dict()


@st.composite
def some_testbed(draw: st.DrawFn) -> dict[str, Any]:
    names = draw(st.lists(NAMES, min_size=2, max_size=8, unique=True))
    # Sites, core routers and the nodes derived from them share one name space.
    names = [name for name in names if not any(name in (f"{other}-r1", f"{other}-kvm1") for other in names)]
    split = draw(st.integers(1, len(names)))
    sites = {name: number for number, name in enumerate(names[:split], 1)}
    core = {name: number for number, name in enumerate(names[split:], 1)}
    pairs = [pair for pair in itertools.combinations(names, 2) if draw(st.booleans())]
    return describe(sites, core, [circuit(number, *pair) for number, pair in enumerate(pairs)])


def circuit(number: int, *ends: str) -> dict[str, Any]:
    """Describe a circuit whose ends have interface names of their own: derived ones are too long for some names."""
    return {"between": [{"node": end, "interface": f"e{number}"} for end in ends]}


def check(plan: LabPlan, testbed: dict[str, Any]) -> None:
    """Every cable ends at a bridge of its own segment, and no two things share a name."""
    taps = [tap for node in plan.nodes for tap in node.taps]
    links = [*plan.bridges, *(tap.name for tap in taps)]
    assert len(set(links)) == len(links)
    assert all(0 < len(link) <= 15 for link in links)
    assert len({tap.mac for tap in taps}) == len(taps)
    assert {tap.bridge for tap in taps} == set(plan.bridges)
    assert all(node.taps[0].guest == "mgmt0" and node.taps[0].bridge == "mgmt" for node in plan.nodes)
    ends: dict[str, list[str]] = {}
    for node in plan.nodes:
        for tap in node.taps:
            ends.setdefault(tap.bridge, []).append(node.name)
    wanted = [sorted([circuit["a"], circuit["b"]]) for circuit in testbed["circuits"].values()]
    # Each site has a LAN and a trunk.
    wanted += 2 * [sorted(site["nodes"]) for site in testbed["sites"].values()]
    assert sorted(ends[bridge] for bridge in plan.bridges if bridge != "mgmt") == sorted(wanted)


@settings(max_examples=25)
@given(some_testbed())
def test_every_testbed_can_be_cabled(testbed: dict[str, Any]) -> None:
    check(plan_lab(testbed), testbed)


@pytest.mark.parametrize("name", ["lab", "distcloud"])
def test_the_testbeds_of_the_inventory_can_be_cabled(name: str) -> None:
    testbed = load(INVENTORY / name / "testbed.yml").to_dict()
    plan = plan_lab(testbed)
    check(plan, testbed)
    assert [node.name for node in plan.nodes] == sorted(testbed["nodes"])


def test_long_names_that_start_alike_get_bridges_of_their_own() -> None:
    sites = {f"university-of-prefecture-{number}": number for number in range(1, 16)}
    testbed = describe(sites, {"x": 1}, [circuit(number, site, "x") for site, number in sites.items()])
    check(plan_lab(testbed), testbed)


def test_a_new_site_leaves_the_nodes_of_others_alone() -> None:
    old = plan_lab(describe({"a": 1, "b": 2}, {"x": 1}, [{"between": ["a", "x"]}, {"between": ["b", "x"]}]))
    new = plan_lab(
        describe(
            {"aa": 9, "a": 1, "b": 2},
            {"x": 1},
            [{"between": ["aa", "x"]}, {"between": ["a", "x"]}, {"between": ["b", "x"]}],
        )
    )
    for node in old.nodes:
        again = new.node(node.name)
        assert again.machine_id == node.machine_id
        assert (again.fingerprint == node.fingerprint) is (node.name != "x"), node.name


def test_a_changed_circuit_changes_its_two_ends_alone() -> None:
    circuits: list[dict[str, Any]] = [{"between": ["a", "x"]}, {"between": ["b", "x"]}]
    old = plan_lab(describe({"a": 1, "b": 2}, {"x": 1}, circuits))
    new = plan_lab(describe({"a": 1, "b": 2}, {"x": 1}, [{**circuits[0], "delay": "5ms"}, circuits[1]]))
    changed = [node.name for node in old.nodes if new.node(node.name).fingerprint != node.fingerprint]
    assert changed == ["a-r1", "x"]


@pytest.mark.parametrize(
    ("emulated", "command"),
    [
        ({}, "netem limit 1000"),
        ({"delay": "5ms"}, "netem limit 1000 delay 5ms"),
        ({"delay": "5ms", "jitter": "0.2ms"}, "netem limit 1000 delay 5ms 0.2ms"),
        ({"loss": "0.1%"}, "netem limit 1000 loss 0.1%"),
        ({"rate": "100mbit"}, "netem limit 1000 rate 100000000bit"),
        # Twice what a full circuit has in flight: 10 Gbit/s x 50 ms is 41666 packets of 1500 octets.
        ({"rate": "10gbit", "delay": "50ms", "loss": "1%"}, "netem limit 83332 delay 50ms loss 1% rate 10000000000bit"),
    ],
)
def test_circuits_are_shaped_at_both_ends(emulated: dict[str, Any], command: str) -> None:
    plan = plan_lab(describe({"a": 1}, {"x": 1}, [{"between": ["a", "x"], **emulated}]))
    scripts = {node.name: node.files["etc/okiagari/circuits.tc"] for node in plan.nodes}
    assert scripts == {
        "a-r1": f"qdisc add dev w-x root handle c1c: {command}\n",
        "x": f"qdisc add dev w-a-r1 root handle c1c: {command}\n",
        "a-kvm1": "",
    }


def link(name: str, mac: str, mtu: int) -> dict[str, str]:
    text = f"[Match]\nMACAddress={mac}\nKind=!*\n\n[Link]\nName={name}\nMTUBytes={mtu}\n"
    return {f"etc/systemd/network/10-{name}.link": text}


def test_a_node_knows_its_name_its_interfaces_and_its_management_address() -> None:
    plan = plan_lab(describe({"a": 1}, {"x": 1}, [{"between": ["a", "x"], "mtu": 9000}]))
    assert plan.gateway == "172.31.3.254/22"
    assert plan.bridges == ("mgmt", "b-a-lan", "b-a-trunk", "b-a-x")
    files = dict(plan.node("a-r1").files)
    assert files.pop("etc/okiagari/circuits.tc")
    assert files == {
        "etc/hostname": "a-r1\n",
        "etc/hosts": "127.0.0.1 localhost\n127.0.1.1 a-r1\n",
        "etc/systemd/network/20-mgmt0.network": (
            "[Match]\nName=mgmt0\n\n[Network]\nAddress=172.31.0.1/22\nLinkLocalAddressing=no\nIPv6AcceptRA=no\n"
        ),
        **link("mgmt0", "02:4d:ac:1f:00:01", 1500),
        **link("lan0", "02:01:00:00:00:01", 1500),
        **link("w-x", "02:02:00:00:00:00", 9000),
        **link("trunk0", "02:04:00:00:00:01", 1600),
    }


def test_memory_by_kind() -> None:
    testbed = describe({"a": 1}, {}, [])
    assert {node.name: node.memory_mb for node in plan_lab(testbed).nodes} == {"a-r1": 256, "a-kvm1": 1024}
    more = plan_lab(testbed, {"kvm_host": 2048})
    assert {node.name: node.memory_mb for node in more.nodes} == {"a-r1": 256, "a-kvm1": 2048}
    assert more.node("a-kvm1").fingerprint != plan_lab(testbed).node("a-kvm1").fingerprint


def test_the_disks_of_hosts() -> None:
    testbed = describe({"a": 1}, {}, [])
    bare = plan_lab(testbed)
    testbed["nodes"]["a-kvm1"]["disks"] = [{"name": "disk1", "size_mib": 64}]
    plan = plan_lab(testbed)
    assert {node.name: node.disks for node in plan.nodes} == {"a-r1": (), "a-kvm1": (Disk("disk1", 64),)}
    assert plan.node("a-kvm1").fingerprint != bare.node("a-kvm1").fingerprint


def test_an_unknown_node_is_refused_with_the_known_ones() -> None:
    with pytest.raises(OkiagariError, match="the testbed has no node a-r2; it has a-kvm1, a-r1"):
        plan_lab(describe({"a": 1}, {}, [])).node("a-r2")
