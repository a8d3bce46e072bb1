# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A guest whose disk is on the storage of three sites: it moves without its disk, and a fenced site pauses it."""

from __future__ import annotations

import re
import time
from functools import partial
from typing import TYPE_CHECKING

import pytest
from ansible_collections.okiagari.testbed.tests.lab.guest_lab import RECORDS, GuestLab, machine
from ansible_collections.okiagari.testbed.tests.lab.small_lab import without_a_trace
from ansible_collections.okiagari.testbed.tests.lab.volume import complete
from ansible_collections.okiagari.testbed.tests.lab.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.lab, pytest.mark.soak]

SHARED = ("-e", "virtual_machine_pool_path=/var/lib/okiagari/shared")
RUNNING, PAUSED = "1", "3"


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GuestLab]:
    """Give a lab with a guest at site b, which has booted from the shared storage."""
    with without_a_trace(GuestLab(tmp_path_factory.mktemp("state"), testbed="storage")) as lab:
        lab.play("lab_up")
        lab.play("site", "-e", RECORDS, timeout=600)
        lab.play("storage", timeout=600)
        lab.connect()
        lab.have(b=[machine(1)], options=SHARED)
        lab.boots(1, host="b-kvm1")
        yield lab
        lab.have(b=[{**machine(1), "state": "absent"}], options=SHARED)


def test_a_machine_moves_without_its_disk(lab: GuestLab) -> None:
    for to in ("a-kvm1", "b-kvm1"):
        with lab.counting(1, "a-kvm1") as counted:
            said = lab.migrate(1, to)
        print(re.findall(r"exp-1 moved from .*", said), counted)
        assert "over shared storage" in said
        assert lab.domains(to) == {"exp-1": RUNNING}
        assert (counted["errors"], counted["steps"]) == ([], [1])


def test_a_machine_of_a_fenced_site_is_paused_and_goes_on_afterwards(lab: GuestLab) -> None:
    with lab.counting(1, "b-kvm1") as counted:
        time.sleep(2)
        lab.say("b-kvm1", "ip link set trunk0 down; (sleep 60; ip link set trunk0 up) > /dev/null 2>&1 &")
        wait_for("the machine is paused", lambda: lab.domains("b-kvm1") == {"exp-1": PAUSED}, 55)
    assert counted["errors"], "the client must have noticed"
    wait_for("every copy is complete", partial(complete, lab), 180)
    lab.say("b-kvm1", "virsh resume exp-1")
    wait_for("the tally answers", lambda: lab.ask(1, "get", "b-kvm1"), 30)
    assert int(lab.ask(1, "get", "b-kvm1").removeprefix("ok ")) >= counted["last"]
