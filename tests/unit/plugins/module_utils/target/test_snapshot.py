# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Normalising recorded answers of a Debian router with FRR 10."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from ansible_collections.okiagari.testbed.plugins.module_utils.errors import OkiagariError
from ansible_collections.okiagari.testbed.plugins.module_utils.runner import Completed
from ansible_collections.okiagari.testbed.plugins.module_utils.target.snapshot import COMMANDS, normalise, take, unlike

if TYPE_CHECKING:
    from collections.abc import Sequence

LINKS = [
    {
        "ifindex": 2,
        "ifname": "w-osaka",
        "flags": ["BROADCAST", "UP", "LOWER_UP"],
        "mtu": 1500,
        "operstate": "UP",
        "addr_info": [
            {
                "family": "inet",
                "local": "10.254.0.2",
                "prefixlen": 31,
                "scope": "global",
                "valid_life_time": 4294967295,
            },
            {"family": "inet6", "local": "fe80::1", "prefixlen": 64, "scope": "link", "tentative": True},
        ],
    },
]
QDISCS = [
    {
        "kind": "netem",
        "handle": "c1c:",
        "dev": "w-osaka",
        "root": True,
        "refcnt": 2,
        "options": {"delay": {"delay": 0.004}},
    },
    {
        "kind": "netem",
        "handle": "fa17:",
        "dev": "w-osaka",
        "parent": "c1c:1",
        "options": {"loss-random": {"loss": 0.3}},
    },
]
ROUTES = [
    {
        "type": "1",
        "dst": "10.2.0.0/16",
        "nhid": 31,
        "gateway": "10.254.0.3",
        "dev": "w-osaka",
        "table": "254",
        "protocol": "186",
        "scope": "0",
        "metric": 20,
        "flags": ["rt_offload"],
    },
    {"type": "6", "dst": "10.3.0.0/16", "table": "254", "protocol": "187", "scope": "0", "flags": []},
    {"type": "2", "dst": "10.254.0.2", "dev": "w-osaka", "table": "255", "protocol": "2", "scope": "254"},
    {
        "type": "1",
        "dst": "fe80::/64",
        "dev": "w-osaka",
        "table": "254",
        "protocol": "2",
        "metric": 256,
        "pref": "medium",
    },
    {
        "type": "5",
        "dst": "ff00::/8",
        "dev": "w-osaka",
        "table": "255",
        "protocol": "2",
        "metric": 256,
        "pref": "medium",
    },
    {
        "type": "1",
        "dst": "2001:db8::/64",
        "dev": "w-osaka",
        "protocol": "9",
        "metric": 256,
        "expires": 86391,
        "pref": "medium",
    },
]
BGP = {
    "routerId": "10.255.0.1",
    "as": 65001,
    "peers": {
        "10.254.0.3": {"remoteAs": 65101, "msgRcvd": 91, "peerUptime": "00:01:13", "pfxRcd": 14, "state": "Established"}
    },
}
BFD = [
    {"multihop": False, "peer": "10.254.0.3", "vrf": "storage", "id": 3, "status": "down"},
    {"multihop": False, "peer": "10.254.0.3", "vrf": "default", "id": 187721, "status": "up", "uptime": 71},
]
RULES = [
    {"priority": 0, "src": "all", "table": "local"},
    {"priority": 99, "src": "10.1.0.0", "srclen": 24, "table": "7"},
]


def answers(**changed: Completed) -> dict[str, Completed]:
    said = {
        "links": json.dumps(LINKS),
        "qdiscs": json.dumps(QDISCS),
        "routes": json.dumps(ROUTES),
        "rules": json.dumps(RULES),
        "rules6": '[{"priority":0,"src":"all","table":"local"}]',
        "daemons": f"{json.dumps(BGP, indent=2)}\n{json.dumps(BFD)}\n",
        "units": "frr-bad.service loaded failed failed FRR\nokiagari-lease-x.service loaded failed failed x\n",
        "leases": "okiagari-lease-x.timer loaded active waiting x\n",
    }
    return {name: changed.get(name, Completed(0, said[name], "")) for name in COMMANDS}


def test_normalised() -> None:
    assert normalise(answers()) == {
        "links": {"w-osaka": {"admin": "up", "oper": "up", "mtu": 1500, "addresses": ["10.254.0.2/31"]}},
        "qdiscs": {
            "w-osaka": [
                {"kind": "netem", "handle": "fa17:", "parent": "c1c:1", "options": {"loss-random": {"loss": 0.3}}},
                {"kind": "netem", "handle": "c1c:", "parent": "root", "options": {"delay": {"delay": 0.004}}},
            ]
        },
        "routes": ["10.2.0.0/16 via 10.254.0.3 dev w-osaka proto bgp metric 20", "blackhole 10.3.0.0/16 proto 187"],
        "rules": ["ip 0: from all table local", "ip 99: from 10.1.0.0/24 table 7", "ip6 0: from all table local"],
        "bgp": {"10.254.0.3": {"state": "Established", "received": 14}},
        "bfd": {"10.254.0.3": "up", "10.254.0.3 in storage": "down"},
        "units": {"failed": ["frr-bad.service"]},
        "okiagari": {
            "leases": ["okiagari-lease-x.timer"],
            "qdiscs": ["netem on w-osaka"],
            "routes": ["blackhole 10.3.0.0/16 proto 187"],
        },
    }


def test_the_devices_of_guests_are_left_out_since_they_come_and_go() -> None:
    names = ("vnet0", "vnet17", "vnet", "okg-00c0de-t")
    devices = [{**LINKS[0], "ifname": name} for name in names]
    qdiscs = [{**QDISCS[0], "dev": name} for name in names]
    said = {"links": Completed(0, json.dumps(devices), ""), "qdiscs": Completed(0, json.dumps(qdiscs), "")}
    snapshot = normalise(answers(**said))
    assert (list(snapshot["links"]), list(snapshot["qdiscs"])) == (["vnet"], ["vnet"])


@pytest.mark.parametrize(
    "text",
    ["", "% Command not found\n", "bfdd is not running\n{}", "{}\n[]", "Exiting: failed to connect to any daemons."],
)
def test_an_absent_daemon_gives_an_absent_key(text: str) -> None:
    snapshot = normalise(answers(daemons=Completed(1, text, "")))
    assert not {"bgp", "bfd"} & set(snapshot)


def test_without_systemd_there_are_no_units() -> None:
    assert "units" not in normalise(answers(units=Completed(127, "", "systemctl: No such file or directory")))


def test_without_ip_there_is_no_snapshot() -> None:
    with pytest.raises(OkiagariError, match="no snapshot: ip -j addr show: ip: No such file"):
        normalise(answers(links=Completed(127, "", "ip: No such file or directory")))


def test_a_snapshot_survives_the_wire() -> None:
    one = normalise(answers())
    assert json.loads(json.dumps(one)) == one


def test_our_own_leases_dont_count() -> None:
    one: dict[str, Any] = normalise(answers())
    assert unlike(one, normalise(answers(leases=Completed(0, "", "")))) == []
    assert unlike(one, normalise(answers(daemons=Completed(0, "", "")))) == ["bfd", "bgp"]


def test_what_differs_is_named() -> None:
    one = {"bfd": {"10.0.0.1": "up", "10.0.0.2": "up"}, "routes": ["a"], "okiagari": {"leases": ["x"]}, "bgp": {}}
    other = {"bfd": {"10.0.0.1": "down", "10.0.0.2": "up"}, "routes": ["b"], "okiagari": {"leases": []}, "bgp": {}}
    assert unlike(one, other) == ["bfd.10.0.0.1", "routes"]


def test_guests_that_move_are_not_the_testbeds_state() -> None:
    """On a router they are more that its neighbours announce, and a route; on a host, a route over the guest's tap."""
    guest = {**ROUTES[0], "dst": "10.253.0.50"}
    known = {"vrfName": "default", "routes": {"10.253.0.50/32": [{"valid": True, "peerId": "10.254.0.3"}]}}
    more = {**BGP, "peers": {"10.254.0.3": {**BGP["peers"]["10.254.0.3"], "pfxRcd": 15}}}  # type: ignore[index]
    said = "\n".join(json.dumps(document) for document in (more, known, BFD))
    router = answers(routes=Completed(0, json.dumps([*ROUTES, guest]), ""), daemons=Completed(0, said, ""))
    assert normalise(router) == normalise(answers())
    tap = {"type": "1", "dst": "10.253.0.50", "dev": "okg-0a1b2c-t", "protocol": "79", "scope": "253", "flags": []}
    assert normalise(answers(routes=Completed(0, json.dumps([*ROUTES, tap]), ""))) == normalise(answers())
    foreign = answers(routes=Completed(0, json.dumps([*ROUTES, guest]), ""))
    assert unlike(normalise(foreign), normalise(answers())) == ["routes"]


def test_parts_are_looked_at_by_themselves() -> None:
    asked = []

    class Said:
        def run(self, argv: Sequence[str], **_options: Any) -> Completed:
            asked.append(tuple(argv))
            return next(answer for name, answer in answers().items() if COMMANDS[name] == tuple(argv))

    snapshot = take(Said(), {"bfd", "routes"})  # type: ignore[arg-type]
    assert sorted(asked) == sorted([COMMANDS["daemons"], COMMANDS["routes"]])
    whole = normalise(answers())
    assert snapshot == {part: whole[part] for part in ("bfd", "bgp", "routes")}
