# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from ansible_collections.okiagari.testbed.plugins.module_utils.agent.config import read_config
from ansible_collections.okiagari.testbed.plugins.module_utils.agent.merge_hooks import MergeHooks
from ansible_collections.okiagari.testbed.plugins.module_utils.errors import BadInput
from ansible_collections.okiagari.testbed.plugins.module_utils.haproxy import Proxy
from ansible_collections.okiagari.testbed.plugins.module_utils.watch import Watch

from .agents import write

if TYPE_CHECKING:
    from pathlib import Path

AGENT: dict[str, Any] = {
    "testbed": "t", "name": "a", "listen": ["tls/192.0.2.1:7447"], "connect": [], "state": "/s", "run": "/r",
    "tls": {"authority": "/ca", "certificate": "/c", "key": "/k"},
    "peers": {
        name: {"domain": f"site-{name}", "address": "192.0.2.1", "certificate": "PEM", "links": ["a"]} for name in "abc"
    },
    "store": ["https://192.0.2.1:2379"],
}  # fmt: skip
SERVICE: dict[str, Any] = {
    "command": ["/bin/db", "--serve"], "voters": {name: f"site-{name}" for name in "abc"}, "candidates": ["a", "b"],
}  # fmt: skip


def described(folder: Path, agent: dict[str, Any] | None = None, **services: Any) -> Path:
    for name, service in services.items():
        write(folder / "services" / f"{name}.json", SERVICE | service)
    return write(folder / "agent.json", AGENT | (agent or {}))


def refused(path: Path) -> list[str]:
    with pytest.raises(BadInput) as raised:
        read_config(path)
    return [str(problem).replace(f"{path.parent}/", "") for problem in raised.value.problems]


def test_a_good_one(tmp_path: Path) -> None:
    options = {"timing": {"ttl_s": 20}, "watch": {"observers": 4}, "request": ["/bin/ask"], "priorities": {"b": 3}}
    config = read_config(described(tmp_path, {"cgroup": True, "pool_mib": 9, "trace": False}, db=options, web={}))
    assert (config.me.domain, config.others, config.cgroup) == ("site-a", ("b", "c"), True)
    assert (config.pool_mib, config.trace) == (9, False)
    assert sorted(config.services) == ["db", "web"]
    service = config.services["db"]
    assert (service.name, service.command, service.request) == ("db", ("/bin/db", "--serve"), ("/bin/ask",))
    assert (service.timing.ttl_s, service.timing.poll_s, service.watch.observers) == (20, 2.0, 4)
    assert (service.charter.voters["b"], service.candidates, service.priorities) == ("site-b", ("a", "b"), {"b": 3})


def test_a_guest(tmp_path: Path) -> None:
    machine = {"memory": 128, "disks": {"root": {"image": "/base.qcow2", "format": "qcow2"}}, "cpus": 2}
    config = read_config(described(tmp_path, db={"machine": machine, "checkpoint": {"key": "/key", "period_s": 5}}))
    guest, checkpoint = config.services["db"].machine, config.services["db"].checkpoint
    assert guest is not None
    assert checkpoint is not None
    assert (guest.memory, guest.cpus, guest.arguments, guest.accelerator) == (128, 2, (), "kvm:tcg")
    assert (str(guest.disks["root"].image), guest.disks["root"].format) == ("/base.qcow2", "qcow2")
    assert (str(checkpoint.key), checkpoint.period_s, checkpoint.copies) == ("/key", 5, None)
    assert not checkpoint.on_request
    asks = {"key": "/key", "on_request": True}
    # It boots, which takes longer than a program's start.
    assert config.services["db"].watch.grace_s > Watch().grace_s
    asks_soon = {"machine": machine, "checkpoint": {"key": "/key"}, "watch": {"grace_s": 7}}
    assert read_config(described(tmp_path, db=asks_soon)).services["db"].watch.grace_s == 7
    again = read_config(described(tmp_path, db={"machine": machine, "checkpoint": asks, "request": ["/bin/ask"]}))
    assert again.services["db"].checkpoint
    assert again.services["db"].checkpoint.on_request


def test_the_networks_of_a_guest(tmp_path: Path) -> None:
    """An address that nobody gives is the same at all hosts and in all versions, for each network and service."""
    machine = {"memory": 128, "template": "/t", "networks": {
        "lan": {"bridge": "br-lan"}, "wan": {"bridge": "br-wan", "mac": "52:54:00:AA:00:01"}}}  # fmt: skip
    guests = {"machine": machine, "checkpoint": {"key": "/key"}}
    config = read_config(described(tmp_path, db=guests, web=guests))
    db, web = (config.services[name].machine for name in ("db", "web"))
    assert db
    assert web
    assert (db.networks["lan"].bridge, db.networks["wan"].mac) == ("br-lan", "52:54:00:aa:00:01")
    assert db.networks["lan"].mac == "02:86:d1:a7:e7:9e"
    assert web.networks["lan"].mac != db.networks["lan"].mac


def test_a_guest_is_told_who_it_is(tmp_path: Path) -> None:
    """A template's guest has a seed, the same on every host; one that only has disks is booted by them alone."""
    network = {"lan": {"bridge": "br-lan", "address": "10.0.0.9/24"}}
    machine = {"memory": 128, "template": "/t", "networks": network, "authorized_keys": ["ssh-ed25519 AAAA me"]}
    plain = {"memory": 128, "disks": {"root": {"image": "/i"}}, "networks": {"lan": {"bridge": "br-lan"}}}
    path = described(tmp_path, **{
        name: {"machine": said, "checkpoint": {"key": "/key"}} for name, said in (("db", machine), ("web", plain))
    })  # fmt: skip
    guests = {name: service.machine for name, service in read_config(path).services.items()}
    assert guests["db"]
    assert guests["web"]
    for said in (b"db", b"10.0.0.9/24", b"ssh-ed25519 AAAA me", guests["db"].networks["lan"].mac.encode()):
        assert said in guests["db"].seed
    assert guests["web"].seed == b""


@pytest.mark.parametrize(
    ("machine", "why"),
    [
        ({"disks": {"Root": {"image": "/i"}}}, "disks.Root: is no name: take 16 small letters"),
        ({"networks": {"l,an": {"bridge": "br"}}}, "networks.l,an: is no name: take 16 small letters"),
        ({"networks": {"lan": {"bridge": "br lan"}}}, "networks.lan: br lan is not the name of a bridge"),
        ({"networks": {"lan": {"bridge": "br", "mac": "03:00:00:00:00:01"}}}, "is not the MAC address of one card"),
        ({"networks": {"lan": {"bridge": "br", "address": "10.0.0.9"}}}, "networks.lan: 10.0.0.9 has no prefix length"),
        ({"networks": {"lan": {"bridge": "br", "adress": "10.0.0.9/8"}}}, "networks.lan: unknown key adress"),
    ],
)
def test_names_of_a_guest_that_nobody_could_use_are_told(tmp_path: Path, machine: dict[str, Any], why: str) -> None:
    guest = {"memory": 1, "template": "/t", **machine}
    (problem,) = refused(described(tmp_path, db={"machine": guest, "checkpoint": {"key": "/key"}}))
    assert why in problem


def test_more_copies_than_hosts_that_keep_them_are_refused(tmp_path: Path) -> None:
    asks = {"machine": {"memory": 1, "template": "/t"}, "checkpoint": {"key": "/key", "copies": 4, "replicas": 2}}
    (problem,) = refused(described(tmp_path, db=asks))
    assert problem.endswith("copies: is 4: the holder and 2 replicas are in fewer failure domains")


def test_all_that_is_wrong_with_a_guest_is_told(tmp_path: Path) -> None:
    machine = {"memory": 0, "disks": {}, "cpu": 2}
    checkpoint = {"key": "/key", "period_s": 0, "copies": 0, "replicas": 0, "keys": 1, "on_request": True}
    assert refused(
        described(tmp_path, db={"machine": machine, "checkpoint": checkpoint}, web={"machine": machine})
    ) == [
        f"services/{name}.json: {said}"
        for name, said in (
            ("db", "machine.cpu: is not known; did you mean cpus?"),
            ("db", "checkpoint.keys: is not known; did you mean key?"),
            ("db", "checkpoint.period_s: 0 is not a number from 0.1 to 86400"),
            ("db", "checkpoint.copies: 0 is not a whole number from 1 to 16"),
            ("db", "checkpoint.replicas: 0 is not a whole number from 1 to 16"),
            ("db", "checkpoint.on_request: needs a request, in whose answer the service asks for it"),
            ("db", "machine.memory: is less than 1 MiB"),
            ("db", "machine.disks: is empty: give the image of a disk, or a template"),
            ("web", "machine: is a guest whose states are kept: give checkpoint with it, and only with it"),
            ("web", "machine.cpu: is not known; did you mean cpus?"),
            ("web", "machine.memory: is less than 1 MiB"),
            ("web", "machine.disks: is empty: give the image of a disk, or a template"),
        )
    ]


def test_an_agent_without_services_needs_no_store(tmp_path: Path) -> None:
    config = read_config(described(tmp_path, {"store": []}))
    assert (config.services, config.trace) == ({}, True)
    assert refused(described(tmp_path, {"store": []}, db={})) == [
        "agent.json: store: is empty: services need a store of leases; say where its members are"
    ]


def test_a_service_of_each_part_needs_no_store_and_says_how_it_is_merged(tmp_path: Path) -> None:
    hooks = {"export": ["/bin/db", "dump"], "merge": ["/bin/db", "load"], "folder": "/var/lib/db"}
    options = {"consistency": "available", "voters": {}}
    path = described(tmp_path, {"store": []}, db=options | {"merge": hooks}, web=options | {"merge": "discard"})
    db, web = read_config(path).services.values()
    assert db.hooks == MergeHooks(("/bin/db", "dump"), ("/bin/db", "load"), "/var/lib/db")
    assert web.hooks is None
    assert db.charter.consistency == "available"


def test_more_servers_beside_each_other_need_a_hook_that_writes_the_state_of_one_that_runs(tmp_path: Path) -> None:
    hooks = {"export": ["/bin/db", "dump"], "merge": ["/bin/db", "load"], "snapshot": ["/bin/db", "copy"]}
    options = {"consistency": "available", "voters": {}, "servers": 2}
    path = described(tmp_path, {"store": []}, db=options | {"merge": hooks}, web=options | {"merge": "discard"})
    db, web = read_config(path).services.values()
    assert db.hooks == MergeHooks(("/bin/db", "dump"), ("/bin/db", "load"), "", ("/bin/db", "copy"))
    assert (db.servers, db.speaks, web.servers) == (2, True, 2)
    assert not read_config(described(tmp_path / "one", db={})).services["db"].speaks


def test_all_that_is_wrong_with_the_hooks_is_told_at_once(tmp_path: Path) -> None:
    hooks = {"export": "dump", "merge": [], "exports": ["x"], "folder": "lib/db"}
    options = {"consistency": "available", "watch": {"silence_s": 3.0}, "timing": {"keepalive_s": 1.5}}
    *found, silence = refused(described(tmp_path, db=options | {"merge": hooks}))
    assert found == [
        "services/db.json: merge.exports: is not known; did you mean export?",
        "services/db.json: merge.export: is not a list, but dump",
        "services/db.json: merge.merge: is empty: say what is to be run",
        "services/db.json: merge.folder: lib/db is not the absolute path of a folder",
    ]
    assert silence.startswith("services/db.json: watch.silence_s: is 3 s, and a server says every 1.5 s that it serves")
    assert silence.endswith("choose 4.5 s or more, or a shorter timing.keepalive_s")


def test_clients_use_the_address_of_whoever_may_run_it(tmp_path: Path) -> None:
    proxy = {"port": 7080, "to": "{address}:7000", "mode": "http"}
    config = read_config(described(tmp_path, {"proxy": "/run/x.sock"}, db={"proxy": proxy}, web={}))
    db, web = config.services.values()
    assert db.proxy == Proxy(7080, "{address}", 7000, "http")
    assert [db.has_proxy(host) for host in "abc"] == [True, True, False]
    assert not web.has_proxy("a")
    assert str(config.proxy) == "/run/x.sock"


def test_all_that_is_wrong_with_proxies_is_told(tmp_path: Path) -> None:
    proxy = {"port": 7080, "to": "{address}:7000"}
    wrong = {"port": 0, "to": "here", "modes": "tcp", "wait_s": 0}
    agents = proxy | {"port": 7447}
    path = described(tmp_path, **{name: {"proxy": said} for name, said in
                                  (("db", wrong), ("log", proxy), ("net", agents), ("web", proxy))})  # fmt: skip
    assert refused(path) == [
        "services/db.json: proxy.modes: is not known; did you mean mode?",
        "services/db.json: proxy.port: 0 is not a whole number from 1 to 65535",
        "services/db.json: proxy.to: here is not an address and a port: say {address}:7000, or 192.0.2.1:7000",
        "services/db.json: proxy.wait_s: 0 is not a whole number from 1 to 3600",
        "agent.json: proxy: is missing: say where HAProxy takes orders",
        "services/net.json: proxy.port: 7447 is the agents' port already: choose another one",
        "services/web.json: proxy.port: 7080 is log's port already: choose another one",
    ]


def test_all_that_is_wrong_is_told_at_once(tmp_path: Path) -> None:
    peers = {**AGENT["peers"], "c": AGENT["peers"]["c"] | {"links": ["d"]}}
    path = described(
        tmp_path,
        {"name": "x", "peers": peers, "pool_mib": 3, "cgroups": True},
        db={"command": [], "candidates": ["a", "kanazawa"], "timing": {"tls_s": 3}, "watch": {"needed": 0}},
        web={"ranking": "bset", "requests": ["tcp"], "priorities": {"bb": 1}},
    )
    write(tmp_path / "services" / "broken.json", SERVICE | {"command": "text"})
    assert refused(path) == [
        "agent.json: cgroups: is not known; did you mean cgroup?",
        "services/broken.json: it.command is not a list, but text",
        "services/web.json: requests: is not known; did you mean request?",
        "services/db.json: candidates: there is no agent kanazawa",
        "services/db.json: command: is empty: say what is to be run",
        "services/db.json: timing.tls_s: is not known; did you mean ttl_s?",
        "services/db.json: watch.needed: is not a number above 0",
        "services/web.json: priorities: there is no agent bb; did you mean b?",
        "services/web.json: ranking: there is no ranking bset; did you mean best?",
        "agent.json: name: x is not among the peers",
        "agent.json: pool_mib: 3 is not a whole number from 4 to 65536",
        "agent.json: peers.c.links: there is no agent d",
    ]


@pytest.mark.parametrize(
    ("service", "message"),
    [
        ({"request": ["tcp", "{address}"]}, "request: is not of the form"),
        ({"request": ["tcp", "{address}", "http", "ping"]}, "request: its port http is not a whole number from 1"),
        ({"request": ["tcp", "{address}", "70000"]}, "request: its port 70000 is not"),
        ({"candidates": []}, "candidates: is empty"),
        ({"voters": {"a": "x", "b": "x", "c": "y"}}, "voters: a and b fall together with x"),
        ({"timing": {"ttl_s": 10**400}}, "timing: has a number that is too large"),
        ({"timing": {"ttl_s": 1}}, "timing.ttl_s"),
        ({"watch": {"suspect_at": 0.9}}, "watch.suspect_at"),
        ({"voters": ["a"]}, "it.voters is not a mapping"),
        ({"user": 3}, "it.user is 3"),
        ({"consistency": "available"}, "merge: is missing: say how what two servers did becomes one, by {export: "),
        ({"consistency": "available", "merge": {"export": ["x"]}}, "merge.merge: is missing"),
        ({"consistency": "available", "merge": "discrad"}, "merge: there is no way to merge discrad; did you mean di"),
        ({"consistency": "availble", "merge": "discard"}, "consistency: there is no consistency availble; did you mea"),
        ({"merge": "discard"}, "merge: is only for the consistency available: otherwise there is one server"),
        ({"merge": ["x"]}, "it.merge is a list"),
        ({"proxy": {"port": 7080}}, "it.proxy.to is missing"),
        ({"servers": 2}, "servers: is 2, and the consistency quorum means never two servers"),
        (
            {"consistency": "available", "merge": {"export": ["x"], "merge": ["x"]}, "servers": 2},
            "merge.snapshot: is missing: servers is 2, so say what writes the state of a server that runs",
        ),
        (
            {"consistency": "available", "merge": "discard", "servers": 3},
            "servers: 3 is not a whole number from 1",
        ),
        ({"servers": "many"}, "it.servers is many"),
    ],
)
def test_services_that_can_not_be(tmp_path: Path, service: dict[str, Any], message: str) -> None:
    (found,) = refused(described(tmp_path, db=service))
    assert found.startswith("services/db.json: ")
    assert message in found


@pytest.mark.parametrize("key", [*AGENT])
@pytest.mark.parametrize("value", [None, 3, ["x", 3], {"x": 3}])
def test_a_key_of_another_shape_is_named(tmp_path: Path, key: str, value: object) -> None:
    (found,) = refused(described(tmp_path, {key: value}))
    assert f"agent.json: it.{key}" in found
    write(tmp_path / "agent.json", {name: said for name, said in AGENT.items() if name != key})
    assert refused(tmp_path / "agent.json") == [f"agent.json: it.{key} is missing"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is not JSON"),
        (b"\xff\xfe{}", "is not text in UTF-8"),
        (b"[]", "it is not a mapping, but a list"),
        (None, "can't be read: No such file or directory; the role agent writes it"),
    ],
)
def test_what_is_no_file_of_an_agent(tmp_path: Path, content: bytes | None, message: str) -> None:
    path = described(tmp_path, db={})
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    (found,) = refused(path)
    assert message in found


def test_the_same_words_are_read_by_whoever_reads(tmp_path: Path) -> None:
    path = described(tmp_path, db={})
    assert json.loads(path.read_text()) == AGENT
    assert read_config(path) == read_config(path)
