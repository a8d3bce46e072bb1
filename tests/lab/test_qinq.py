# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tagged networks over real circuits: what is on the wire, who sees whom, what a cut and a change do to them."""

from __future__ import annotations

import json
import re
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from ansible_collections.okiagari.testbed.tests.lab.small_lab import SmallLab, changed, without_a_trace
from ansible_collections.okiagari.testbed.tests.lab.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.lab, pytest.mark.soak]

PLAYBOOKS = Path(__file__).parent / "playbooks"
PLAYBOOK = str(PLAYBOOKS / "qinq.yml")
HOSTS = ("a-kvm1", "b-kvm1")
EVERYBODY = {"a-r1", "b-r1", "x", *HOSTS}
STORAGE = {"a-kvm1": "10.1.1.11", "b-kvm1": "10.2.1.11"}
# Both projects have the same addresses: the one at site a ends in 1, the one at b in 2.
INNER = {"a-kvm1": "192.168.7.1", "b-kvm1": "192.168.7.2"}
BEATS_A_SECOND = 20


def records(*vlans: int) -> str:
    """Give projects of one network each, as an argument of a playbook."""
    held = [{"name": f"exp{vlan}", "networks": {"lan": {"vlan": vlan, "sites": ["a", "b"]}}} for vlan in vlans]
    return json.dumps({"qinq_records": held})


def guest_of(vlan: int) -> str:
    """Give the shell line that hangs a namespace with the project's addresses on the bridge, as a guest would."""
    name = f"g{vlan}"
    return (
        f"ip netns add {name}; ip link add v{vlan} type veth peer name eth0 netns {name};"
        f"ip link set v{vlan} master br{vlan} up; ip -n {name} link set eth0 up;"
        f"ip -n {name} address add $ADDRESS/24 dev eth0"
    )


class Qinq(SmallLab):
    """The lab with tagged networks; guests are namespaces on the hosts' bridges."""

    def carry(self, *vlans: int, options: tuple[str, ...] = ()) -> set[str]:
        """Bring all nodes to these projects' networks, and say which nodes that changed."""
        return changed(self.play(PLAYBOOK, "-e", records(*vlans), *options))

    def connect(self, vlan: int) -> None:
        """Hang a guest of the project on the bridge at both sites."""
        for host in HOSTS:
            self.say(host, f"ADDRESS={INNER[host]}; {guest_of(vlan)}")

    def disconnect(self, vlan: int) -> None:
        """Remove the project's guests."""
        for host in HOSTS:
            self.say(host, f"ip link delete v{vlan}; ip netns delete g{vlan}")

    def ping(self, where: str, to: str, *options: str) -> bool:
        """Say whether one packet is answered; `where` is a host, or `HOST/VLAN` for a guest."""
        host, _at, vlan = where.partition("/")
        inside = f"ip netns exec g{vlan} " if vlan else ""
        return self.ssh(host, f"{inside}ping -n -c 1 -W 2 {' '.join(options)} {to}").returncode == 0

    @contextmanager
    def beating(self, where: str, to: str) -> Iterator[list[float]]:
        """Send packets all the time, and give the longest time without an answer in the end."""
        host, _at, vlan = where.partition("/")
        inside = f"ip netns exec g{vlan} " if vlan else ""
        log, found = f"/run/beat{vlan}", list[float]()
        ping = f"{inside}ping -n -i {1 / BEATS_A_SECOND} {to}"
        self.say(host, f"{ping} > {log} 2>&1 < /dev/null & echo $! > {log}.pid")
        time.sleep(1)
        try:
            yield found
        finally:
            said = self.say(host, f"sleep 1; kill -INT $(cat {log}.pid); sleep 0.5; cat {log}")
        answered = [int(number) for number in re.findall(r"bytes from .* icmp_seq=(\d+)", said)]
        sent = re.search(r"(\d+) packets transmitted", said)
        assert answered, said
        assert sent, said
        # The last ones may still be on their way.
        edges = [0, *answered, max(answered[-1] + 1, int(sent[1]) - BEATS_A_SECOND // 2)]
        found.append(max(there - here - 1 for here, there in pairwise(edges)) / BEATS_A_SECOND)

    @contextmanager
    def cut(self, *ends: tuple[str, str]) -> Iterator[None]:
        """Unplug circuits without any of their ends noticing: the carrier stays."""
        taps = [tap for node, name in ends for tap in self.plan.node(node).taps if tap.guest == name]
        for tap in taps:
            self.lab.space.run(["ip", "link", "set", tap.name, "nomaster"])
        try:
            yield
        finally:
            for tap in taps:
                self.lab.space.run(["ip", "link", "set", tap.name, "master", tap.bridge])

    def links(self, node: str) -> set[str]:
        """Give the names of a node's devices."""
        return {link["ifname"] for link in json.loads(self.say(node, "ip -json link show"))}


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Qinq]:
    with without_a_trace(Qinq(tmp_path_factory.mktemp("state"), testbed="qinq")) as lab:
        lab.play("lab_up")
        assert lab.carry(300, options=("--check",)) == EVERYBODY
        assert changed(lab.play(str(PLAYBOOKS / "network.yml"), "-e", records(300), timeout=600)) == EVERYBODY
        lab.connect(300)
        yield lab


def settled(lab: Qinq, *vlans: int) -> None:
    """Wait until spanning trees let packets pass."""
    for vlan in vlans:
        wait_for(f"the sites see each other in {vlan}", partial(lab.ping, f"a-kvm1/{vlan}", INNER["b-kvm1"]), 20)


def test_a_host_has_its_disk(lab: Qinq) -> None:
    size = lab.say("a-kvm1", "blockdev --getsize64 $(readlink -f /dev/disk/by-id/virtio-disk1)")
    assert int(size) == 64 * 1024 * 1024


def test_nothing_is_left_to_do(lab: Qinq) -> None:
    assert lab.carry(300) == set()
    assert lab.carry(300, options=("--check",)) == set()


def test_both_tags_are_on_the_wire(lab: Qinq) -> None:
    settled(lab, 300)
    echo = f"{INNER['a-kvm1']} > {INNER['b-kvm1']}: ICMP echo request"
    with ThreadPoolExecutor() as pool, lab.beating("a-kvm1/300", INNER["b-kvm1"]):
        places = [("x", "w-a-r1"), ("x", "w-b-r1"), ("a-r1", "trunk0")]
        capture = "timeout 8 tcpdump -nnel -i {} 2> /dev/null | grep -m 1 '{}'"
        seen = [pool.submit(lab.say, node, capture.format(name, echo)) for node, name in places]
        first, second, trunk = (each.result() for each in seen)
    for line, circuit in ((first, "a-x"), (second, "b-x")):
        tag = lab.testbed["circuits"][circuit]["s_tag"]
        assert re.search(rf"802.1Q-QinQ \(0x88a8\).* vlan {tag},.* 802.1Q \(0x8100\), vlan 300,", line), line
    assert re.search(r"802.1Q \(0x8100\).* vlan 300,", trunk)
    assert "0x88a8" not in trunk


def test_full_packets_pass_uncut_and_larger_ones_dont(lab: Qinq) -> None:
    settled(lab, 300)
    for where, to in (("a-kvm1/300", INNER["b-kvm1"]), ("a-kvm1", STORAGE["b-kvm1"]), ("b-kvm1", "172.30.0.201")):
        assert lab.ping(where, to, "-M do", "-s 1472")
        assert not lab.ping(where, to, "-M do", "-s 1473")


def test_the_segments_reach_every_site(lab: Qinq) -> None:
    for prefix in ("172.30.0", "172.30.4"):
        assert lab.ping("a-kvm1", f"{prefix}.202")
    assert lab.ping("a-kvm1", STORAGE["b-kvm1"])
    # Storage is a network of its own: the site's LAN has no way in.
    assert not lab.ping("a-kvm1", STORAGE["b-kvm1"], "-I lan0")


def test_projects_come_and_go_and_nobody_else_notices(lab: Qinq) -> None:
    settled(lab, 300)
    before = {node: lab.links(node) for node in EVERYBODY}
    with lab.beating("a-kvm1/300", INNER["b-kvm1"]) as outage:
        assert lab.carry(300, 301, options=("--check",)) == EVERYBODY
        assert lab.carry(300, 301) == EVERYBODY
        lab.connect(301)
        settled(lab, 301)
        same_addresses_meet_nobody(lab)
        lab.disconnect(301)
        assert lab.carry(300) == EVERYBODY
    assert outage == [0]
    assert {node: lab.links(node) for node in EVERYBODY} == before
    for node in EVERYBODY:
        assert lab.say(node, "ls /etc/systemd/network | grep 301; grep -rl 301 /etc/systemd/network; true") == ""
    assert lab.carry(300) == set()


def same_addresses_meet_nobody(lab: Qinq) -> None:
    """Two projects have the same addresses, and each meets its own alone."""
    for vlan in (300, 301):
        assert lab.ping(f"a-kvm1/{vlan}", INNER["b-kvm1"])
        neighbour = lab.say("a-kvm1", f"ip -n g{vlan} neigh show {INNER['b-kvm1']}")
        own = lab.say("b-kvm1", f"ip -n g{vlan} -br link show eth0").split()[2]
        assert own in neighbour
    lab.say("b-kvm1", "ip -n g301 address add 192.168.7.99/24 dev eth0")
    assert lab.ping("a-kvm1/301", "192.168.7.99")
    assert not lab.ping("a-kvm1/300", "192.168.7.99")


def test_a_bridge_with_a_guest_stays(lab: Qinq) -> None:
    said = lab.play(PLAYBOOK, "-e", records(), fails=True)
    assert "br300: v300 still hangs on it" in said
    lab.carry(300)
    settled(lab, 300)


@pytest.mark.parametrize(
    ("where", "to", "circuit", "within"),
    [("a-kvm1/300", INNER["b-kvm1"], "w-x", 15), ("a-kvm1", STORAGE["b-kvm1"], "w-b-r1", 5)],
    ids=["bridged", "routed"],
)
def test_a_cut_circuit_is_gone_around(
    lab: Qinq, where: str, to: str, circuit: str, within: float, capsys: pytest.CaptureFixture[str]
) -> None:
    settled(lab, 300)
    with ExitStack() as repaired, lab.beating(where, to) as outage:
        repaired.enter_context(lab.cut(("a-r1", circuit)))
        time.sleep(1)
        wait_for("the way around is found", partial(lab.ping, where, to), within + 5)
        time.sleep(1)
    with capsys.disabled():
        print(f" {outage[0]:.2f} s without a way ", end="")
    assert 0 < outage[0] < within
    wait_for("the way is back", partial(lab.ping, where, to), 20)


def test_a_circuit_that_is_too_small_is_refused(lab: Qinq) -> None:
    asked: dict[str, Any] = {"qinq_aggregation_mtu": 1600}
    said = lab.play(PLAYBOOK, "-e", records(300), "-e", json.dumps(asked), fails=True)
    assert "circuit a-x: its MTU 1600 leaves 1592 beside two tags, and 1600 is asked for" in said
    assert lab.carry(300) == set()
