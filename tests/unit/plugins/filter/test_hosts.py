# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which hosts roles choose, and where they are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible_collections.okiagari.testbed.plugins.filter import first_hosts as first
from ansible_collections.okiagari.testbed.plugins.filter import segment_addresses as addresses
from ansible_collections.okiagari.testbed.plugins.module_utils.topology import load

INVENTORY = Path(__file__).parents[4] / "inventory"
DESTCLOUD: dict[str, Any] = load(INVENTORY / "destcloud" / "testbed.yml").to_dict()
first_hosts = first.FilterModule().filters()["first_hosts"]
segment_addresses = addresses.FilterModule().filters()["segment_addresses"]


def test_one_host_of_each_site_the_lowest_numbered_first() -> None:
    expected = ["hiroshima-kvm1", "kanazawa-kvm1", "osaka-kvm1", "naist-kvm1", "kochi-kvm1"]
    assert first_hosts(DESTCLOUD) == expected


def test_among_those_that_are_named_and_routers_never() -> None:
    among = ["naist-kvm2", "kanazawa-kvm3", "kanazawa-kvm2", "kanazawa-r1"]
    assert first_hosts(DESTCLOUD, among) == ["kanazawa-kvm2", "naist-kvm2"]
    assert first_hosts(DESTCLOUD, []) == []


@pytest.mark.parametrize("segment", ["storage", "management", "migration"])
def test_every_host_has_an_address_of_its_own_in_each_segment(segment: str) -> None:
    found = segment_addresses(DESTCLOUD, segment)
    assert set(found) == {name for name, node in DESTCLOUD["nodes"].items() if node["kind"] == "kvm_host"}
    assert len(set(found.values())) == len(found)
    assert all("/" not in address for address in found.values())


def test_the_address_is_the_hosts_own() -> None:
    assert segment_addresses(DESTCLOUD, "storage")["kanazawa-kvm2"] == "10.2.1.12"
