# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Conflicts, the blast radius, and the compiled programs."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.okiagari.testbed.plugins.module_utils.drill.blast import radii, without_majority
from ansible_collections.okiagari.testbed.plugins.module_utils.drill.compile import programs
from ansible_collections.okiagari.testbed.plugins.module_utils.drill.conflicts import GUARD_S, conflicts
from ansible_collections.okiagari.testbed.plugins.module_utils.drill.model import Fault
from ansible_collections.okiagari.testbed.plugins.module_utils.drill.places import Places
from ansible_collections.okiagari.testbed.plugins.module_utils.drill.plan import plan_text, plans
from ansible_collections.okiagari.testbed.plugins.module_utils.drill.spec import parse
from ansible_collections.okiagari.testbed.plugins.module_utils.errors import BadInput
from hypothesis import given
from hypothesis import strategies as st

instants = st.floats(0, 60, allow_nan=False)


def link_down(number: int, at: float, lasts: float, target: str = "r1", interface: str = "w0") -> Fault:
    return Fault(f"d-{number}-{target}", "link_down", target, {"interface": interface}, at, lasts)


@given(st.lists(st.tuples(instants, st.floats(1, 20)), max_size=6))
def test_two_faults_conflict_exactly_if_they_come_closer_than_the_guard(spans: list[tuple[float, float]]) -> None:
    faults = [link_down(number, at, lasts) for number, (at, lasts) in enumerate(spans)]
    close = sum(
        one.at < other.ends + GUARD_S and other.at < one.ends + GUARD_S
        for index, one in enumerate(faults)
        for other in faults[index + 1 :]
    )
    assert len(conflicts(faults)) == close


@given(instants, instants)
def test_the_order_of_the_timeline_does_not_matter(one: float, other: float) -> None:
    first, second = link_down(1, one, 5), link_down(2, other, 5)
    assert bool(conflicts([first, second])) == bool(conflicts([second, first]))


def test_different_things_do_not_conflict() -> None:
    here = link_down(1, 0, 10)
    loss = Fault("d-2-r1", "loss", "r1", {"interface": "w0", "percent": 30.0}, 0, 10)
    assert conflicts([here, link_down(2, 0, 10, "r2"), link_down(3, 0, 10, "r1", "w1"), loss]) == []


def test_a_conflict_says_when_it_would_be_fine() -> None:
    (problem,) = conflicts([link_down(2, 8, 5), link_down(1, 0, 10)])
    assert str(problem) == (
        "d-1-r1 and d-2-r1: both claim the link w0 of r1, from 0 s to 10 s and from 8 s; the second may begin at 11 s"
    )


def cuts(*circuits: str, **more: Any) -> dict[str, Any]:
    timeline = [
        {"at": 5 + 10 * number, "for": 20, "fault": "link_down", "circuit": circuit, "from": circuit.split("-")[0]}
        for number, circuit in enumerate(circuits)
    ]
    return {"name": "cuts", "hypothesis": "It holds.", "timeline": timeline, **more}


def test_the_radius_at_every_instant(lab: dict[str, Any]) -> None:
    drill = parse(cuts("hiroshima-kanazawa", "hiroshima-osaka"), lab)
    assert [(radius.since, radius.cut, radius.isolated) for radius in radii(drill, lab)] == [
        (5, ("hiroshima-kanazawa",), ()),
        (15, ("hiroshima-kanazawa", "hiroshima-osaka"), ()),
        (25, ("hiroshima-osaka",), ()),
        (35, (), ()),
    ]


def test_isolating_a_site_is_refused(lab: dict[str, Any]) -> None:
    drill = parse(cuts("naist-osaka", "naist-otemachi"), lab)
    with pytest.raises(BadInput, match=r"naist is cut off at 15 s.*expects_isolated: \[naist\]"):
        plans(drill, lab, Places(lab))


def test_isolating_a_site_on_purpose(lab: dict[str, Any]) -> None:
    drill = parse(cuts("naist-osaka", "naist-otemachi", expects_isolated="naist"), lab)
    text = plan_text(drill, plans(drill, lab, Places(lab)))
    assert "from 15 s: naist-osaka, naist-otemachi cut; isolated: naist" in text


def test_an_isolation_that_does_not_come_is_refused(lab: dict[str, Any]) -> None:
    drill = parse(cuts("naist-osaka", expects_isolated=["naist"]), lab)
    with pytest.raises(BadInput, match="naist isn't isolated"):
        plans(drill, lab, Places(lab))


HOSTS = ("hiroshima-kvm1", "kanazawa-kvm1", "naist-kvm1")
PARTED = ("naist-osaka", "naist-otemachi", "hiroshima-osaka", "hiroshima-otemachi", "hiroshima-kanazawa")


@pytest.mark.parametrize(
    ("cut", "members", "refused"),
    [
        (PARTED[:2], HOSTS, False),
        (PARTED[:2], HOSTS[1:], True),
        (PARTED, HOSTS, True),
        (PARTED, HOSTS[:1], False),
        (PARTED, (), False),
    ],
)
def test_the_storage_keeps_its_majority(
    lab: dict[str, Any], cut: tuple[str, ...], members: tuple[str, ...], refused: bool
) -> None:
    arguments = cuts(*cut)
    for entry in arguments["timeline"]:
        entry["at"] = 5
    drill = parse(arguments, lab)
    found = without_majority(drill, radii(drill, lab), lab, members)
    assert bool(found) is refused
    assert all("only 1 of the storage's" in str(problem) for problem in found)
    on_purpose = without_majority(
        parse({**arguments, "expects_no_majority": True}, lab), radii(drill, lab), lab, members
    )
    assert bool(on_purpose) is not refused


def test_total_loss_cuts_and_some_loss_does_not(lab: dict[str, Any]) -> None:
    arguments = cuts("naist-osaka", "naist-otemachi")
    for entry, percent in zip(arguments["timeline"], (100, 99), strict=True):
        entry.update(fault="loss", percent=percent)
    assert [radius.cut for radius in radii(parse(arguments, lab), lab)] == [("naist-osaka",), ("naist-osaka",), (), ()]


def test_a_total_loss_of_some_packets_cuts_nothing(lab: dict[str, Any]) -> None:
    arguments = cuts("naist-osaka", "naist-otemachi")
    for entry, more in zip(arguments["timeline"], ({"only": {"protocol": "udp"}}, {"rate": "1mbit"}), strict=True):
        entry.update(fault="impairment", loss="100%", **more)
    assert [radius.cut for radius in radii(parse(arguments, lab), lab)] == [
        (),
        ("naist-otemachi",),
        ("naist-otemachi",),
        (),
    ]


def test_a_shut_session_cuts_its_circuit_and_one_of_a_vrf_does_not(lab: dict[str, Any]) -> None:
    arguments = cuts("naist-osaka", "naist-otemachi")
    arguments["timeline"] = [
        {"at": 5 * number, "for": 20, "fault": "bgp_shutdown", "node": "naist-r1", "neighbor": neighbor, **more}
        for number, (neighbor, more) in enumerate([("osaka", {}), ("otemachi", {"vrf": "storage"})], 1)
    ]
    assert [radius.cut for radius in radii(parse(arguments, lab), lab)] == [
        ("naist-osaka",), ("naist-osaka",), (), (),
    ]  # fmt: skip


def test_a_trunk_that_is_down_cuts_no_circuit(lab: dict[str, Any]) -> None:
    timeline = [{"at": 5, "for": 20, "fault": "link_down", "node": "naist-r1", "interface": "trunk0"}]
    drill = parse(cuts(timeline=timeline), lab)
    assert [radius.cut for radius in radii(drill, lab)] == [(), ()]


def test_programs_carry_the_targets_own_time(lab: dict[str, Any], arguments: dict[str, Any]) -> None:
    drill = parse(arguments, lab)
    found = programs(drill, "everything-1", Places(lab), 1000.0, {"osaka": 0.25})
    assert {target: program["t0"] for target, program in found.items()} == {
        "hiroshima-kvm1": 1000.0,
        "hiroshima-r1": 1000.0,
        "kanazawa-kvm1": 1000.0,
        "kanazawa-r1": 1000.0,
        "osaka": 1000.25,
    }
    assert found["hiroshima-kvm1"]["streams"] == [
        {"id": "h-k", "local": "10.1.0.11", "peer": "10.2.0.11", "port": 18700, "rate": 100, "from": 0.0, "until": 44.0}
    ]
    assert found["hiroshima-kvm1"]["probes"] == [{"id": "probe-2", "at": 10.0, "type": "path", "to": "10.2.0.11"}]
    assert found["kanazawa-r1"]["faults"] == [
        {
            "id": "everything-1-kanazawa-r1",
            "kind": "link_down",
            "params": {"interface": "w-hiroshima-r1"},
            "at": 5.0,
            "for": 10.0,
        }
    ]


def test_the_target_accepts_the_programs(lab: dict[str, Any], arguments: dict[str, Any]) -> None:
    from ansible_collections.okiagari.testbed.plugins.module_utils.target.program import parse as parse_program

    for program in programs(parse(arguments, lab), "everything-1", Places(lab), 1000.0, {}).values():
        assert parse_program(program).drill == "everything-1"
