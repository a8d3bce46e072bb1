# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.okiagari.testbed.plugins.module_utils.errors import BadInput
from ansible_collections.okiagari.testbed.plugins.module_utils.guest import Machine, Network, read_machines

RECORD: dict[str, Any] = {
    "name": "exp1-web-1", "site": "hiroshima", "host": "hiroshima-kvm1", "vcpus": 2, "memory_mib": 128, "disk_mib": 512,
    "template": "tiny",
    "networks": [
        {
            "name": "lan", "vlan": 100, "bridge": "br100", "address": "10.240.0.11/24", "mac": "02:03:00:00:00:0A",
            "mtu": 1400,
        },
    ],
}  # fmt: skip


def test_a_record_is_a_machine_and_back() -> None:
    (machine,) = read_machines([RECORD], ["tiny"])
    card = Network("lan", "br100", "02:03:00:00:00:0a", "10.240.0.11/24", None, 1400)
    assert machine == Machine("exp1-web-1", 2, 128, 512, "tiny", (card,))
    assert read_machines([machine.to_dict()]) == [machine]
    assert read_machines([{"name": "a"}]) == [Machine("a")]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": "Web"}, "Web: a name is made of a to z, 0 to 9 and -"),
        ({"name": ""}, "machine 1: a name is made of"),
        ({"name": "x" * 64}, "at most 63 of them"),
        ({"vcpus": 0}, "vcpus is 0, not a number from 1 to 64"),
        ({"vcpus": True}, "vcpus is True"),
        ({"memory_mib": "96"}, "memory_mib is 96, not a number from 80"),
        ({"disk_mib": -1}, "disk_mib is -1"),
        ({"template": "tiney"}, "there is no template tiney; did you mean tiny?"),
        ({"memory": 96}, "unknown key memory; did you mean memory_mib?"),
    ],
)
def test_a_bad_machine(change: dict[str, Any], message: str) -> None:
    with pytest.raises(BadInput) as refused:
        read_machines([{**RECORD, **change}], ["tiny"])
    assert message in str(refused.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"mac": "03:03:00:00:00:01"}, "exp1-web-1: network 1: 03:03:00:00:00:01 is not the MAC address of one card"),
        ({"mac": None}, "none is not the MAC address"),
        ({"bridge": "br 1"}, "br 1 is not the name of a bridge"),
        ({"address": "10.0.0.300/24"}, "'10.0.0.300/24' does not appear to be"),
        ({"address": "10.0.0.3"}, "10.0.0.3 has no prefix length"),
        ({"gateway": "x"}, "'x' does not appear to be"),
        ({"mtu": 100}, "mtu is 100, not a number from 576"),
        ({"brigde": "br1"}, "unknown key brigde; did you mean bridge?"),
    ],
)
def test_a_bad_network(change: dict[str, Any], message: str) -> None:
    network = {**RECORD["networks"][0], **change}
    with pytest.raises(BadInput) as refused:
        read_machines([{**RECORD, "networks": [network]}], ["tiny"])
    assert message in str(refused.value)


def test_all_problems_at_once() -> None:
    with pytest.raises(BadInput) as refused:
        read_machines([RECORD, {**RECORD, "vcpus": 0, "template": "huge"}], ["tiny"])
    assert [str(problem) for problem in refused.value.problems] == [
        "exp1-web-1: vcpus is 0, not a number from 1 to 64",
        "machine exp1-web-1 is asked for twice",
        "MAC address 02:03:00:00:00:0a is asked for twice",
        "exp1-web-1: there is no template huge",
    ]
