# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How the inventory says that a node is a device."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.okiagari.testbed.plugins.filter.device import device
from ansible_collections.okiagari.testbed.plugins.module_utils.errors import BadInput
from ansible_collections.okiagari.testbed.plugins.module_utils.proxy.described import Described, described

VYOS = {"testbed_node": {"platform": "vyos"}, "ansible_host": "172.31.0.1"}
XR: dict[str, Any] = {"os": "iosxr", "user": "ops", "ports": {"w-osaka": "HundredGigE0/0/0/1"}}


def read(variables: dict[str, Any]) -> Described:
    found = described("r1", variables)
    assert found
    return found


def said(found: Described) -> dict[str, Any]:
    return {key: value for key, value in found.options.items() if value is not None}


def test_a_linux_node_is_none() -> None:
    assert described("r1", {"testbed_node": {"platform": "linux"}, "vyos": {"user": "ops"}}) is None
    assert device({"inventory_hostname": "r1"}) == {}


def test_a_router_with_vyos_is_one_as_its_roles_reach_it() -> None:
    assert said(read(VYOS)) == {"os": "vyos", "host": "172.31.0.1", "user": "vyos"}
    vyos = {"user": "ops", "port": "22022", "ports": {"w-a": "eth1"}, "release": "1.4", "confirm": 2, "own_bgp": True}
    found = read({**VYOS, "vyos": vyos})
    assert said(found) == {"os": "vyos", "host": "172.31.0.1", "user": "ops", "port": 22022}
    assert found.named(["w-a", "w-b", "lan0"]) == {"w-a": "eth1", "lan0": "lan0"}


def test_okiagari_device_goes_before_vyos() -> None:
    found = read(
        {**VYOS, "vyos": {"user": "ops", "password": "no"}, "okiagari_device": {"user": "drill", "host": "r1"}}
    )
    assert said(found) == {"os": "vyos", "host": "r1", "user": "drill", "password": "no"}


def test_any_other_device() -> None:
    found = read({"ansible_host": "10.0.0.1", "okiagari_device": {**XR, "key_file": "~/key"}})
    assert said(found) | {"key_file": ""} == {"os": "iosxr", "host": "10.0.0.1", "user": "ops", "key_file": ""}
    assert str(found.options["key_file"]).startswith("/")
    assert found.named(["w-osaka", "lan0"]) == {"w-osaka": "HundredGigE0/0/0/1", "lan0": "lan0"}
    variables = {"inventory_hostname": "r1", "ansible_host": "10.0.0.1", "okiagari_device": XR}
    assert device(variables) == {"os": "iosxr", "host": "10.0.0.1", "user": "ops"}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("vyos", "okiagari_device of r1: vyos is not a mapping with os, host"),
        ({**XR, "os": "iosx"}, r"okiagari_device.os of r1: iosx is not one of ios, .*did you mean ios"),
        ({**XR, "usr": "ops"}, r"okiagari_device.usr of r1: is not one of .*did you mean user\?"),
        ({"os": "ios"}, "okiagari_device.user of r1: is missing"),
        ({**XR, "port": "ssh"}, "okiagari_device.port of r1: ssh is not a whole number"),
        ({**XR, "ports": ["eth1"]}, "okiagari_device.ports of r1: is not a mapping such as"),
        ({**XR, "ssh_config": "a", "proxy_command": "b"}, "okiagari_device of r1: has both ssh_config and proxy_"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(given: object, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        described("r1", {"okiagari_device": given})
