# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A project over the sites of the default lab, from its request to the last trace."""

from __future__ import annotations

import json
import re
import subprocess
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from ansible_collections.okiagari.testbed.tests.lab.default_lab import PROJECT, DefaultLab
from ansible_collections.okiagari.testbed.tests.lab.traces import REGISTRY, traces

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.lab

REQUEST = "examples/exp1.yml"
ROUTER = "hiroshima-r1"


def play(*options: str) -> str:
    """Run the project's playbook, and give what it says."""
    argv = ["ansible-playbook", "playbooks/project.yml", *options]
    done = subprocess.run(argv, cwd=PROJECT, capture_output=True, text=True, timeout=400, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def lab() -> DefaultLab:
    return DefaultLab()


@pytest.fixture(scope="module")
def record(lab: DefaultLab) -> Iterator[dict[str, Any]]:
    """Give what the project of the examples holds while it is there; in the end nothing of it may be left."""
    before = traces(lab)
    said = play("-e", f"project={REQUEST}")
    found = re.search(r"From the request to all 3 machines answering: (\d+) s", said)
    assert found, said
    print(f"from the request to all answering: {found[1]} s")
    holds: dict[str, Any] = json.loads(lab.say("hiroshima-kvm1", f"cat {REGISTRY}/exp1.json"))
    yield holds
    assert "exp1 holds nothing any more" in play("-e", "project=exp1", "-e", "state=absent")
    assert traces(lab) == before


def test_there_is_a_machine_at_each_site(lab: DefaultLab, record: dict[str, Any]) -> None:
    assert {machine["site"] for machine in record["machines"].values()} == set(lab.testbed["sites"])


def test_machines_of_other_sites_answer_in_whole_packets(lab: DefaultLab, record: dict[str, Any]) -> None:
    bridge = f"br{record['networks']['lan']['vlan']}"
    client = (
        f"ip netns add client; ip link add v-client type veth peer name eth0 netns client;"
        f"ip link set v-client master {bridge} up; ip -n client link set eth0 up;"
        f"ip -n client address add {record['networks']['lan']['prefix'].replace('.0/', '.200/')} dev eth0"
    )
    lab.say("hiroshima-kvm1", client)
    try:
        for machine in record["machines"].values():
            address = machine["networks"][0]["address"].split("/")[0]
            inside = "ip netns exec client"
            lab.say("hiroshima-kvm1", f"{inside} ping -n -c 3 -i 0.2 -W 5 -M do -s 1472 {address}")
            asked = f"echo status | {inside} timeout 10 socat -t 9 - TCP:{address}:7000,connect-timeout=5"
            assert json.loads(lab.say("hiroshima-kvm1", asked).removeprefix("ok "))["count"] == 0
    finally:
        lab.say("hiroshima-kvm1", "ip link delete v-client; ip netns delete client")


def test_a_circuit_carries_the_project_between_two_tags(lab: DefaultLab, record: dict[str, Any]) -> None:
    vlan = record["networks"]["lan"]["vlan"]
    watch = "timeout 10 tcpdump -nnel -i {} 2> /dev/null | grep -m 1 'vlan {}, .*Request who-has 10.240.0.99' || true"
    with ThreadPoolExecutor() as pool:
        seen = {
            name: pool.submit(lab.say, ROUTER, watch.format(circuit["a_interface"], vlan))
            for name, circuit in lab.testbed["circuits"].items()
            if circuit["a"] == ROUTER
        }
        # What everybody is asked takes every circuit that the spanning tree leaves open.
        lab.say("hiroshima-kvm1", f"arping -q -D -c 8 -I br{vlan} 10.240.0.99")
    found = {circuit: line.result() for circuit, line in seen.items() if line.result()}
    assert found
    for circuit, line in found.items():
        tag = lab.testbed["circuits"][circuit]["s_tag"]
        assert re.search(rf"802.1Q-QinQ \(0x88a8\).* vlan {tag},.* 802.1Q \(0x8100\), vlan {vlan},", line), line
