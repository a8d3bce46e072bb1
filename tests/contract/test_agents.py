# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Agents as they are installed, with a real store: a chain of connections, and a service that must never run twice."""

from __future__ import annotations

import signal
import sys
import time
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from real_agents import Farm, Node, wait_for
from real_etcd import RealEtcd

if TYPE_CHECKING:
    from collections.abc import Iterator

CHAIN = {"a": ["b"], "b": ["a", "c"], "c": ["b", "d"], "d": ["c"]}


@pytest.fixture(scope="module")
def farm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Farm]:
    folder = tmp_path_factory.mktemp("farm")
    etcd = RealEtcd(folder / "etcd", folder / "authority")
    etcd.start()
    farm = Farm(folder, CHAIN, list(etcd.endpoints.values()))
    try:
        etcd.wait()
        farm.configure(farm.tally)
        farm.start()
        everybody(farm)
        yield farm
    finally:
        farm.end()
        etcd.stop()


def serving(farm: Farm, since: float = 0.0) -> Node:
    """Wait until the service has begun to run somewhere after this instant, and give the host."""
    name = wait_for(lambda: next((host for first, _last, host, _token in farm.runs() if first > since), None), 60)
    return farm.nodes[name]


def serving_at_an_end(farm: Farm) -> Node:
    """Have the service at an end of the chain, and give the host: without one in the middle no part has a majority."""
    ends = [name for name, links in farm.links.items() if len(links) == 1]
    holder, since = farm.nodes[wait_for(farm.holder)], time.monotonic()
    if holder.name in ends:
        wait_for(lambda: still(farm, holder))
        return holder
    everybody(farm)
    holder.ask("hand_over", service="tally", to=ends[0])
    return serving(farm, since)


def still(farm: Farm, node: Node) -> bool:
    """Whether the newest run is at this host, and goes on."""
    newest = max(farm.runs(), default=None)
    return newest is not None and newest[2] == node.name and time.monotonic() - newest[1] < 1


def everybody(farm: Farm) -> None:
    """Wait until all agents reach each other."""
    others = len(CHAIN) - 1
    wait_for(lambda: all(len(node.ask("status")[0]["reachable"]) == others for node in farm.nodes.values()))


def never_two(farm: Farm) -> None:
    runs = sorted(farm.runs())
    assert [run[3] for run in runs] == sorted(run[3] for run in runs), "tokens grow with time"
    for (_first, last, host, token), (first, _last, other, newer) in pairwise(runs):
        assert last < first, f"{other} began by token {newer} before {host} had ended with {token}"


def test_what_one_asks_crosses_the_chain_though_it_reaches_one_neighbour_only(farm: Farm) -> None:
    assert farm.nodes["a"].ask("ping", peers=["d"])[0] == {"peer": "d", "answer": "{}"}
    farm.nodes["a"].ask("tell", source="test", values={"word": "hello"}, trace="t1")
    rows = wait_for(lambda: farm.nodes["d"].ask("query", text="where trace = t1")[:-1])
    assert [row["row"]["values"] for row in rows] == [{"word": "hello"}]


def test_what_was_missed_behind_a_cut_comes_when_it_heals(farm: Farm) -> None:
    everybody(farm)
    a, b, d = (farm.nodes[name] for name in "abd")
    b.signal("run", signal.SIGSTOP)
    try:
        wait_for(lambda: "a" in d.ask("status")[0]["unreachable"] and "d" in a.ask("status")[0]["unreachable"])
        d.ask("tell", source="test", trace="missed", important=True)
        a.ask("tell", source="test", trace="missed", important=True)
    finally:
        b.signal("run", signal.SIGCONT)
    for node in farm.nodes.values():
        wait_for(lambda node=node: len(node.ask("query", text="where trace = missed")) == 3)


def test_an_agent_that_hangs_is_succeeded_after_its_service_was_killed(farm: Farm) -> None:
    node, since = serving_at_an_end(farm), time.monotonic()
    node.signal("run", signal.SIGSTOP)
    try:
        other = serving(farm, since)
    finally:
        node.signal("run", signal.SIGCONT)
    assert other is not node
    never_two(farm)
    wait_for(lambda: farm.nodes["a"].ask("status")[0]["services"]["tally"]["holder"] == other.name)


def test_an_agent_that_is_killed_and_comes_back_in_time_does_not_disturb_the_service(farm: Farm) -> None:
    wait_for(farm.holder)
    node = farm.nodes[farm.holder() or ""]
    wait_for(lambda: still(farm, node))
    runs = len(list(farm.runs()))
    node.signal("run", signal.SIGKILL)
    node.processes["run"].wait()
    node.start("run")
    wait_for(lambda: node.ask("status")[0]["services"]["tally"]["here"] == "serving")
    assert len(list(farm.runs())) == runs
    assert still(farm, node)


def test_a_service_is_handed_over_without_a_wait(farm: Farm) -> None:
    wait_for(farm.holder)
    everybody(farm)
    to = next(name for name in farm.nodes if name != farm.holder())
    since = time.monotonic()
    farm.nodes["a"].ask("hand_over", service="tally", to=to)
    assert serving(farm, since).name == to
    never_two(farm)


def test_a_supervisor_that_dies_takes_its_service_with_it(farm: Farm) -> None:
    wait_for(farm.holder)
    node, since = farm.nodes[farm.holder() or ""], time.monotonic()
    node.signal("supervise tally", signal.SIGKILL)
    node.processes["supervise tally"].wait()
    wait_for(lambda: not still(farm, node))
    node.start("supervise tally")
    serving(farm, since + 1)
    never_two(farm)


def test_an_agent_without_its_record_abstains_until_all_others_have_told_what_they_know(farm: Farm) -> None:
    wait_for(farm.holder)
    node = next(node for node in farm.nodes.values() if node.name != farm.holder())
    node.signal("run", signal.SIGKILL)
    node.processes["run"].wait()
    for copy in (node.folder / "state").glob("tally.votes.*"):
        copy.write_bytes(copy.read_bytes()[:-9])
    node.start("run")
    rows = wait_for(lambda: node.ask("query", text="where values.event = record_recovered")[:-1])
    assert "votes again from term" in rows[0]["row"]["values"]["text"]
    assert node.ask("query", text="where values.event = record_damaged")[:-1]


def test_a_stranger_gets_nothing(farm: Farm, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Another authority's agent, which has the right names and knows where everybody listens."""
    stranger = Farm(tmp_path_factory.mktemp("stranger"), {"a": ["b"], "b": ["a"]}, farm.store, offset=50)
    try:
        stranger.configure(lambda _node: {})
        node = stranger.nodes["a"]
        node.join(farm.nodes["b"])
        node.start("run")
        wait_for(lambda: node.ask("status"))
        time.sleep(2)
        assert node.ask("status")[0]["reachable"] == []
        assert farm.nodes["b"].ask("status")[0]["refused_messages"] == 0
        # With one of its own authority the very same agent is connected: it was the certificate that kept it out.
        node.signal("run", signal.SIGTERM)
        node.processes["run"].wait(10)
        node.join(stranger.nodes["b"])
        stranger.nodes["b"].start("run")
        node.start("run")
        wait_for(lambda: node.ask("status")[0]["reachable"] == ["b"])
    finally:
        stranger.end()


def test_an_agent_with_a_wrong_certificate_says_why_it_does_not_start(farm: Farm) -> None:
    node = Node(farm, "e", 9)
    farm.certify("e")
    node.configure([], {})
    (node.folder / "agent.json").write_text(
        (node.folder / "agent.json").read_text().replace("/e.pem", "/a.pem").replace("/e.key", "/a.key")
    )
    node.start("run")
    assert node.processes["run"].wait(30) == 1
    assert "is for a, not for e: run playbooks/agents.yml" in node.log.read_text()
