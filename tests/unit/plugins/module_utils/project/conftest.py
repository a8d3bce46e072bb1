# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A testbed of three sites, of which one has two KVM hosts and one has none."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.okiagari.testbed.plugins.module_utils.topology import loads

DESCRIPTION = """
plugin: okiagari.testbed.testbed
name: test
core: {osaka: {number: 1}}
sites:
  hiroshima: {number: 1}
  kanazawa: {number: 2, kvm_hosts: 2}
  naist: {number: 3, kvm_hosts: 0}
circuits:
  - {between: [hiroshima, osaka]}
  - {between: [kanazawa, osaka]}
  - {between: [naist, osaka]}
"""


@pytest.fixture(scope="session")
def testbed() -> dict[str, Any]:
    return loads(DESCRIPTION).to_dict()


@pytest.fixture(scope="session")
def capacities() -> dict[str, dict[str, int]]:
    room = {"vcpus": 4, "memory_mib": 512, "guests": 4}
    return {host: dict(room) for host in ("hiroshima-kvm1", "kanazawa-kvm1", "kanazawa-kvm2")}
