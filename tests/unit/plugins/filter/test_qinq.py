# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.okiagari.testbed.plugins.filter.interface_files import FilterModule as InterfaceFiles
from ansible_collections.okiagari.testbed.plugins.filter.qinq import FilterModule as Qinq
from ansible_collections.okiagari.testbed.plugins.module_utils.topology import load

LAB: dict[str, Any] = load(Path(__file__).parents[4] / "inventory" / "lab" / "testbed.yml").to_dict()
qinq = Qinq().filters()["qinq"]
interface_files = InterfaceFiles().filters()["interface_files"]


@pytest.mark.parametrize("node", ["osaka", "hiroshima-r1", "hiroshima-kvm1"])
def test_a_node_gets_plain_values(node: str) -> None:
    found = qinq(LAB, node, [{"name": "exp1", "networks": {"lan": {"vlan": 100, "sites": ["hiroshima"]}}}])
    assert set(found) == {"files", "prune", "devices", "reach"}
    assert json.loads(json.dumps(found)) == found
    assert ("br100" in found["devices"]) is (node == "hiroshima-kvm1")


def test_what_is_wrong_is_one_clear_error() -> None:
    with pytest.raises(AnsibleFilterError, match="no node hirosima-r1; did you mean hiroshima-r1"):
        qinq(LAB, "hirosima-r1")
    with pytest.raises(
        AnsibleFilterError, match=r"circuit hiroshima-osaka: its MTU 1600 leaves 1592 .* 9000"
    ) as refused:
        qinq(LAB, "osaka", [], 9000)
    assert "trunk0 of naist-kvm1" in str(refused.value)


def test_the_files_of_interfaces() -> None:
    paths = [file["path"].rpartition("/")[2] for file in interface_files(LAB["nodes"]["naist-kvm1"])]
    assert paths == ["50-lan0.network"]
