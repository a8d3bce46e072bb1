# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.okiagari.testbed.plugins.filter.vyos_lines import FilterModule
from ansible_collections.okiagari.testbed.plugins.module_utils.topology import load

LAB: dict[str, Any] = load(Path(__file__).parents[4] / "inventory" / "lab" / "testbed.yml").to_dict()
PORTS = {"w-osaka": "eth1", "w-otemachi": "eth2", "trunk0": "eth3"}
vyos_lines = FilterModule().filters()["vyos_lines"]


@pytest.mark.parametrize("part", ["qinq", "wan"])
def test_a_router_gets_its_lines(part: str) -> None:
    found = vyos_lines(LAB, "naist-r1", part, ports=PORTS)
    assert all(line.startswith("set ") for line in found["lines"])
    assert len(set(found["lines"])) == len(found["lines"])
    assert found["scopes"]


def test_timers_are_those_that_are_asked_for() -> None:
    found = vyos_lines(LAB, "naist-r1", "wan", ports=PORTS, timers={"bfd_interval_ms": 50, "hold_s": 30})
    assert "set protocols bfd profile circuit interval transmit 50" in found["lines"]
    assert "set protocols bgp neighbor 10.254.0.56 timers holdtime 30" in found["lines"]


def test_what_is_wrong_is_one_clear_error() -> None:
    with pytest.raises(AnsibleFilterError) as refused:
        vyos_lines(LAB, "nast-r1", "quinq", ports=PORTS)
    assert str(refused.value).splitlines() == [
        "part: quinq is not one of qinq, wan; did you mean qinq?",
        "node: the testbed has no router nast-r1; did you mean naist-r1?",
    ]
    with pytest.raises(AnsibleFilterError, match="there is no interface w-osak; did you mean w-osaka"):
        vyos_lines(LAB, "naist-r1", "wan", ports={**PORTS, "w-osak": "eth9"})
    with pytest.raises(AnsibleFilterError, match="the testbed has no router naist-kvm1"):
        vyos_lines(LAB, "naist-kvm1", "wan")
