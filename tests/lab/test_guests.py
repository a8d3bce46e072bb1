# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Guests of two sites: they boot, keep what they have answered, are refused where they don't fit, and move."""

from __future__ import annotations

import json
import re
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from ansible_collections.okiagari.testbed.plugins.module_utils.fault.owned import GUEST_MARK
from ansible_collections.okiagari.testbed.tests.lab.guest_lab import HOSTS, RECORDS, GuestLab, address, machine
from ansible_collections.okiagari.testbed.tests.lab.small_lab import changed, without_a_trace
from ansible_collections.okiagari.testbed.tests.lab.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.lab, pytest.mark.soak]

DRILL = str(Path(__file__).parent / "drills" / "guest.yml")


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GuestLab]:
    with without_a_trace(GuestLab(tmp_path_factory.mktemp("state"), testbed="guests")) as lab:
        lab.play("lab_up")
        lab.play("site", "-e", RECORDS)
        lab.connect()
        yield lab


@pytest.fixture
def one(lab: GuestLab) -> Iterator[GuestLab]:
    """Give a lab with one machine at site a, which has booted."""
    lab.have(a=[machine(1)])
    lab.boots(1)
    yield lab
    for host in HOSTS:
        lab.have(**{host[0]: [{**machine(1), "state": "absent"}]})


def test_a_machine_boots_and_answers_both_sites(lab: GuestLab) -> None:
    assert changed(lab.have(a=[machine(1)], options=("--check",))) == {"a-kvm1"}
    assert lab.domains("a-kvm1") == {}
    assert changed(lab.have(a=[machine(1)])) == {"a-kvm1"}
    print(f"the tally answers {lab.boots(1):.1f} s after the playbook")
    assert lab.ask(1, "incr 5", "b-kvm1") == "ok 5"
    status = json.loads(lab.ask(1, "status", "b-kvm1").removeprefix("ok "))
    assert (status["hostname"], status["count"]) == ("exp-1", 5)
    web = "ip netns exec client python3 -c 'import urllib.request as r; print(r.urlopen(\"http://{}:8000/counter\").read())'"
    assert lab.say("b-kvm1", web.format(address(1))).strip() == "b'5'"
    assert lab.ssh("b-kvm1", f"ip netns exec client ping -n -c 1 -s 1472 -M do {address(1)}").returncode == 0
    assert changed(lab.have(a=[machine(1)])) == set()
    assert changed(lab.have(a=[{**machine(1), "state": "absent"}])) == {"a-kvm1"}
    assert (lab.domains("a-kvm1"), lab.files("a-kvm1")) == ({}, [])


def test_what_was_answered_survives_a_power_cut(one: GuestLab) -> None:
    for _time in range(3):
        with one.counting(1, "a-kvm1") as counted:
            time.sleep(2)
            one.say("a-kvm1", "virsh destroy exp-1")
        assert changed(one.have(a=[machine(1)])) == {"a-kvm1"}
        one.boots(1)
        assert int(one.ask(1, "get").removeprefix("ok ")) >= counted["last"]


def test_the_power_button_is_heard(one: GuestLab) -> None:
    one.ask(1, "set motto rise")
    assert changed(one.have(a=[machine(1)], options=("-e", "state=stopped"))) == {"a-kvm1"}
    assert one.domains("a-kvm1") == {"exp-1": "5"}
    one.have(a=[machine(1)])
    one.boots(1)
    assert one.ask(1, "get motto") == "ok rise"


@pytest.mark.parametrize(("fault", "state"), [("power_cut", "5"), ("reboot", "5"), ("pause", "3")])
def test_a_drill_silences_a_guest_and_it_is_back(one: GuestLab, fault: str, state: str, tmp_path: Path) -> None:
    count = one.ask(1, "incr")
    seen: set[str] = set()
    given = {"fault": fault, "for": "20s", "address": address(1), "reports": str(tmp_path / "reports")}
    with ThreadPoolExecutor(1) as pool:
        drill = pool.submit(
            one.play, DRILL, *(word for name in given for word in ("-e", f"guest_{name}={given[name]}"))
        )
        while not drill.done():
            seen.update(one.domains("a-kvm1").values())
            time.sleep(2)
        drill.result()
    report = json.loads((tmp_path / "reports/latest/report.json").read_text())
    assert (report["verdict"], report["differences"]) == ("held", [])
    assert [probe["ok"] for probe in report["probes"]] == [True] * 3
    assert state in seen
    one.boots(1)
    assert one.ask(1, "get") == count
    assert GUEST_MARK not in one.say("a-kvm1", "virsh dumpxml exp-1")


def test_what_does_not_fit_is_refused_before_anything(lab: GuestLab) -> None:
    said = lab.have(a=[{**machine(number), "vcpus": 3} for number in (1, 2, 3)], fails=True)
    assert "a-kvm1: 8 of 8 vCPUs are free, 9 asked" in said
    assert (lab.domains("a-kvm1"), lab.files("a-kvm1")) == ({}, [])


def test_a_machine_moves_between_sites_while_it_is_used(one: GuestLab) -> None:
    # The destination needs the template: its disk is below the machine's own.
    one.have(b=[machine(9)])
    one.have(b=[{**machine(9), "state": "absent"}])
    for to, host in (("b-kvm1", "a-kvm1"), ("a-kvm1", "b-kvm1")):
        with one.counting(1, "a-kvm1") as counted:
            said = one.migrate(1, to)
        print(re.findall(r"exp-1 moved from .*", said), counted)
        assert (one.domains(to), one.domains(host)) == ({"exp-1": "1"}, {})
        assert one.files(host) == []
        assert (counted["errors"], counted["steps"]) == ([], [1])


def test_a_move_that_is_not_possible_is_refused(one: GuestLab) -> None:
    assert "is not a KVM host of the testbed" in one.migrate(1, "b-r1", fails=True)
    assert "there is no machine exp-7" in one.migrate(7, "b-kvm1", fails=True)
    assert "exp-1 is on a-kvm1" in one.migrate(1, "a-kvm1", fails=True)
    one.have(b=[machine(number) for number in range(2, 10)], options=("-e", "state=stopped"))
    said = one.migrate(1, "b-kvm1", fails=True)
    assert "b-kvm1: 0 of 8 vCPUs are free, 1 asked" in said
    assert one.domains("a-kvm1") == {"exp-1": "1"}
    one.have(b=[{**machine(number), "state": "absent"} for number in range(2, 10)])


@pytest.mark.parametrize("accident", ["link", "libvirt"])
def test_a_move_that_fails_leaves_the_machine_at_its_source(one: GuestLab, accident: str) -> None:
    one.have(b=[machine(9)])
    one.have(b=[{**machine(9), "state": "absent"}])
    # So slow that the accident comes in the middle.
    one.say("a-kvm1", "virsh migrate-setspeed exp-1 1")
    with one.counting(1, "a-kvm1") as counted, ThreadPoolExecutor(1) as pool:
        moving = pool.submit(one.migrate, 1, "b-kvm1", "-e", "migration_timeout=60", fails=True)
        wait_for("the machine is on its way", lambda: "Unbounded" in one.say("a-kvm1", "virsh domjobinfo exp-1"), 40)
        wait_for("it is expected", lambda: one.ssh("b-kvm1", "pgrep -f guest=[e]xp-1").returncode == 0, 40)
        if accident == "libvirt":
            one.say("b-kvm1", "systemctl kill --signal=KILL libvirtd; pkill -KILL -f guest=exp-1")
        else:
            one.say("b-kvm1", "ip link set trunk0 down; (sleep 40; ip link set trunk0 up) > /dev/null 2>&1 &")
        said = moving.result()
    assert "It runs at its source" in said
    assert one.domains("a-kvm1") == {"exp-1": "1"}
    assert (counted["errors"], counted["steps"]) == ([], [1])
    assert one.domains("b-kvm1") == {}
    assert one.files("b-kvm1") == []


def test_ten_machines_from_one_template_in_one_run(lab: GuestLab) -> None:
    sites = {
        "a": [machine(number) for number in range(1, 6)],
        "b": [machine(number) for number in range(6, 11)],
    }
    started = time.monotonic()
    lab.have(timeout=900, **sites)
    played = time.monotonic() - started
    lab.boots(*range(1, 11))
    total = time.monotonic() - started
    print(f"ten machines: {played:.1f} s for the playbook, {total:.1f} s until all answer")
    assert changed(lab.have(timeout=900, **sites)) == set()
    lab.have(timeout=900, **{site: [{**one, "state": "absent"} for one in listed] for site, listed in sites.items()})
    for host in HOSTS:
        assert (lab.domains(host), lab.files(host)) == ({}, [])
