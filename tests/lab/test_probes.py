# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every kind of question, asked on real nodes: services, routers, files and commands."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import pytest
from ansible_collections.okiagari.testbed.plugins.module_utils.drill.check import Answer, Asked, Context
from ansible_collections.okiagari.testbed.plugins.module_utils.drill.places import Places
from ansible_collections.okiagari.testbed.plugins.module_utils.drill.spec import parse
from ansible_collections.okiagari.testbed.tests.lab.default_lab import DefaultLab
from ansible_collections.okiagari.testbed.tests.lab.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.lab, pytest.mark.soak]

KVM, FAR, ROUTER = "hiroshima-kvm1", "kanazawa-kvm1", "hiroshima-r1"
PAGE, UNIT = "/run/okiagari-test-page", "okiagari-test-page"


@pytest.fixture(scope="module")
def lab() -> Iterator[DefaultLab]:
    """The lab, with a web server on one node."""
    found = DefaultLab()
    wait_for("the lab is routed", found.routed, 60)
    found.say(FAR, f"mkdir -p {PAGE} && echo all is well > {PAGE}/health")
    found.say(FAR, f"systemd-run --unit={UNIT} --property=WorkingDirectory={PAGE} python3 -m http.server 8080")
    wait_for("the page is served", lambda: not faults(found, "tcp", {"from": KVM, "to": FAR, "port": 8080}), 60)
    yield found
    found.say(FAR, f"systemctl stop {UNIT}; rm -r {PAGE}")


def faults(lab: DefaultLab, kind: str, value: dict[str, Any]) -> list[str]:
    """Ask a question as a drill does, and say what is not as it should be."""
    drill = {"name": "d", "hypothesis": "h", "probes": [{"phase": "before", kind: value}]}
    check = parse(drill, lab.testbed).probes[0].check
    assert isinstance(check, Asked)
    [result] = lab.program(check.source, "probe", {"probes": [{"id": "p", **check.question("run")}]})["results"]
    answer = Answer(result["ok"], result["value"], result["detail"])
    found = check.faults(answer, Context(Places(lab.testbed)))
    return [*found, answer.detail] if found else []


HOLD: list[tuple[str, dict[str, Any]]] = [
    ("tcp", {"from": KVM, "to": FAR, "port": 22, "max_time": "1s"}),
    ("tcp", {"from": KVM, "to": FAR, "port": 9, "connects": False}),
    ("http", {"from": KVM, "to": FAR, "port": 8080, "path": "/health", "equals": "all is well"}),
    ("http", {"from": KVM, "to": FAR, "port": 8080, "path": "/nothing", "status": 404}),
    ("bgp", {"node": ROUTER, "to": "kanazawa"}),
    ("bgp", {"node": ROUTER, "to": "kanazawa", "via": "hiroshima-kanazawa"}),
    ("bgp", {"node": ROUTER, "to": "10.99.0.0/16", "present": False}),
    ("bfd", {"node": ROUTER, "neighbor": "osaka"}),
    ("bfd", {"node": ROUTER, "neighbor": "osaka", "vrf": "storage"}),
    ("command", {"node": KVM, "argv": ["uname", "-n"], "equals": KVM}),
    ("command", {"node": KVM, "argv": ["false"], "rc": 1}),
    ("check", {"node": KVM, "script": "/bin/sh", "args": ["-c", "exit 1"], "worst": "warning"}),
    ("service", {"node": KVM, "unit": "ssh.service"}),
    ("service", {"node": FAR, "unit": f"{UNIT}.service"}),
    ("file", {"node": FAR, "path": f"{PAGE}/health", "sha256": hashlib.sha256(b"all is well\n").hexdigest()}),
]


@pytest.mark.parametrize(("kind", "value"), HOLD)
def test_questions_that_hold(lab: DefaultLab, kind: str, value: dict[str, Any]) -> None:
    assert faults(lab, kind, value) == []


FAIL: list[tuple[str, dict[str, Any], list[str]]] = [
    ("tcp", {"from": KVM, "to": FAR, "port": 9}, ["it does not connect", "not connected: Connection refused"]),
    ("dns", {"from": KVM, "server": FAR, "name": "a.example"}, ["no answer", "no answer: Connection refused"]),
    ("bgp", {"node": ROUTER, "to": "10.99.0.0/16"}, ["there is no best path", "BGP has no path to 10.99.0.0/16"]),
    ("service", {"node": KVM, "unit": "x.service"}, ["it is not known", "systemd knows no unit x.service"]),
    ("command", {"node": KVM, "argv": ["false"]}, ["exit code 1, expected 0", "exit code 1: it says nothing"]),
    (
        "storage",
        {"node": ROUTER, "quorum": True},
        ["it is not known", "the probe could not be run: this node is no member of the storage"],
    ),
]


@pytest.mark.parametrize(("kind", "value", "words"), FAIL)
def test_questions_that_do_not_hold_say_why(
    lab: DefaultLab, kind: str, value: dict[str, Any], words: list[str]
) -> None:
    assert faults(lab, kind, value) == words
