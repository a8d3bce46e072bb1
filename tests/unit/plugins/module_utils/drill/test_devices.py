# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Devices in drills: where faults land on them, and what they can't have."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from ansible_collections.okiagari.testbed.plugins.module_utils.drill.devices import watched
from ansible_collections.okiagari.testbed.plugins.module_utils.drill.places import Device, Places, Power
from ansible_collections.okiagari.testbed.plugins.module_utils.drill.plan import plans
from ansible_collections.okiagari.testbed.plugins.module_utils.drill.spec import parse
from ansible_collections.okiagari.testbed.plugins.module_utils.errors import BadInput
from ansible_collections.okiagari.testbed.plugins.module_utils.fault import able, ios, netconf, vyos

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ansible_collections.okiagari.testbed.plugins.module_utils.drill.model import Drill

NODE = "kanazawa-r1"
PORTS = {"w-hiroshima-r1": "eth1", "w-otemachi": "eth2", "lan0": "eth3"}


def drill(*timeline: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    probes = [{"phase": "after", "ping": {"from": "hiroshima-kvm1", "to": "kanazawa-kvm1"}}]
    return {"name": "d", "hypothesis": "It holds.", "timeline": list(timeline), "probes": probes, **more}


def read(lab: dict[str, Any], arguments: dict[str, Any], os: str = "vyos", node: str = NODE) -> Drill:
    found = parse(arguments, lab, {NODE: Power("lab@localhost", NODE)}, {node: Device(os, PORTS)})
    plans(found, lab, Places(lab))
    return found


def refusal(lab: dict[str, Any], arguments: dict[str, Any], os: str = "vyos") -> list[str]:
    with pytest.raises(BadInput) as raised:
        read(lab, arguments, os)
    return [str(problem) for problem in raised.value.problems]


CUT = {"at": 5, "for": 20, "fault": "link_down", "circuit": "hiroshima-kanazawa"}


def test_a_circuits_end_is_the_devices_port(lab: dict[str, Any]) -> None:
    found = read(lab, drill(CUT))
    assert [(each.target, each.params["interface"], each.interface) for each in found.faults] == [
        ("hiroshima-r1", "w-kanazawa-r1", "w-kanazawa-r1"),
        (NODE, "eth1", "w-hiroshima-r1"),
    ]
    assert {each.circuit for each in found.faults} == {"hiroshima-kanazawa"}


def test_so_is_an_interface_of_a_node_and_what_it_cuts_is_known(lab: dict[str, Any]) -> None:
    entry = {"at": 5, "for": 20, "fault": "link_down", "node": NODE, "interface": "lan0"}
    [problem] = refusal(lab, drill(entry))
    assert "isolate" in problem
    [fault] = read(lab, drill(entry, expects_isolated="kanazawa")).faults
    assert fault.params == {"interface": "eth3"}


@pytest.mark.parametrize(
    ("entry", "params"),
    [
        ({"fault": "route_override", "to": "naist", "via": "otemachi"}, {"prefix": "10.3.0.0/24"}),
        ({"fault": "route_blackhole", "to": "10.9.0.0/16"}, {"prefix": "10.9.0.0/16"}),
        ({"fault": "bgp_shutdown", "neighbor": "hiroshima"}, {}),
    ],
)
def test_faults_of_a_node_are_as_on_linux(lab: dict[str, Any], entry: dict[str, Any], params: dict[str, Any]) -> None:
    [fault] = read(lab, drill({"at": 5, "for": 20, "node": NODE, **entry})).faults
    assert (fault.target, fault.maker) == (NODE, NODE)
    assert params.items() <= fault.params.items()


def test_a_port_that_nobody_knows_is_asked_for_by_name(lab: dict[str, Any]) -> None:
    entry = {"at": 5, "for": 20, "fault": "link_down", "node": NODE, "interface": "trunk0"}
    [problem] = refusal(lab, drill(entry))
    assert "it is not known what kanazawa-r1, a device (vyos), calls its interface trunk0: say so in" in problem


@pytest.mark.parametrize(
    ("os", "entry", "message"),
    [
        ("vyos", {"fault": "cpu_pressure"}, "can't have cpu_pressure: it lacks the capability 'service'; it may have"),
        ("vyos", {"fault": "route_prohibit", "to": "10.9.0.0/16"}, "VyOS has no static route of the kind prohibit"),
        ("vyos", {"fault": "bfd_off", "neighbor": "hiroshima"}, "it lacks the capability 'bgp'"),
        ("netconf", {"fault": "bgp_shutdown", "neighbor": "hiroshima"}, "it may have link_down, route_blackhole"),
    ],
)
def test_what_a_device_lacks(lab: dict[str, Any], os: str, entry: dict[str, Any], message: str) -> None:
    [problem] = refusal(lab, drill({"at": 5, "for": 20, "node": NODE, **entry}), os)
    assert f"{NODE} is a device ({os}), and can't have" in problem
    assert message in problem


@pytest.mark.parametrize(
    ("os", "entry", "message"),
    [
        ("vyos", {"fault": "loss", "percent": "0.5%"}, "takes whole numbers, and loss is 0.5"),
        ("vyos", {"fault": "delay", "delay": "5ms", "jitter": "1ms"}, "has no jitter"),
        ("vyos", {"fault": "loss", "percent": "5%", "only": {"protocol": "tcp"}}, "lacks the capability 'flower'"),
        ("vyos", {"fault": "mtu", "mtu": 1400}, "lacks the capability 'mtu'"),
        ("vyos", {"fault": "loss", "percent": {"ramp": {"from": "5%", "to": "9%", "steps": 2}}}, "so it has no ramp"),
        ("iosxr", {"fault": "loss", "percent": "5%"}, "lacks the capability 'netem'; it may have bgp_shutdown, link"),
    ],
)
def test_what_its_interfaces_lack(lab: dict[str, Any], os: str, entry: dict[str, Any], message: str) -> None:
    where = {"circuit": "hiroshima-kanazawa", "from": "kanazawa"}
    [problem] = refusal(lab, drill({"at": 5, "for": 20, **where, **entry}), os)
    assert message in problem


def test_a_router_that_only_drops_has_the_loss_of_all(lab: dict[str, Any]) -> None:
    all_of_it = {"at": 5, "for": 20, "fault": "loss", "percent": "100%", "circuit": "hiroshima-kanazawa"}
    assert len(read(lab, drill(all_of_it), "ios").faults) == 2


def test_it_sees_no_events(lab: dict[str, Any]) -> None:
    event = {"route": {"to": "naist", "changed": True}, "within": "20s"}
    [problem] = refusal(lab, drill({"for": 20, "when": event, "fault": "link_down", "circuit": "hiroshima-kanazawa"}))
    assert "sees no event there, so it has no when" in problem


@pytest.mark.parametrize(("at", "refused"), [(10, True), (34.9, True), (35, False)])
def test_a_device_has_one_fault_at_a_time(lab: dict[str, Any], at: float, refused: bool) -> None:
    other = {"at": at, "for": 5, "fault": "route_blackhole", "node": NODE, "to": "10.9.0.0/16"}
    if refused:
        [problem] = refusal(lab, drill(CUT, other))
        assert "d-1-kanazawa-r1 and d-2-kanazawa-r1" in problem
        assert "the first is from 5 s to 25 s, the second may begin at 35 s" in problem
    else:
        assert len(read(lab, drill(CUT, other)).faults) == 3


def test_two_faults_of_one_interface_are_told_once(lab: dict[str, Any]) -> None:
    entries = [{**CUT, "from": "kanazawa"}, {**CUT, "from": "kanazawa", "at": 6}]
    assert len(refusal(lab, drill(*entries))) == 1


def test_its_power_is_not_its_own(lab: dict[str, Any]) -> None:
    cut = {"at": 5, "for": 20, "fault": "power_cut", "node": NODE}
    [fault] = read(lab, drill(cut, expects_isolated="kanazawa")).faults
    assert fault.maker == "lab@localhost"


def test_nothing_can_run_there(lab: dict[str, Any]) -> None:
    arguments = drill(
        CUT,
        traffic=[{"name": "t", "between": ["hiroshima-kvm1", NODE]}],
        writers=[{"name": "w", "node": NODE, "path": "/srv/w"}],
    )
    arguments["probes"].append({"phase": "on_fault", "ping": {"from": NODE, "to": "naist-kvm1"}})
    problems = refusal(lab, arguments)
    assert len(problems) == 3
    assert all(
        "kanazawa-r1 is a device, on which nothing can run: choose a node behind it" in each for each in problems
    )


def test_its_ports_and_what_faults_change_there_are_compared(lab: dict[str, Any]) -> None:
    route = {"at": 40, "for": 5, "fault": "route_blackhole", "node": NODE, "to": "10.9.0.0/16"}
    assert watched(read(lab, drill(CUT, route)), NODE) == ["link:eth1", "link:eth2", "link:eth3", "route:10.9.0.0/16"]
    assert watched(read(lab, drill(CUT), node="naist-r1"), "naist-r1") == ["link:eth1", "link:eth2", "link:eth3"]


class Answers:
    """A session of a device that has everything."""

    release = type("Version", (), {"number": (1, 5)})

    def version(self) -> Any:
        return self.release

    def reloads(self) -> bool:
        return True

    keeps_leases = reloads

    def capabilities(self) -> frozenset[str]:
        return frozenset({*netconf._LEASES, *netconf._ROUTES, "ietf-interfaces"})


@pytest.mark.parametrize(
    ("os", "backend"),
    [("vyos", vyos.VyosDevice), ("netconf", netconf.NetconfDevice), ("ios", ios.XeDevice), ("iosxr", ios.XrDevice)],
)
def test_what_is_known_beforehand_is_what_the_back_ends_have(os: str, backend: Any) -> None:
    assert backend(Answers()).capabilities() == able.ABLE[os] | {"lease"}
