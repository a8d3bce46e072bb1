# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults of BGP on real routers: what the neighbour notices, and that FRR is configured as before afterwards."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import pytest
from ansible_collections.okiagari.testbed.tests.lab.default_lab import DefaultLab
from ansible_collections.okiagari.testbed.tests.lab.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.lab, pytest.mark.soak]

ROUTER, PEER = "hiroshima-r1", "osaka"
CONFIGURATION = "vtysh -c 'show running-config'"


@pytest.fixture(scope="module")
def lab() -> DefaultLab:
    return DefaultLab()


def address_of(lab: DefaultLab, node: str, seen_from: str) -> str:
    """Give the address that a router knows its neighbour by."""
    interfaces = lab.testbed["nodes"][seen_from]["interfaces"]
    [address] = [each["peer_address"] for each in interfaces if each.get("peer") == node]
    return str(address).partition("/")[0]


@pytest.fixture
def neighbor(lab: DefaultLab) -> Iterator[str]:
    """Give the address of the peer; the router is configured afterwards as it was before."""
    wait_for("the lab is routed", lab.routed, 60)
    before = lab.say(ROUTER, CONFIGURATION)
    yield address_of(lab, PEER, ROUTER)
    for node in (ROUTER, PEER):
        lab.program(node, "heal", {"check": False})
    assert lab.say(ROUTER, CONFIGURATION) == before
    wait_for("the lab is routed again", lab.routed, 60)


def inject(lab: DefaultLab, kind: str, node: str = ROUTER, **params: Any) -> str:
    fault = {"id": f"bgp-{time.time_ns()}", "kind": kind, "target": node, "params": params, "lease_s": 600}
    receipt = lab.program(node, "inject", fault)
    assert receipt.get("state") == "injected", receipt
    return str(receipt["id"])


def undo(lab: DefaultLab, fault_id: str, node: str = ROUTER) -> None:
    assert lab.program(node, "undo", {"ids": [fault_id]})["receipts"][0]["state"] == "undone"


def routes(lab: DefaultLab, node: str, prefix: str) -> list[dict[str, Any]]:
    """Give a node's BGP paths to a prefix."""
    found = json.loads(lab.say(node, f"vtysh -c 'show bgp ipv4 unicast {prefix} json'") or "{}")
    paths: list[dict[str, Any]] = found.get("paths", [])
    return paths


def test_a_session_that_is_shut(lab: DefaultLab, neighbor: str) -> None:
    fault = inject(lab, "bgp_shutdown", neighbor=neighbor)
    wait_for(
        "the session is down", lambda: lab.program(ROUTER, "snapshot")["bgp"][neighbor]["state"] == "Idle (Admin)", 10
    )
    undo(lab, fault)
    wait_for("the lab is routed again", lab.routed, 30)


def test_a_session_without_bfd_at_both_ends(lab: DefaultLab, neighbor: str) -> None:
    back = address_of(lab, ROUTER, PEER)
    faults = [
        (node, inject(lab, "bfd_off", node, neighbor=other)) for node, other in ((ROUTER, neighbor), (PEER, back))
    ]

    def state() -> Any:
        snapshot = lab.program(ROUTER, "snapshot")
        return neighbor in snapshot["bfd"], snapshot["bgp"][neighbor]["state"]

    # Whoever is second hears nothing any more for a moment, and may reset the session once.
    wait_for("the session is up without BFD", lambda: state() == (False, "Established"), 30)
    for node, fault in faults:
        undo(lab, fault, node)


def test_another_preference(lab: DefaultLab, neighbor: str) -> None:
    lan = lab.testbed["sites"]["naist"]["lan"]
    fault = inject(lab, "local_preference", neighbor=neighbor, preference=50)

    def preferences() -> dict[str, Any]:
        return {path["nexthops"][0]["ip"]: path.get("locPrf") for path in routes(lab, ROUTER, lan)}

    wait_for("its routes have the preference", lambda: preferences().get(neighbor) == 50, 20)
    assert {preference for hop, preference in preferences().items() if hop != neighbor} <= {None, 100}
    undo(lab, fault)


@pytest.mark.parametrize(("kind", "params"), [("metric", {"metric": 200}), ("as_path", {"prepend": 3})])
def test_what_the_neighbour_is_told(lab: DefaultLab, neighbor: str, kind: str, params: dict[str, int]) -> None:
    lan = lab.testbed["sites"]["hiroshima"]["lan"]
    asn = lab.testbed["nodes"][ROUTER]["asn"]
    told = {"metric": ("metric", 200), "as_path": ("aspath", " ".join([str(asn)] * 4))}[kind]

    def heard() -> Any:
        ours = address_of(lab, ROUTER, PEER)
        [path] = [path for path in routes(lab, PEER, lan) if path["nexthops"][0]["ip"] == ours]
        return {"metric": path.get("metric"), "aspath": path["aspath"]["string"]}[told[0]]

    before = heard()
    fault = inject(lab, kind, neighbor=neighbor, **params)
    wait_for("the neighbour hears it", lambda: heard() == told[1], 20)
    undo(lab, fault)
    wait_for("the neighbour hears what it heard before", lambda: heard() == before, 20)


def test_a_prefix_that_is_withdrawn(lab: DefaultLab, neighbor: str) -> None:
    lan = lab.testbed["sites"]["hiroshima"]["lan"]
    fault = inject(lab, "prefix_withdrawn", prefix=lan)
    wait_for("nobody knows the prefix any more", lambda: routes(lab, PEER, lan) == [], 10)
    undo(lab, fault)
    wait_for("the prefix is known again", lambda: routes(lab, PEER, lan) != [], 10)
