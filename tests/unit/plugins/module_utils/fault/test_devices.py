# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the back-ends of devices make of configurations and answers. The devices themselves: tests/contract."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from typing import Any

import pytest
from ansible_collections.okiagari.testbed.plugins.module_utils.errors import BadValue, OkiagariError
from ansible_collections.okiagari.testbed.plugins.module_utils.fault import ios_state, netconf_state, vyos_state
from ansible_collections.okiagari.testbed.plugins.module_utils.fault.backend import MissingCapability
from ansible_collections.okiagari.testbed.plugins.module_utils.fault.device import whole_units
from ansible_collections.okiagari.testbed.plugins.module_utils.fault.ios_words import XeWords, XrWords
from ansible_collections.okiagari.testbed.plugins.module_utils.fault.netem_kinds import Delay, Loss, Rate
from ansible_collections.okiagari.testbed.plugins.module_utils.fault.parameters import interface
from hypothesis import given
from hypothesis import strategies as st


@given(st.floats(1, 86400), st.sampled_from([1.0, 60.0]))
def test_a_lease_is_rounded_up_by_less_than_a_unit(seconds: float, unit: float) -> None:
    found = whole_units(seconds, unit, 1, 86400, "units") * unit
    assert seconds - 1e-3 <= found < seconds + unit


def test_a_lease_has_a_least_and_a_most() -> None:
    assert whole_units(5, 1.0, 30, 65535, "seconds") == 30
    with pytest.raises(OkiagariError, match="more than this device can keep, which is 120 minutes"):
        whole_units(7201, 60.0, 1, 120, "minutes")


@pytest.mark.parametrize(
    "name", ["eth0", "GigabitEthernet0/0/0.100", "HundredGigE0/0/0/1", "Bundle-Ether1", "ge-0/0/1.0", "vec0"]
)
def test_interfaces_are_called_as_on_linux_or_on_routers(name: str) -> None:
    assert interface(name) == name


@pytest.mark.parametrize("name", ["", "-eth0", "../eth0", "a/b", "eth0\nshutdown", "Gi0/0 shutdown", "0/0/1", "/etc1"])
def test_what_is_no_interface_anywhere(name: str) -> None:
    with pytest.raises(BadValue):
        interface(name)


# --- VyOS

LINES = [
    tuple(line.split())
    for line in (
        "interfaces ethernet eth1 address 10.254.0.0/31",
        "interfaces ethernet eth1 vif-s 101 vif-c 100 mtu 1400",
        "interfaces bonding bond0 vif 7 disable",
        "interfaces bridge br7 member interface eth1.101.100",
        "qos interface eth2 egress LIBRARY",
    )
]
ROOT = {"kind": "netem", "handle": "8001:", "root": True, "options": {"limit": 5}}


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("eth1", "interfaces ethernet eth1"),
        ("eth1.101", "interfaces ethernet eth1 vif-s 101"),
        ("eth1.101.100", "interfaces ethernet eth1 vif-s 101 vif-c 100"),
        ("bond0.7", "interfaces bonding bond0 vif 7"),
        ("eth9", None),
    ],
)
def test_vyos_places_of_interfaces(name: str, place: str | None) -> None:
    assert vyos_state.interface(LINES, name) == (tuple(place.split()) if place else None)


@pytest.mark.parametrize(
    ("shown", "foreign", "lost"),
    [
        ([{**ROOT, "dev": "eth2"}], None, []),
        ([], None, ["eth2"]),
        ([{**ROOT, "dev": "eth1"}, {**ROOT, "dev": "eth2"}], "root qdisc netem 8001:", []),
        ([{**ROOT, "dev": "eth2"}, {**ROOT, "dev": "eth0"}], "root qdisc netem of eth0", []),
    ],
)
def test_vyos_queues_in_the_way(shown: list[dict[str, Any]], foreign: str | None, lost: list[str]) -> None:
    entry = vyos_state.qdisc_entry(LINES, "eth1", shown)
    assert entry["lost"] == lost
    assert entry["foreign"] is None if foreign is None else entry["foreign"].startswith(foreign)


@pytest.mark.parametrize(
    ("kind", "params", "reason"),
    [
        (Loss, {"percent": "0.5%"}, "whole numbers, and loss is 0.5"),
        (Loss, {"percent": "5%", "correlation": "10%"}, "no loss_correlation"),
        (Loss, {"gemodel": ["1%", "10%"]}, "no loss_gemodel"),
        (Loss, {"percent": "5%", "seed": 3}, "no seed"),
        (Delay, {"delay": "1500us"}, "whole numbers, and delay is 1.5"),
        (Delay, {"delay": "5ms", "jitter": "1ms"}, "no jitter"),
    ],
)
def test_vyos_says_what_its_emulator_lacks(kind: Any, params: dict[str, Any], reason: str) -> None:
    typed = kind.parse("it", {"interface": "eth1", **params})
    have = vyos_state.qdisc_entry(LINES, "eth1", [{**ROOT, "dev": "eth2"}])
    want = kind.want(typed, {"qdisc:eth1": have})
    with pytest.raises(MissingCapability, match=reason):
        vyos_state.qdisc_ops("eth1", have, want["qdisc:eth1"])


def test_vyos_writes_a_rate_with_its_unit() -> None:
    have = vyos_state.qdisc_entry(LINES, "eth1", [{**ROOT, "dev": "eth2"}])
    want = Rate.want(Rate.parse("it", {"interface": "eth1", "rate": "10mbit"}), {"qdisc:eth1": have})
    ops = vyos_state.qdisc_ops("eth1", have, want["qdisc:eth1"])
    assert ("set", "qos", "policy", "network-emulator", "okiagari-fault", "bandwidth", "10000000bit") in ops


# --- NETCONF

_NS = "urn:ietf:params:xml:ns:yang:ietf-"


def _interfaces(body: str, root: str = "interfaces") -> ET.Element:
    return ET.fromstring(f'<data><{root} xmlns="{_NS}interfaces">{body}</{root}></data>')


@pytest.mark.parametrize(
    ("config", "state", "admin"),
    [
        ("", None, "up"),
        ("<enabled>true</enabled>", None, "up"),
        ("<enabled>false</enabled>", None, "down"),
        ("", "<admin-status>down</admin-status>", "down"),
        ("<enabled>false</enabled>", "<admin-status>up</admin-status>", "up"),
        ("", "<admin-status>testing</admin-status>", "down"),
        ("<enabled>false</enabled>", "<oper-status>up</oper-status>", "down"),
    ],
)
@pytest.mark.parametrize("root", ["interfaces-state", "interfaces"])
def test_netconf_believes_the_state_before_the_configuration(
    config: str, state: str | None, admin: str, root: str
) -> None:
    states = [] if state is None else [_interfaces(f"<interface><name>a</name>{state}</interface>", root)]
    entry = netconf_state.link_entry(_interfaces(f"<interface><name>a</name>{config}</interface>"), states, "a")
    assert entry["admin"] == admin


@pytest.mark.parametrize(
    ("address", "dev"), [("10.254.0.2", "a"), ("10.254.0.1", None), ("10.255.0.1", None), ("2001:db8::2", None)]
)
@pytest.mark.parametrize("length", ["<prefix-length>30</prefix-length>", "<netmask>255.255.255.252</netmask>"])
def test_netconf_next_hops_are_in_configured_networks(address: str, dev: str | None, length: str) -> None:
    own = f'<ipv4 xmlns="{_NS}ip"><address><ip>10.254.0.1</ip>{length}</address></ipv4>'
    config = _interfaces(f"<interface><name>a</name>{own}</interface>")
    assert netconf_state.nexthop_entry(config, address) == ({"dev": dev} if dev else {})


# --- IOS-XE and IOS-XR


def test_ios_configurations_that_break_off_are_refused() -> None:
    with pytest.raises(OkiagariError, match="has no end"):
        ios_state.parse("interface GigabitEthernet0/0/1\n shutdown\n")


@pytest.mark.parametrize("shown", ["", "% Invalid input detected at '^' marker.", "GigabitEthernet0/0/1 is"])
def test_ios_answers_about_an_interface_that_say_nothing(shown: str) -> None:
    with pytest.raises(OkiagariError, match="doesn't say whether"):
        ios_state.link_entry(shown)


@pytest.mark.parametrize("number", ["", "10 ", "sequence 10 "])
def test_ios_filters_are_known_with_numbered_lines(number: str) -> None:
    text = f"""
interface GigabitEthernet0/0/1
 ip access-group okiagari-fault out
 ipv6 traffic-filter okiagari-fault6 out
!
ip access-list extended okiagari-fault
 {number}deny ip any any
ipv6 access-list okiagari-fault6
 {number}deny ipv6 any any
end"""
    entry = ios_state.qdisc_entry(XeWords(), ios_state.parse(text), "GigabitEthernet0/0/1")
    assert (entry["netem"], entry["foreign"]) == ({"loss_percent": 100.0}, None)


@pytest.mark.parametrize(
    ("quiet", "able", "unable"), [(True, "blackhole", "unreachable"), (False, "unreachable", "blackhole")]
)
def test_ios_null0_answers_or_not(quiet: bool, able: str, unable: str) -> None:
    have = {"ours": None, "others": [], "quiet": quiet, "removal": []}
    lines = ios_state.route_lines(XeWords(), "10.2.0.0/24", have, {"ours": {"type": able}})
    assert lines == [("ip route 10.2.0.0 255.255.255.0 Null0 name okiagari-fault",)]
    with pytest.raises(MissingCapability, match=f"is {able}, not {unable}"):
        ios_state.route_lines(XeWords(), "10.2.0.0/24", have, {"ours": {"type": unable}})


@pytest.mark.parametrize(
    ("others", "removal"),
    [
        ([], ("no router static",)),
        (
            [("router static", "address-family ipv6 unicast", "::/0 Null0")],
            ("router static", "no address-family ipv4 unicast"),
        ),
        (
            [("router static", "address-family ipv4 unicast", "10.2.0.0/16 Null0")],
            ("router static", "address-family ipv4 unicast", "no 10.2.0.0/24"),
        ),
    ],
)
def test_iosxr_blocks_that_held_nothing_else_go_too(others: list[tuple[str, ...]], removal: tuple[str, ...]) -> None:
    words = XrWords()
    ours = words.route("10.2.0.0/24", "Null0")
    lines = [line[:size] for line in (*others, ours) for size in range(1, len(line) + 1)]
    entry = ios_state.route_entry(words, lines, "10.2.0.0/24", 'Known via "static"')
    assert entry["ours"] == {"type": "unreachable"}
    assert tuple(entry["removal"]) == removal
