# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What follows from a device keeping its lease itself, and from how VyOS makes queues."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from ansible_collections.okiagari.testbed.plugins.module_utils.errors import OkiagariError

sys.path.insert(0, str(Path(__file__).parent))

from fault_rigs import VyosRig, fault, wait_for_state

if TYPE_CHECKING:
    from collections.abc import Iterator

    from simulated_vyos import Config


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[VyosRig]:
    made = VyosRig(tmp_path)
    yield made
    made.stop()


def test_a_lease_is_rounded_up(rig: VyosRig) -> None:
    receipt = rig.inject({**rig.faults[0], "lease_s": 1.5 * rig.minute})
    assert receipt["lease_s"] == 1.5 * rig.minute
    assert receipt["lease_ends_at"] >= receipt["armed_at"] + 2 * rig.minute


def test_a_device_has_one_fault_at_a_time(rig: VyosRig) -> None:
    rig.inject(rig.faults[0])
    during = rig.state()
    with pytest.raises(OkiagariError, match="one change at a time"):
        rig.inject(fault("route_blackhole", prefix="10.9.0.0/16"))
    assert rig.state() == during


def test_somebody_elses_unconfirmed_change_is_neither_confirmed_nor_lost(rig: VyosRig) -> None:
    rig.router.arm(100)
    before = rig.state()
    with pytest.raises(OkiagariError, match="somebody's change waits"):
        rig.inject(rig.faults[0])
    rig.heal()
    assert rig.state() == before
    assert rig.router.waiting


def test_a_router_that_would_restart_keeps_no_lease(rig: VyosRig) -> None:
    rig.configure("set system config-management commit-confirm reboot")
    before = rig.state()
    with pytest.raises(OkiagariError, match="lacks the capability 'lease'"):
        rig.inject(rig.faults[0])
    assert rig.state() == before


def test_hand_made_queues_of_other_interfaces_are_not_lost(rig: VyosRig) -> None:
    rig.router.queues["eth0"] = {"kind": "tbf", "handle": "7:", "root": True, "options": {}}
    before = rig.state()
    with pytest.raises(OkiagariError, match="foreign root qdisc tbf of eth0"):
        rig.inject(fault("loss", interface="eth1", percent="5%"))
    assert rig.state() == before


def test_queues_that_a_failed_commit_has_lost_are_told(rig: VyosRig) -> None:
    """The router drops all queues, and only then finds that it can't make the new ones."""
    rig.router.breaks_qos = True
    with pytest.raises(OkiagariError, match="eth3: the configured qos is not in the kernel"):
        rig.inject(fault("loss", interface="eth1", percent="5%"))
    assert "qos interface eth1" not in "\n".join(rig.router.lines())
    with pytest.raises(OkiagariError, match="eth3: the configured qos is not in the kernel"):
        rig.inject(fault("delay", interface="eth1", delay="5ms"))


def test_a_fault_that_cuts_the_way_is_ended_by_the_device(rig: VyosRig) -> None:
    before = rig.state()

    def cut_off(config: Config) -> bool:
        cut = ("interfaces", "ethernet", "eth0", "disable") in config
        if cut:
            rig.router.hang_up()
        return cut

    rig.router.cut = cut_off
    cut = {**fault("link_down", interface="eth0"), "lease_s": rig.minute}
    with pytest.raises(OkiagariError, match="not known whether it was injected"):
        rig.inject(cut)
    wait_for_state(rig, before)
    over = rig.undo(cut["id"])
    assert (over["state"], over["undone_by"]) == ("failed", "lease")


def test_heal_without_the_journal_removes_what_is_marked(rig: VyosRig) -> None:
    before = rig.state()
    rig.inject(fault("loss", interface="eth1", percent="5%"))
    (rig.folder / "journal" / "test-loss.json").unlink()
    report = rig.heal()
    assert [each["what"] for each in report["healed"]] == ["qos"]
    assert rig.state() == before
