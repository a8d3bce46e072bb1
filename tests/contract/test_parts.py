# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Real agents, a network that is split, and a service of each part: it heals, one goes on, and nothing is lost."""

from __future__ import annotations

import os
import random
import shutil
import signal
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest
from ansible_collections.okiagari.testbed.plugins.module_utils.errors import OkiagariError
from ansible_collections.okiagari.testbed.tests.contract.real_agents import TIMING, WATCH, Farm, Node, wait_for
from ansible_collections.okiagari.testbed.tests.contract.wire import Wire

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HOSTS = ("a", "b", "c")
PATIENCE_S = 120.0
# A set of lines in a file, to which it adds some each second. Its hooks: the file as it is, and the union.
SERVICE = """
import os, signal, socket, sys, time
path, address, port = sys.argv[1:]
signal.signal(signal.SIGTERM, lambda *_signal: sys.exit())
server = socket.create_server((address, int(port)))
server.settimeout(0.1)
with open(path, "a", buffering=1) as lines:
    while True:
        lines.write(f"{os.environ['OKIAGARI_TERM']} {address} {os.getpid()} {time.monotonic()}\\n")
        try:
            asked = server.accept()[0]
            with asked:
                asked.settimeout(0.1)
                if asked.recv(100):
                    asked.sendall(b"pong\\n")
        except OSError:
            pass
"""
MERGE = """
import os, sys, time
path = sys.argv[1]
what = f"{os.environ['OKIAGARI_FROM']} {os.environ['OKIAGARI_DIGEST']}\\n"
with open(path + ".begun", "a") as begun:
    begun.write(what)
while os.path.exists(path + ".hold"):
    time.sleep(0.05)
with open(path) as lines:
    there = set(lines)
with open(path, "a") as lines:
    lines.write("".join(line for line in sys.stdin if line not in there))
with open(path + ".merged", "a") as merged:
    merged.write(what)
"""


class Host(Node):
    """A node in a namespace of its own, with a set of lines."""

    def __init__(self, farm: Hosts, name: str, number: int, wire: Wire) -> None:
        super().__init__(farm, name, number)
        self.address, self._inside = wire.addresses[name], wire.inside(name)
        self.file = self.folder / "lines"

    def argv(self, what: str) -> list[str]:
        return [*self._inside, *super().argv(what)]

    @property
    def lines(self) -> set[str]:
        """Give the whole lines that are here."""
        return set(self.file.read_text().split("\n")[:-1]) if self.file.exists() else set()

    def noted(self, what: str) -> list[str]:
        """Give which merges have `begun`, or are `merged`."""
        path = self.file.with_name(f"lines.{what}")
        return path.read_text().splitlines() if path.exists() else []

    def hold(self, held: bool) -> None:
        """Let merges wait here, or go on."""
        path = self.file.with_name("lines.hold")
        path.touch() if held else path.unlink(missing_ok=True)

    def runs(self) -> bool:
        """Whether the service adds lines here at present."""
        return self.file.exists() and time.time() - self.file.stat().st_mtime < 0.6 and self.here() == "serving"

    def here(self) -> str:
        return str(self.ask("status")[0]["services"]["lines"]["here"])

    def owes(self) -> bool:
        return self.ask("status")[0]["services"]["lines"]["owed"] is not False

    def lines_service(self) -> dict[str, Any]:
        port = str(self.farm.service_port)
        return {
            "lines": {
                "command": [sys.executable, "-IBc", SERVICE, str(self.file), self.address, port],
                "request": ["tcp", "{address}", port, "ping", "pong"],
                "consistency": "available", "candidates": list(HOSTS), "voters": {}, "ranking": "priority",
                "priorities": {"a": 2, "b": 1}, "timing": TIMING | {"ttl_s": 10}, "watch": WATCH,
                "merge": {"export": ["cat", str(self.file)], "merge": [sys.executable, "-IBc", MERGE, str(self.file)]},
            }
        }  # fmt: skip

    def kill(self, what: str) -> None:
        process = self.processes.pop(what)
        process.send_signal(signal.SIGKILL)
        process.wait()


class Hosts(Farm):
    """Agents on a wire, with no store."""

    nodes: dict[str, Host]

    def __init__(self, folder: Path, wire: Wire) -> None:
        self.wire = wire
        super().__init__(folder, {name: [other for other in HOSTS if other != name] for name in HOSTS}, [])

    def node(self, name: str, number: int) -> Host:
        return Host(self, name, number, self.wire)

    def ports(self) -> tuple[int, int]:
        return 7447, 7000

    def split(self, part: str) -> None:
        self.wire.cut([(one, other) for one in HOSTS for other in HOSTS if (one in part) != (other in part)])

    def serving(self) -> list[str]:
        """Give where the service runs, as far as agents answer."""
        found = []
        for node in self.nodes.values():
            try:
                found += [node.name] if node.runs() else []
            except OkiagariError:
                continue
        return found

    def settled(self) -> str:
        """Wait until one server is left, for good, which has everything; give its host."""
        wait_for(lambda: len(self.serving()) == 1 and not any(node.owes() for node in self.nodes.values()), PATIENCE_S)
        (name,) = self.serving()
        lost = set().union(*(node.lines for node in self.nodes.values())) - self.nodes[name].lines
        assert not lost, f"{len(lost)} lines are not at {name}"
        return name

    def events(self, event: str) -> list[str]:
        node = self.nodes[self.serving()[0]]
        return [row["row"]["values"]["text"] for row in node.ask("query", text=f"where values.event = {event}")[:-1]]


@pytest.fixture(scope="module")
def farm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hosts]:
    if os.geteuid() != 0 or not shutil.which("ip"):
        pytest.skip("needs root and iproute2, to make network namespaces")
    with Wire(HOSTS, random.Random(0)) as wire:
        farm = Hosts(tmp_path_factory.mktemp("parts"), wire)
        try:
            farm.configure(lambda node: node.lines_service())
            farm.start()
            farm.settled()
            yield farm
        finally:
            farm.end()


@pytest.fixture(autouse=True)
def whole(farm: Hosts) -> Iterator[None]:
    yield
    farm.wire.heal()
    for node in farm.nodes.values():
        node.hold(False)
        for what in ("supervise lines", "run"):
            if what not in node.processes:
                node.start(what)
    farm.settled()
    for node in farm.nodes.values():
        assert not node.ask("query", text="where values.event = agent_error")[:-1]


def split(farm: Hosts) -> tuple[str, str]:
    """Cut the server off from the others, and wait until they have another one; give both."""
    first = farm.settled()
    farm.split(first)
    wait_for(lambda: len(farm.serving()) == 2, PATIENCE_S)
    return first, next(name for name in farm.serving() if name != first)


def test_each_part_has_a_server_and_what_they_did_becomes_one(farm: Hosts) -> None:
    known = set(farm.events("rival_seen"))
    first, second = split(farm)
    since = {name: farm.nodes[name].lines for name in (first, second)}
    wait_for(lambda: all(len(farm.nodes[name].lines - since[name]) > 10 for name in since))
    done = farm.nodes[first].lines | farm.nodes[second].lines
    farm.wire.heal()
    winner = farm.settled()
    loser = second if winner == first else first
    assert done <= farm.nodes[winner].lines
    # Both have named the same one.
    seen = set(farm.events("rival_seen")) - known
    assert {text.partition(": ")[2].partition(",")[0] for text in seen} == {winner}
    assert {text.partition(" ")[0] for text in seen} == {first, second}
    merges = farm.nodes[winner].noted("merged")
    assert len(merges) == len(set(merges))
    assert merges[-1].startswith(loser)
    for event in ("export_offered", "merged"):
        assert farm.events(event), event


def test_a_winner_that_dies_in_the_middle_of_a_merge_merges_again(farm: Hosts) -> None:
    split(farm)
    nodes = farm.nodes.values()
    for node in nodes:
        node.hold(True)
    before = {node.name: len(node.noted("begun")) for node in nodes}
    farm.wire.heal()

    def begun() -> list[Host]:
        """Give where merges have begun since, once for each."""
        return [node for node in nodes for _each in node.noted("begun")[before[node.name] :]]

    (winner,) = wait_for(begun, PATIENCE_S)
    winner.kill("run")
    winner.start("run")
    # The hook has died with its agent, and the one that owes offers it again: to the same one if that is back in time.
    wait_for(lambda: len(begun()) > 1, PATIENCE_S)
    for node in nodes:
        node.hold(False)
    farm.settled()
    for node in nodes:
        merged = node.noted("merged")
        assert len(merged) == len(set(merged))


def test_a_loser_that_is_started_anew_offers_again(farm: Hosts) -> None:
    pair = split(farm)
    for name in pair:
        farm.nodes[name].hold(True)
    farm.wire.heal()
    wait_for(lambda: any(farm.nodes[name].owes() for name in pair), PATIENCE_S)
    loser = next(farm.nodes[name] for name in pair if farm.nodes[name].owes())
    loser.kill("run")
    loser.start("run")
    wait_for(lambda: loser.ask("status"))
    for name in pair:
        farm.nodes[name].hold(False)
    assert farm.settled() in set(pair) - {loser.name}


def test_a_host_without_power_owes_what_it_did_when_it_comes_back(farm: Hosts) -> None:
    first = farm.settled()
    lost = farm.nodes[first]
    for what in ("run", "supervise lines"):
        lost.kill(what)
    wait_for(lambda: [name for name in farm.serving() if name != first], PATIENCE_S)
    done = lost.lines
    for what in ("supervise lines", "run"):
        lost.start(what)
    assert done <= farm.nodes[farm.settled()].lines


def test_it_is_handed_over_with_what_it_did(farm: Hosts) -> None:
    first = farm.settled()
    to = next(name for name in HOSTS if name != first)
    said = farm.nodes[to].ask("hand_over", service="lines", to=to)
    assert said == [{"holder": first, "handed_over": True}]
    wait_for(lambda: farm.serving() == [to], PATIENCE_S)
    assert farm.settled() == to
