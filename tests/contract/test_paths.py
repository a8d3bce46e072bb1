# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Paths over real routers: traces from one host, what the paths share, and agents that trace each other."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from ansible_collections.okiagari.testbed.plugins.module_utils import paths
from ansible_collections.okiagari.testbed.plugins.module_utils.paths import changed, pairs, placed

sys.path.insert(0, str(Path(__file__).parent))

from real_agents import Farm, Node, wait_for
from routed import Routed

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

PORT = 7447
TRACE = """
import asyncio, json, sys
from ansible_collections.okiagari.testbed.plugins.module_utils.agent.trace import Tracer

async def trace(address, port, flows, *hosts):
    with Tracer(address, int(port), int(flows), gap_s=0.0, answer_s=0.3) as tracer:
        found = [await tracer.trace(host) for host in hosts]
    print(json.dumps([[sorted(path.ways, key=str), path.arrived, path.seen_at] for path in found]))

asyncio.run(trace(*sys.argv[1:]))
"""
# As much haste as a test is in; what a router says once a second and six times at once is enough for three flows.
HASTE = """
import sys
sys.path.insert(0, {lib!r})
from okiagari.agent import links, paths
links.PERIOD_S, paths.SOON_S, paths.AGAIN_S = 0.5, 0.5, 1.0
"""


@pytest.fixture
def network() -> Iterator[Routed]:
    """The hosts b, c and d, as a reaches them: b by r1 and r2, c by r1, d by r3."""
    with Routed(["a", "b", "c", "d", "r1", "r2", "r3"]) as network:
        for way in (("a", "r1", "r2", "b"), ("a", "r1", "c"), ("a", "r3", "d")):
            network.way(*way)
        yield network


def traced(network: Routed, to: str = "bcd", flows: int = 3) -> dict[str, paths.Path]:
    """Give the paths from a as they are, by the names of routers."""
    hosts = [network.addresses[name] for name in to]
    argv = [*network.inside("a"), sys.executable, "-c", TRACE, network.addresses["a"], str(PORT), str(flows), *hosts]
    done = subprocess.run(argv, capture_output=True, text=True, check=True, env={"PYTHONPATH": ":".join(sys.path)})
    names = {None: None} | {address: name for name, address in network.addresses.items()}
    return {
        name: paths.Path(frozenset(tuple(names[each] for each in way) for way in ways), arrived, seen_at)
        for name, (ways, arrived, seen_at) in zip(to, json.loads(done.stdout), strict=True)
    }


def shown(found: dict[str, paths.Path]) -> dict[str, str]:
    return {name: str(path) for name, path in found.items()}


def shared(found: dict[str, paths.Path]) -> dict[str, tuple[str, list[str], tuple[int | None, int | None]]]:
    return {
        a + b: (each.verdict.value, sorted(each.hops), each.silent) for (a, b), each in pairs(found).items()
    }  # fmt: skip


def test_two_paths_share_a_router_and_the_third_is_apart(network: Routed) -> None:
    found = traced(network)
    assert shown(found) == {"b": "r1 r2", "c": "r1", "d": "r3"}
    assert shared(found) == {
        "bc": ("shared", ["r1"], (0, 0)), "bd": ("disjoint", [], (0, 0)), "cd": ("disjoint", [], (0, 0)),
    }  # fmt: skip
    assert placed({name: name for name in found}, 2, paths=found) == ("c", "d")
    assert not any(changed(path, found[name]) for name, path in traced(network).items())


def test_silent_routers_are_counted_and_leave_it_open_what_paths_share(network: Routed) -> None:
    network.silence("r3", "a")
    found = traced(network)
    assert shown(found) == {"b": "r1 r2", "c": "r1", "d": "*"}
    assert shared(found)["bd"] == ("unknown", [], (0, 1))
    assert placed({name: name for name in found}, 2, paths=found) == ("c", "d")
    network.silence("r2", "a")
    network.silence("r1", "a")
    found = traced(network)
    assert shown(found) == {"b": "* *", "c": "*", "d": "*"}
    assert shared(found)["bc"] == ("unknown", [], (2, 1))


def test_a_host_that_is_not_reached_has_a_path_up_to_the_last_router_that_speaks(network: Routed) -> None:
    network.lose("r2", "b")
    network.sh("r3", f"ip route del {network.addresses['d']}")
    found = traced(network)
    assert shown(found) == {"b": "r1 ...", "c": "r1", "d": "r3 ..."}
    assert shared(found) == {
        "bc": ("shared", ["r1"], (None, 0)), "bd": ("unknown", [], (None, None)), "cd": ("unknown", [], (0, None)),
    }  # fmt: skip
    network.sh("a", f"ip route replace unreachable {network.addresses['c']}")
    assert shown(traced(network, "c")) == {"c": "..."}


def test_all_ways_among_which_the_load_is_balanced_are_seen(network: Routed) -> None:
    network.way("a", "r3", "r2", "b")
    network.route("a", "b", "r1", "r3")
    # That all flows go one way happens once in 2 ** 23 times.
    found = traced(network, flows=24)
    assert shown(found) == {"b": "r1|r3 r2", "c": "r1", "d": "r3"}
    assert [each[:2] for each in shared(found).values()] == [("shared", ["r1"]), ("shared", ["r3"]), ("disjoint", [])]


class Traced(Node):
    """An agent in a namespace of its own, and in haste."""

    def __init__(self, farm: Traces, name: str, number: int) -> None:
        super().__init__(farm, name, number)
        self.address = farm.addresses[name]

    def argv(self, what: str) -> list[str]:
        words = super().argv(what)
        start = words.index("-c") + 1
        words[start] = HASTE.format(lib=str(self.farm.folder / "agent" / "lib")) + words[start]
        return words

    def paths(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Give the path to each peer, and what each two of them share, as far as they were traced."""
        said = self.ask("paths")
        found = {each["peer"]: each["path"] for each in said if "peer" in each}
        return found, {"".join(each["pair"]): each for each in said if "pair" in each}


class Traces(Farm):
    """The agents of hosts in a network."""

    def __init__(self, folder: Path, network: Routed, names: Sequence[str]) -> None:
        self.addresses = network.addresses
        links = {name: [other for other in names if "a" in (name, other) and name != other] for name in names}
        super().__init__(folder, links, [], network="10.97.0", inside=network.inside)

    def node(self, name: str, number: int) -> Traced:
        return Traced(self, name, number)


def test_agents_trace_each_other_and_tell_of_another_path(network: Routed, tmp_path: Path) -> None:
    network.way("b", "r2", "r1", "c")
    network.way("b", "r2", "r1", "a", "r3", "d")
    network.way("c", "r1", "a", "r3", "d")
    network.silence("r3", "a")
    r1, r2 = network.addresses["r1"], network.addresses["r2"]
    farm = Traces(tmp_path, network, "abcd")
    a, b = (farm.nodes[name] for name in "ab")
    assert isinstance(a, Traced)
    assert isinstance(b, Traced)
    farm.configure(lambda _node: {})
    try:
        farm.start()
        known = wait_for(lambda: all(path and path["arrived"] for path in a.paths()[0].values()) and a.paths(), 60)
        assert {peer: path["hops"] for peer, path in known[0].items()} == {"b": [[r1], [r2]], "c": [[r1]], "d": [[]]}
        assert {pair: (each["verdict"], each["hops"], each["silent"]) for pair, each in known[1].items()} == {
            "bc": ("shared", [r1], [0, 0]), "bd": ("unknown", [], [0, 1]), "cd": ("unknown", [], [0, 1]),
        }  # fmt: skip
        # Those that are no neighbours answer each other as well.
        wait_for(lambda: b.paths()[0]["c"] and b.paths()[0]["c"]["hops"] == [[r2], [r1]], 60)
        link = wait_for(lambda: (said := a.ask("status")[0]["links"]["b"])["hops"] and said)
        assert (link["hops"], link["path"]) == (2, [[r1], [r2]])
        network.way("a", "r1", "b")
        (row, _end) = wait_for(
            lambda: len(said := a.ask("query", text="where values.event = path_changed and host = a")) > 1 and said, 60
        )
        assert row["row"]["values"] == {"event": "path_changed", "peer": "b", "old": f"{r1} {r2}", "new": r1}
        assert not row["row"]["important"]
    finally:
        farm.end()
