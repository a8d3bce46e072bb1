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


def fault(kind: str, lease: Any = 20, **params: Any) -> dict[str, Any]:
    return {"id": "x", "kind": kind, "params": params, "lease_s": lease}


@pytest.mark.parametrize(
    ("asked", "params", "claim"),
    [
        (fault("link_down", interface="w-osaka"), {"interface": "w-osaka"}, "link:w-osaka"),
        (fault("loss", interface="w-osaka", percent="30%"), {"interface": "w-osaka", "percent": 30.0}, "qdisc:w-osaka"),
        (fault("route_override", prefix="10.2.0.0/16", via="10.254.0.3"),
         {"prefix": "10.2.0.0/16", "via": "10.254.0.3"}, "route:10.2.0.0/16"),
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
        (fault("loss", interface="a", percent=0), ["percent: a loss of 0 % is no fault"]),
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
    assert kind.parameters
    assert kind.capability in ("link", "netem", "route")
