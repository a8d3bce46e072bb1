# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a request may say, and what it is told when it is wrong."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.okiagari.testbed.plugins.module_utils.errors import BadInput
from ansible_collections.okiagari.testbed.plugins.module_utils.project.request import Request, from_plain, plain, read
from ansible_collections.okiagari.testbed.plugins.module_utils.topology.load import parse
from ansible_collections.okiagari.testbed.plugins.module_utils.topology.schema import Problems
from hypothesis import given, settings
from hypothesis import strategies as st

GOOD = """
project: exp1
contact: someone@example.org
authorized_keys:
  - ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ1r2Jb8m0Xw3nC2G5v7kQ9s4uY6tR1eW8zA3xB5dF7h someone@example.org
networks:
  lan: {sites: all}
  inner: {sites: [hiroshima, kanazawa], prefix: 192.168.7.0/24, vlan: 250}
machines:
  web: {count: 3, networks: [lan]}
  db: {sites: [kanazawa], vcpus: 2, memory: 1gib, disk: 4gib, template: debian-13}
"""


def told(text: str, testbed: dict[str, Any]) -> list[str]:
    """Give what the owner of the file is told."""
    problems = Problems("exp1.yml")
    root = parse(text, problems)
    if root is not None:
        read(root, problems, testbed)
    return [str(problem) for problem in problems.found]


def test_a_good_request(testbed: dict[str, Any]) -> None:
    problems = Problems("exp1.yml")
    root = parse(GOOD, problems)
    assert root is not None
    request = read(root, problems, testbed)
    assert problems.found == []
    assert (request.name, request.contact) == ("exp1", "someone@example.org")
    assert [key.split()[::2] for key in request.authorized_keys] == [["ssh-ed25519", "someone@example.org"]]
    lan, inner = request.networks.values()
    assert (lan.sites, lan.prefix, lan.vlan) == (("hiroshima", "kanazawa", "naist"), None, None)
    assert (inner.sites, inner.prefix, inner.vlan) == (("hiroshima", "kanazawa"), "192.168.7.0/24", 250)
    web, db = request.machines.values()
    assert (web.count, web.networks, web.vcpus, web.memory_mib, web.disk_mib) == (3, ("lan",), 1, 96, 0)
    assert web.sites == ("hiroshima", "kanazawa"), "without sites: those with KVM hosts"
    assert (db.count, db.networks, db.sites) == (1, ("lan", "inner"), ("kanazawa",))
    assert (db.vcpus, db.memory_mib, db.disk_mib, db.template) == (2, 1024, 4096, "debian-13")


def test_the_same_request_without_places(testbed: dict[str, Any]) -> None:
    problems = Problems("exp1.yml")
    root = parse(GOOD, problems)
    assert root is not None
    placed, unplaced = read(root, problems, testbed), from_plain(plain(root), testbed)
    assert shown(placed) == shown(unplaced)


def shown(request: Request) -> list[object]:
    parts = [*request.networks.values(), *request.machines.values()]
    return [{key: value for key, value in vars(part).items() if key != "place"} for part in parts]


def test_everything_is_told_at_once_with_its_line(testbed: dict[str, Any]) -> None:
    text = """project: Exp 1
contact: [me]
netwoks: {}
networks:
  lan: {sites: [hirosima, kanazawa, kanazawa]}
  other: {prefix: 10.0.0.1/24, vlan: 7}
  third: {sites: [kanazawa]}
machines:
  web: {count: 0, memry: 4, networks: [lann, third]}
  db: {networks: [third], sites: [hiroshima], memory: 96mb}
"""
    assert told(text, testbed) == [
        (
            "exp1.yml:1: project: Exp 1 is no name: it has at most 20 small letters, digits and inner hyphens, "
            "and begins with a letter; did you mean exp-1?"
        ),
        "exp1.yml:2: contact: must be one line of text, of at most 200 characters",
        (
            "exp1.yml:3: netwoks: unknown key, not one of project, contact, authorized_keys, networks, machines; "
            "did you mean networks?"
        ),
        "exp1.yml:5: networks.lan.sites[0]: the testbed has no site hirosima; did you mean hiroshima?",
        "exp1.yml:5: networks.lan.sites[2]: kanazawa is given twice",
        (
            "exp1.yml:6: networks.other.prefix: 10.0.0.1/24 has bits set to the right of its length; "
            "did you mean 10.0.0.0/24?"
        ),
        "exp1.yml:6: networks.other.vlan: must be a whole number from 100 to 3999, not 7",
        "exp1.yml:9: machines.web.count: must be a whole number from 1 to 500, not 0",
        (
            "exp1.yml:9: machines.web.memry: unknown key, not one of count, sites, vcpus, memory, disk, networks, "
            "template; did you mean memory?"
        ),
        "exp1.yml:9: machines.web.networks[0]: the project has no network lann; did you mean lan?",
        "exp1.yml:10: machines.db.memory: 96mb has the unknown unit mb, not one of mib, gib, tib; did you mean mib?",
        "exp1.yml:10: machines.db.sites: the network third doesn't span hiroshima",
    ]


@pytest.mark.parametrize(
    ("request_text", "message"),
    [
        ("", "the description is empty"),
        ("[]", "must be a mapping"),
        ("project: [", "not YAML"),
        ("project: exp1", "the key networks is missing"),
        ("networks: {lan: {}}", "the key project is missing"),
        ("{project: exp1, networks: {}}", "a project needs at least one network"),
        ("{project: exp1, authorized_keys: key}", "must be a list of public keys"),
        ("{project: exp1, authorized_keys: [key]}", "authorized_keys[0]: is not a public key"),
        ("{project: exp1, authorized_keys: ['-----BEGIN OPENSSH PRIVATE KEY-----']}", "take a new pair"),
        ("{project: exp1, networks: [lan]}", "networks: must be a mapping of names"),
        ("{project: exp1, networks: {lan: }}", "networks.lan: must be a mapping of keys to values, not nothing"),
        ("{project: exp1, networks: {lan: {sites: []}}}", "must name at least one site"),
        ("{project: exp1, networks: {lan: {sites: 3}}}", "must be a list of sites, or all"),
        ("{project: exp1, networks: {lan: {prefix: 10.0.0.0/8}}}", "must have a length from /16 to /29"),
        ("{project: exp1, networks: {lan: {prefix: fd00::/64}}}", "is not a network such as"),
        ("{project: exp1, networks: {lan: {prefix: 224.0.0.0/24}}}", "is not a range for hosts"),
        ("{project: exp1, networks: {lan: {vlan: 250}, b: {vlan: 250}}}", "the VLAN 250 is that of lan already"),
        (
            "{project: exp1, networks: {a: {prefix: 10.9.0.0/16}, b: {prefix: 10.9.1.0/24}}}",
            "networks.b.prefix: 10.9.1.0/24 overlaps 10.9.0.0/16 of a",
        ),
        (
            "{project: exp1, networks: {a: {prefix: 10.9.0.0/29}}, machines: {web: {count: 6}}}",
            "networks.a.prefix: 10.9.0.0/29 has addresses for 5 machines, 6 are asked",
        ),
        ("{project: exp1, networks: {a: {}}, machines: {web: {memory: 64mib}}}", "must be at least 80mib"),
        ("{project: exp1, networks: {a: {}}, machines: {web: {vcpus: true}}}", "must be a whole number"),
        ("{project: exp1, networks: {a: {}}, machines: {web: {template: ../x}}}", "is no name of a template"),
        ("{project: exp1, networks: {a: {sites: [naist]}}, machines: {web: {}}}", "no site with a KVM host has all"),
        ("{project: exp1, networks: {a: {}}, machines: {W: {}}}", "machines.W: W is no name"),
    ],
)
def test_a_bad_request(request_text: str, message: str, testbed: dict[str, Any]) -> None:
    said = told(request_text, testbed)
    assert any(message in line for line in said), said


def test_a_machine_that_is_named_as_a_node(testbed: dict[str, Any]) -> None:
    nodes = {**testbed["nodes"], "exp1-web-2": testbed["nodes"]["osaka"]}
    with pytest.raises(BadInput, match=r"machines\.web: the name exp1-web-2 is that of a node"):
        from_plain(
            {"project": "exp1", "networks": {"a": {}}, "machines": {"web": {"count": 2}}}, {**testbed, "nodes": nodes}
        )


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.sampled_from(["all", "kanazawa", "1gib"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["project", "networks", "machines", "lan", "sites", "prefix", "vlan", "count", "memory", "vcpus"]
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=20,
)


@settings(max_examples=100)
@given(data=anything)
def test_whatever_is_asked_it_is_read_or_refused(data: object, testbed: dict[str, Any]) -> None:
    try:
        request = from_plain(data, testbed)
    except BadInput:
        pass
    else:
        assert request.name
        assert request.networks
