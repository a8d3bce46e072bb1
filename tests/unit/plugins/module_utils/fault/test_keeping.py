# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The keeper and the Linux back-end over a simulated kernel."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from ansible_collections.okiagari.testbed.plugins.module_utils.errors import BadInput, OkiagariError
from ansible_collections.okiagari.testbed.plugins.module_utils.fault.linux import LinuxBackend
from ansible_collections.okiagari.testbed.plugins.module_utils.fault.model import parse_fault
from ansible_collections.okiagari.testbed.plugins.module_utils.target.runtime import Stopped
from ansible_collections.okiagari.testbed.tests.unit.plugins.module_utils.fault.examples import (
    BLACKHOLE,
    DEARER_B,
    DNS_A,
    DOWN_A,
    DOWN_B,
    FAULTS,
    LATE_A,
    LESS_B,
    LONGER_B,
    LOSS_A,
    LOSS_B,
    NARROW_ABOVE_B,
    NARROW_B,
    OVERRIDE,
    OVERRIDE6,
    SHUT_A,
    TAGGED_B,
    UNREACHABLE,
    UNWATCHED_S,
    WITHDRAWN,
    Asked,
    fault,
)
from ansible_collections.okiagari.testbed.tests.unit.plugins.module_utils.fault.simulated_kernel import (
    SimulatedBatch,
    SimulatedTarget,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

VTYSH = "vtysh -c configure terminal -c"
MAP = "route-map okiagari-fault-10.254.1.2 permit 10"
TOGETHER = [LOSS_A, LOSS_B, OVERRIDE, OVERRIDE6, BLACKHOLE, UNREACHABLE, NARROW_B]


@pytest.fixture
def target(tmp_path: Path) -> SimulatedTarget:
    return SimulatedTarget(tmp_path)


@pytest.mark.parametrize(
    ("asked", "inject", "undo"),
    [
        (DOWN_A, ["ip link set dev w-a down"],
         ["ip link set dev w-a up", "ip addr add 2001:db8:a::1/64 dev w-a",
          "ip route add 10.9.0.0/16 via 10.254.0.0 dev w-a proto static metric 5"]),
        (LOSS_A, ["tc qdisc add dev w-a root handle fa17: netem limit 10000 loss 30%"],
         ["tc qdisc del dev w-a root handle fa17:"]),
        (LOSS_B, ["tc qdisc add dev w-b parent c1c:1 handle fa17: netem limit 10000 loss 100%"],
         ["tc qdisc del dev w-b parent c1c:1 handle fa17:"]),
        (OVERRIDE, ["ip route add 10.2.0.0/16 via 10.254.0.0 dev w-a proto 187"],
         ["ip route del 10.2.0.0/16 via 10.254.0.0 dev w-a proto 187"]),
        (OVERRIDE6, ["ip route add 2001:db8:9::/48 via 2001:db8:a::2 dev w-a proto 187 metric 1"],
         ["ip route del 2001:db8:9::/48 via 2001:db8:a::2 dev w-a proto 187 metric 1"]),
        (BLACKHOLE, ["ip route add blackhole 10.3.0.0/16 proto 187"], ["ip route del blackhole 10.3.0.0/16 proto 187"]),
        (UNREACHABLE, ["ip route add unreachable 10.4.0.0/16 proto 187"],
         ["ip route del unreachable 10.4.0.0/16 proto 187"]),
        (NARROW_B, [f"ip link set dev {name} mtu 1400" for name in ("w-b", "s101.w-b", "s102.w-b")],
         [f"ip link set dev {name} mtu 1500" for name in ("w-b", "s101.w-b", "s102.w-b")]),
        (LATE_A, ["tc qdisc add dev w-a root handle fa17: netem limit 10834 delay 50000us 5000us distribution normal"],
         ["tc qdisc del dev w-a root handle fa17:"]),
        (TAGGED_B,
         [f"tc qdisc add dev w-b parent c1c:1 handle fa17: prio bands 2 priomap{16 * ' 0'}",
          "tc qdisc add dev w-b parent fa17:2 handle fa18: netem limit 84 rate 10000000bit",
          ("tc filter add dev w-b parent fa17: protocol 802.1ad pref 1 flower vlan_id 101 vlan_ethtype 802.1Q "
           "cvlan_id 100 classid fa17:2"),
          "tc filter add dev w-b parent fa17: protocol 802.1ad pref 2 flower vlan_id 101 action goto chain 1",
          ("tc filter add dev w-b parent fa17: chain 1 protocol 802.1ad pref 3 u32 "
           "match u32 0x00640000 0x0fff0000 at -4 match u32 0x00008100 0x0000ffff at -8 classid fa17:2")],
         ["tc qdisc del dev w-b parent c1c:1 handle fa17:"]),
        (DNS_A,
         [f"tc qdisc add dev w-a root handle fa17: prio bands 2 priomap{16 * ' 0'}",
          "tc qdisc add dev w-a parent fa17:2 handle fa18: netem limit 10000 delay 20000us loss 3% seed 42",
          *(f"tc filter add dev w-a parent fa17: protocol ip pref {number} flower dst_ip 10.2.0.0/24 ip_proto udp "
            f"ip_tos 0xb8/0xfc {port} 53 classid fa17:2" for number, port in ((1, "dst_port"), (2, "src_port")))],
         ["tc qdisc del dev w-a root handle fa17:"]),
        (SHUT_A, [f"{VTYSH} router bgp 65001 -c neighbor 10.254.0.0 shutdown message okiagari-fault"],
         [f"{VTYSH} router bgp 65001 -c no neighbor 10.254.0.0 shutdown message okiagari-fault"]),
        (UNWATCHED_S, [f"{VTYSH} router bgp 65001 vrf storage -c no neighbor 10.254.0.0 bfd"],
         [f"{VTYSH} router bgp 65001 vrf storage -c neighbor 10.254.0.0 bfd"]),
        (LESS_B,
         [(f"{VTYSH} {MAP} -c {MAP} -c set local-preference 50 -c router bgp 65001 -c address-family ipv4 unicast "
          "-c neighbor 10.254.1.2 route-map okiagari-fault-10.254.1.2 in")],
         [(f"{VTYSH} router bgp 65001 -c address-family ipv4 unicast "
          f"-c no neighbor 10.254.1.2 route-map okiagari-fault-10.254.1.2 in -c no {MAP}")]),
        (DEARER_B,
         [(f"{VTYSH} {MAP} -c {MAP} -c set metric 200 -c router bgp 65001 -c address-family ipv4 unicast "
          "-c neighbor 10.254.1.2 route-map okiagari-fault-10.254.1.2 out")],
         [(f"{VTYSH} router bgp 65001 -c address-family ipv4 unicast "
          f"-c no neighbor 10.254.1.2 route-map okiagari-fault-10.254.1.2 out -c no {MAP}")]),
        (LONGER_B,
         [(f"{VTYSH} {MAP} -c {MAP} -c set as-path prepend 65001 65001 -c router bgp 65001 "
          "-c address-family ipv4 unicast -c neighbor 10.254.1.2 route-map okiagari-fault-10.254.1.2 out")],
         [(f"{VTYSH} router bgp 65001 -c address-family ipv4 unicast "
          f"-c no neighbor 10.254.1.2 route-map okiagari-fault-10.254.1.2 out -c no {MAP}")]),
        (WITHDRAWN, [f"{VTYSH} router bgp 65001 -c address-family ipv4 unicast -c no network 10.1.0.0/24"],
         [f"{VTYSH} router bgp 65001 -c address-family ipv4 unicast -c network 10.1.0.0/24"]),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else "",
)  # fmt: skip
def test_commands_are_exactly_these(target: SimulatedTarget, asked: Any, inject: list[str], undo: list[str]) -> None:
    before = target.kernel.state()

    def written() -> list[str]:
        changing = {"add", "del", "set", "configure terminal"}
        commands = [" ".join(argv) for argv in target.kernel.ran if changing & set(argv[:4])]
        target.kernel.ran.clear()
        return [command for command in commands if not command.startswith("unshare")]

    written()
    record = target.keeper.inject(fault(asked))
    assert written() == inject
    assert [" ".join(op) for op in record.undo] == undo
    target.keeper.undo([record.fault.id], "module")
    assert written() == undo
    assert target.kernel.state() == before


def test_receipt_tells_what_was_asked_installed_and_measured(target: SimulatedTarget) -> None:
    target.keeper.inject(fault(LOSS_B))
    [record] = target.keeper.undo(["loss-2"], "module")
    receipt = record.receipt()
    assert receipt["asked"] == {"interface": "w-b", "percent": 100.0}
    assert receipt["installed"] == {
        "parent": "c1c:1",
        "netem": {"limit": 10000, "loss_percent": 100.0, "seed": 4711},
        "filters": [],
        "foreign": None,
    }
    assert receipt["before"] == receipt["after"] == {"parent": "c1c:1", "netem": None, "filters": [], "foreign": None}
    assert receipt["measured"] == {"packets": 10, "lost": 3, "loss_percent": 30.0}
    assert (receipt["state"], receipt["undone_by"], receipt["error"]) == ("undone", "module", None)


def test_lease_is_armed_before_anything_changes(target: SimulatedTarget) -> None:
    before = target.kernel.state()
    target.timers.refuse = lambda _unit: True
    with pytest.raises(OkiagariError, match="can't be armed, so nothing was changed"):
        target.keeper.inject(fault(DOWN_A))
    assert target.kernel.state() == before
    assert target.keeper.heal()["found"] == []


def test_same_fault_again_renews_the_lease(target: SimulatedTarget) -> None:
    first = target.keeper.inject(fault(DOWN_A, lease=5))
    target.clock.sleep(3)
    again = target.keeper.inject(fault(DOWN_A, lease=60))
    assert again.injected_at == first.injected_at
    assert again.lease_ends_at == target.clock.now() + 60
    command = ("python3", "okiagari.pyz", "expire", "link_down-0", "okiagari-lease-link_down-0:1")
    assert target.timers.armed == {"okiagari-lease-link_down-0:1": (60, command)}
    assert target.keeper.expire("link_down-0", "okiagari-lease-link_down-0") == []
    assert [record.undone_by for record in target.keeper.expire("link_down-0", "okiagari-lease-link_down-0:1")] == [
        "lease"
    ]


def test_same_id_with_other_parameters_is_refused(target: SimulatedTarget) -> None:
    target.keeper.inject(fault(LOSS_A, "x"))
    with pytest.raises(OkiagariError, match="stands with other parameters"):
        target.keeper.inject(fault(("loss", {"interface": "w-a", "percent": 31}), "x"))


def test_two_faults_never_stand_on_the_same_thing(target: SimulatedTarget) -> None:
    target.keeper.inject(fault(LOSS_A, "x"))
    with pytest.raises(OkiagariError, match=r"qdisc:w-a is claimed by the fault x \(injected\): undo that first"):
        target.keeper.inject(fault(LOSS_A, "y"))


def test_a_fault_on_a_link_excludes_one_on_a_vlan_above_it(target: SimulatedTarget) -> None:
    target.keeper.inject(fault(NARROW_B, "below"))
    with pytest.raises(
        OkiagariError, match=r"link:s101\.w-b is claimed by the fault below \(injected\): undo that first"
    ):
        target.keeper.inject(fault(NARROW_ABOVE_B, "above"))
    target.keeper.undo(["below"], "module")
    target.keeper.inject(fault(NARROW_ABOVE_B, "above"))
    with pytest.raises(OkiagariError, match=r"link:s101\.w-b is claimed by the fault above"):
        target.keeper.inject(fault(NARROW_B, "below"))


def test_vlans_above_a_link_come_back_as_they_were(target: SimulatedTarget) -> None:
    links, *_rest = target.kernel.state()
    target.keeper.inject(fault(DOWN_B))
    assert not target.kernel.links["s101.w-b"]["up"]
    target.keeper.undo([fault(DOWN_B).id], "module")
    assert target.kernel.links == links
    assert "10.102.0.0/16" in [route["dst"] for route in target.kernel.routes]


@pytest.mark.parametrize(
    ("qdisc", "reason"),
    [
        (
            {"kind": "htb", "handle": "1:", "root": True},
            "foreign root qdisc htb 1: on w-a: left untouched; remove it or choose",
        ),
        ({"kind": "fq_codel", "handle": "8001:", "root": True}, "foreign root qdisc fq_codel 8001: on w-a"),
        ({"kind": "tbf", "handle": "c1c:", "root": True}, "foreign root qdisc tbf c1c: on w-a"),
        (
            {"kind": "netem", "handle": "fa17:", "root": True},
            "an Okiagari qdisc without a record stands on w-a: run the heal_all",
        ),
    ],
)
def test_foreign_qdiscs_are_left_untouched(target: SimulatedTarget, qdisc: dict[str, Any], reason: str) -> None:
    target.kernel.qdiscs["w-a"] = [{**qdisc, "dev": "w-a", "options": {}}]
    before = target.kernel.state()
    with pytest.raises(OkiagariError, match=reason):
        target.keeper.inject(fault(LOSS_A))
    assert target.kernel.state() == before


@pytest.mark.parametrize("asked", [DOWN_A, LOSS_A, OVERRIDE, NARROW_B])
def test_what_was_prepared_waits_in_a_started_command(target: SimulatedTarget, asked: Asked) -> None:
    started: list[tuple[str, ...]] = []

    def start(argv: Sequence[str]) -> SimulatedBatch:
        started.append(tuple(argv))
        return SimulatedBatch(target.kernel, argv)

    target.keeper.backend = LinuxBackend(target.kernel, start=start)
    before = target.kernel.state()
    target.keeper.arm("d", [(fault(asked), 30.0)])
    assert started == []
    target.keeper.prepare(fault(asked).id)
    assert started in [[("ip", "-force", "-batch", "-")], [("tc", "-force", "-batch", "-")]]
    assert target.kernel.state() == before
    target.kernel.ran.clear()
    target.keeper.strike([fault(asked).id])
    first, under_fault = target.kernel.ran[0], target.kernel.state()
    assert first[:3] in [("ip", "link", "set"), ("ip", "route", "add"), ("tc", "qdisc", "add")]
    target.keeper.prepare_undo([fault(asked).id])
    assert len(started) == 2
    assert target.kernel.state() == under_fault
    target.kernel.ran.clear()
    target.keeper.undo([fault(asked).id], "program")
    assert target.kernel.ran[0][:3] in [("ip", "link", "set"), ("ip", "route", "del"), ("tc", "qdisc", "del")]
    assert target.kernel.state() == before


def test_nothing_but_the_change_itself_is_left_for_its_instant(target: SimulatedTarget) -> None:
    target.keeper.arm("d", [(fault(LOSS_A), 30.0)])
    target.keeper.prepare("loss-1")
    began = target.clock.now()
    [struck] = target.keeper.strike(["loss-1"], target.clock.monotonic() + 0.25)
    assert struck.injected_at == pytest.approx(began + 0.25)
    began = target.clock.now()
    [undone] = target.keeper.undo(["loss-1"], "program", target.clock.monotonic() + 0.25)
    assert undone.undone_at == pytest.approx(began + 0.25)


def test_what_a_runner_changed_before_it_was_ended_is_noted(
    target: SimulatedTarget, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ended(seconds: float) -> None:
        target.clock.time += seconds
        if target.clock.time > instant:
            raise Stopped

    target.keeper.arm("d", [(fault(LOSS_A), 30.0)])
    target.keeper.prepare("loss-1")
    instant = target.clock.monotonic() + 0.25
    monkeypatch.setattr(target.clock, "sleep", ended)
    with pytest.raises(Stopped):
        target.keeper.strike(["loss-1"], instant)
    record = target.store.get("loss-1")
    assert record
    assert (record.state, record.injected_at is None, record.installed == {}) == ("injected", False, False)


def test_an_injection_that_was_prepared_is_never_taken_for_the_undo(target: SimulatedTarget) -> None:
    before = target.kernel.state()
    target.keeper.arm("d", [(fault(LOSS_A), 30.0)])
    target.keeper.prepare("loss-1")
    target.keeper.undo(["loss-1"], "program")
    assert target.kernel.state() == before


@pytest.mark.parametrize("asked", [DOWN_A, LOSS_A])
def test_an_interface_that_vanishes_before_the_injection_is_told(target: SimulatedTarget, asked: Any) -> None:
    target.keeper.arm("d", [(fault(asked), 30.0)])
    target.keeper.prepare(fault(asked).id)
    del target.kernel.links["w-a"], target.kernel.qdiscs["w-a"]
    [record] = target.keeper.strike([fault(asked).id])
    assert (record.state, record.live) == ("failed", False)
    assert "not injected: " in (record.error or "")


def test_a_foreign_qdisc_that_comes_before_the_injection_is_left_untouched(target: SimulatedTarget) -> None:
    target.keeper.arm("d", [(fault(LOSS_A), 30.0)])
    target.keeper.prepare("loss-1")
    target.kernel.qdiscs["w-a"] = [{"kind": "htb", "handle": "1:", "dev": "w-a", "root": True, "options": {}}]
    before = target.kernel.state()
    [record] = target.keeper.strike(["loss-1"])
    assert "foreign root qdisc htb 1: on w-a: left untouched" in (record.error or "")
    assert target.kernel.state() == before


def test_foreign_child_of_the_circuit_emulation_is_left_untouched(target: SimulatedTarget) -> None:
    target.kernel.qdiscs["w-b"].append({"kind": "tbf", "handle": "9:", "dev": "w-b", "parent": "c1c:1", "options": {}})
    with pytest.raises(OkiagariError, match="foreign qdisc tbf 9: under c1c:1 on w-b"):
        target.keeper.inject(fault(LOSS_B))


def test_multiqueue_default_is_the_kernels_default(target: SimulatedTarget) -> None:
    target.kernel.qdiscs["w-a"] = [
        {"kind": "mq", "handle": "0:", "dev": "w-a", "root": True, "options": {}},
        {"kind": "fq_codel", "handle": "0:", "dev": "w-a", "parent": ":1", "options": {}},
    ]
    assert target.keeper.examine(fault(LOSS_A)).before == {
        "qdisc:w-a": {"parent": "root", "netem": None, "filters": [], "foreign": None}
    }


def test_missing_capability_is_named(target: SimulatedTarget) -> None:
    target.kernel.able = set()
    with pytest.raises(OkiagariError, match="lacks the capability 'netem' of the back-end 'linux'"):
        target.keeper.inject(fault(LOSS_A))


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        (
            ("bgp_shutdown", {"neighbor": "10.254.0.9"}),
            "10.254.0.9 is no BGP neighbour in the default VRF of this target",
        ),
        (("bgp_shutdown", {"neighbor": "10.254.0.0", "vrf": "stor"}), "there is no BGP in the VRF stor of this target"),
        (("bfd_off", {"neighbor": "10.254.1.2"}), "no BFD watches the session to 10.254.1.2"),
        (
            ("prefix_withdrawn", {"prefix": "10.1.0.0/25"}),
            "doesn't announce 10.1.0.0/25 in the default VRF; did you mean",
        ),
    ],
)
def test_what_bgp_does_not_have_is_told(target: SimulatedTarget, asked: Asked, told: str) -> None:
    before = target.kernel.state()
    with pytest.raises(OkiagariError, match=told):
        target.keeper.inject(parse_fault({"id": "x", "kind": asked[0], "params": asked[1], "lease_s": 20}))
    assert target.kernel.state() == before


@pytest.mark.parametrize(
    ("line", "asked", "told"),
    [
        (("neighbor 10.254.0.0 shutdown",), SHUT_A, "shut already, and not by Okiagari"),
        (
            ("address-family ipv4 unicast", "neighbor 10.254.1.2 route-map mine in"),
            LESS_B,
            "'neighbor 10.254.1.2 route-map mine in' is there already",
        ),
        (
            ("address-family ipv4 unicast", "neighbor 10.254.1.2 route-map mine out"),
            LONGER_B,
            "'neighbor 10.254.1.2 route-map mine out' is there already",
        ),
        (("neighbor 10.254.0.0 shutdown message okiagari-fault",), SHUT_A, "run the heal_all playbook first"),
    ],
)
def test_lines_of_others_are_left_alone(target: SimulatedTarget, line: Any, asked: Asked, told: str) -> None:
    target.kernel.frr.append(("router bgp 65001", *line))
    before = target.kernel.state()
    with pytest.raises(OkiagariError, match=told):
        target.keeper.inject(fault(asked))
    assert target.kernel.state() == before


def test_failed_injection_is_undone(target: SimulatedTarget) -> None:
    before = target.kernel.state()
    target.kernel.broken = lambda argv: argv[:3] == ("tc", "qdisc", "add")
    with pytest.raises(OkiagariError, match="not injected"):
        target.keeper.inject(fault(LOSS_A))
    assert target.kernel.state() == before
    [record] = target.keeper.records()
    assert (record.state, record.live, target.timers.armed) == ("failed", False, {})


def test_failed_undo_keeps_the_record_and_heal_tries_again(target: SimulatedTarget) -> None:
    before = target.kernel.state()
    target.keeper.inject(fault(LOSS_A))
    target.kernel.broken = lambda argv: argv[:3] == ("tc", "qdisc", "del")
    [record] = target.keeper.undo(["loss-1"], "lease")
    assert record.live
    assert "heal tries again" in (record.error or "")
    assert target.timers.armed
    report = target.keeper.heal()
    assert report["left"]
    assert not report["healed"]
    target.kernel.broken = lambda _argv: False
    report = target.keeper.heal()
    assert report["healed"]
    assert not report["left"]
    assert target.kernel.state() == before
    assert target.keeper.heal() == {"found": [], "healed": [], "left": []}


def test_crash_between_journal_and_injection_is_undone(target: SimulatedTarget) -> None:
    before = target.kernel.state()
    target.keeper.arm("d", [(fault(DOWN_A), 30.0)])
    target.keeper.prepare("link_down-0")
    target.kernel.run(("ip", "link", "set", "dev", "w-a", "down"))
    [record] = target.keeper.expire("link_down-0", "okiagari-lease-link_down-0")
    assert (record.state, record.undone_by) == ("undone", "lease")
    assert target.kernel.state() == before


def test_armed_fault_that_never_came_is_closed_without_touching_anything(target: SimulatedTarget) -> None:
    target.keeper.arm("d", [(fault(DOWN_A), 30.0)])
    target.kernel.links["w-a"]["mtu"] = 9000
    [record] = target.keeper.undo(["link_down-0"], "abort")
    assert (record.state, record.injected_at, target.kernel.links["w-a"]["mtu"]) == ("undone", None, 9000)


def test_arming_is_all_or_nothing(target: SimulatedTarget) -> None:
    target.timers.refuse = lambda unit: "loss" in unit
    with pytest.raises(OkiagariError, match="can't be armed"):
        target.keeper.arm("d", [(fault(DOWN_A), 30.0), (fault(LOSS_A), 30.0), (fault(BLACKHOLE), 30.0)])
    assert target.timers.armed == {}
    assert not [record for record in target.keeper.records() if record.live]


def test_arming_tells_all_that_is_wrong(target: SimulatedTarget) -> None:
    target.kernel.links["w-a"]["up"] = False
    with pytest.raises(BadInput) as refused:
        target.keeper.arm("d", [(fault(DOWN_A), 30.0), (fault(OVERRIDE), 30.0), (fault(BLACKHOLE), 30.0)])
    assert [problem.key for problem in refused.value.problems] == ["link_down-0", "route_override-3"]
    assert target.timers.armed == {}


def test_records_of_an_earlier_boot_are_over(target: SimulatedTarget) -> None:
    target.keeper.inject(fault(BLACKHOLE))
    target.kernel.routes = [route for route in target.kernel.routes if route["protocol"] != "187"]
    target.timers.armed.clear()
    target.boot("boot-2")
    [record] = target.keeper.records()
    assert (record.state, record.undone_by) == ("undone", "reboot")
    assert target.keeper.heal()["found"] == []
    assert target.keeper.inject(fault(BLACKHOLE)).state == "injected"


def test_undo_is_newest_first(target: SimulatedTarget) -> None:
    for each in TOGETHER:
        target.keeper.inject(fault(each))
    names = [record.fault.id for record in target.keeper.undo([fault(each).id for each in FAULTS], "module")]
    assert names == [fault(each).id for each in reversed(TOGETHER)]
