# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module over a kernel and a networkd that live in memory."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from ansible_collections.okiagari.testbed.plugins.module_utils.qinq import kernel, plan, plan_hosts
from ansible_collections.okiagari.testbed.plugins.module_utils.qinq.linux import devices, reach
from ansible_collections.okiagari.testbed.plugins.module_utils.topology import load
from ansible_collections.okiagari.testbed.plugins.modules import qinq_devices
from ansible_collections.okiagari.testbed.tests.unit.plugins.modules.run_module import run_module

if TYPE_CHECKING:
    from collections.abc import Callable

LAB: dict[str, Any] = load(Path(__file__).parents[4] / "inventory" / "lab" / "testbed.yml").to_dict()
RECORDS = [{"name": "exp1", "networks": {"lan": {"vlan": 100, "sites": ["hiroshima", "kanazawa"]}}}]
WITHOUT = devices(plan(LAB, [])["hiroshima-r1"])
WITH = devices(plan(LAB, RECORDS)["hiroshima-r1"])
REACH = reach(plan(LAB, [])["hiroshima-r1"])


def shown(name: str, device: dict[str, Any]) -> dict[str, Any]:
    """Give a device as `ip -json -details address show` does."""
    link: dict[str, Any] = {
        "ifname": name,
        "flags": ["BROADCAST", "MULTICAST", "UP", "LOWER_UP"] if device.get("up", True) else ["BROADCAST"],
        "mtu": device.get("mtu", 65575),
        "address": device.get("mac", "02:02:00:00:00:00"),
        "addr_info": [
            {"family": "inet", "local": address.split("/")[0], "prefixlen": int(address.split("/")[1])}
            for address in device.get("addresses", [])
        ]
        + [{"family": "inet6", "local": "fe80::1", "prefixlen": 64}],
    }
    data = {
        "vlan": lambda: {"protocol": device["protocol"], "id": device["tag"], "flags": ["REORDER_HDR"]},
        "bridge": lambda: {"stp_state": int(device["stp"]), "priority": device.get("priority", 32768)},
        "vrf": lambda: {"table": device["table"]},
    }
    if device["kind"] != "own":
        link["linkinfo"] = {"info_kind": device["kind"], "info_data": data.get(device["kind"], dict)()}
    if "parent" in device:
        link["link"] = device["parent"]
    if "master" in device:
        link["master"] = device["master"]
    if "cost" in device:
        link["linkinfo"] |= {"info_slave_kind": "bridge", "info_slave_data": {"cost": device["cost"]}}
    return link


class Node:
    """A node: `links` are in the kernel, `described` in networkd's files. Notes what changes something."""

    def __init__(self, described: dict[str, Any]) -> None:
        self.described = described
        self.links: dict[str, Any] = {name: dict(each) for name, each in described.items() if each["kind"] == "own"}
        self.changes: list[list[str]] = []
        self.failing: set[str] = set()
        self.deaf: set[str] = set()
        self.overlooked: set[str] = set()
        self.pings: list[list[str]] = []

    def __call__(self, argv: list[str], **_options: object) -> tuple[int, str, str]:
        if argv[:2] == ["ip", "-json"]:
            return 0, json.dumps([shown(name, link) for name, link in self.links.items()] + [{}]), ""
        if argv[0] == "ping":
            self.pings.append(argv)
            return int(argv[-1] in self.deaf), "", ""
        self.changes.append(argv)
        if argv == ["networkctl", "reload"]:
            self.make(set(self.described) - self.overlooked - set(self.links))
        elif argv[:2] == ["networkctl", "reconfigure"]:
            # It doesn't look at what a device that is there was made with.
            below = {name for name, each in self.described.items() if each.get("parent") == argv[2]}
            self.make(below - set(self.links))
            for key in {"master", "addresses", "up"} & set(self.described.get(argv[2], ())) | {"up"}:
                self.links[argv[2]][key] = self.described[argv[2]].get(key, True)
        elif argv[:4] == ["ip", "link", "set", "dev"]:
            options = dict(zip(argv[5::2], argv[6::2], strict=True))
            options.pop("type", None)
            named = {"stp" if key == "stp_state" else key: int(value) for key, value in options.items()}
            self.links[argv[4]] |= named
        elif argv[:3] == ["ip", "link", "delete"]:
            self.links = {name: link for name, link in self.links.items() if argv[3] not in (name, link.get("parent"))}
        return 0, "", ""

    def make(self, names: set[str]) -> None:
        made = {name: copy.deepcopy(each) for name, each in self.described.items() if name in names - self.failing}
        self.links |= {name: each for name, each in made.items() if each["kind"] != "own" or name not in self.links}


@pytest.fixture
def node(monkeypatch: pytest.MonkeyPatch) -> Node:
    node = Node(WITH)
    monkeypatch.setattr(
        "ansible.module_utils.basic.AnsibleModule.run_command", lambda module, argv, **options: node(argv, **options)
    )
    now = [0.0]

    def sleep(seconds: float) -> None:
        now[0] += seconds

    monkeypatch.setattr(kernel.Devices.__init__, "__defaults__", (sleep, lambda: now[0]))
    return node


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[..., dict[str, Any]]:
    return lambda **options: run_module(qinq_devices.main, capsys, **options)


def test_life(node: Node, run: Callable[..., dict[str, Any]]) -> None:
    planned = run(devices=WITH, check=True)
    assert (planned["changed"], node.changes) == (True, [])
    done = run(devices=WITH)
    assert (done["changed"], done["diff"], node.changes) == (True, planned["diff"], [["networkctl", "reload"]])
    assert done["differences"] == [name for name, wanted in WITH.items() if wanted["kind"] != "own"]
    again = run(devices=WITH)
    assert (again["changed"], again["differences"], again["diff"]) == (False, [], {"before": {}, "after": {}})
    assert len(node.changes) == 1


def test_a_file_that_shows_in_no_device_is_read_all_the_same(node: Node, run: Callable[..., dict[str, Any]]) -> None:
    run(devices=WITH)
    node.changes.clear()
    assert not run(devices=WITH, reload=True)["changed"]
    assert node.changes == [["networkctl", "reload"]]
    node.changes.clear()
    assert not run(devices=WITH, reload=True, check=True)["changed"]
    assert node.changes == []


def test_a_network_that_is_gone_leaves_nothing(node: Node, run: Callable[..., dict[str, Any]]) -> None:
    run(devices=WITH)
    foreign = {
        "s7": {"kind": "vlan", "parent": "w-osaka", "protocol": "802.1Q", "tag": 7},
        "s900": {"kind": "vlan", "parent": "w-osaka", "protocol": "802.1ad", "tag": 9},
        "lan0.100": {"kind": "vlan", "parent": "lan0", "protocol": "802.1Q", "tag": 100},
        "br200": {"kind": "bridge", "mac": "52:54:00:00:00:c8", "stp": False},
        "br201": {"kind": "bridge", "mac": "02:05:00:01:00:c8", "stp": False},
    }
    node.links |= foreign
    node.described = WITHOUT
    node.changes.clear()
    planned = run(devices=WITHOUT, check=True)
    assert sorted(planned["diff"]["before"]) == ["br100", "s101.100", "s105.100", "s113.100", "trunk0.100"]
    assert run(devices=WITHOUT)["changed"]
    gone = ["s101.100", "s105.100", "s113.100", "trunk0.100", "br100"]
    assert node.changes == [["networkctl", "reload"], *(["ip", "link", "delete", name] for name in gone)]
    assert set(node.links) == {*WITHOUT, *foreign}
    assert not run(devices=WITHOUT)["changed"]


def test_a_bridge_with_a_guest_is_not_removed(node: Node, run: Callable[..., dict[str, Any]]) -> None:
    hosts = [plan_hosts(LAB, records)["hiroshima-kvm1"] for records in (RECORDS, [])]
    node.described = devices(hosts[0])
    node.links = {"trunk0": {"kind": "own", "mtu": 1600}}
    run(devices=devices(hosts[0]))
    node.links["vnet3"] = {"kind": "tun", "master": "br100"}
    node.changes.clear()
    refused = run(devices=devices(hosts[1]))
    assert refused["msg"] == "br100: vnet3 still hangs on it, so that it can't be removed"
    assert run(devices=devices(hosts[1]), check=True)["failed"]
    assert node.changes == []


def test_what_is_not_ours_is_in_the_way(node: Node, run: Callable[..., dict[str, Any]]) -> None:
    node.links |= {
        "br100": {"kind": "bridge", "mac": "52:54:00:00:00:64", "stp": False},
        "s101": {"kind": "vlan", "parent": "w-osaka", "protocol": "802.1Q", "tag": 101},
        "storage": {"kind": "vrf", "table": 7},
    }
    refused = run(devices=WITH)
    assert refused["msg"].splitlines() == [
        "s101: is there already, and it isn't a device of a tagged network",
        "br100: is there already, and it isn't a device of a tagged network",
        "storage: is there already, with the table 7",
    ]
    assert node.changes == []


def test_a_device_of_another_nature_is_made_anew(node: Node, run: Callable[..., dict[str, Any]]) -> None:
    run(devices=WITH)
    node.links["s101"]["parent"] = "w-otemachi"
    node.changes.clear()
    assert run(devices=WITH)["differences"] == ["s101"]
    assert ["ip", "link", "delete", "s101"] in node.changes
    assert node.links["s101"]["parent"] == "w-osaka"
    assert not run(devices=WITH)["changed"]


def test_what_a_reload_overlooks_is_configured_anew(node: Node, run: Callable[..., dict[str, Any]]) -> None:
    run(devices=WITH)
    del node.links["s101.12"]
    node.overlooked = {"s101.12"}
    assert run(devices=WITH)["differences"] == ["s101.12"]
    assert ["networkctl", "reconfigure", "s101"] in node.changes
    assert not run(devices=WITH)["changed"]


@pytest.mark.parametrize(
    ("name", "key", "value"),
    [("s101.12", "mtu", 1400), ("s101.12", "master", "br13"), ("s101.12", "cost", 7), ("br12", "priority", 0),
     ("br12", "stp", False), ("s101.11", "addresses", []), ("br12", "up", False), ("w-osaka", "mtu", 1500)],
)  # fmt: skip
def test_any_difference_is_seen_and_mended(
    node: Node, run: Callable[..., dict[str, Any]], name: str, key: str, value: object
) -> None:
    run(devices=WITH)
    before = copy.deepcopy(node.links)
    node.links[name][key] = value
    assert run(devices=WITH, check=True)["differences"] == [name]
    done = run(devices=WITH)
    if name == "w-osaka":
        assert done["msg"] == "w-osaka: mtu is 1500, not 1596"
    else:
        assert done["differences"] == [name]
        assert node.links[name][key] == before[name].get(key, True)
        assert not run(devices=WITH)["changed"]


def test_more_room_than_needed_is_no_difference(node: Node, run: Callable[..., dict[str, Any]]) -> None:
    run(devices=WITH)
    node.links["w-osaka"]["mtu"] = 9000
    assert not run(devices=WITH)["changed"]


def test_all_that_networkd_does_not_bring_about_is_told(node: Node, run: Callable[..., dict[str, Any]]) -> None:
    node.failing = {"s101.12", "s101.13"}
    node.links["w-osaka"]["mtu"] = 1500
    assert run(devices=WITH)["msg"].splitlines() == [
        "w-osaka: mtu is 1500, not 1596",
        "s101.12 is missing",
        "s101.13 is missing",
    ]


def test_full_packets_must_pass_every_circuit(node: Node, run: Callable[..., dict[str, Any]]) -> None:
    assert run(devices=WITH, reach=REACH)["changed"]
    assert node.pings[0] == [
        *("ping", "-q", "-n", "-c", "1", "-W", "1", "-M", "do", "-s", "1472", "-I", "s101.11", "10.254.0.1"),
    ]
    assert len(node.pings) == 3
    node.deaf = {"10.254.0.1", "10.254.0.9"}
    assert run(devices=WITH, reach=REACH)["msg"].splitlines() == [
        "hiroshima-osaka: a packet of 1500 octets doesn't reach 10.254.0.1",
        "hiroshima-kanazawa: a packet of 1500 octets doesn't reach 10.254.0.9",
    ]
    node.pings.clear()
    assert not run(devices=WITH, reach=REACH, check=True).get("failed")
    assert node.pings == []
