# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from ansible_collections.okiagari.testbed.plugins.module_utils.agent.service_servers import ServiceServers
from ansible_collections.okiagari.testbed.plugins.module_utils.errors import OkiagariError
from ansible_collections.okiagari.testbed.plugins.modules import service_servers
from ansible_collections.okiagari.testbed.tests.unit.plugins.modules.run_module import run_module

if TYPE_CHECKING:
    from collections.abc import Iterator


class Agents:
    """All agents as one: the servers of `db` in their order, of which no more than `most` may run."""

    def __init__(self, *servers: str) -> None:
        self.servers = list(servers)
        self.most = 3
        self.able = ["b", "c", "d"]
        self.done: list[tuple[str, str]] = []

    def __call__(self, request: dict[str, Any]) -> Iterator[dict[str, Any]]:
        op = request["op"]
        if request["service"] != "db":
            raise OkiagariError("there is no service dbb; did you mean db?")
        if op == "servers":
            yield {
                "holder": self.servers[0] if self.servers else None, "servers": list(self.servers), "most": self.most,
                "next": [host for host in self.able if host not in self.servers], "silent": {},
            }  # fmt: skip
            return
        yield {"waiting_s": 5}
        if request["seconds"] < 1:
            raise OkiagariError("b has not what the others have within 0.5 s")
        host = request["to" if op == "replicate" else "host"]
        self.done.append((op, host))
        if op == "replicate":
            assert host not in self.servers
            assert len(self.servers) < self.most, "more servers than the service allows"
            self.servers.append(host)
        else:
            assert host in self.servers[1:]
            self.servers.remove(host)
        yield {"host": host, "servers": list(self.servers)}


@pytest.fixture
def agents(monkeypatch: pytest.MonkeyPatch) -> Agents:
    made = Agents("a")
    monkeypatch.setattr(service_servers, "ask", made)
    return made


def test_it_only_looks_where_nothing_is_asked_for(agents: Agents, capsys: pytest.CaptureFixture[str]) -> None:
    said = run_module(service_servers.main, capsys, service="db")
    assert not said["changed"]
    shown = {"holder": "a", "servers": ["a"], "most": 3, "next": ["b", "c", "d"], "silent": {}}
    assert shown == {key: said[key] for key in shown}
    assert agents.done == []


def test_so_many_servers_come_and_go(agents: Agents, capsys: pytest.CaptureFixture[str]) -> None:
    would = run_module(service_servers.main, capsys, check=True, service="db", count=3)
    assert (would["changed"], would["servers"], agents.done) == (True, ["a", "b", "c"], [])
    done = run_module(service_servers.main, capsys, service="db", count=3)
    assert (done["changed"], done["servers"], done["diff"]) == (True, ["a", "b", "c"], would["diff"])
    assert not run_module(service_servers.main, capsys, service="db", count=3)["changed"]
    # Those that came last go first.
    agents.servers[1:] = ["c", "b"]
    assert run_module(service_servers.main, capsys, service="db", count=2)["servers"] == ["a", "c"]
    assert run_module(service_servers.main, capsys, service="db", count=1)["servers"] == ["a"]
    assert agents.done == [("replicate", "b"), ("replicate", "c"), ("merge", "b"), ("merge", "c")]


def test_just_these_hosts_have_one(agents: Agents, capsys: pytest.CaptureFixture[str]) -> None:
    agents.servers.append("b")
    said = run_module(service_servers.main, capsys, service="db", hosts=["a", "c"])
    # There is room for the new one before the old one goes.
    assert (said["servers"], agents.done) == (["a", "c"], [("replicate", "c"), ("merge", "b")])
    agents.most, agents.done = 2, []
    assert run_module(service_servers.main, capsys, service="db", hosts=["b", "a"])["servers"] == ["a", "b"]
    assert agents.done == [("merge", "c"), ("replicate", "b")]
    assert not run_module(service_servers.main, capsys, service="db", hosts=["b", "a"])["changed"]


def test_as_many_go_as_have_to_before_as_many_come(agents: Agents) -> None:
    agents.servers = ["a", "b", "c", "d"]
    agents.most, agents.able = 4, ["b", "c", "d", "e", "f"]
    servers = ServiceServers(agents, "db", ["a", "d", "e", "f"], None, 9.0)
    servers.read()
    servers.create()
    assert agents.servers == ["a", "d", "e", "f"]
    assert agents.done == [("merge", "c"), ("replicate", "e"), ("merge", "b"), ("replicate", "f")]


@pytest.mark.parametrize(
    ("asked", "messages"),
    [
        ({"count": 4}, ["count: db may have 3 servers at most; servers in agent_services says how many"]),
        ({"count": 0}, ["count: is 0: to have no server, take db out of agent_services"]),
        ({"hosts": ["b"]}, ["hosts: a has the elected server", "hand it over first"]),
        (
            {"hosts": ["x", "y"]},
            ["hosts: a has the elected server", "x can't have one now: okiagari-ag", "y can"],
        ),
        ({"hosts": []}, ["hosts: a has the elected server"]),
        ({"count": 2, "hosts": ["a"]}, ["mutually exclusive"]),
        ({"count": 2, "wait": 0.5}, ["b has not what the others have within 0.5 s"]),
        ({"service": "dbb"}, ["there is no service dbb"]),
    ],
)
def test_what_can_not_be_is_refused_with_all_that_is_against_it(
    agents: Agents, capsys: pytest.CaptureFixture[str], asked: dict[str, Any], messages: list[str]
) -> None:
    said = run_module(service_servers.main, capsys, **{"service": "db", **asked})
    assert said["failed"]
    for message in messages:
        assert message in said["msg"]
    assert agents.done == []


def test_too_few_candidates_and_no_server_at_all_are_told(agents: Agents, capsys: pytest.CaptureFixture[str]) -> None:
    agents.able = ["b"]
    assert "count: is 3, and only a, b can have one now" in run_module(
        service_servers.main, capsys, service="db", count=3
    )["msg"]  # fmt: skip
    agents.servers = []
    assert "nobody holds db now" in run_module(service_servers.main, capsys, service="db", count=1)["msg"]
    assert not run_module(service_servers.main, capsys, service="db")["changed"]


def test_nothing_removes_them() -> None:
    with pytest.raises(OkiagariError, match="take the service out of agent_services"):
        ServiceServers(Agents("a"), "db", None, None, 1.0).remove()
