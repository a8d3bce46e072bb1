# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.okiagari.testbed.plugins.module_utils.errors import BadInput
from ansible_collections.okiagari.testbed.plugins.module_utils.target.program import parse

CUT = {"id": "a", "kind": "link_down", "target": "r1", "params": {"interface": "w-a"}, "at": 5.0, "for": 20.0}
LOSS: dict[str, Any] = {
    "id": "b", "kind": "loss", "params": {"interface": "w-b", "percent": 30}, "at": 5.0, "for": 20.0,
}  # fmt: skip
LOG = {"type": "log", "file": "/var/log/frr.log", "matches": "Down", "within": 7.0}
STREAM = {"id": "s", "local": "10.1.0.11", "peer": "10.2.0.11", "port": 18700, "rate": 100, "from": 0.0, "until": 38.0}
PING = {"id": "p", "at": 8.0, "type": "ping", "to": "10.2.0.11", "count": 5, "interval": 0.1}


def program(**changed: Any) -> dict[str, Any]:
    return {
        "drill": "cut-1",
        "t0": 1795262400.25,
        "ends": 40.0,
        "faults": [CUT],
        "streams": [STREAM],
        "probes": [PING],
        **changed,
    }


def step(after: float, **params: Any) -> dict[str, Any]:
    return {"after": after, "params": {**LOSS["params"], **params}}


def test_parsed() -> None:
    parsed = parse(program())
    [planned] = parsed.faults
    assert (planned.at, planned.until, planned.fault.lease_s, planned.fault.target) == (5.0, 25.0, 21.0, "r1")
    assert parse({"drill": "d", "t0": 1, "ends": 1}).faults == ()


@pytest.mark.parametrize(
    ("changed", "problems"),
    [
        ({"fault": []}, ["unknown key fault", "did you mean faults?"]),
        ({"drill": "a b", "t0": "noon"}, ["a b is not an id", "t0: noon is not a duration"]),
        ({"faults": [CUT, {**CUT, "at": 30}]}, ["two faults of this program have this id"]),
        ({"faults": [CUT, {**CUT, "id": "b", "at": 24.9}]}, ["stands on link:w-a at the same time as a"]),
        (
            {"faults": [{**CUT, "kind": "link_dwon"}, {**CUT, "id": "b", "at": None}]},
            ["did you mean link_down?", "fault b: at is missing"],
        ),
        ({"faults": [{**LOSS, "steps": [{"after": 25, "params": LOSS["params"]}]}]}, ["not while it is on"]),
        ({"faults": [{**LOSS, "steps": [step(9), step(4)]}]}, ["fault b: its steps are not in the order of time"]),
        ({"faults": [{**LOSS, "steps": [step(4, interface="w-a")]}]}, ["fault b: interface can't change"]),
        ({"faults": [{**LOSS, "steps": [step(4, percnt=3)]}]}, ["fault b: step", "did you mean percent?"]),
        ({"faults": [{**CUT, "steps": [{"after": 4, "params": {"interface": "w-b"}}]}]}, ["interface can't change"]),
        ({"faults": [{**CUT, "when": {"type": "lgo"}}]}, ["when: within is missing", "did you mean log?"]),
        ({"faults": [{**CUT, "when": {**LOG, "matches": "("}}]}, ["is not a regular expression"]),
        ({"faults": [{**CUT, "when": {**LOG, "unit": "frr.service"}}]}, ["says either unit or file"]),
        (
            {"faults": [{**CUT, "when": LOG}, {**CUT, "id": "b", "at": 30}]},
            ["stands on link:w-a at the same time as a"],
        ),
        ({"streams": [{**STREAM, "peer": "x", "portt": 1}]}, ["did you mean port?", "peer: x is not an address"]),
        ({"streams": [{"id": "s"}]}, ["stream s: local is missing"]),
        (
            {"streams": [{**STREAM, "rate": 0, "port": 0, "until": 0}]},
            ["rate: 0 is not", "port: 0 is not", "ends before it begins"],
        ),
        ({"probes": [{**PING, "type": "pin"}]}, ["did you mean ping?"]),
        ({"probes": [{**PING, "at": None}]}, ["probe p: at is missing"]),
    ],
)
def test_everything_wrong_is_told_at_once(changed: dict[str, Any], problems: list[str]) -> None:
    with pytest.raises(BadInput) as refused:
        parse(program(**changed))
    for problem in problems:
        assert problem in str(refused.value)


def test_one_after_the_other_is_fine() -> None:
    assert len(parse(program(faults=[CUT, {**CUT, "id": "b", "at": 25.0}])).faults) == 2


def test_steps_and_events_are_read() -> None:
    loss, cut = parse(program(faults=[{**LOSS, "steps": [step(4, percent=40)]}, {**CUT, "when": LOG}])).faults
    assert loss.steps == ((4.0, {"interface": "w-b", "percent": 40.0}),)
    assert (cut.when, cut.until, cut.fault.lease_s) == (LOG, 32.0, 28.0)
