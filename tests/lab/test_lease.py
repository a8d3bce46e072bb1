# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lease: a fault ends by itself, whoever dies. Real systemd, real kernels, real power cuts."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest
from ansible_collections.okiagari.testbed.tests.lab.default_lab import DefaultLab
from ansible_collections.okiagari.testbed.tests.lab.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.lab

ROUTER = "hiroshima-r1"
INTERFACE = "w-kanazawa-r1"
LOSSY = "w-otemachi"
GRACE = 2.0
"""A fault is gone at most so many seconds after the end of its lease."""

FAULTS: dict[str, dict[str, Any]] = {
    "link_down": {"interface": INTERFACE},
    "loss": {"interface": LOSSY, "percent": 100},
    "route_override": {"prefix": "10.2.0.0/24", "via": "10.254.0.1"},
    "route_blackhole": {"prefix": "10.3.0.0/24"},
}


@pytest.fixture(scope="module")
def lab() -> DefaultLab:
    return DefaultLab()


@pytest.fixture(autouse=True)
def clean(lab: DefaultLab) -> Iterator[None]:
    """Begin and end without a fault, whatever a test has done."""
    wait_for("the lab is routed", lab.routed, 60)
    yield
    assert lab.program(ROUTER, "heal", {"check": True})["left"] == []


def inject(lab: DefaultLab, kind: str, lease_s: float) -> dict[str, Any]:
    """Inject a fault, and see that it stands."""
    fault = {
        "id": f"lease-{kind}-{time.time_ns()}",
        "kind": kind,
        "target": ROUTER,
        "params": FAULTS[kind],
        "lease_s": lease_s,
    }
    receipt = lab.program(ROUTER, "inject", fault)
    assert receipt.get("state") == "injected", receipt
    assert stands(lab, kind)
    return receipt


def stands(lab: DefaultLab, kind: str) -> bool:
    """Look at the kernel, not at what the program says."""
    if kind == "link_down":
        return "state DOWN" in lab.say(ROUTER, f"ip -o link show {INTERFACE}")
    if kind == "loss":
        return "fa17:" in lab.say(ROUTER, f"tc qdisc show dev {LOSSY}")
    return FAULTS[kind]["prefix"] in lab.say(ROUTER, "ip route show proto 187")


def standing(lab: DefaultLab) -> set[str]:
    return {kind for kind in FAULTS if stands(lab, kind)}


def ended_with_its_lease(lab: DefaultLab, receipt: dict[str, Any]) -> None:
    after = ended(lab, receipt)
    assert (after["state"], after["undone_by"]) == ("undone", "lease")
    assert after["undone_at"] - receipt["lease_ends_at"] <= GRACE


def ended(lab: DefaultLab, receipt: dict[str, Any]) -> dict[str, Any]:
    """Give the receipt from the target's journal, once the fault is over."""
    path = f"/var/lib/okiagari/journal/{receipt['id']}.json"
    after: dict[str, Any] = lab.program(ROUTER, "undo", {"ids": [receipt["id"]]})["receipts"][0]
    assert lab.ssh(ROUTER, f"test -f {path}").returncode == 0
    return after


def test_faults_whose_controller_is_gone_end_with_their_leases(lab: DefaultLab) -> None:
    # So long that all are injected before the first of them ends: that one mustn't wait for the others' injection.
    receipts = [inject(lab, kind, 8) for kind in FAULTS]
    time.sleep(8 + GRACE)
    assert standing(lab) == set()
    for receipt in receipts:
        ended_with_its_lease(lab, receipt)


@pytest.mark.soak
def test_faults_end_while_the_management_link_is_cut(lab: DefaultLab) -> None:
    receipts = [inject(lab, kind, 8) for kind in FAULTS]
    lab.manage(ROUTER, connected=False)
    try:
        time.sleep(8 + GRACE)
    finally:
        lab.manage(ROUTER, connected=True)
    wait_for("the router is managed again", lambda: lab.ssh(ROUTER, "true", timeout=8).returncode == 0, 20)
    for receipt in receipts:
        ended_with_its_lease(lab, receipt)


@pytest.mark.soak
def test_a_fault_ends_when_the_program_that_injected_it_is_killed(lab: DefaultLab) -> None:
    drill = f"killed-{time.time_ns()}"
    now = lab.program(ROUTER, "hello")["time"]
    fault = {"id": f"{drill}-1", "kind": "link_down", "params": FAULTS["link_down"], "at": 0.0, "for": 6.0}
    armed = lab.program(
        ROUTER,
        "arm",
        {"drill": drill, "t0": now + 4, "ends": 8.0, "faults": [fault], "streams": [], "probes": []},
    )
    assert armed.get("armed"), armed
    wait_for("the fault is on", lambda: stands(lab, "link_down"), 10)
    lab.say(ROUTER, f"systemctl kill --signal=KILL {armed['unit']}")
    assert stands(lab, "link_down")
    receipt = lab.program(ROUTER, "status", {"drill": drill})["faults"][0]
    time.sleep(max(0.0, receipt["lease_ends_at"] - lab.program(ROUTER, "hello")["time"]) + GRACE)
    assert not stands(lab, "link_down")
    after = lab.program(ROUTER, "status", {"drill": drill})["faults"][0]
    assert after["undone_by"] == "lease"
    assert after["undone_at"] - receipt["lease_ends_at"] <= GRACE


@pytest.mark.soak
@pytest.mark.parametrize("how", ["power cut", "reboot"])
def test_a_fault_never_comes_back_after_a_reboot(lab: DefaultLab, how: str) -> None:
    receipts = [inject(lab, kind, 600) for kind in ("loss", "route_blackhole")]
    if how == "reboot":
        before = lab.say(ROUTER, "cat /proc/sys/kernel/random/boot_id")
        lab.ssh(ROUTER, "systemctl reboot")
        wait_for(
            "the router has rebooted",
            lambda: (
                (done := lab.ssh(ROUTER, "cat /proc/sys/kernel/random/boot_id", timeout=8)).returncode == 0
                and done.stdout.decode() != before
            ),
            180,
        )
    else:
        lab.power_cut(ROUTER)
        lab.boot(ROUTER)
    wait_for("the router routes again", lab.routed, 60)
    assert standing(lab) == set()
    assert lab.program(ROUTER, "heal", {"check": True})["found"] == []
    for receipt in receipts:
        assert ended(lab, receipt)["undone_by"] == "reboot"


def test_heal_needs_no_memory(lab: DefaultLab) -> None:
    """But for what leaves no mark of its own in the kernel."""
    kinds = FAULTS.keys() - {"link_down"}
    for kind in kinds:
        inject(lab, kind, 600)
    lab.say(ROUTER, "rm /var/lib/okiagari/journal/*.json; systemctl stop 'okiagari-lease-*'")
    inject(lab, "link_down", 600)
    assert standing(lab) == FAULTS.keys()
    healed = lab.program(ROUTER, "heal", {"check": False})
    assert len(healed["found"]) >= len(FAULTS)
    assert healed["left"] == []
    assert standing(lab) == set()


def test_a_foreign_qdisc_is_refused_and_left_alone(lab: DefaultLab) -> None:
    lab.say(ROUTER, "tc qdisc add dev lan0 root handle 77: prio")
    try:
        before = lab.say(ROUTER, "tc qdisc show dev lan0")
        fault = {
            "id": "foreign",
            "kind": "loss",
            "target": ROUTER,
            "params": {"interface": "lan0", "percent": 5},
            "lease_s": 5,
        }
        refused = lab.program(ROUTER, "inject", fault)
        assert "foreign" in refused["error"]
        assert "lan0" in refused["error"]
        assert lab.say(ROUTER, "tc qdisc show dev lan0") == before
    finally:
        lab.say(ROUTER, "tc qdisc del dev lan0 root")
