# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The embedded lab, and a drill in it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible_collections.okiagari.testbed.plugins.module_utils.topology import load

LAB = Path(__file__).parents[5] / "inventory/lab/testbed.yml"


@pytest.fixture(scope="session")
def lab() -> dict[str, Any]:
    return load(LAB).to_dict()


@pytest.fixture
def arguments() -> dict[str, Any]:
    """A drill that uses every kind of fault, phase and check, and is well written."""
    return {
        "name": "everything",
        "hypothesis": "It holds.",
        "traffic": [{"name": "h-k", "between": ["hiroshima-kvm1", "kanazawa-kvm1"]}],
        "timeline": [
            {"at": "5s", "for": "10s", "fault": "link_down", "circuit": "hiroshima-kanazawa"},
            {
                "at": "5s",
                "for": "10s",
                "fault": "loss",
                "percent": "30%",
                "circuit": "hiroshima-osaka",
                "from": "osaka",
            },
            {"at": 6, "for": 4, "fault": "route_override", "node": "hiroshima-r1", "to": "naist", "via": "otemachi"},
            {"at": 6, "for": 4, "fault": "route_blackhole", "node": "osaka", "to": "10.9.0.0/16"},
            {"at": 30, "for": 4, "fault": "link_down", "node": "osaka", "interface": "w-otemachi"},
        ],
        "probes": [
            {"phase": "before", "ping": {"from": "hiroshima-kvm1", "to": "kanazawa-kvm1"}},
            {
                "phase": "on_fault",
                "path": {"from": "hiroshima-kvm1", "to": "kanazawa-kvm1", "avoid": "hiroshima-kanazawa"},
            },
            {"phase": "on_fault", "at": "7s", "route": {"from": "hiroshima-r1", "to": "naist", "via": "otemachi"}},
            {"phase": "recover_within", "within": "1s", "traffic": "h-k"},
            {"phase": "continuous", "traffic": {"of": "h-k", "from": "hiroshima", "during": "loss", "loss": "26..34%"}},
            {"phase": "after", "ping": {"from": "hiroshima-kvm1", "to": "10.3.0.11", "max_rtt": "50ms"}},
        ],
    }
