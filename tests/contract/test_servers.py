# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Real agents, and several servers of a service beside each other on purpose: nothing that any of them took is lost."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from ansible_collections.okiagari.testbed.plugins.module_utils.agent.client import ask
from ansible_collections.okiagari.testbed.plugins.module_utils.agent.service_servers import ServiceServers
from ansible_collections.okiagari.testbed.plugins.module_utils.errors import OkiagariError
from ansible_collections.okiagari.testbed.plugins.module_utils.reconcile import reconcile
from ansible_collections.okiagari.testbed.tests.contract.real_agents import Farm, wait_for
from ansible_collections.okiagari.testbed.tests.contract.test_parts import HOSTS, MERGE, PATIENCE_S, Host, Hosts
from ansible_collections.okiagari.testbed.tests.contract.wire import Wire

if TYPE_CHECKING:
    from collections.abc import Iterator

# A set of lines in a file, to which `add LINE` adds one. Its answer says how many there are.
SERVICE = """
import os, socketserver, sys
path, address, port = sys.argv[1:]
class Answer(socketserver.StreamRequestHandler):
    def handle(self):
        verb, _blank, line = self.rfile.readline().decode().strip().partition(" ")
        if verb == "add":
            with open(path, "a") as lines:
                lines.write(line + "\\n")
                lines.flush()
                os.fsync(lines.fileno())
        open(path, "a").close()
        with open(path) as lines:
            self.wfile.write(f"pong changed={len(set(lines))} pid={os.getpid()}\\n".encode())
class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
Server((address, int(port)), Answer).serve_forever()
"""
# A client in the namespace of a host: says what it was answered.
CLIENT = """
import socket, sys
with socket.create_connection((sys.argv[1], int(sys.argv[2])), 5) as connection:
    connection.sendall(sys.argv[3].encode() + b"\\n")
    print(connection.makefile().readline().strip())
"""


class Replica(Host):
    """A host of a service that allows three servers."""

    def lines_service(self) -> dict[str, Any]:
        described = super().lines_service()
        lines, port = described["lines"], str(self.farm.service_port)
        lines["command"] = [sys.executable, "-IBc", SERVICE, str(self.file), self.address, port]
        lines["servers"] = 3
        copy = ["cat", str(self.file)]
        merge = [sys.executable, "-IBc", MERGE, str(self.file)]
        return {"lines": lines | {"merge": {"export": copy, "snapshot": copy, "merge": merge}}}

    def say(self, line: str) -> dict[str, str]:
        """Say this to the server of this host as soon as it listens, and give what it says behind its answer."""
        argv = [*self._inside, sys.executable, "-IBc", CLIENT, self.address, str(self.farm.service_port), line]
        said = wait_for(lambda: subprocess.run(argv, check=False, capture_output=True, text=True, timeout=30).stdout)
        return dict(word.split("=") for word in said.removeprefix("pong ").split())

    def runs(self) -> bool:
        return self.here() == "serving"


class Replicas(Hosts):
    nodes: dict[str, Replica]  # type: ignore[assignment]

    def node(self, name: str, number: int) -> Replica:
        return Replica(self, name, number, self.wire)

    def everywhere(self, line: str, *names: str) -> None:
        wait_for(lambda: all(line in self.nodes[name].lines for name in names), PATIENCE_S)

    def holder(self) -> str | None:
        """Say whose server is the elected one; None unless all that answer name the same one."""
        named = set()
        for node in self.nodes.values():
            try:
                named.add(node.ask("status")[0]["services"]["lines"]["holder"])
            except OkiagariError:
                continue
        return named.pop() if len(named) == 1 else None

    def alone(self) -> str:
        """Have all further servers merged, and give where the elected one is."""
        holder = wait_for(self.holder, PATIENCE_S)
        for name in self.serving():
            if name != holder:
                assert self.nodes[holder].ask("merge", service="lines", host=name, seconds=PATIENCE_S)
        return self.settled()


@pytest.fixture(scope="module")
def farm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Replicas]:
    if os.geteuid() != 0 or not shutil.which("ip"):
        pytest.skip("needs root and iproute2, to make network namespaces")
    with Wire(HOSTS, random.Random(0)) as wire:
        farm = Replicas(tmp_path_factory.mktemp("servers"), wire)
        try:
            farm.configure(lambda node: farm.nodes[node.name].lines_service())
            Farm.start(farm)
            farm.settled()
            yield farm
        finally:
            farm.end()


@pytest.fixture
def first(farm: Replicas) -> Iterator[Replica]:
    """Give the only server there is; afterwards everything is as before, and nothing unexpected was told."""
    farm.alone()
    yield farm.nodes[wait_for(farm.holder, PATIENCE_S)]
    farm.wire.heal()
    for node in farm.nodes.values():
        for what in ("supervise lines", "run"):
            if what not in node.processes:
                node.start(what)
    wait_for(farm.holder, PATIENCE_S)
    farm.alone()
    for node in farm.nodes.values():
        for event in ("agent_error", "request_refused"):
            assert not node.ask("query", text=f"where values.event = {event}")[:-1]


def others(farm: Replicas, first: Replica) -> list[Replica]:
    return [node for node in farm.nodes.values() if node is not first]


def test_each_of_three_servers_has_what_any_of_them_took(farm: Replicas, first: Replica) -> None:
    second, third = others(farm, first)
    first.say("add before")
    for number, node in enumerate((second, third), start=2):
        # Whoever is asked: the one that is to have it is another one.
        said = third.ask("replicate", service="lines", to=node.name, seconds=PATIENCE_S)
        assert said[-1]["host"] == node.name
        assert "before" in node.lines, "clients were led to a server that had not what the first one has"
        wait_for(partial(lambda number: len(farm.serving()) == number, number))
    for node in (first, second, third):
        node.say(f"add at {node.name}")
    for node in (first, second, third):
        farm.everywhere(f"at {node.name}", *HOSTS)
    assert wait_for(farm.holder) == first.name
    (shown,) = third.ask("servers", service="lines")
    assert (shown["servers"], shown["most"], shown["next"]) == ([first.name, second.name, third.name], 3, [])
    with pytest.raises(OkiagariError, match="no candidate is left"):
        first.ask("replicate", service="lines")
    # All merges of one export were one.
    for node in farm.nodes.values():
        assert len(node.noted("merged")) == len(set(node.noted("merged")))
    said = second.ask("merge", service="lines", seconds=PATIENCE_S)
    assert said[-1]["host"] == third.name
    assert farm.alone() == first.name


def test_when_the_first_server_dies_a_further_one_goes_on_and_nothing_is_lost(farm: Replicas, first: Replica) -> None:
    second, third = others(farm, first)
    for node in (second, third):
        node.ask("replicate", service="lines", to=node.name, seconds=PATIENCE_S)
    second.say("add known before the death")
    farm.everywhere("known before the death", *HOSTS)
    pids = {node.name: node.say("ping")["pid"] for node in (second, third)}
    # What the first one takes as its last word nobody else has.
    first.kill("run")
    first.say("add last words")
    first.kill("supervise lines")
    wait_for(lambda: farm.holder() in (second.name, third.name), PATIENCE_S)
    # Those that ran go on, without a stop.
    assert pids == {node.name: node.say("ping")["pid"] for node in (second, third)}
    third.say("add after the death")
    farm.everywhere("after the death", second.name, third.name)
    assert "last words" not in second.lines | third.lines
    for what in ("supervise lines", "run"):
        first.start(what)
    wait_for(lambda: not first.owes(), PATIENCE_S)
    farm.everywhere("last words", second.name, third.name)
    heir = farm.alone()
    assert heir != first.name
    assert {"known before the death", "after the death", "last words"} <= farm.nodes[heir].lines


def test_a_further_server_goes_on_while_its_agent_is_started_anew_and_in_another_part(
    farm: Replicas, first: Replica
) -> None:
    second = others(farm, first)[0]
    first.ask("replicate", service="lines", to=second.name, seconds=PATIENCE_S)
    pid = second.say("ping")["pid"]
    second.kill("run")
    second.start("run")
    wait_for(lambda: second.ask("status")[0]["services"]["lines"]["servers"] == [first.name, second.name], PATIENCE_S)
    assert second.say("ping")["pid"] == pid
    farm.split(second.name)
    wait_for(lambda: second.ask("status")[0]["services"]["lines"]["holder"] == second.name, PATIENCE_S)
    assert second.say("ping")["pid"] == pid
    second.say("add in the other part")
    farm.wire.heal()
    farm.everywhere("in the other part", first.name)
    farm.alone()


def test_a_number_of_servers_follows_demand(farm: Replicas, first: Replica) -> None:
    asked = others(farm, first)[0]

    def bring(count: int) -> list[str]:
        servers = ServiceServers(
            lambda request: ask(request, asked.folder / "run"), "lines", None, count, PATIENCE_S
        )  # fmt: skip
        reconcile(
            "present", False, read=servers.read, want=servers.want, create=servers.create, remove=servers.remove
        )  # fmt: skip
        found: list[str] = servers.there["servers"]
        return found

    servers = bring(3)
    assert (servers[0], sorted(servers)) == (first.name, sorted(HOSTS))
    for node in farm.nodes.values():
        node.say(f"add for demand at {node.name}")
    assert bring(2) == servers[:2]
    assert bring(1) == [first.name]
    assert {f"for demand at {name}" for name in HOSTS} <= first.lines


def test_a_further_server_that_hangs_is_merged(farm: Replicas, first: Replica) -> None:
    second = others(farm, first)[0]
    first.ask("replicate", service="lines", to=second.name, seconds=PATIENCE_S)
    pid = int(second.say("add before it hung")["pid"])
    os.kill(pid, signal.SIGSTOP)
    wait_for(lambda: farm.serving() == [first.name], PATIENCE_S)
    farm.settled()
    assert "before it hung" in first.lines
    assert not second.owes()
