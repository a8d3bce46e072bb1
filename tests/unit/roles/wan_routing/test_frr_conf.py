# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The configuration of FRR, rendered for every router of the lab."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jinja2
import pytest
import yaml
from ansible_collections.okiagari.testbed.plugins.module_utils.topology import load

ROOT = Path(__file__).parents[4]
ROLE = ROOT / "roles" / "wan_routing"


@pytest.fixture(scope="module")
def testbed() -> dict[str, Any]:
    return load(ROOT / "inventory" / "lab" / "testbed.yml").to_dict()


@pytest.fixture(scope="module")
def sessions(testbed: dict[str, Any]) -> dict[tuple[str, str, str], list[str]]:
    """Give what each router's configuration says of each neighbour, by router, VRF and the neighbour's address."""
    found: dict[tuple[str, str, str], list[str]] = {}
    for name, node in testbed["nodes"].items():
        if node["kind"] != "router":
            continue
        vrf = ""
        for line in rendered(testbed, node).splitlines():
            words = line.split()
            if words[:2] == ["router", "bgp"]:
                vrf = " ".join(words[3:])
            elif words[:1] == ["neighbor"]:
                found.setdefault((name, vrf, words[1]), []).append(" ".join(words[2:]))
    return found


def rendered(testbed: dict[str, Any], node: dict[str, Any], template_name: str = "frr.conf.j2") -> str:
    environment = jinja2.Environment(trim_blocks=True, undefined=jinja2.StrictUndefined)
    template = environment.from_string((ROLE / "templates" / template_name).read_text())
    segments = [{"key": key, "value": value} for key, value in testbed["segments"].items() if value["kind"] == "l3"]
    return template.render(
        **yaml.safe_load((ROLE / "defaults" / "main.yml").read_text()),
        ansible_managed="",
        inventory_hostname="",
        testbed=testbed,
        testbed_node=node,
        wan_routing_circuits=[each for each in node["interfaces"] if each["kind"] == "wan"],
        wan_routing_segments=segments,
        wan_routing_hosts=["10.1.0.11", "10.1.0.12"],
        wan_routing_site_asn=65001,
        wan_routing_lan_address="10.1.0.11",
    )


def test_a_sites_router_takes_guests_from_its_hosts_and_tells_them_nothing(testbed: dict[str, Any]) -> None:
    said = rendered(testbed, testbed["nodes"]["hiroshima-r1"]).splitlines()
    assert "ip prefix-list guests seq 5 permit 10.253.0.0/16 ge 32" in said
    assert [line.strip() for line in said if "hosts" in line and "!" not in line] == [
        "neighbor hosts peer-group",
        "neighbor hosts remote-as internal",
        "bgp listen range 10.1.0.11/32 peer-group hosts",
        "bgp listen range 10.1.0.12/32 peer-group hosts",
        "neighbor hosts prefix-list guests in",
        "neighbor hosts prefix-list none out",
    ]
    assert not [line for line in rendered(testbed, testbed["nodes"]["osaka"]).splitlines() if "hosts" in line]


def test_a_host_announces_guests_and_nothing_else(testbed: dict[str, Any]) -> None:
    said = [line.strip() for line in rendered(testbed, testbed["nodes"]["hiroshima-kvm1"], "host.conf.j2").splitlines()]
    assert "router bgp 65001" in said
    assert [line for line in said if line.startswith(("neighbor", "redistribute", "network"))] == [
        "neighbor 10.1.0.1 remote-as internal",
        "neighbor 10.1.0.1 timers 1 4",
        "neighbor 10.1.0.1 timers connect 1",
        "neighbor 10.1.0.1 prefix-list none in",
        "redistribute kernel route-map guests",
    ]
    assert said[said.index("route-map guests permit 10") + 1] == "match ip address prefix-list guests"


def test_of_the_two_ends_of_each_session_one_calls(
    testbed: dict[str, Any], sessions: dict[tuple[str, str, str], list[str]]
) -> None:
    vrfs = {vrf for _router, vrf, _peer in sessions}
    assert len(vrfs) == 1 + sum(segment["kind"] == "l3" for segment in testbed["segments"].values())
    for circuit, ends in testbed["circuits"].items():
        for vrf in vrfs:
            waiting = []
            for end in (ends["a"], ends["b"]):
                interfaces = testbed["nodes"][end]["interfaces"]
                [peer] = [each["peer_address"] for each in interfaces if each.get("circuit") == circuit]
                waiting.append("passive" in sessions[end, vrf, peer])
            assert sorted(waiting) == [False, True], (circuit, vrf)


def test_a_segments_session_has_its_own_address_and_patience(
    testbed: dict[str, Any], sessions: dict[tuple[str, str, str], list[str]]
) -> None:
    tag = testbed["circuits"]["hiroshima-osaka"]["s_tag"]
    vlan = testbed["segments"]["storage"]["vlan"]
    found = [said for (router, vrf, _peer), said in sessions.items() if (router, vrf) == ("osaka", "vrf storage")]
    [said] = [each for each in found if "description storage over hiroshima-osaka" in each]
    assert {f"update-source s{tag}.{vlan}", "bfd profile segment", "timers connect 1"} <= set(said)
