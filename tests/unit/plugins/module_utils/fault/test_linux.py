# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading what ip and tc print, as recorded from iproute2 6.1 and 6.15."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.okiagari.testbed.plugins.module_utils.fault import routes
from ansible_collections.okiagari.testbed.plugins.module_utils.fault.lease import arm_argv, lease_unit, service_argv
from ansible_collections.okiagari.testbed.plugins.module_utils.fault.linux import (
    address_text,
    link_entry,
    measured,
    qdisc_entry,
    route_entry,
)


@pytest.mark.parametrize(
    ("route", "text"),
    [
        (
            {
                "type": "1",
                "dst": "10.9.0.0/16",
                "gateway": "10.254.0.3",
                "dev": "a0",
                "table": "254",
                "protocol": "4",
                "scope": "0",
                "metric": 100,
                "flags": [],
                "metrics": [{"mtu": 1400}],
            },
            "10.9.0.0/16 via 10.254.0.3 dev a0 proto static metric 100 mtu 1400",
        ),
        (
            {
                "type": "1",
                "dst": "10.5.0.0/16",
                "table": "254",
                "protocol": "3",
                "scope": "0",
                "flags": [],
                "nexthops": [
                    {"gateway": "10.7.0.2", "dev": "a0", "weight": 1, "flags": ["onlink"]},
                    {"gateway": "10.254.0.3", "dev": "a0", "weight": 2, "flags": []},
                ],
            },
            "10.5.0.0/16 proto boot nexthop via 10.254.0.3 dev a0 weight 2 nexthop via 10.7.0.2 dev a0 weight 1 onlink",
        ),
        (
            {
                "type": "1",
                "dst": "10.254.0.2/31",
                "dev": "a0",
                "table": "254",
                "protocol": "2",
                "scope": "253",
                "prefsrc": "10.254.0.2",
                "flags": ["linkdown"],
            },
            "10.254.0.2/31 dev a0 proto kernel scope link src 10.254.0.2 linkdown",
        ),
        (
            {
                "type": "1",
                "dst": "10.66.0.0/16",
                "via": {"family": "inet6", "host": "fe80::1"},
                "dev": "a0",
                "table": "254",
                "protocol": "186",
                "scope": "0",
                "metric": 20,
                "flags": ["offload"],
                "nhid": 17,
            },
            "10.66.0.0/16 via inet6 fe80::1 dev a0 proto bgp metric 20",
        ),
        (
            {
                "type": "6",
                "dst": "2001:db8:a::/48",
                "dev": "lo",
                "table": "254",
                "protocol": "187",
                "scope": "0",
                "metric": 1,
                "flags": [],
                "pref": "medium",
            },
            "blackhole 2001:db8:a::/48 proto 187 metric 1",
        ),
        (
            {
                "type": "1",
                "dst": "default",
                "gateway": "fe80::1",
                "dev": "a0",
                "protocol": "4",
                "metric": 1024,
                "pref": "medium",
            },
            "::/0 via fe80::1 dev a0 proto static metric 1024",
        ),
        (
            {"type": "1", "dst": "default", "gateway": "10.0.0.1", "dev": "a0", "protocol": "16", "table": "100"},
            "0.0.0.0/0 via 10.0.0.1 dev a0 proto dhcp table 100",
        ),
        (
            {"type": "1", "dst": "10.1.2.3", "dev": "a0", "protocol": "3", "scope": "253"},
            "10.1.2.3/32 dev a0 proto boot scope link",
        ),
    ],
)
def test_route_text(route: dict[str, Any], text: str) -> None:
    assert routes.text(route) == text


@pytest.mark.parametrize(
    ("route", "ours"),
    [
        ({"dst": "10.2.0.0/16", "protocol": "187"}, True),
        ({"dst": "10.2.0.0/16", "protocol": "187", "metric": 20}, False),
        ({"dst": "10.2.0.0/16", "protocol": "186"}, False),
        ({"dst": "2001:db8::/32", "protocol": "187", "metric": 1, "pref": "medium"}, True),
        ({"dst": "2001:db8::/32", "protocol": "187", "metric": 20, "pref": "medium"}, False),
        ({"dst": "default", "protocol": "187", "metric": 1, "pref": "medium"}, True),
    ],
)
def test_only_protocol_and_metric_together_make_a_route_ours(route: dict[str, Any], ours: bool) -> None:
    assert routes.is_ours(route) is ours


def test_a_route_that_loses_against_ours_is_not_in_the_way() -> None:
    bgp = {"type": "1", "dst": "10.2.0.0/16", "gateway": "10.254.0.3", "dev": "a", "protocol": "186", "metric": 20}
    static = {"type": "1", "dst": "10.2.0.0/16", "gateway": "10.254.0.3", "dev": "a", "protocol": "4"}
    assert route_entry([bgp]) == {"ours": None, "others": []}
    assert route_entry([bgp, static])["others"] == ["10.2.0.0/16 via 10.254.0.3 dev a proto static"]


@pytest.mark.parametrize(
    ("address", "text"),
    [
        (
            {"family": "inet", "local": "10.254.0.2", "prefixlen": 31, "scope": "global", "label": "a0"},
            "10.254.0.2/31 label a0",
        ),
        (
            {
                "family": "inet",
                "local": "10.7.0.1",
                "address": "10.7.0.2",
                "prefixlen": 32,
                "scope": "global",
                "noprefixroute": True,
                "label": "a0",
            },
            "10.7.0.1 peer 10.7.0.2/32 label a0 noprefixroute",
        ),
        (
            {"family": "inet", "local": "10.1.0.1", "prefixlen": 24, "broadcast": "10.1.0.255", "scope": "link"},
            "10.1.0.1/24 broadcast 10.1.0.255 scope link",
        ),
        ({"family": "inet6", "local": "2001:db8::1", "prefixlen": 64, "scope": "global"}, "2001:db8::1/64"),
        (
            {"family": "inet6", "local": "fe80::1", "prefixlen": 64, "scope": "link", "nodad": True},
            "fe80::1/64 scope link nodad",
        ),
    ],
)
def test_address_text(address: dict[str, Any], text: str) -> None:
    assert address_text(address) == text


HTB = {"kind": "htb", "handle": "c1c:", "root": True}


@pytest.mark.parametrize(
    ("classes", "parent"),
    [
        ([{"handle": "c1c:1", "root": True}], "c1c:1"),
        ([{"handle": "c1c:1", "root": True}, {"handle": "c1c:10", "parent": "c1c:1"}], "c1c:10"),
        ([{"handle": "c1c:1"}, {"handle": "c1c:2"}], None),
        ([], None),
    ],
)
def test_leaf_of_a_circuit_emulation_with_classes(classes: list[dict[str, Any]], parent: str | None) -> None:
    entry = qdisc_entry([HTB], lambda: classes, list)
    assert entry["parent"] == parent
    assert bool(entry["foreign"]) is (parent is None)


def test_no_qdisc_is_shown_for_a_link_that_was_never_up() -> None:
    assert qdisc_entry([], list, list) == {"parent": "root", "netem": None, "filters": [], "foreign": None}


def test_measured_share_is_of_what_the_qdisc_was_given() -> None:
    assert measured([{"kind": "netem", "handle": "fa17:", "packets": 700, "drops": 300}]) == {
        "packets": 1000,
        "lost": 300,
        "loss_percent": 30.0,
    }
    assert measured([{"kind": "netem", "handle": "fa17:", "packets": 0, "drops": 0}])["loss_percent"] is None
    assert measured([{"kind": "netem", "handle": "c1c:"}]) == {}


def test_systemd_command_lines() -> None:
    assert arm_argv(lease_unit("x"), 20.0, ("python3", "p", "expire", "x", "okiagari-lease-x")) == (
        "systemd-run",
        "--quiet",
        "--collect",
        "--unit=okiagari-lease-x",
        "--on-active=20.000s",
        "--timer-property=AccuracySec=100ms",
        "--property=Restart=on-failure",
        "--property=RestartSec=2s",
        "--property=StartLimitIntervalSec=0",
        "--",
        "python3",
        "p",
        "expire",
        "x",
        "okiagari-lease-x",
    )
    assert lease_unit("x", 2) == "okiagari-lease-x:2"
    assert service_argv("okiagari-drill-d", ("p", "run", "d"))[-4:] == ("--", "p", "run", "d")


def test_two_ends_of_a_veth_are_not_above_each_other() -> None:
    bare = {"flags": [], "mtu": 1500, "addr_info": []}
    links = {
        "one": {**bare, "link": "two", "linkinfo": {"info_kind": "veth"}},
        "two": {**bare, "link": "one", "linkinfo": {"info_kind": "veth"}},
        "one.5": {**bare, "link": "one", "linkinfo": {"info_kind": "vlan"}},
    }
    assert list(link_entry("one", links, ())["vlans"]) == ["one.5"]
