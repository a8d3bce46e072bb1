# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible_collections.okiagari.testbed.plugins.module_utils.errors import BadInput
from ansible_collections.okiagari.testbed.plugins.module_utils.qinq import plan
from ansible_collections.okiagari.testbed.plugins.module_utils.qinq.vyos import Timers, qinq_lines, wan_lines
from ansible_collections.okiagari.testbed.plugins.module_utils.topology import load

LAB: dict[str, Any] = load(Path(__file__).parents[5] / "inventory" / "lab" / "testbed.yml").to_dict()
RECORDS = [
    {"name": "exp1", "networks": {"lan": {"vlan": 100, "sites": ["hiroshima", "kanazawa"]}}},
    {"name": "exp2", "networks": {"lan": {"vlan": 200, "sites": ["naist"]}}},
]
PORTS = {"w-osaka": "eth1", "w-otemachi": "eth2", "w-kanazawa-r1": "eth4", "trunk0": "eth3"}
CORE = {"w-hiroshima-r1": "eth1", "w-kanazawa-r1": "eth2", "w-naist-r1": "eth3", "w-otemachi": "bond0"}
SEGMENTS = [11, 12, 13]


def test_a_project_is_bridged_between_both_tags() -> None:
    lines, scopes = qinq_lines(plan(LAB, RECORDS)["hiroshima-r1"], SEGMENTS, PORTS)
    ours = [line for line in lines if "br100" in line or "vif-c 100" in line or "vif 100" in line]
    assert ours == [
        *(
            f"set interfaces ethernet {path} {rest}"
            for path in (
                "eth1 vif-s 101 vif-c 100",
                "eth2 vif-s 113 vif-c 100",
                "eth4 vif-s 105 vif-c 100",
                "eth3 vif 100",
            )
            for rest in ("description exp1/lan", "mtu 1500")
        ),
        "set interfaces bridge br100 description exp1/lan",
        "set interfaces bridge br100 mac 02:05:00:01:00:64",
        "set interfaces bridge br100 stp",
        "set interfaces bridge br100 priority 32768",
        "set interfaces bridge br100 hello-time 1",
        "set interfaces bridge br100 forwarding-delay 2",
        "set interfaces bridge br100 max-age 6",
        "set interfaces bridge br100 member interface eth1.101.100 cost 300",
        "set interfaces bridge br100 member interface eth2.113.100 cost 600",
        "set interfaces bridge br100 member interface eth4.105.100 cost 500",
        "set interfaces bridge br100 member interface eth3.100 cost 100",
    ]
    assert "br200" not in " ".join(lines)
    assert {"interfaces ethernet eth1 vif-s 101", "interfaces bridge br{100..3999}", "interfaces bridge br12"} <= set(
        scopes
    )
    assert not [scope for scope in scopes if scope in ("interfaces bridge", "interfaces ethernet eth1")]


def test_parents_come_before_children() -> None:
    lines = qinq_lines(plan(LAB, RECORDS)["osaka"], SEGMENTS, CORE).lines
    sizes = {line.rpartition(" mtu ")[0]: int(line.rpartition(" ")[2]) for line in lines if " mtu " in line}
    seen: list[str] = []
    for path, size in sizes.items():
        parent = next((each for each in reversed(seen) if path.startswith(f"{each} ")), None)
        assert parent is None or sizes[parent] >= size
        assert parent is not None or " vif" not in path
        seen.append(path)
    assert sizes["set interfaces bonding bond0"] == 1600
    assert sizes["set interfaces bonding bond0 vif-s 117"] == 1596


def test_a_routed_segment_is_a_vrf_with_sessions_of_its_own() -> None:
    mine = plan(LAB, [])["hiroshima-r1"]
    devices = qinq_lines(mine, SEGMENTS, PORTS).lines
    assert "set vrf name storage table 1011" in devices
    assert "set interfaces ethernet eth3 vif 11 address 10.1.1.1/24" in devices
    assert "set interfaces ethernet eth1 vif-s 101 vif-c 11 vrf storage" in devices
    lines, scopes = wan_lines(LAB, mine, PORTS, segment_timers=Timers(250, 4, 2, 6))
    inside = "set vrf name storage protocols bgp"
    assert f"{inside} address-family ipv4-unicast network 10.1.1.0/24" in lines
    assert f"{inside} neighbor 10.254.0.1 remote-as 65101" in lines
    assert f"{inside} neighbor 10.254.0.1 bfd profile segment" in lines
    assert "set protocols bfd profile segment interval transmit 250" in lines
    assert f"{inside} neighbor 10.254.0.1 timers holdtime 6" in lines
    assert "vrf name storage protocols bgp" in scopes


def test_routing_is_that_of_the_description() -> None:
    lines, scopes = wan_lines(LAB, plan(LAB, [])["osaka"], CORE)
    assert lines[:4] == [
        "set interfaces loopback lo address 10.255.0.101/32",
        "set interfaces ethernet eth1 description hiroshima-osaka",
        "set interfaces ethernet eth1 mtu 1600",
        "set interfaces ethernet eth1 address 10.254.0.1/31",
    ]
    assert "set protocols bgp system-as 65101" in lines
    assert [line for line in lines if line.startswith("set protocols bgp address-family ipv4-unicast network")] == [
        "set protocols bgp address-family ipv4-unicast network 10.255.0.101/32"
    ]
    neighbours = [
        line.split() for line in lines if line.startswith("set protocols bgp neighbor") and "remote-as" in line
    ]
    assert [(words[4], words[6]) for words in neighbours] == [
        (each["peer_address"], str(each["peer_asn"]))
        for each in LAB["nodes"]["osaka"]["interfaces"]
        if each["kind"] == "wan"
    ]
    assert "protocols bgp" not in scopes
    assert "protocols bgp" in wan_lines(LAB, plan(LAB, [])["osaka"], CORE, own_bgp=True).scopes


def test_a_sites_hosts_announce_guests_and_are_told_nothing() -> None:
    lines, scopes = wan_lines(LAB, plan(LAB, [])["hiroshima-r1"], PORTS)
    group = "set protocols bgp peer-group okiagari-hosts"
    assert [line for line in lines if "okiagari-" in line and "bgp" in line] == [
        f"{group} remote-as internal",
        f"{group} address-family ipv4-unicast prefix-list import okiagari-guests",
        f"{group} address-family ipv4-unicast prefix-list export okiagari-none",
        "set protocols bgp listen range 10.1.0.11/32 peer-group okiagari-hosts",
    ]
    assert "set policy prefix-list okiagari-guests rule 10 prefix 10.253.0.0/16" in lines
    assert {"policy prefix-list okiagari-guests", "protocols bgp peer-group okiagari-hosts"} <= set(scopes)
    assert "okiagari-" not in " ".join(wan_lines(LAB, plan(LAB, [])["osaka"], CORE).lines)


def test_of_the_two_ends_of_a_session_one_calls() -> None:
    plans = plan(LAB, [])
    asn = {name: node["asn"] for name, node in LAB["nodes"].items() if "asn" in node}
    passive = 0
    for name, ports in (("osaka", CORE), ("hiroshima-r1", PORTS)):
        lines = wan_lines(LAB, plans[name], ports).lines
        own = [line.split()[4:] for line in lines if line.startswith("set protocols bgp neighbor ")]
        peers = {words[0]: int(words[2]) for words in own if words[1] == "remote-as"}
        waits = {words[0] for words in own if words[1:] == ["passive"]}
        assert waits == {address for address, peer in peers.items() if peer < asn[name]}
        passive += len(waits)
    assert passive


def test_a_lan_may_have_other_addresses() -> None:
    scopes = wan_lines(LAB, plan(LAB, [])["hiroshima-r1"], PORTS).scopes
    assert "interfaces ethernet eth1 address" in scopes
    assert "interfaces ethernet lan0 address" not in scopes


def test_the_old_grammar() -> None:
    testbed = {**LAB, "segments": {name: each for name, each in LAB["segments"].items() if each["kind"] == "l2"}}
    lines = wan_lines(testbed, plan(testbed, [])["osaka"], CORE, "1.3").lines
    assert "set protocols bgp 65101 neighbor 10.254.0.0 remote-as 65001" in lines
    assert "set protocols bgp 65101 neighbor 10.254.0.0 bfd" in lines
    assert "set protocols bfd peer 10.254.0.0 interval multiplier 3" in lines
    assert not [line for line in lines if "system-as" in line or "profile" in line]


def test_all_that_is_wrong_is_told() -> None:
    mine = plan(LAB, [])["hiroshima-r1"]
    with pytest.raises(BadInput) as caught:
        wan_lines(LAB, mine, {"w-osaka": "eth1", "w-otemachi": "eth1"}, "1.3")
    name = "w-kanazawa-r1"
    unknown = (
        f"hiroshima-r1: {name}: VyOS has no interface {name}; say which one it is, as in ports: {{{name}: eth1}}, or "
        "name it in the testbed's description"
    )
    assert str(caught.value).splitlines() == [
        unknown,
        "hiroshima-r1: w-osaka and w-otemachi are both eth1",
        "hiroshima-r1: VyOS 1.3 has no BGP in a VRF, which the routed segment storage needs; 1.4 has it",
    ]
    with pytest.raises(BadInput, match=r"release: 1.2 is not a release of VyOS from 1.3 on"):
        qinq_lines(mine, SEGMENTS, PORTS, "1.2")
