# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What faults may look like, and how wrong ones are refused."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.okiagari.testbed.plugins.module_utils.errors import BadInput, BadValue
from ansible_collections.okiagari.testbed.plugins.module_utils.fault.kinds import KINDS
from ansible_collections.okiagari.testbed.plugins.module_utils.fault.model import check_id, parse_fault

CAPABILITIES = {
    "link", "mtu", "netem", "route", "bgp", "bgp_shutdown", "service", "freezer", "clock", "dm", "dm_delay", "power",
}  # fmt: skip


def fault(kind: str, lease: Any = 20, **params: Any) -> dict[str, Any]:
    return {"id": "x", "kind": kind, "params": params, "lease_s": lease}


@pytest.mark.parametrize(
    ("asked", "params", "claim"),
    [
        (fault("link_down", interface="w-osaka"), {"interface": "w-osaka"}, "link:w-osaka"),
        (fault("loss", interface="w-osaka", percent="30%"), {"interface": "w-osaka", "percent": 30.0}, "qdisc:w-osaka"),
        (fault("loss", interface="a", gemodel=["1%", 10]), {"interface": "a", "gemodel": [1.0, 10.0]}, "qdisc:a"),
        (fault("delay", interface="a", delay="50ms", jitter="5ms", correlation=25, distribution="pareto"),
         {"interface": "a", "delay": 0.05, "jitter": 0.005, "correlation": 25.0, "distribution": "pareto"}, "qdisc:a"),
        (fault("impairment", interface="a", loss="3%", delay="20ms", rate={"rate": "10mbit"}, seed=7),
         {"interface": "a", "loss": {"percent": 3.0}, "delay": {"delay": 0.02}, "rate": {"rate": 10**7}, "seed": 7},
         "qdisc:a"),
        (fault("corrupt", interface="a", percent=1, only={"to": "2001:DB8::/32", "protocol": "tcp", "port": "80",
                                                          "dscp": "AF41", "s_tag": 101, "c_tag": "7"}),
         {"interface": "a", "percent": 1.0, "only": {"to": "2001:db8::/32", "protocol": "tcp", "port": 80, "dscp": 34,
                                                     "s_tag": 101, "c_tag": 7}}, "qdisc:a"),
        (fault("cpu_pressure", workers="2", percent="50%"), {"workers": 2, "percent": 50.0}, "load:cpu"),
        (fault("memory_pressure", leave="1gib"), {"leave": 1024}, "load:memory"),
        (fault("disk_pressure", path="/srv/a/"), {"path": "/srv/a"}, "load:disk@/srv/a"),
        (fault("disk_full", path="/", leave="64mib"), {"path": "/", "leave": 64}, "load:full@/"),
        (fault("disk_slow", path="/srv", delay="50ms"), {"path": "/srv", "delay": 0.05}, "device:/srv"),
        (fault("disk_failing", path="/dev/vg/a", up=5, down=2), {"path": "/dev/vg/a", "up": 5, "down": 2},
         "device:/dev/vg/a"),
        (fault("clock_step", by="-1.5min"), {"by": -90.0}, "clock:realtime"),
        (fault("clock_step", by=5), {"by": 5.0}, "clock:realtime"),
        (fault("service_stop", service="web"), {"service": "web.service"}, "service:web.service"),
        (fault("service_freeze", service="a@b.service"), {"service": "a@b.service"}, "service:a@b.service"),
        (fault("mtu", interface="a", mtu="1400"), {"interface": "a", "mtu": 1400}, "link:a"),
        (fault("route_override", prefix="10.2.0.0/16", via="10.254.0.3"),
         {"prefix": "10.2.0.0/16", "via": "10.254.0.3"}, "route:10.2.0.0/16"),
        (fault("pause", machine="exp1-web-1"), {"machine": "exp1-web-1"}, "power:exp1-web-1"),
        (fault("route_blackhole", prefix="10.2.0.1"), {"prefix": "10.2.0.1/32"}, "route:10.2.0.1/32"),
        (fault("route_blackhole", prefix="2001:DB8::/32"), {"prefix": "2001:db8::/32"}, "route:2001:db8::/32"),
    ],
)  # fmt: skip
def test_parameters_are_typed_and_claimed(asked: dict[str, Any], params: dict[str, Any], claim: str) -> None:
    parsed = parse_fault(asked)
    assert parsed.params == params
    assert KINDS[parsed.kind].claim(parsed.params) == claim
    assert parse_fault(parsed.to_dict()) == parsed


@pytest.mark.parametrize(
    ("asked", "problems"),
    [
        (fault("los", interface="a", percent=1), ["did you mean loss?"]),
        (fault("loss", interfaces="a", percent=1), ["did you mean interface?", "interface is missing"]),
        (fault("loss", interface="a", percent=0), ["percent: 0 % of the packets is no fault"]),
        (
            fault("loss", interface="a/b", percent=101),
            ["interface: a/b is not the name", "percent: 101 is more than 100%"],
        ),
        (fault("loss", interface="-j", percent=1), ["interface: -j is not the name"]),
        (fault("loss", lease="20x", interface="a", percent=1), ["lease_s: 20x has the unknown unit x"]),
        (fault("loss", lease=0.5, interface="a", percent=1), ["a lease of 0.5 s is not between 1 s and a day"]),
        (fault("route_blackhole", prefix="10.2.0.1/16"), ["did you mean 10.2.0.0/16?"]),
        (fault("route_override", prefix="10.2.0.0/16", via="osaka"), ["via: osaka is not an address"]),
        ({**fault("link_down", interface="a"), "id": "../x"}, ["../x is not an id"]),
        ({**fault("link_down", interface="a"), "leases_s": 1}, ["unknown key leases_s", "did you mean lease_s?"]),
        ({**fault("link_down"), "params": [1]}, ["fault x: params: a list is not a mapping"]),
        (fault("cpu_pressure", percent=0, workers=0), ["percent: 0 % is no load", "workers: 0 is not a whole number"]),
        (fault("memory_pressure"), ["memory_pressure needs one of take and leave"]),
        (fault("memory_pressure", take=5, leave=100), ["memory_pressure needs one of take and leave"]),
        (fault("memory_pressure", take=0), ["take: less than 1 MiB is no load"]),
        (fault("memory_pressure", leave=5), ["leave: the target needs 64mib to end the fault"]),
        (fault("disk_full", path="srv"), ["path: srv is not the absolute path"]),
        (fault("disk_pressure", path=7), ["path: 7 is not a text"]),
        (fault("disk_slow", path="/srv", delay="100us"), ["delay: a disk's delay is 1ms at least"]),
        (fault("disk_failing", path="/srv", up=5), ["up and down are given together"]),
        (fault("clock_step", by="0s"), ["by: a step of 0 s is not between 100ms and ten years"]),
        (fault("clock_step", by="-5 parsec"), ["by: 5 parsec has the unknown unit parsec"]),
        (fault("service_stop", service="a b"), ["service: a b is not the name of a service"]),
        (fault("service_stop", service=["a"]), ["service: a list is not the name of a service"]),
        (fault("service_freeze", service="systemd-journald"), ["systemd-journald.service is needed to end the fault"]),
        (fault("service_stop", service="okiagari-lease-x"), ["okiagari-lease-x.service is needed to end the fault"]),
        (fault("loss", interface="a"), ["loss needs the parameter percent; or a model: gemodel or states"]),
        (fault("loss", interface="a", percent=1, gemodel=[1]), ["one model at a time: percent or gemodel"]),
        (
            fault("loss", interface="a", states=[1, 2, 3, 4, 5, 6]),
            ["states: has to be a list of 1 to 5 percentages: p13,"],
        ),
        (fault("loss", interface="a", gemodel=[1], correlation=5), ["correlation is for the loss of a percent"]),
        (fault("delay", interface="a", delay="5ms", jitter="6ms"), ["a jitter of 0.006 s is more than the delay"]),
        (
            fault("delay", interface="a", delay="50", distribution="normal"),
            ["a delay of 50 s is not between 1us and 10s"],
        ),
        (fault("delay", interface="a", delay="5ms", distribution="norml"), ["did you mean normal?"]),
        (fault("delay", interface="a", delay="5ms", correlation=1), ["correlation is for a jitter, and there is none"]),
        (fault("rate", interface="a", rate="10mbits"), ["unknown unit mbits", "did you mean mbit?"]),
        (fault("reorder", interface="a", percent=5), ["delay is missing"]),
        (fault("impairment", interface="a"), ["needs at least one of loss, delay, rate, corrupt, duplicate, reorder"]),
        (
            fault("impairment", interface="a", loss={"percnt": 1}, delay="0s", rate="1kbit"),
            ["loss: unknown key percnt", "delay: delay: a delay of 0 s", "rate: rate: a rate of 1000 bit/s"],
        ),
        (
            fault("impairment", interface="a", delay="1ms", reorder={"percent": 5, "delay": "2ms"}),
            ["a delay of its own"],
        ),
        (
            fault(
                "loss", interface="a", percent=1, only={"to": "10.2.0.1/16", "port": 53, "c_tag": 5000, "dscp": "eff"}
            ),
            [
                "to: 10.2.0.1/16 is not a prefix",
                "c_tag: 5000 is not a whole number from 1 to 4094",
                "did you mean ef?",
                "a port needs the protocol: tcp, udp, sctp",
            ],
        ),
        (fault("rate", interface="a", rate="1mbit", only={"c_tag": 5}), ["c_tag needs the s_tag"]),
        (fault("rate", interface="a", rate="1mbit", only={}), ["only: has to be a mapping with at least one of to,"]),
        (fault("mtu", interface="a", mtu=60), ["mtu: 60 is not a whole number from 68 to 65535"]),
        ("loss", ["is not a mapping"]),
        ({}, ["id is missing", "lease_s is missing", "kind is missing"]),
    ],
)
def test_everything_wrong_is_told_at_once(asked: Any, problems: list[str]) -> None:
    with pytest.raises(BadInput) as refused:
        parse_fault(asked)
    for problem in problems:
        assert problem in str(refused.value)


@pytest.mark.parametrize(
    "name", ["", "a b", "a/b", ".a", "-a", "a.timer", "a.service", "a:1", "a" * 101, 7, None, "a\n"]
)
def test_ids_can_name_files_and_units(name: object) -> None:
    with pytest.raises(BadValue):
        check_id(name)
    assert check_id("circuit_cut-1-hiroshima-r1") == "circuit_cut-1-hiroshima-r1"


@pytest.mark.parametrize("kind", KINDS.values())
def test_every_kind_explains_itself(kind: Any) -> None:
    assert kind.__doc__
    assert kind.parameters or kind.optional
    assert kind.capability in CAPABILITIES
