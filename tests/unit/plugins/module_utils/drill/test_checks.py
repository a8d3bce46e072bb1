# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every kind of question: how it is read, what it asks, and which answers are as they should be."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.okiagari.testbed.plugins.module_utils.drill.check import Answer, Asked, Context
from ansible_collections.okiagari.testbed.plugins.module_utils.drill.checks import CHECKS
from ansible_collections.okiagari.testbed.plugins.module_utils.drill.compile import programs
from ansible_collections.okiagari.testbed.plugins.module_utils.drill.host_checks import File
from ansible_collections.okiagari.testbed.plugins.module_utils.drill.places import Places
from ansible_collections.okiagari.testbed.plugins.module_utils.drill.spec import parse
from ansible_collections.okiagari.testbed.plugins.module_utils.errors import BadInput
from ansible_collections.okiagari.testbed.plugins.module_utils.fault.model import Problems
from ansible_collections.okiagari.testbed.plugins.module_utils.target import probes

KVM, ROUTER = "hiroshima-kvm1", "hiroshima-r1"
DIGEST = "ab" * 32
TCP = {"from": KVM, "to": "kanazawa-kvm1", "port": 22}
HTTP = {"from": KVM, "url": "http://10.2.0.11:8080/health?a=b"}
DNS = {"from": KVM, "server": "kanazawa-kvm1", "name": "www.example.org"}
SENDS = {"from": KVM, "to": "kanazawa-kvm1", "at_least": "1mbit"}
PAGE = {"status": 200, "ms": 3.0, "body": "all is well\n"}
KNOWN = {"code": "NOERROR", "answers": ["192.0.2.1", "192.0.2.2"], "ms": 3.0}
UNKNOWN = {"code": "NXDOMAIN", "answers": [], "ms": 3.0}
SEEN = {"members": 3, "connected": 2, "pending": 0, "stopped": []}
OVER_OSAKA = {"paths": 2, "via": ["10.254.0.3"]}


def read(kind: str, value: object, lab: dict[str, Any], **more: Any) -> Asked:
    drill = {"name": "d", "hypothesis": "h", "probes": [{"phase": "before", kind: value, **more}]}
    check = parse(drill, lab).probes[0].check
    assert isinstance(check, Asked)
    return check


def refusal(kind: str, value: object, lab: dict[str, Any]) -> str:
    with pytest.raises(BadInput) as refused:
        read(kind, value, lab)
    return "\n".join(map(str, refused.value.problems))


@pytest.mark.parametrize(
    ("kind", "value", "asserts", "asked"),
    [
        ("tcp", TCP, f"{KVM} connects to kanazawa-kvm1 port 22", {"to": "10.2.0.11", "port": 22, "timeout": 2.0}),
        (
            "tcp",
            {**TCP, "connects": False},
            f"{KVM} does not connect to kanazawa-kvm1 port 22",
            {"to": "10.2.0.11", "port": 22, "timeout": 2.0},
        ),
        ("http", HTTP, f"{KVM} gets {HTTP['url']} with status 200", {"url": HTTP["url"], "timeout": 2.0}),
        (
            "http",
            {"from": KVM, "to": "kanazawa-kvm1", "port": 81, "path": "/x", "status": 404, "contains": "gone"},
            f"{KVM} gets http://10.2.0.11:81/x with status 404 that has gone in it",
            {"url": "http://10.2.0.11:81/x", "timeout": 2.0},
        ),
        ("http", {"from": KVM, "to": "::1"}, f"{KVM} gets http://[::1]:80/ with status 200", None),
        (
            "dns",
            {**DNS, "type": "AAAA", "answers": ["2001:db8::1"]},
            f"kanazawa-kvm1 tells {KVM} the AAAA of www.example.org as 2001:db8::1",
            {"server": "10.2.0.11", "port": 53, "name": "www.example.org", "kind": "AAAA", "timeout": 2.0},
        ),
        (
            "throughput",
            {"from": KVM, "to": "kanazawa-kvm1", "for": "3s", "at_least": "50mbit"},
            f"{KVM} sends kanazawa-kvm1 at least 50 Mbit/s",
            None,
        ),
        (
            "bgp",
            {"node": ROUTER, "to": "naist", "via": "osaka", "vrf": "storage"},
            f"BGP on {ROUTER} has a path to naist via osaka in storage",
            {"prefix": "10.3.0.0/24", "vrf": "storage"},
        ),
        ("bgp", {"node": ROUTER, "to": "naist", "present": False}, f"BGP on {ROUTER} has no path to naist", None),
        (
            "bfd",
            {"node": ROUTER, "neighbor": "osaka"},
            f"BFD on {ROUTER} to osaka is up",
            {"neighbor": "10.254.0.1"},
        ),
        (
            "command",
            {"node": KVM, "argv": ["echo", "a b"], "equals": "a b"},
            f"echo a b on {KVM} says what is a b",
            {"argv": ["echo", "a b"], "timeout": 10.0},
        ),
        ("command", {"node": KVM, "argv": ["false"], "rc": 1}, f"false on {KVM} ends with 1", None),
        (
            "check",
            {"node": KVM, "script": "/usr/lib/check", "args": ["-w", "3"], "worst": "warning"},
            f"/usr/lib/check says that {KVM} is ok or warning",
            {"argv": ["/usr/lib/check", "-w", "3"], "timeout": 10.0},
        ),
        ("service", {"node": KVM, "unit": "ssh.service"}, f"ssh.service on {KVM} is active", {"unit": "ssh.service"}),
        (
            "file",
            {"node": KVM, "path": "/etc/hosts", "sha256": DIGEST},
            f"/etc/hosts on {KVM} has the SHA-256 {DIGEST[:12]}...",
            {"path": "/etc/hosts"},
        ),
        (
            "storage",
            {"node": KVM, "quorum": True, "healed": True},
            f"the storage of {KVM} has quorum and is healed",
            {},
        ),
    ],
)
def test_questions(lab: dict[str, Any], kind: str, value: object, asserts: str, asked: dict[str, Any] | None) -> None:
    check = read(kind, value, lab)
    assert check.asserts() == asserts
    question = check.question("run")
    assert asked is None or {key: item for key, item in question.items() if key != "type"} == asked
    problems = Problems()
    for _node, each in check.questions("p", "run"):
        probes.read(each, problems, {"id": str})
    assert problems.found == []


@pytest.mark.parametrize(
    ("kind", "value", "message"),
    [
        ("tcp", {**TCP, "port": 0}, "port: 0 is not a whole number from 1 to 65535"),
        ("tcp", {**TCP, "to": "kanazawa-kvm"}, "did you mean kanazawa-kvm1?"),
        ("tcp", {**TCP, "timeout": "2min"}, "an answer is waited for 10ms to 30s"),
        ("http", {"from": KVM}, "url: is missing; or give to, port and path"),
        ("http", {**HTTP, "port": 3}, "port: is a part of the url"),
        ("http", {**HTTP, "url": "ftp://h.example/"}, "ftp://h.example/ is not the address of a page"),
        ("http", {**HTTP, "url": "http://[::1/"}, "is not the address of a page"),
        ("http", {**HTTP, "url": "http://h.example:99999/"}, "is not the address of a page"),
        ("http", {**HTTP, "matches": "("}, "( is not a regular expression"),
        ("dns", {**DNS, "name": "a..b"}, "a..b is not a name"),
        ("dns", {**DNS, "type": "AAA"}, "did you mean AAAA?"),
        ("dns", {**DNS, "answers": ["x"]}, "x is not an address"),
        ("throughput", {"from": KVM, "to": KVM, "at_least": "1mbit"}, "to: is hiroshima-kvm1 itself"),
        ("throughput", {"from": KVM, "to": "10.2.0.11", "at_least": "1mbit"}, "there is no node 10.2.0.11"),
        ("throughput", {"from": KVM, "to": ROUTER, "for": "1min", "at_least": 1e6}, "is measured for 0.1 s to 20 s"),
        ("bgp", {"node": ROUTER, "to": "naist", "via": "naist"}, "naist is no neighbour of hiroshima-r1"),
        ("bgp", {"node": ROUTER, "to": "naist", "via": "osaka", "present": False}, "of a path that is present"),
        ("bfd", {"node": ROUTER, "neighbor": "osakka"}, "did you mean osaka?"),
        ("command", {"node": KVM, "argv": "ls -l"}, "argv: ls -l is not a list"),
        ("command", {"node": KVM, "argv": []}, "is not a command"),
        ("command", {"node": KVM, "argv": ["ls", 3]}, "is not a list of texts"),
        ("check", {"node": KVM, "script": "check"}, "check is not the absolute path of a file"),
        ("check", {"node": KVM, "script": "/x", "worst": "warn"}, "there is no state of a service warn"),
        ("service", {"node": KVM, "unit": "--now"}, "--now is not the name of a unit"),
        ("file", {"node": KVM, "path": "/x", "sha256": "12"}, "12 is not a SHA-256"),
        ("file", {"node": KVM, "path": "/x"}, "has to have either sha256 or same_as: before"),
        ("file", {"node": KVM, "path": "/x", "same_as": "after"}, "there is no phase to compare with after"),
        ("file", {"node": KVM, "path": "/x", "same_as": "before"}, "compares with the phase before"),
        ("storage", {"node": KVM}, "says neither quorum nor healed"),
    ],
)
def test_questions_that_make_no_sense(lab: dict[str, Any], kind: str, value: object, message: str) -> None:
    assert message in refusal(kind, value, lab)


@pytest.mark.parametrize(
    ("kind", "value", "ok", "answer", "faults"),
    [
        ("tcp", TCP, True, {"connected": True, "ms": 5.0}, []),
        ("tcp", TCP, False, {"connected": False, "ms": None}, ["it does not connect"]),
        ("tcp", {**TCP, "connects": False}, False, {"connected": False, "ms": None}, []),
        ("tcp", {**TCP, "connects": False}, True, {"connected": True, "ms": 1.0}, ["it connects, and should not"]),
        ("tcp", {**TCP, "max_time": "4ms"}, True, {"connected": True, "ms": 5.0}, ["5 ms, expected at most 4 ms"]),
        ("http", HTTP, True, PAGE, []),
        ("http", HTTP, True, {**PAGE, "status": 503}, ["status 503, expected 200"]),
        ("http", {**HTTP, "contains": "well"}, True, PAGE, []),
        ("http", {**HTTP, "equals": "all is well"}, True, PAGE, []),
        ("http", {**HTTP, "matches": "^all .* well$"}, True, {**PAGE, "body": "all is well"}, []),
        ("http", {**HTTP, "contains": "ill"}, True, {**PAGE, "body": ""}, ["says nothing, expected with ill in it"]),
        ("http", {**HTTP, "max_time": "2ms"}, True, PAGE, ["3 ms, expected at most 2 ms"]),
        ("http", HTTP, False, {"status": None, "ms": None}, ["no answer"]),
        ("dns", DNS, True, KNOWN, []),
        ("dns", DNS, False, UNKNOWN, ["the name is not known"]),
        ("dns", {**DNS, "answers": ["192.0.2.2", "192.0.2.1"]}, True, KNOWN, []),
        ("dns", {**DNS, "answers": []}, False, UNKNOWN, []),
        ("dns", {**DNS, "answers": "192.0.2.1"}, True, KNOWN, ["answers 192.0.2.1, 192.0.2.2, expected 192.0.2.1"]),
        ("dns", {**DNS, "answers": []}, False, {"code": None, "answers": [], "ms": None}, ["no answer"]),
        ("throughput", SENDS, True, {"bits_per_s": 2e6}, []),
        ("throughput", SENDS, True, {"bits_per_s": 999999}, ["expected at least 1 Mbit/s"]),
        ("throughput", SENDS, False, {"bits_per_s": None}, ["not measured"]),
        ("bgp", {"node": ROUTER, "to": "naist", "present": False}, False, {"paths": 0, "via": []}, []),
        ("bgp", {"node": ROUTER, "to": "naist"}, False, {"paths": 0, "via": []}, ["there is no best path"]),
        (
            "bgp",
            {"node": ROUTER, "to": "naist", "via": "otemachi"},
            True,
            OVER_OSAKA,
            ["the best path does not lead to otemachi"],
        ),
        ("bfd", {"node": ROUTER, "neighbor": "osaka"}, True, {"status": "up"}, []),
        ("bfd", {"node": ROUTER, "neighbor": "osaka"}, False, {"status": None}, ["it is not up"]),
        ("bfd", {"node": ROUTER, "neighbor": "osaka", "up": False}, False, {"status": "down"}, []),
        ("command", {"node": KVM, "argv": ["x"], "rc": 1}, False, {"rc": 1, "output": ""}, []),
        ("command", {"node": KVM, "argv": ["x"]}, False, {"rc": 1, "output": ""}, ["exit code 1, expected 0"]),
        ("check", {"node": KVM, "script": "/x"}, False, {"rc": 1}, ["warning, expected ok"]),
        ("check", {"node": KVM, "script": "/x", "worst": "warning"}, False, {"rc": 1}, []),
        ("check", {"node": KVM, "script": "/x", "worst": "critical"}, False, {"rc": 2}, []),
        (
            "check",
            {"node": KVM, "script": "/x", "worst": "critical"},
            False,
            {"rc": 3},
            ["unknown, expected ok or warning or critical"],
        ),
        ("service", {"node": KVM, "unit": "a"}, True, {"loaded": True}, []),
        ("service", {"node": KVM, "unit": "a", "active": False}, True, {"loaded": True}, ["expected not active"]),
        ("service", {"node": KVM, "unit": "a", "active": False}, False, {"loaded": False}, ["it is not known"]),
        ("file", {"node": KVM, "path": "/x", "sha256": DIGEST.upper()}, True, {"sha256": DIGEST}, []),
        (
            "file",
            {"node": KVM, "path": "/x", "sha256": DIGEST},
            True,
            {"sha256": "0"},
            [f"expected the SHA-256 {DIGEST}"],
        ),
        ("file", {"node": KVM, "path": "/x", "sha256": DIGEST}, False, {}, ["it could not be read"]),
        ("storage", {"node": KVM, "quorum": True, "healed": True}, True, SEEN, []),
        ("storage", {"node": KVM, "quorum": True}, False, {**SEEN, "connected": 1}, ["it has no quorum"]),
        ("storage", {"node": KVM, "quorum": False}, False, {**SEEN, "connected": 1}, []),
        ("storage", {"node": KVM, "healed": True}, False, {**SEEN, "pending": 4}, ["it is not healed"]),
        (
            "storage",
            {"node": KVM, "quorum": False},
            False,
            {**SEEN, "members": None, "connected": None},
            ["whether it has quorum is not known"],
        ),
    ],
)
def test_answers(
    lab: dict[str, Any], kind: str, value: object, ok: bool, answer: dict[str, Any], faults: list[str]
) -> None:
    assert read(kind, value, lab).faults(Answer(ok, answer, "said"), Context(Places(lab))) == faults


NEVER_ASKED = {
    "ping": {"from": KVM, "to": "kanazawa-kvm1", "answers": False},
    "tcp": {**TCP, "connects": False},
    "bgp": {"node": ROUTER, "to": "naist", "present": False},
    "bfd": {"node": ROUTER, "neighbor": "osaka", "up": False},
    "command": {"node": KVM, "argv": ["x"], "rc": 1},
    "check": {"node": KVM, "script": "/x", "worst": "critical"},
    "service": {"node": KVM, "unit": "a", "active": False},
    "file": {"node": KVM, "path": "/x", "sha256": DIGEST},
    "storage": {"node": KVM, "quorum": False},
    "dns": {**DNS, "answers": []},
    "http": HTTP,
    "throughput": SENDS,
}


@pytest.mark.parametrize("kind", NEVER_ASKED)
def test_a_question_that_could_not_be_asked_holds_for_nobody(lab: dict[str, Any], kind: str) -> None:
    check = read(kind, NEVER_ASKED[kind], lab)
    assert check.faults(Answer(False, {}, "the probe could not be run"), Context(Places(lab)))


@pytest.mark.parametrize(
    ("before", "now", "faults"),
    [
        ({"sha256": "1"}, "1", []),
        ({"sha256": "1"}, "2", ["expected the SHA-256 1"]),
        (None, "1", ["what it was before is not known"]),
    ],
)
def test_a_file_that_has_to_be_as_before(
    lab: dict[str, Any], before: dict[str, Any] | None, now: str, faults: list[str]
) -> None:
    check = File(KVM, "/x", None)
    assert (check.compares, check.asserts()) == (True, f"/x on {KVM} is as before")
    assert check.faults(Answer(True, {"sha256": now}, "said"), Context(Places(lab), before=before)) == faults


def test_throughput_has_a_sink_at_its_other_end(lab: dict[str, Any]) -> None:
    cut = {"at": 5, "for": 10, "fault": "link_down", "circuit": "hiroshima-kanazawa"}
    probe = {"phase": "on_fault", "throughput": SENDS}
    drill = parse({"name": "d", "hypothesis": "h", "timeline": [cut], "probes": [probe]}, lab)
    found = programs(drill, "d-1", Places(lab), 0.0, {})
    [sends], [hears] = found[KVM]["probes"], found["kanazawa-kvm1"]["probes"]
    assert (sends["type"], hears["type"], sends["at"], hears["at"]) == ("throughput", "sink", 10.0, 10.0)
    assert (sends["to"], sends["from"], sends["port"]) == (hears["local"], hears["peer"], hears["port"])


def test_every_kind_has_a_name_of_its_own() -> None:
    assert len(CHECKS) == 17
