# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Guests of two sites: they boot, keep what they have answered, are refused where they don't fit, and move."""

from __future__ import annotations

import json
import re
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from ansible_collections.okiagari.testbed.tests.lab.small_lab import SmallLab, changed, without_a_trace
from ansible_collections.okiagari.testbed.tests.lab.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.lab, pytest.mark.soak]

PLAYBOOK = str(Path(__file__).parent / "playbooks" / "machines.yml")
CLIENT = (Path(__file__).parent / "tally_client.py").read_text()
HOSTS = {"a-kvm1": "192.168.7.1", "b-kvm1": "192.168.7.2"}
RECORDS = json.dumps({"qinq_records": [{"name": "exp", "networks": {"lan": {"vlan": 100, "sites": ["a", "b"]}}}]})
POOL = "/var/lib/okiagari/guests"
BOOT_S = 60
TEN_S = 240


def machine(number: int) -> dict[str, Any]:
    """Give a machine of the project, as its record has it."""
    card = {"name": "lan", "bridge": "br100", "address": f"{address(number)}/24", "mac": f"02:03:00:00:00:{number:02x}"}
    return {"name": f"exp-{number}", "memory_mib": 80, "networks": [{**card, "mtu": 1500}]}


def address(number: int) -> str:
    return f"192.168.7.{100 + number}"


class Guests(SmallLab):
    """The lab with one project's network, and a client beside the guests on each host."""

    def have(self, options: tuple[str, ...] = (), fails: bool = False, **machines: list[dict[str, Any]]) -> str:
        """Have these machines on the hosts `a` and `b`, and give what Ansible says."""
        wanted = {f"{site}-kvm1": listed for site, listed in machines.items()}
        return self.play(PLAYBOOK, "-e", json.dumps({"machines": wanted}), *options, fails=fails)

    def connect(self) -> None:
        """Hang a client on the project's bridge at both sites."""
        for host, own in HOSTS.items():
            self.say(
                host,
                "ip netns add client; ip link add v100 type veth peer name eth0 netns client;"
                "ip link set v100 master br100 up; ip -n client link set eth0 up;"
                f"ip -n client address add {own}/24 dev eth0",
            )
            self.say(host, f"cat > /run/tally_client.py <<'END'\n{CLIENT}\nEND")

    def ask(self, number: int, line: str, host: str = "a-kvm1") -> str:
        """Ask a guest's tally one thing; empty when it doesn't answer."""
        client = (
            f"echo {line} | ip netns exec client timeout 5 socat -t 5 - TCP:{address(number)}:7000,connect-timeout=2"
        )
        done = self.ssh(host, client)
        return done.stdout.removesuffix("\n") if done.returncode == 0 else ""

    def boots(self, *numbers: int, host: str = "a-kvm1") -> float:
        """Wait until the tallies answer, and give how long that took."""
        started = time.monotonic()
        for number in numbers:
            wait_for(
                f"the tally of exp-{number} answers", partial(self.ask, number, "get", host), BOOT_S * len(numbers)
            )
        return time.monotonic() - started

    @contextmanager
    def counting(self, number: int, host: str) -> Iterator[dict[str, Any]]:
        """Count on one connection meanwhile; afterwards the result says how that went."""
        result: dict[str, Any] = {}
        stop = "/run/tally_end"
        with ThreadPoolExecutor(1) as pool:
            line = f"ip netns exec client python3 /run/tally_client.py {address(number)} {stop}"
            running = pool.submit(self.ssh, host, line, 200)
            self.say(host, f"rm -f {stop}; sleep 1")
            yield result
            self.say(host, f"touch {stop}")
            done = running.result()
        assert done.returncode == 0, done.stderr
        result.update(json.loads(done.stdout))

    def domains(self, host: str) -> dict[str, str]:
        """Give the guests of a host with their states."""
        said = self.say(host, "virsh domstats --state")
        return dict(re.findall(r"Domain: '(.*)'\n\s+state.state=(\d+)", said))

    def files(self, host: str) -> list[str]:
        """Give the disks and seeds of a host."""
        return self.say(host, f"cd {POOL}; ls -d *.* || true").split()

    def migrate(self, number: int, to: str, *options: str, fails: bool = False) -> str:
        """Move a machine."""
        return self.play("migrate", "-e", f"machine=exp-{number}", "-e", f"to={to}", *options, fails=fails)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guests]:
    with without_a_trace(Guests(tmp_path_factory.mktemp("state"), testbed="guests")) as lab:
        lab.play("lab_up")
        lab.play("site", "-e", RECORDS)
        lab.connect()
        yield lab


@pytest.fixture
def one(lab: Guests) -> Iterator[Guests]:
    """Give a lab with one machine at site a, which has booted."""
    lab.have(a=[machine(1)])
    lab.boots(1)
    yield lab
    for host in HOSTS:
        lab.have(**{host[0]: [{**machine(1), "state": "absent"}]})


def test_a_machine_boots_and_answers_both_sites(lab: Guests) -> None:
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


def test_what_was_answered_survives_a_power_cut(one: Guests) -> None:
    for _time in range(3):
        with one.counting(1, "a-kvm1") as counted:
            time.sleep(2)
            one.say("a-kvm1", "virsh destroy exp-1")
        assert changed(one.have(a=[machine(1)])) == {"a-kvm1"}
        one.boots(1)
        assert int(one.ask(1, "get").removeprefix("ok ")) >= counted["last"]


def test_the_power_button_is_heard(one: Guests) -> None:
    one.ask(1, "set motto rise")
    assert changed(one.have(a=[machine(1)], options=("-e", "state=stopped"))) == {"a-kvm1"}
    assert one.domains("a-kvm1") == {"exp-1": "5"}
    one.have(a=[machine(1)])
    one.boots(1)
    assert one.ask(1, "get motto") == "ok rise"


def test_what_does_not_fit_is_refused_before_anything(lab: Guests) -> None:
    said = lab.have(a=[{**machine(number), "vcpus": 3} for number in (1, 2, 3)], fails=True)
    assert "a-kvm1: 8 of 8 vCPUs are free, 9 asked" in said
    assert (lab.domains("a-kvm1"), lab.files("a-kvm1")) == ({}, [])


def test_a_machine_moves_between_sites_while_it_is_used(one: Guests) -> None:
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


def test_a_move_that_is_not_possible_is_refused(one: Guests) -> None:
    assert "is not a KVM host of the testbed" in one.migrate(1, "b-r1", fails=True)
    assert "there is no machine exp-7" in one.migrate(7, "b-kvm1", fails=True)
    assert "exp-1 is on a-kvm1" in one.migrate(1, "a-kvm1", fails=True)
    one.have(b=[machine(number) for number in range(2, 10)], options=("-e", "state=stopped"))
    said = one.migrate(1, "b-kvm1", fails=True)
    assert "b-kvm1: 0 of 8 vCPUs are free, 1 asked" in said
    assert one.domains("a-kvm1") == {"exp-1": "1"}
    one.have(b=[{**machine(number), "state": "absent"} for number in range(2, 10)])


@pytest.mark.parametrize("accident", ["link", "libvirt"])
def test_a_move_that_fails_leaves_the_machine_at_its_source(one: Guests, accident: str) -> None:
    one.have(b=[machine(9)])
    one.have(b=[{**machine(9), "state": "absent"}])
    # So slow that the accident comes in the middle.
    one.say("a-kvm1", "virsh migrate-setspeed exp-1 1")
    with one.counting(1, "a-kvm1") as counted, ThreadPoolExecutor(1) as pool:
        moving = pool.submit(one.migrate, 1, "b-kvm1", "-e", "migration_timeout=60", fails=True)
        wait_for("the machine is on its way", lambda: "Unbounded" in one.say("a-kvm1", "virsh domjobinfo exp-1"), 40)
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


def test_ten_machines_from_one_template_in_one_run(lab: Guests) -> None:
    sites = {
        "a": [machine(number) for number in range(1, 6)],
        "b": [machine(number) for number in range(6, 11)],
    }
    started = time.monotonic()
    lab.have(**sites)
    played = time.monotonic() - started
    lab.boots(*range(1, 11))
    total = time.monotonic() - started
    print(f"ten machines: {played:.1f} s for the playbook, {total:.1f} s until all answer")
    assert total < TEN_S
    assert changed(lab.have(**sites)) == set()
    lab.have(**{site: [{**one, "state": "absent"} for one in listed] for site, listed in sites.items()})
    for host in HOSTS:
        assert (lab.domains(host), lab.files(host)) == ({}, [])
