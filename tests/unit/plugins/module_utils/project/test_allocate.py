# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a project gets: nothing twice, nothing moved, and every shortage named."""

from __future__ import annotations

import copy
import json
from ipaddress import IPv4Interface, IPv4Network
from typing import Any

import pytest
from ansible_collections.okiagari.testbed.plugins.module_utils.errors import BadInput
from ansible_collections.okiagari.testbed.plugins.module_utils.project.allocate import allocate
from ansible_collections.okiagari.testbed.plugins.module_utils.project.capacity import held, published
from ansible_collections.okiagari.testbed.plugins.module_utils.project.record import (
    active,
    leaving,
    machines,
    marked,
    moved,
    released,
)
from ansible_collections.okiagari.testbed.plugins.module_utils.project.request import from_plain
from hypothesis import given, settings
from hypothesis import strategies as st

NOW = "2026-11-21T09:00:00Z"


class Desk:
    """Asks for projects one after the other, and keeps what they got."""

    def __init__(self, testbed: dict[str, Any], capacities: dict[str, dict[str, int]]) -> None:
        self.testbed, self.capacities = testbed, capacities
        self.records: dict[str, dict[str, Any]] = {}

    def would(self, name: str, networks: Any = None, machines: Any = None, **options: Any) -> dict[str, Any]:
        data = {"project": name, "networks": networks or {"lan": {}}, "machines": machines or {}}
        request = from_plain(data, self.testbed)
        return allocate(request, self.testbed, self.records.values(), self.capacities, created=NOW, **options)

    def ask(self, name: str, networks: Any = None, machines: Any = None, **options: Any) -> dict[str, Any]:
        self.records[name] = self.would(name, networks, machines, **options)
        return self.records[name]

    def refused(self, name: str, networks: Any = None, machines: Any = None, **options: Any) -> list[str]:
        before = json.dumps(self.records)
        with pytest.raises(BadInput) as caught:
            self.would(name, networks, machines, **options)
        assert json.dumps(self.records) == before
        return [str(problem) for problem in caught.value.problems]


@pytest.fixture
def desk(testbed: dict[str, Any], capacities: dict[str, dict[str, int]]) -> Desk:
    return Desk(testbed, copy.deepcopy(capacities))


def test_the_record(desk: Desk) -> None:
    machine = {"count": 1, "sites": ["kanazawa"], "vcpus": 2, "memory": "128mib"}
    record = desk.ask("exp1", {"lan": {"sites": ["kanazawa", "hiroshima"]}}, {"web": machine})
    assert record == {
        "schema": 1,
        "name": "exp1",
        "contact": "",
        "created": NOW,
        "authorized_keys": [],
        "networks": {"lan": {"vlan": 100, "prefix": "10.240.0.0/24", "sites": ["hiroshima", "kanazawa"]}},
        "machines": {
            "exp1-web-1": {
                "site": "kanazawa",
                "host": "kanazawa-kvm1",
                "vcpus": 2,
                "memory_mib": 128,
                "disk_mib": 0,
                "template": "tiny",
                "networks": [
                    {
                        "name": "lan",
                        "vlan": 100,
                        "bridge": "br100",
                        "address": "10.240.0.11/24",
                        "mac": "02:03:00:64:00:0b",
                        "mtu": desk.testbed["tenant_mtu"],
                    }
                ],
            }
        },
    }
    assert json.loads(json.dumps(record)) == record


def test_machines_are_spread_over_sites_and_hosts(desk: Desk) -> None:
    record = desk.ask("exp1", machines={"web": {"count": 8}})
    hosts = [machine["host"] for machine in record["machines"].values()]
    assert {host: hosts.count(host) for host in set(hosts)} == {
        "hiroshima-kvm1": 4,
        "kanazawa-kvm1": 2,
        "kanazawa-kvm2": 2,
    }
    assert list(record["machines"]) == [f"exp1-web-{number}" for number in range(1, 9)]


def test_the_pickiest_choose_first(desk: Desk) -> None:
    machines = {"any": {"count": 8}, "here": {"count": 4, "sites": ["hiroshima"]}}
    record = desk.ask("exp1", machines=machines)
    sites = {name: machine["site"] for name, machine in record["machines"].items()}
    assert {sites[f"exp1-here-{number}"] for number in range(1, 5)} == {"hiroshima"}
    assert {sites[f"exp1-any-{number}"] for number in range(1, 9)} == {"kanazawa"}


def test_the_same_again_is_the_same(desk: Desk) -> None:
    first = desk.ask("exp1", machines={"web": {"count": 3}})
    desk.ask("exp2", machines={"web": {"count": 3}})
    assert desk.would("exp1", machines={"web": {"count": 3}}) == first


def test_two_projects_may_have_the_same_prefix(desk: Desk) -> None:
    networks = {"lan": {"prefix": "192.168.7.0/24"}}
    one, two = (desk.ask(name, networks, {"web": {}}) for name in ("exp1", "exp2"))
    assert one["networks"]["lan"]["prefix"] == two["networks"]["lan"]["prefix"]
    assert one["networks"]["lan"]["vlan"] != two["networks"]["lan"]["vlan"]
    assert len({each["mac"] for machine in (*machines(one), *machines(two)) for each in machine["networks"]}) == 2


def test_a_derived_prefix_avoids_what_is_typed_and_what_the_testbed_has(desk: Desk) -> None:
    desk.ask("typed", {"lan": {"prefix": "10.240.0.128/25"}})
    record = desk.ask("exp1", {"a": {}, "b": {"prefix": "10.240.1.0/24"}, "c": {}})
    assert [network["prefix"] for network in record["networks"].values()] == [
        "10.240.2.0/24",
        "10.240.1.0/24",
        "10.240.3.0/24",
    ]
    # 10.0.0.0/16 is that of no site, and 10.1.0.0/16 is Hiroshima's.
    inside = desk.would("exp2", pool="10.0.254.0/23") | {}
    assert inside["networks"]["lan"]["prefix"] == "10.0.254.0/24"
    assert "every /24 of 10.1.0.0/17 is held" in desk.refused("exp2", pool="10.1.0.0/17")[0]


def test_typed_vlans_come_first(desk: Desk) -> None:
    record = desk.ask("exp1", {"a": {}, "b": {"vlan": 100}})
    assert {name: network["vlan"] for name, network in record["networks"].items()} == {"a": 101, "b": 100}
    assert list(record["networks"]) == ["a", "b"]
    assert desk.refused("exp2", {"lan": {"vlan": 101}}) == ["networks.lan: the VLAN 101 is held by exp1"]


def test_every_shortage_is_named(desk: Desk) -> None:
    desk.ask("exp1", {"lan": {"vlan": 300}}, {"web": {"count": 4, "sites": ["hiroshima"]}})
    del desk.capacities["kanazawa-kvm2"]
    asked = {
        "big": {"count": 2, "vcpus": 9, "sites": ["kanazawa"]},
        "web": {"count": 3, "sites": ["naist", "hiroshima"]},
    }
    assert desk.refused("exp2", {"lan": {"vlan": 300}}, asked) == [
        "networks.lan: the VLAN 300 is held by exp1",
        "machines.big: there is no room for 2 of 2 new machines",
        "machines.big: kanazawa-kvm1: 4 of 4 vCPUs are free, 9 asked",
        "machines.big: kanazawa-kvm2 doesn't say what it can carry (is it up, and was it made ready for guests?)",
        "machines.web: there is no room for 3 of 3 new machines",
        "machines.web: naist has no KVM host",
        "machines.web: hiroshima-kvm1: 0 of 4 vCPUs are free, 1 asked",
        "machines.web: hiroshima-kvm1: 0 of 4 places for guests are free, 1 asked",
    ]


def test_no_vlan_and_no_address_left(desk: Desk) -> None:
    networks = {f"n{vlan}": {"vlan": vlan, "prefix": "10.0.0.0/24", "sites": ["naist"]} for vlan in range(100, 4000)}
    desk.records["all"] = {"name": "all", "networks": networks, "machines": {}}
    assert desk.refused("exp1")[0] == "networks.lan: no VLAN is free: all from 100 to 3999 are held"
    del desk.records["all"]
    small = {"lan": {"prefix": "10.9.0.0/29"}}
    desk.capacities["kanazawa-kvm1"]["guests"] = desk.capacities["kanazawa-kvm1"]["vcpus"] = 99
    desk.capacities["kanazawa-kvm1"]["memory_mib"] = 9999
    desk.ask("exp1", small, {"web": {"count": 5}})
    # Those that leave still have their addresses.
    desk.ask("exp1", small, {"web": {"count": 2}})
    said = "networks.lan: 10.9.0.0/29 has addresses for 5 machines: 5 are held and 1 more are asked"
    assert said in desk.refused("exp1", small, {"web": {"count": 2}, "db": {}})


def test_a_project_grows_and_shrinks_without_moving(desk: Desk) -> None:
    first = desk.ask("exp1", machines={"web": {"count": 2}})
    desk.ask("exp2", machines={"web": {"count": 2}})
    more = desk.ask("exp1", {"lan": {}, "inner": {}}, {"web": {"count": 3, "networks": ["lan"]}, "db": {}})
    assert {name: more["machines"][name] for name in first["machines"]} == first["machines"]
    assert more["networks"]["lan"] == first["networks"]["lan"]
    assert [each["name"] for each in more["machines"]["exp1-db-1"]["networks"]] == ["lan", "inner"]
    less = desk.ask("exp1", machines={"web": {"count": 1}})
    leaving = {name for name, machine in less["machines"].items() if machine.get("releasing")}
    assert leaving == {"exp1-web-2", "exp1-web-3", "exp1-db-1"}
    assert less["networks"]["inner"]["releasing"]
    assert held([less]) == held([more]), "held until it is gone"
    assert [(each["name"], each["project"], each["state"]) for each in machines(less)] == [
        ("exp1-web-1", "exp1", "present"),
        *((name, "exp1", "absent") for name in ("exp1-web-2", "exp1-web-3", "exp1-db-1")),
    ]
    gone = released(less)
    assert gone == active([less])[0]
    assert (list(gone["machines"]), list(gone["networks"])) == (["exp1-web-1"], ["lan"])
    # Asked again before it was gone: it is as it was.
    back = desk.ask("exp1", {"lan": {}, "inner": {}}, {"web": {"count": 3, "networks": ["lan"]}, "db": {}})
    assert back == more


def test_a_network_leaves_a_site_together_with_its_last_machine(desk: Desk) -> None:
    both = {"lan": {"sites": ["hiroshima", "kanazawa"]}}
    here, there = {"sites": ["hiroshima"]}, {"sites": ["kanazawa"]}
    desk.ask("exp1", both, {"here": here, "there": there})
    less = desk.ask("exp1", {"lan": here}, {"here": here})
    assert less["networks"]["lan"]["sites"] == ["hiroshima"]
    assert leaving(less["machines"]["exp1-there-1"])
    said = desk.refused("exp1", {"lan": here}, {"here": here, "there": {}})
    assert said == ["networks.lan: must go on spanning kanazawa: exp1-there-1 is there"]
    assert list(released(less)["machines"]) == ["exp1-here-1"]


def test_what_exists_does_not_change(desk: Desk) -> None:
    desk.ask("exp1", {"lan": {}, "b": {}}, {"web": {"count": 2, "networks": ["lan"]}})
    changed = {"memory": "128mib", "vcpus": 2, "template": "other", "disk": "1gib", "networks": ["b", "lan"]}
    said = desk.refused(
        "exp1",
        {"lan": {"prefix": "10.9.0.0/24", "vlan": 200, "sites": ["kanazawa"]}, "b": {}},
        {"web": {"sites": ["kanazawa"], **changed}},
    )
    assert said == [
        "networks.lan: its vlan can't change from 100 to 200 while it exists",
        "networks.lan: its prefix can't change from 10.240.0.0/24 to 10.9.0.0/24 while it exists",
        "machines.web: the vcpus of exp1-web-1 can't change from 1 to 2",
        "machines.web: the memory of exp1-web-1 can't change from 96 to 128",
        "machines.web: the disk of exp1-web-1 can't change from 0 to 1024",
        "machines.web: the template of exp1-web-1 can't change from tiny to other",
        "machines.web: the networks of exp1-web-1 can't change from lan to b, lan",
        "networks.lan: must go on spanning hiroshima: exp1-web-1 is there",
    ]


def test_a_project_that_is_being_removed(desk: Desk) -> None:
    desk.records["exp1"] = marked(desk.ask("exp1", machines={"web": {}}))
    assert "exp1 is being removed" in desk.refused("exp1")[0]
    assert active(desk.records.values()) == []
    assert [machine["state"] for machine in machines(desk.records["exp1"])] == ["absent"]
    assert desk.would("exp2")["networks"]["lan"]["vlan"] == 101, "held until it is gone"
    assert released(desk.records["exp1"]) == {}


def test_names_that_two_projects_would_share(desk: Desk) -> None:
    desk.ask("a", machines={"b-web": {}})
    assert desk.refused("a-b", machines={"web": {}}) == ["machines.web: the name a-b-web-1 is held by a"]


def test_a_machine_that_moved(desk: Desk) -> None:
    before = desk.ask("exp1", {"lan": {"sites": ["hiroshima", "kanazawa"]}}, {"web": {"sites": ["hiroshima"]}})
    every = desk.records.values()
    after = moved(every, "exp1-web-1", "kanazawa-kvm2", desk.testbed, desk.capacities)
    machine = after["machines"]["exp1-web-1"]
    assert (machine["site"], machine["host"]) == ("kanazawa", "kanazawa-kvm2")
    assert before["machines"]["exp1-web-1"]["host"] == "hiroshima-kvm1"
    desk.records["exp1"] = after
    networks = {"lan": {"sites": ["hiroshima", "kanazawa"]}}
    assert desk.would("exp1", networks, {"web": {"sites": ["hiroshima"]}}) == after, "it stays where it is"
    desk.ask("exp2", {"lan": {"sites": ["hiroshima"]}}, {"full": {"vcpus": 4}})
    for machine_name, host, message in [
        ("exp1-web-1", "hiroshima-kvm1", "hiroshima-kvm1: 0 of 4 vCPUs are free, 1 asked"),
        ("exp2-full-1", "kanazawa-kvm1", "the network lan of exp2 doesn't span kanazawa"),
        ("exp1-web-1", "osaka", "the testbed has no KVM host osaka"),
        ("exp1-web-9", "kanazawa-kvm1", "no project holds a machine exp1-web-9"),
    ]:
        with pytest.raises(BadInput, match=message):
            moved(desk.records.values(), machine_name, host, desk.testbed, desk.capacities)


@pytest.mark.parametrize("pool", ["10.0.0.0/25", "10.0.0.1/16", "pool"])
def test_a_bad_pool(desk: Desk, pool: str) -> None:
    assert desk.refused("exp1", pool=pool)[0].startswith("pool: ")


def test_what_a_host_publishes() -> None:
    text = '{"capacity": {"vcpus": 4, "memory_mb": 512, "guests": 8, "pool": "okiagari"}}'
    assert published(text) == {"vcpus": 4, "memory_mib": 512, "guests": 8}
    assert published('{"capacity": {"vcpus": 4, "memory_mib": 512}}') == {"vcpus": 4, "memory_mib": 512}
    for nothing in ("", "[]", "{}", '{"capacity": 3}', '{"capacity": {"vcpus": "x"}}'):
        assert published(nothing) == {}


SITES = ("hiroshima", "kanazawa", "naist")
networks_asked = st.dictionaries(
    st.sampled_from(["a", "b", "c"]),
    st.fixed_dictionaries(
        {},
        optional={
            "sites": st.lists(st.sampled_from(SITES), min_size=1, unique=True),
            "prefix": st.sampled_from(["192.168.7.0/24", "10.240.0.0/26", "10.240.1.0/24", "10.8.0.0/28"]),
            "vlan": st.integers(100, 104),
        },
    ),
    min_size=1,
)
machines_asked = st.dictionaries(
    st.sampled_from(["x", "y"]),
    st.fixed_dictionaries(
        {"count": st.integers(1, 4), "vcpus": st.integers(1, 3), "memory": st.integers(80, 300)},
        optional={"sites": st.lists(st.sampled_from(SITES), min_size=1, unique=True)},
    ),
)
step = st.one_of(
    st.tuples(st.just("ask"), st.sampled_from(["p", "q", "r"]), networks_asked, machines_asked),
    st.tuples(st.sampled_from(["mark", "release"]), st.sampled_from(["p", "q", "r"])),
)


@settings(max_examples=150)
@given(steps=st.lists(step, max_size=12))
def test_nothing_is_given_twice(
    steps: list[Any], testbed: dict[str, Any], capacities: dict[str, dict[str, int]]
) -> None:
    desk = Desk(testbed, {host: dict(room) for host, room in capacities.items()})
    for action, name, *asked in steps:
        old = desk.records.get(name)
        if action == "ask":
            try:
                new = desk.ask(name, *asked)
            except BadInput:
                continue
            assert desk.would(name, *asked) == new, "deterministic, and nothing to do the second time"
            for each, machine in (old or {"machines": {}})["machines"].items():
                assert {**new["machines"][each], "releasing": 1} == {**machine, "releasing": 1}, "nothing moves"
            typed = {each for each, network in asked[0].items() if "prefix" in network}
            for each in set(asked[0]) - typed - set((old or {"networks": {}})["networks"]):
                check_derived_prefix(name, each, desk.records, testbed)
        elif old is not None:
            desk.records[name] = marked(old) if action == "mark" else released(old)
            desk.records = {each: record for each, record in desk.records.items() if record}
        check_invariants(desk)


def check_invariants(desk: Desk) -> None:
    every = [machine for record in desk.records.values() for machine in record["machines"].values()]
    vlans = [network["vlan"] for record in desk.records.values() for network in record["networks"].values()]
    assert len(vlans) == len(set(vlans))
    assert all(100 <= vlan <= 3999 for vlan in vlans)
    macs = [each["mac"] for machine in every for each in machine["networks"]]
    assert len(macs) == len(set(macs))
    addresses = [(each["vlan"], each["address"]) for machine in every for each in machine["networks"]]
    assert len(addresses) == len(set(addresses))
    names = [name for record in desk.records.values() for name in record["machines"]]
    assert len(names) == len(set(names))
    for host, amounts in held(desk.records.values()).items():
        assert all(amounts[key] <= most for key, most in desk.capacities[host].items()), host
    for record in desk.records.values():
        for machine in record["machines"].values():
            assert desk.testbed["nodes"][machine["host"]]["site"] == machine["site"]
            for each in machine["networks"]:
                network = record["networks"][each["name"]]
                # A machine on its way out may be where its network no longer goes: it leaves before the bridge does.
                assert machine["site"] in network["sites"] or leaving(record) or leaving(machine)
                assert each["vlan"] == network["vlan"]
                address, prefix = IPv4Interface(each["address"]), IPv4Network(network["prefix"])
                assert address.network == prefix
                assert prefix.network_address < address.ip < prefix.broadcast_address


def check_derived_prefix(name: str, network: str, records: dict[str, Any], testbed: dict[str, Any]) -> None:
    prefix = IPv4Network(records[name]["networks"][network]["prefix"])
    others = [
        IPv4Network(held["prefix"])
        for project, record in records.items()
        for each, held in record["networks"].items()
        if (project, each) != (name, network)
    ]
    own = [IPv4Network(site["prefix"]) for site in testbed["sites"].values()]
    assert not any(prefix.overlaps(other) for other in (*others, *own))
