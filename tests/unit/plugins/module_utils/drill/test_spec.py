# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.okiagari.testbed.plugins.module_utils.drill.checks import CHECKS
from ansible_collections.okiagari.testbed.plugins.module_utils.drill.conflicts import conflicts
from ansible_collections.okiagari.testbed.plugins.module_utils.drill.model import Range
from ansible_collections.okiagari.testbed.plugins.module_utils.drill.places import Places
from ansible_collections.okiagari.testbed.plugins.module_utils.drill.spec import parse
from ansible_collections.okiagari.testbed.plugins.module_utils.drill.traffic_checks import TrafficCheck
from ansible_collections.okiagari.testbed.plugins.module_utils.errors import BadInput


def problems(arguments: Any, lab: dict[str, Any]) -> list[str]:
    with pytest.raises(BadInput) as refused:
        parse(arguments, lab)
    return [str(problem) for problem in refused.value.problems]


def otemachi(lab: dict[str, Any]) -> str:
    """The address that hiroshima-r1 knows otemachi by."""
    interfaces = {item["name"]: item for item in lab["nodes"]["hiroshima-r1"]["interfaces"]}
    return str(interfaces["w-otemachi"]["peer_address"]).partition("/")[0]


def test_faults_land_on_their_targets(lab: dict[str, Any], arguments: dict[str, Any]) -> None:
    drill = parse(arguments, lab)
    assert [(fault.id, fault.kind, dict(fault.params), fault.circuit) for fault in drill.faults] == [
        ("everything-1-hiroshima-r1", "link_down", {"interface": "w-kanazawa-r1"}, "hiroshima-kanazawa"),
        ("everything-1-kanazawa-r1", "link_down", {"interface": "w-hiroshima-r1"}, "hiroshima-kanazawa"),
        ("everything-2-osaka", "loss", {"interface": "w-hiroshima-r1", "percent": 30.0}, "hiroshima-osaka"),
        ("everything-3-hiroshima-r1", "route_override", {"prefix": "10.3.0.0/24", "via": otemachi(lab)}, None),
        ("everything-4-osaka", "route_blackhole", {"prefix": "10.9.0.0/16"}, None),
        ("everything-5-osaka", "link_down", {"interface": "w-otemachi"}, "osaka-otemachi"),
    ]


def _placed(lab: dict[str, Any], arguments: dict[str, Any], **entry: Any) -> list[tuple[Any, ...]]:
    arguments["timeline"], arguments["probes"] = [{"at": 1, "for": 2, **entry}], []
    return [
        (fault.id.removeprefix("everything-1-"), fault.kind, fault.params) for fault in parse(arguments, lab).faults
    ]


def test_a_loop_is_two_overrides(lab: dict[str, Any], arguments: dict[str, Any]) -> None:
    found = _placed(lab, arguments, fault="route_loop", between=["hiroshima-r1", "osaka"], to="naist")
    assert [(name, kind, params["prefix"]) for name, kind, params in found] == [
        ("hiroshima-r1", "route_override", "10.3.0.0/24"),
        ("osaka", "route_override", "10.3.0.0/24"),
    ]
    for (name, _kind, params), other in zip(found, ("osaka", "hiroshima-r1"), strict=True):
        assert Places(lab).neighbour(name, other) == params["via"]


def test_faults_of_a_node_have_the_parameters_of_the_kind(lab: dict[str, Any], arguments: dict[str, Any]) -> None:
    [pressed] = _placed(lab, arguments, fault="cpu_pressure", node="hiroshima-kvm1", workers="2")
    assert pressed == ("hiroshima-kvm1", "cpu_pressure", {"workers": 2})
    [late] = _placed(lab, arguments, fault="clock_step", node="osaka", by="-1h")
    assert late == ("osaka", "clock_step", {"by": -3600.0})
    with pytest.raises(BadInput) as refused:
        _placed(lab, arguments, fault="disk_full", node="osaca", path="srv", leaf="5mib")
    told = "\n".join(str(problem) for problem in refused.value.problems)
    for part in ("did you mean osaka?", "did you mean leave?", "path: srv is not the absolute path"):
        assert part in told


def test_a_relay_is_all_its_circuits(lab: dict[str, Any], arguments: dict[str, Any]) -> None:
    found = _placed(lab, arguments, fault="relay_down", node="otemachi")
    drill = parse(arguments, lab)
    through = [Places(lab).ends(name) for name in lab["circuits"] if "otemachi" in Places(lab).ends(name)]
    assert sorted((fault.target, fault.params["interface"]) for fault in drill.faults) == sorted(
        end for ends in through for end in ends.items()
    )
    assert {kind for _name, kind, _params in found} == {"link_down"}
    assert len({name for name, _kind, _params in found}) == len(found)


def test_faults_of_sessions_name_the_neighbour(lab: dict[str, Any], arguments: dict[str, Any]) -> None:
    there = otemachi(lab)
    [shut] = _placed(lab, arguments, fault="bgp_shutdown", node="hiroshima-r1", neighbor="otemachi")
    assert shut == ("hiroshima-r1", "bgp_shutdown", {"neighbor": there})
    assert [fault.circuit for fault in parse(arguments, lab).faults] == ["hiroshima-otemachi"]
    [less] = _placed(
        lab, arguments, fault="local_preference", node="hiroshima-r1", neighbor="hiroshima-otemachi", preference=50
    )
    assert less == ("hiroshima-r1", "local_preference", {"neighbor": there, "preference": 50})
    off = _placed(lab, arguments, fault="bfd_off", node="hiroshima-r1", neighbor="otemachi", vrf="storage")
    back = Places(lab).neighbour("otemachi", "hiroshima-otemachi")
    assert off == [
        ("hiroshima-r1", "bfd_off", {"neighbor": there, "vrf": "storage"}),
        ("otemachi", "bfd_off", {"neighbor": back, "vrf": "storage"}),
    ]
    [withdrawn] = _placed(lab, arguments, fault="prefix_withdrawn", node="hiroshima-r1", to="hiroshima")
    assert withdrawn == ("hiroshima-r1", "prefix_withdrawn", {"prefix": "10.1.0.0/24"})


def test_a_fault_comes_again(lab: dict[str, Any], arguments: dict[str, Any]) -> None:
    _placed(lab, arguments, fault="link_down", node="osaka", interface="w-otemachi", every="3s", times=3)
    drill = parse(arguments, lab)
    assert [(fault.id, fault.at, fault.ends) for fault in drill.faults] == [
        ("everything-1-osaka", 1.0, 3.0),
        ("everything-1-osaka-r2", 4.0, 6.0),
        ("everything-1-osaka-r3", 7.0, 9.0),
    ]
    assert conflicts(drill.faults) == []


def test_a_delay_can_be_the_whole_delay_of_a_circuit(lab: dict[str, Any], arguments: dict[str, Any]) -> None:
    entry = {"fault": "delay", "circuit": "hiroshima-kanazawa", "delay": "50ms", "from": "hiroshima"}
    base = lab["circuits"]["hiroshima-kanazawa"]["delay_ms"]
    [(_name, _kind, kept)] = _placed(lab, arguments, **entry)
    [(_name, _kind, subtracted)] = _placed(lab, arguments, **entry, base="subtract")
    assert (kept["delay"], subtracted["delay"]) == (0.05, pytest.approx(0.05 - base / 1000))


def test_impairments_have_all_their_parameters(lab: dict[str, Any], arguments: dict[str, Any]) -> None:
    only = {"to": "kanazawa", "protocol": "udp", "port": 53}
    [(_name, kind, params)] = _placed(
        lab,
        arguments,
        fault="impairment",
        circuit="hiroshima-osaka",
        delay="20ms",
        loss="3%",
        only=only,
        **{"from": "osaka"},
    )
    assert kind == "impairment"
    assert params == {
        "interface": "w-hiroshima-r1",
        "loss": {"percent": 3.0},
        "delay": {"delay": 0.02},
        "only": {"to": "10.2.0.0/24", "protocol": "udp", "port": 53},
    }


def test_instants(lab: dict[str, Any], arguments: dict[str, Any]) -> None:
    drill = parse(arguments, lab)
    assert (drill.last_end, drill.until, drill.ends) == (34.0, 44.0, 46.0)
    assert [probe.at for probe in drill.of_phase("on_fault")] == [10.0, 7.0]


def test_names_are_made_for_probes_without_one(lab: dict[str, Any], arguments: dict[str, Any]) -> None:
    assert [probe.name for probe in parse(arguments, lab).probes] == [
        "hiroshima-kvm1 reaches kanazawa-kvm1",
        "hiroshima-kvm1 to kanazawa-kvm1 goes not over hiroshima-kanazawa",
        "hiroshima-r1 routes naist via otemachi",
        "h-k is back within 1 s",
        "h-k from hiroshima-kvm1 loses 26 to 34 %",
        "hiroshima-kvm1 reaches 10.3.0.11",
    ]


def test_every_problem_is_told_at_once(lab: dict[str, Any]) -> None:
    assert problems(
        {"name": "Two words", "timeline": [{"fault": "link_don"}], "probes": [{"phase": "befor"}]}, lab
    ) == [
        "name: is not a name: up to 40 of a-z, 0-9, _ and -, and it starts with a letter or digit",
        "timeline[0].at: is missing",
        "timeline[0].for: is missing",
        "timeline[0].fault: there is no kind of fault link_don; did you mean link_down?",
        "hypothesis: is missing",
        "probes[0].phase: there is no phase befor; did you mean before?",
        f"probes[0]: has to have exactly one of {', '.join(CHECKS)}",
    ]


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"fault": "link_down", "circuit": "hiroshima-kanzawa"}, "did you mean hiroshima-kanazawa?"),
        ({"fault": "link_down"}, "circuit: is missing; or name a site, or a node and its interface"),
        ({"fault": "link_down", "site": "hiroshimo"}, "there is no site hiroshimo; did you mean hiroshima?"),
        (
            {"fault": "loss", "percent": 5, "site": "naist", "from": "naist"},
            "is not for a fault on all circuits of a site",
        ),
        ({"fault": "link_down", "circuit": "hiroshima-kanazawa", "from": "osaka"}, "does not end at osaka"),
        ({"fault": "link_down", "circuit": "hiroshima-kanazawa", "node": "osaka"}, "is not for a fault on a circuit"),
        ({"fault": "link_down", "from": "osaka", "node": "osaka", "interface": "w-otemachi"}, "no circuit is given"),
        ({"fault": "link_down", "node": "osaka", "interface": "w-otemach"}, "did you mean w-otemachi?"),
        ({"fault": "link_down", "circuit": "hiroshima-kanazawa", "percent": 3}, "there is no such key here"),
        ({"fault": "loss", "circuit": "hiroshima-kanazawa"}, "loss needs the parameter percent"),
        ({"fault": "loss", "circuit": "hiroshima-kanazawa", "percent": "130%"}, "130% is more than 100%"),
        (
            {"fault": "route_override", "node": "hiroshima-r1", "to": "naist", "via": "naist"},
            "no neighbour of hiroshima-r1",
        ),
        ({"fault": "route_override", "node": "hiroshima-r1", "to": "naits", "via": "osaka"}, "did you mean naist?"),
        ({"fault": "route_blackhole", "node": "osakka", "to": "naist"}, "did you mean osaka?"),
    ],
)
def test_places_that_are_not_there(
    lab: dict[str, Any], arguments: dict[str, Any], entry: dict[str, Any], message: str
) -> None:
    arguments["timeline"] = [{"at": 0, "for": 60, **entry}]
    arguments["probes"] = []
    found = problems(arguments, lab)
    assert len(found) == 1
    assert message in found[0]


def test_all_circuits_of_a_site(lab: dict[str, Any], arguments: dict[str, Any]) -> None:
    arguments["timeline"] = [{"at": 0, "for": 60, "fault": "link_down", "site": "hiroshima"}]
    arguments["probes"] = []
    faults = parse(arguments, lab).faults
    assert [(fault.target, fault.circuit, fault.params) for fault in faults] == [
        ("hiroshima-r1", "hiroshima-osaka", {"interface": "w-osaka"}),
        ("hiroshima-r1", "hiroshima-otemachi", {"interface": "w-otemachi"}),
        ("hiroshima-r1", "hiroshima-kanazawa", {"interface": "w-kanazawa-r1"}),
    ]


@pytest.mark.parametrize(
    ("probe", "message"),
    [
        ({"phase": "before", "ping": {"from": "hiroshima-kvm1"}}, "probes[0].ping.to: is missing"),
        ({"phase": "before", "ping": {}, "path": {}}, "exactly one of"),
        ({"phase": "before", "path": {"from": "hiroshima-kvm1", "to": "osaka"}}, "says neither via nor avoid"),
        ({"phase": "before", "traffic": "h-k"}, "use the phase continuous or recover_within"),
        ({"phase": "continuous", "traffic": "h-k"}, "says nothing that could be wrong"),
        ({"phase": "continuous", "traffic": {"of": "h-k", "loss": "34..26%"}}, "the wrong way round"),
        ({"phase": "continuous", "traffic": {"of": "h-k", "loss": ".."}}, "has no bound"),
        (
            {"phase": "continuous", "traffic": {"of": "h-q", "loss": 0}},
            "there is no traffic called h-q; did you mean h-k?",
        ),
        ({"phase": "continuous", "traffic": {"of": "h-k", "loss": 0, "from": "naist"}}, "not from naist"),
        ({"phase": "recover_within", "traffic": "h-k"}, "within: is missing"),
        (
            {"phase": "recover_within", "within": "99s", "traffic": "h-k"},
            "probes[0].within: is at 104 s, and nothing is looked at after",
        ),
        (
            {"phase": "after", "within": "1s", "ping": {"from": "osaka", "to": "osaka"}},
            "is for probes of the phase recover",
        ),
        (
            {"phase": "after", "at": "1s", "ping": {"from": "osaka", "to": "osaka"}},
            "is for probes of the phase on_fault",
        ),
        ({"phase": "on_fault", "at": "1s", "ping": {"from": "osaka", "to": "naist-r1"}}, "no fault is on at 1 s"),
    ],
)
def test_probes_that_make_no_sense(
    lab: dict[str, Any], arguments: dict[str, Any], probe: dict[str, Any], message: str
) -> None:
    arguments["probes"] = [probe]
    assert any(message in found for found in problems(arguments, lab))


@pytest.mark.parametrize(
    "value", [None, "text", 3, [], {"probes": "x"}, {"timeline": [3]}, {"traffic": [{"between": 3}]}]
)
def test_anything_at_all_is_refused_in_words(lab: dict[str, Any], value: object) -> None:
    assert problems(value, lab)


@pytest.mark.parametrize(
    ("written", "wanted"),
    [
        ("26..34%", (26, 34)),
        ("26%..34%", (26, 34)),
        ("..5%", (None, 5)),
        ("5%..", (5, None)),
        ("0%", (0, 0)),
        (0, (0, 0)),
    ],
)
def test_ranges(lab: dict[str, Any], arguments: dict[str, Any], written: object, wanted: Any) -> None:
    arguments["probes"] = [{"phase": "continuous", "traffic": {"of": "h-k", "loss": written}}]
    check = parse(arguments, lab).probes[0].check
    assert isinstance(check, TrafficCheck)
    assert check.loss == Range(*wanted)


def test_without_a_fault_a_probe_needs_its_instant(lab: dict[str, Any], arguments: dict[str, Any]) -> None:
    arguments["timeline"] = []
    arguments["probes"] = [{"phase": "on_fault", "ping": {"from": "osaka", "to": "naist-r1"}}]
    assert problems(arguments, lab) == ["probes[0].at: is missing, and there is no fault to ask halfway through"]
    arguments["probes"][0]["at"] = 3
    assert parse(arguments, lab).probes[0].at == 3.0


def test_twins_are_refused(lab: dict[str, Any], arguments: dict[str, Any]) -> None:
    arguments["traffic"] *= 2
    assert problems(arguments, lab) == ["traffic: 2 of them are called h-k"]
