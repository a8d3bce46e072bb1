# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import itertools

import pytest
from ansible_collections.okiagari.testbed.plugins.module_utils.errors import BadValue
from ansible_collections.okiagari.testbed.plugins.module_utils.topology import Graph, loads
from hypothesis import given
from hypothesis import strategies as st

NODES = "abcdef"


def graph_of(edges, sites=None, delays=None):
    return Graph(
        nodes=frozenset(NODES),
        edges={f"e{i}": frozenset(ends) for i, ends in enumerate(edges)},
        delays=delays or {},
        sites={name: frozenset(nodes) for name, nodes in (sites or {}).items()},
    )


# Edges of three nodes are LAN segments.
edges = st.lists(st.sets(st.sampled_from(NODES), min_size=2, max_size=3), max_size=9)
graphs = edges.map(graph_of)


def is_way(graph, path, names):
    """Whether one of `names` per step makes `path` a way through the graph, without using a name twice."""
    steps = list(itertools.pairwise(path))
    return any(
        all(set(step) <= graph.edges[name] for step, name in zip(steps, choice, strict=True))
        for choice in itertools.permutations(names, len(steps))
    )


def brute_force_cut(graph, a, b):
    for size in range(len(graph.edges) + 1):
        for cut in itertools.combinations(graph.edges, size):
            if b not in graph.reachable(a, cut=cut):
                return size
    raise AssertionError("no cut parts the nodes")


@given(graphs)
def test_the_minimum_cut_is_a_cut_and_as_small_as_can_be(graph):
    cut = graph.minimum_cut("a", "f")
    assert "f" not in graph.reachable("a", cut=cut)
    assert len(cut) == brute_force_cut(graph, "a", "f")


@given(graphs)
def test_there_are_as_many_disjoint_paths_as_the_minimum_cut_is_large(graph):
    paths = graph.disjoint_paths("a", "f")
    assert len(paths) == len(graph.minimum_cut("a", "f"))
    for path in paths:
        assert (path[0], path[-1]) == ("a", "f")
        assert len(path) == len(set(path))
        assert is_way(graph, path, graph.edges)


@given(graphs)
def test_node_disjoint_paths_share_nothing_and_are_as_many_as_possible(graph):
    paths = graph.node_disjoint_paths("a", "f")
    inner = [node for path in paths for node in path[1:-1]]
    assert len(inner) == len(set(inner))
    assert all(is_way(graph, path, graph.edges) for path in paths)
    things = [("edge", name) for name in graph.edges] + [("node", node) for node in NODES[1:-1]]
    smallest = next(
        size
        for size in range(len(things) + 1)
        for gone in itertools.combinations(things, size)
        if "f"
        not in graph.reachable(
            "a", cut={n for kind, n in gone if kind == "edge"}, dead={n for kind, n in gone if kind == "node"}
        )
    )
    assert len(paths) == smallest


@given(graphs, st.sets(st.sampled_from(NODES)))
def test_components_part_the_living_nodes(graph, dead):
    parts = graph.components(dead=dead)
    assert sorted(node for part in parts for node in part) == sorted(set(NODES) - dead)
    for part in parts:
        for node in part:
            assert graph.reachable(node, dead=dead) == part
    assert all(graph.reachable(node, dead=dead) == set() for node in dead)


@given(edges, st.lists(st.integers(0, 9), min_size=9, max_size=9))
def test_the_shortest_path_is_shortest(ends, weights):
    delays = {f"e{i}": float(weight) for i, weight in enumerate(weights)}
    graph = graph_of(ends, delays=delays)

    def length(path):
        return sum(
            min(delays[name] for name, members in graph.edges.items() if set(step) <= members)
            for step in itertools.pairwise(path)
        )

    ways = [
        ["a", *inner, "f"]
        for size in range(len(NODES) - 1)
        for inner in itertools.permutations(NODES[1:-1], size)
        if all(any(set(step) <= m for m in graph.edges.values()) for step in itertools.pairwise(["a", *inner, "f"]))
    ]
    path = graph.shortest_path("a", "f")
    assert (path is None) == (not ways)
    if path:
        assert path == min(ways, key=lambda way: (length(way), len(way), way))


def test_sites_without_a_way_to_most_sites_are_isolated():
    graph = graph_of([{"a", "b"}, {"b", "c"}, {"d", "e"}], sites={"x": "a", "y": "bc", "z": "d"})
    assert graph.isolated_sites() == {"z"}
    assert graph.isolated_sites(cut={"e0"}) == {"x", "z"}
    assert graph.isolated_sites(dead={"b"}) == {"x", "y"}
    assert graph.isolated_sites(dead=set(NODES)) == {"x", "y", "z"}


def test_a_graph_is_built_from_a_testbed():
    testbed = loads(
        "plugin: okiagari.testbed.testbed\nname: t\n"
        "sites: {a: {number: 1, kvm_hosts: 2}, b: {number: 2}, c: {number: 3, kvm_hosts: 0}}\n"
        "circuits: [{between: [a, b], delay: 1ms}, {between: [b, c], delay: 2ms}, {between: [a, c], delay: 9ms}]\n"
    )
    graph = Graph.from_testbed(testbed.to_dict())
    assert graph.edges["a-lan"] == {"a-r1", "a-kvm1", "a-kvm2"}
    assert graph.minimum_cut("a-kvm1", "b-kvm1") in ({"a-lan"}, {"b-lan"})
    assert len(graph.minimum_cut("a-r1", "c-r1")) == 2
    assert graph.shortest_path("a-kvm1", "c-r1") == ["a-kvm1", "a-r1", "b-r1", "c-r1"]
    assert graph.shortest_path("a-kvm1", "c-r1", weight=lambda edge: 1) == ["a-kvm1", "a-r1", "c-r1"]
    assert graph.isolated_sites(cut={"b-lan"}) == {"b"}
    assert graph.isolated_sites(dead={"c-r1"}) == {"c"}


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda graph: graph.reachable("g"), "no node g"),
        (lambda graph: graph.components(cut={"e9"}), "no edge e9"),
        (lambda graph: graph.components(dead={"g"}), "no node g"),
        (lambda graph: graph.minimum_cut("a", "a"), "two different nodes"),
        (lambda graph: graph.shortest_path("a", "g"), "no node g"),
    ],
)
def test_unknown_names_are_refused(ask, message):
    with pytest.raises(BadValue, match=message):
        ask(graph_of([{"a", "b"}]))
