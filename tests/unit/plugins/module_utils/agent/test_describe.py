# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.okiagari.testbed.plugins.module_utils.agent.config import read_config
from ansible_collections.okiagari.testbed.plugins.module_utils.agent.describe import agent, links, services
from ansible_collections.okiagari.testbed.plugins.module_utils.errors import BadInput
from ansible_collections.okiagari.testbed.plugins.module_utils.topology import load
from hypothesis import given
from hypothesis import strategies as st

FOLDER = "/etc/x"
TEMPLATES = {"tiny": "/pool/templates/tiny-1"}
PROXY: dict[str, Any] = {"port": 7080, "to": "{address}:7000"}
GUEST: dict[str, Any] = {"memory": 64, "disks": {"root": {"image": "/base"}}}
ROUTED = {"routed": True, "gateway": "10.253.0.1"}
INVENTORY = Path(__file__).parents[5] / "inventory"
TESTBEDS: dict[str, dict[str, Any]] = {
    name: load(INVENTORY / name / "testbed.yml").to_dict() for name in ("lab", "distcloud")
}


def hosts_of(testbed: dict[str, Any]) -> list[str]:
    return [name for name, node in testbed["nodes"].items() if node["kind"] == "kvm_host"]


def parted(joined: dict[str, list[str]], lost: str | None) -> bool:
    """Say whether those that are left don't all reach each other."""
    left = joined.keys() - {lost}
    seen, queue = set(), [min(left)]
    while queue:
        host = queue.pop()
        seen.add(host)
        queue += [other for other in joined[host] if other in left - seen]
    return seen != left


def look_at(testbed: dict[str, Any], hosts: list[str]) -> None:
    joined = links(testbed, hosts)
    assert sorted(joined) == sorted(hosts)
    for host, others in joined.items():
        assert others == sorted(set(others) - {host})
        assert all(host in joined[other] for other in others)
        sites = {testbed["nodes"][other]["site"] for other in hosts} - {testbed["nodes"][host]["site"]}
        away = [other for other in others if testbed["nodes"][other]["site"] != testbed["nodes"][host]["site"]]
        assert len(away) >= min(2, len(sites))
    assert not parted(joined, None)
    if len(hosts) > 1:
        assert not [host for host in hosts if parted(joined, host)]


@pytest.mark.parametrize("name", TESTBEDS)
def test_no_host_of_an_inventory_parts_the_others(name: str) -> None:
    testbed = TESTBEDS[name]
    hosts = hosts_of(testbed)
    look_at(testbed, hosts)
    # What each keeps doesn't grow with the testbed, on the average: 2 of the ring and 2 nearest, seen from both ends.
    assert sum(map(len, links(testbed, hosts).values())) <= 8 * len(hosts)


@st.composite
def networks(draw: st.DrawFn) -> dict[str, Any]:
    count = draw(st.integers(1, 9))
    nodes = {
        f"h{number}": {"kind": "kvm_host", "site": f"s{draw(st.integers(0, 4))}", "interfaces": []}
        for number in range(count)
    }
    names, delays = sorted(nodes), st.floats(0, 50)
    pairs = draw(st.lists(st.tuples(st.sampled_from(names), st.sampled_from(names)), max_size=15))
    circuits = {
        f"c{number}": {"a": a, "b": b, "delay_ms": draw(delays)}
        for number, (a, b) in enumerate(pairs) if a != b
    }  # fmt: skip
    sites: dict[str, Any] = {}
    for name, node in nodes.items():
        sites.setdefault(node["site"], {"nodes": []})["nodes"].append(name)
    return {"name": "t", "nodes": nodes, "circuits": circuits, "sites": sites}


@given(networks(), st.randoms(use_true_random=False))
def test_no_host_of_any_testbed_parts_the_others(testbed: dict[str, Any], chance: Any) -> None:
    hosts = sorted(testbed["nodes"])
    chance.shuffle(hosts)
    look_at(testbed, hosts)


def test_the_nearest_of_other_sites_are_linked() -> None:
    nodes = {f"h{number}": {"kind": "kvm_host", "site": f"s{number}", "interfaces": []} for number in range(6)}
    # A chain whose hops take longer the farther they are.
    circuits = {f"c{n}": {"a": f"h{n}", "b": f"h{n + 1}", "delay_ms": n + 1} for n in range(5)}
    testbed = {"nodes": nodes, "circuits": circuits, "sites": {f"s{n}": {"nodes": [f"h{n}"]} for n in range(6)}}
    joined = links(testbed, sorted(nodes))
    assert joined["h0"] == ["h1", "h2", "h5"]
    assert joined["h3"] == ["h2", "h4", "h5"]
    assert links(testbed, []) == {}
    assert links(testbed, ["h4"]) == {"h4": []}
    assert links(testbed, ["h4", "h2"]) == {"h2": ["h4"], "h4": ["h2"]}


def test_an_agent_reads_what_is_described_and_each_link_is_opened_from_one_end(tmp_path: Path) -> None:
    testbed = TESTBEDS["lab"]
    hosts = hosts_of(testbed)
    addresses = {host: f"192.0.2.{number}" for number, host in enumerate(hosts)}
    asked = {"db": {"command": ["/bin/db"], "request": ["tcp", "{address}", 7000, "ping"]}}
    opened = []
    for host in hosts:
        said = agent(
            testbed, host, hosts, addresses=addresses, port=7447, certificates=dict.fromkeys(hosts, "PEM"),
            store=["https://192.0.2.1:2379"], folder="/etc/x",
        )  # fmt: skip
        (tmp_path / "agent.json").write_text(said)
        (tmp_path / "services").mkdir(exist_ok=True)
        for name, content in services(testbed, hosts, hosts[:3], asked, FOLDER, TEMPLATES).items():
            (tmp_path / "services" / f"{name}.json").write_text(content)
        config = read_config(tmp_path / "agent.json")
        opened += [{addresses[host], end.removeprefix("tls/").partition(":")[0]} for end in config.connect]
        assert (config.name, config.cgroup, str(config.tls.key)) == (host, True, "/etc/x/key.pem")
        service = config.services["db"]
        assert (service.candidates, service.request[2]) == (tuple(hosts), "7000")
        assert list(service.charter.voters) == sorted(hosts[:3])
        assert service.charter.voters[hosts[0]] == testbed["nodes"][hosts[0]]["site"]
    joined = links(testbed, hosts)
    pairs = {frozenset((addresses[a], addresses[b])) for a, others in joined.items() for b in others}
    assert set(map(frozenset, opened)) == pairs
    assert len(opened) == len(pairs)


@pytest.mark.parametrize(
    ("asked", "messages"),
    [
        ({"db": 3}, ["services.db: it is not a mapping, but 3"]),
        ({"db": {}}, ["services.db: has no command: say what is to be run"]),
        ({"db": {"command": ["x"], "machine": GUEST}}, ["services.db: has a command and a machine"]),
        ({"db": {"command": ["x"], "checkpoint": {}}}, ["services.db: has a checkpoint and no machine"]),
        ({"db": {"machine": GUEST | {"cpu": 1}}}, ["services.db.machine.cpu: is not known; did you mean cpus?"]),
        ({"db": {"machine": GUEST | {"type": "pc,x"}}}, ["services.db.machine.type: is no machine type: take"]),
        (
            {"db": {"machine": {"memory": 64, "template": "tyny"}}},
            ["services.db: asks for the template tyny, which is not known; did you mean tiny?"],
        ),
        ({"db": {"machine": {"memory": 64}}}, ["services.db.machine.disks: is empty: give the image of a disk, or a"]),
        (
            {"db": {"comand": ["x"]}},
            ["services.db: has no command", "services.db.comand: is not known; did you mean command?"],
        ),
        ({"../x": {"command": ["x"]}}, ["services.../x: is no name of a service"]),
        ({"x" * 41: {"command": ["x"]}}, ["is no name of a service"]),
        ({"db": {"command": ["x"], "commands": 3}}, ["services.db.commands: is not known; did you mean command?"]),
        (
            {"db": {"command": ["x"], "voters": ["naist-kvm1", "naist-kvm2", "kanazawa-kvm1"]}},
            ["services.db.voters: naist-kvm1 and naist-kvm2 fall together with naist"],
        ),
        (
            {"db": {"command": [], "candidates": ["naist-kvm9"]}, "web": {"command": ["x"], "watch": {"need": 3}}},
            [
                "services.db.candidates: there is no agent naist-kvm9; did you mean naist-kvm2?",
                "services.db.command: is empty",
                "services.web.watch.need: is not known; did you mean needed?",
            ],
        ),
        ({"db": {"command": ["x"], "timing": {"ttl_s": 1}}}, ["services.db.timing.ttl_s: "]),
        ({"db": {"command": ["x"], "request": ["tcp", "{address}"]}}, ["services.db.request: is not of the form"]),
        ({"db": {"command": ["x"], "consistency": "quorums"}}, ["services.db.consistency: there is no consistency"]),
        (
            {"db": {"command": ["x"], "consistency": "available"}, "web": {"command": ["x"], "merge": {"export": []}}},
            ["services.db.merge: is missing: say how", "services.web.merge: is only for the consistency available"],
        ),
        (
            {
                "db": {"command": ["x"], "proxy": PROXY | {"mod": "tcp"}},
                "web": {"command": ["x"], "proxy": PROXY},
                "net": {"command": ["x"], "proxy": PROXY | {"port": 7447}},
                "log": {"command": ["x"], "proxy": PROXY},
            },
            [
                "services.db.proxy.mod: is not known; did you mean mode?",
                "services.net.proxy.port: 7447 is the agents' port already: choose another one",
                "services.log.proxy.port: 7080 is web's port already: choose another one",
            ],
        ),
        (
            {
                name: {"machine": {**GUEST, "networks": {"front": {**ROUTED, "address": f"{address}/24"}}}}
                for name, address in (("web", "10.253.0.9"), ("db", "10.253.0.9"), ("log", "10.2.0.9"), ("net", "x"))
            },
            [
                "services.net.machine.networks.front: 'x/24' does not appear to be an IPv4 or IPv6 interface",
                "services.db.machine.networks.front.address: 10.253.0.9 is web's, too",
                "services.log.machine.networks.front.address: 10.2.0.9 isn't in prefixes.guests (10.253.0.0/16)",
            ],
        ),
    ],
)
def test_services_that_are_refused(asked: dict[str, Any], messages: list[str]) -> None:
    testbed = TESTBEDS["lab"]
    hosts = sorted({*hosts_of(testbed), "naist-kvm1"})
    nodes = {**testbed["nodes"], "naist-kvm2": testbed["nodes"]["naist-kvm1"]}
    hosts.append("naist-kvm2")
    voters = hosts_by_site(testbed)[:3]
    with pytest.raises(BadInput) as refused:
        services({**testbed, "nodes": nodes}, hosts, voters, asked, FOLDER, TEMPLATES, 7447)
    said = [str(problem) for problem in refused.value.problems]
    assert len(said) == len(messages)
    assert all(message in text for text, message in zip(said, messages, strict=True)), said


def test_voters_of_all_services_have_to_be_agents() -> None:
    testbed = TESTBEDS["lab"]
    hosts = hosts_of(testbed)
    voters = [*hosts_by_site(testbed)[:2], "naist"]
    with pytest.raises(BadInput, match=r"services\.db\.voters: there is no agent naist"):
        services(testbed, hosts, voters, {"db": {"command": ["x"]}}, FOLDER, TEMPLATES)


def test_a_guest_has_its_key_and_the_program_that_runs_it() -> None:
    testbed = TESTBEDS["lab"]
    hosts = hosts_of(testbed)
    asked = {"db": {"machine": GUEST, "request": ["/bin/ask"], "checkpoint": {"period_s": 3, "on_request": True}}}
    said = json.loads(services(testbed, hosts, hosts_by_site(testbed)[:3], asked, FOLDER, TEMPLATES)["db"])
    assert said["command"] == ["/usr/local/bin/okiagari-agent", "vm", "db"]
    assert said["checkpoint"] == {"period_s": 3, "on_request": True, "key": "/etc/x/keys/db"}


def hosts_by_site(testbed: dict[str, Any]) -> list[str]:
    first: dict[str, str] = {}
    for host in hosts_of(testbed):
        first.setdefault(testbed["nodes"][host]["site"], host)
    return list(first.values())


def test_what_is_written_is_the_same_each_time() -> None:
    testbed = TESTBEDS["lab"]
    hosts = hosts_of(testbed)
    asked = {"db": {"command": ["x"], "priorities": {hosts[1]: 2, hosts[0]: 1}}}
    first = services(testbed, hosts, hosts_by_site(testbed)[:3], asked, FOLDER, TEMPLATES)["db"]
    again = {"db": {"priorities": {hosts[0]: 1, hosts[1]: 2}, "command": ["x"]}}
    assert services(testbed, hosts, hosts_by_site(testbed)[:3], again, FOLDER, TEMPLATES)["db"] == first
    assert json.loads(first)["candidates"] == hosts
