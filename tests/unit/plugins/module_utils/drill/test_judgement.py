# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Comparison, expectations and verdict."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest
from ansible_collections.okiagari.testbed.plugins.module_utils.drill.check import Context
from ansible_collections.okiagari.testbed.plugins.module_utils.drill.compare import differences
from ansible_collections.okiagari.testbed.plugins.module_utils.drill.expectations import answered
from ansible_collections.okiagari.testbed.plugins.module_utils.drill.model import Probe
from ansible_collections.okiagari.testbed.plugins.module_utils.drill.places import Places
from ansible_collections.okiagari.testbed.plugins.module_utils.drill.reach_checks import Path, Ping
from ansible_collections.okiagari.testbed.plugins.module_utils.drill.routing_checks import Route
from ansible_collections.okiagari.testbed.plugins.module_utils.drill.verdict import (
    EXIT_CODES,
    SEVERITY,
    Facts,
    decide,
    summary,
    worst,
)
from hypothesis import given
from hypothesis import strategies as st

plain = st.recursive(
    st.none() | st.integers(0, 3) | st.text("ab", max_size=2),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("kl", max_size=2), inner, max_size=3),
    max_leaves=8,
)
snapshots = st.dictionaries(
    st.sampled_from(["r1", "r2"]), st.dictionaries(st.text("xy", max_size=2), plain, max_size=3)
)


@given(snapshots)
def test_a_snapshot_is_as_itself(snapshot: dict[str, Any]) -> None:
    assert differences(snapshot, snapshot) == []


@given(snapshots, snapshots)
def test_any_difference_is_found(before: dict[str, Any], after: dict[str, Any]) -> None:
    common = before.keys() & after.keys()
    assert bool(differences(before, after)) == any(before[target] != after[target] for target in common)


def test_only_what_differs_is_shown() -> None:
    before = {"r1": {"routes": ["a", "b", "b"], "bfd": {"10.0.0.1": "up"}, "links": {"x": {"mtu": 1500}}}}
    after = {"r1": {"routes": ["b", "a", "c"], "bfd": {"10.0.0.1": "down"}, "links": {}}}
    assert differences(before, after) == [
        {"target": "r1", "path": "bfd.10.0.0.1", "before": "up", "after": "down"},
        {"target": "r1", "path": "links.x", "before": {"mtu": 1500}, "after": None},
        {"target": "r1", "path": "routes", "before": ["b"], "after": ["c"]},
    ]


@pytest.mark.parametrize("bits", list(product([False, True], repeat=5)))
def test_the_worst_fact_gives_the_verdict(bits: tuple[bool, ...]) -> None:
    left, infrastructure, aborted, failed, idle = bits
    facts = Facts(
        left=["l"] * left, infrastructure=["i"] * infrastructure, aborted=["a"] * aborted, failed=["f"] * failed
    )
    facts.tests_something, facts.restored, facts.injected = not idle, not left, True
    wanted = [name for name, bit in zip(SEVERITY, bits, strict=False) if bit]
    verdict = decide(facts)
    assert verdict.name == (wanted[0] if wanted else "held")
    assert verdict.exit_code == EXIT_CODES[verdict.name]
    assert len(verdict.reasons) == sum(bits)


def test_not_knowing_is_not_restored() -> None:
    assert decide(Facts(injected=True, restored=None)).name == "not_restored"


def test_summaries() -> None:
    held = decide(Facts(injected=True, restored=True))
    assert summary(held, 212.4, True) == "Held: the longest outage was 212 ms; everything is as before."
    assert summary(held, None, True) == "Held: no stream was watched; everything is as before."
    failed = decide(Facts(failed=["too slow.", "too lossy"], injected=True, restored=True))
    assert summary(failed, 5.0, True) == "Failed: too slow (and 1 more)."
    assert worst(["held", "failed", "aborted"]) == "aborted"


def judge(check: Any, value: dict[str, Any], lab: dict[str, Any], ok: bool = True) -> tuple[bool, str]:
    probe = Probe("p", "probe", "before", check)
    outcome = answered(probe, check, {"ok": ok, "value": value, "detail": "as it was"}, 0.0, Context(Places(lab)))
    return outcome["ok"], outcome["detail"]


def ping(received: int) -> dict[str, Any]:
    rtt = [4.0, 5.0, 6.0] if received else None
    return {"sent": 5, "received": received, "loss_percent": 100.0 - 20 * received, "rtt_ms": rtt}


def test_pings(lab: dict[str, Any]) -> None:
    wanted = Ping("a", "b", "10.0.0.1")
    assert judge(wanted, ping(5), lab) == (True, "as it was")
    assert judge(wanted, ping(4), lab) == (False, "20 % lost, expected at most 0 %; as it was")
    assert judge(wanted, ping(0), lab, ok=False)[0] is False
    assert judge(Ping("a", "b", "10.0.0.1", max_loss=20), ping(4), lab)[0] is True
    assert judge(Ping("a", "b", "10.0.0.1", max_rtt_ms=4.5), ping(5), lab)[0] is False
    assert judge(Ping("a", "b", "10.0.0.1", answers=False), ping(0), lab, ok=False)[0] is True
    assert judge(Ping("a", "b", "10.0.0.1", answers=False), ping(1), lab)[0] is False


def interface(lab: dict[str, Any], node: str, name: str) -> str:
    found = next(item for item in lab["nodes"][node]["interfaces"] if item["name"] == name)
    return str(found["address"]).partition("/")[0]


def test_a_path_is_told_by_its_routers_not_by_the_address_that_answers(lab: dict[str, Any]) -> None:
    # kanazawa-r1 answers from the direct circuit, though the packet came over otemachi.
    hops = [
        "10.1.0.1",
        interface(lab, "otemachi", "w-hiroshima-r1"),
        interface(lab, "kanazawa-r1", "w-hiroshima-r1"),
        "10.2.0.11",
    ]
    over = Path("hiroshima-kvm1", "kanazawa-kvm1", "10.2.0.11", via=("kanazawa-otemachi", "otemachi"))
    ok, detail = judge(over, {"hops": hops}, lab)
    assert (ok, detail) == (True, "hiroshima-kvm1 > hiroshima-r1 > otemachi > kanazawa-r1 > kanazawa-kvm1")
    avoid = Path("hiroshima-kvm1", "kanazawa-kvm1", "10.2.0.11", avoid=("hiroshima-kanazawa",))
    assert judge(avoid, {"hops": hops}, lab)[0] is True
    assert judge(Path("hiroshima-kvm1", "k", "10.2.0.11", via=("osaka",)), {"hops": hops}, lab)[0] is False


def test_the_direct_path(lab: dict[str, Any]) -> None:
    hops = ["10.1.0.1", interface(lab, "kanazawa-r1", "w-hiroshima-r1"), "10.2.0.11"]
    assert judge(Path("hiroshima-kvm1", "k", "10.2.0.11", via=("hiroshima-kanazawa",)), {"hops": hops}, lab)[0] is True
    avoid = Path("hiroshima-kvm1", "k", "10.2.0.11", avoid=("hiroshima-kanazawa",))
    assert judge(avoid, {"hops": hops}, lab)[0] is False
    assert judge(avoid, {"hops": ["*"]}, lab, ok=False) == (
        False, "the destination did not answer; hiroshima-kvm1 > *",
    )  # fmt: skip


def test_routes(lab: dict[str, Any]) -> None:
    wanted = Route("hiroshima-r1", "naist", "10.3.0.0/24", "osaka", ("10.254.0.3",))
    assert judge(wanted, {"via": ["10.254.0.3"]}, lab)[0] is True
    assert judge(wanted, {"via": ["10.254.0.5"]}, lab) == (False, "the route does not lead to osaka; as it was")


def test_no_answer_is_not_ok(lab: dict[str, Any]) -> None:
    check = Ping("a", "b", "10.0.0.1")
    outcome = answered(Probe("p", "n", "after", check), check, None, None, Context(Places(lab)))
    assert (outcome["ok"], outcome["detail"]) == (False, "no answer from the target that was to ask")
