# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Questions about a testbed's graph: who reaches whom, over which ways, and what it takes to part them."""

from __future__ import annotations

import heapq
from collections import deque
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from ..errors import BadValue
from ..suggest import nearest

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping

# A node or an edge, by kind and name, and whether one goes in or out of it: each is one unit wide between the two.
_Vertex = tuple[str, str, str]


@dataclass(frozen=True)
class Graph:
    """Nodes, and named edges between them: circuits, and LAN segments, which may join more than two nodes.

    `delays` are in ms. `sites` gives the nodes that stand for a site: its KVM hosts, or its router if it has none.
    Wherever nodes or edges are named, an unknown name raises `BadValue`.
    """

    nodes: frozenset[str]
    edges: Mapping[str, frozenset[str]]
    delays: Mapping[str, float]
    sites: Mapping[str, frozenset[str]]

    @classmethod
    def from_testbed(cls, testbed: Mapping[str, Any]) -> Graph:
        """Build the graph of a resolved testbed."""
        nodes = testbed["nodes"]
        members: dict[str, set[str]] = {
            name: {circuit["a"], circuit["b"]} for name, circuit in testbed["circuits"].items()
        }
        for name, node in nodes.items():
            for interface in node["interfaces"]:
                if interface["kind"] == "lan":
                    members.setdefault(interface["segment"], set()).add(name)
        sites = {}
        for name, site in testbed["sites"].items():
            hosts = frozenset(node for node in site["nodes"] if nodes[node]["kind"] == "kvm_host")
            sites[name] = hosts or frozenset(site["nodes"])
        return cls(
            nodes=frozenset(nodes),
            edges={name: frozenset(ends) for name, ends in members.items()},
            delays={name: float(circuit["delay_ms"]) for name, circuit in testbed["circuits"].items()},
            sites=sites,
        )

    def without(self, cut: Iterable[str] = (), dead: Iterable[str] = ()) -> Graph:
        """Give the graph that is left when the edges in `cut` and the nodes in `dead` are gone; sites stay."""
        gone_edges, gone_nodes = self._gone(cut, dead)
        return Graph(
            nodes=self.nodes - gone_nodes,
            edges={name: ends - gone_nodes for name, ends in self.edges.items() if name not in gone_edges},
            delays=self.delays,
            sites=self.sites,
        )

    def reachable(self, start: str, cut: Iterable[str] = (), dead: Iterable[str] = ()) -> set[str]:
        """Give all nodes that `start` reaches, itself among them; none if it is dead."""
        self._known(start, self.nodes, "node")
        return self._reachable(start, *self._gone(cut, dead))

    def components(self, cut: Iterable[str] = (), dead: Iterable[str] = ()) -> list[set[str]]:
        """Give the parts that can't reach each other: the one with most sites first, then with most nodes."""
        gone_edges, gone_nodes = self._gone(cut, dead)
        parts: list[set[str]] = []
        seen = set(gone_nodes)
        for node in sorted(self.nodes):
            if node not in seen:
                part = self._reachable(node, gone_edges, gone_nodes)
                parts.append(part)
                seen |= part
        return sorted(parts, key=lambda part: (-len(self._sites_in(part)), -len(part), min(part)))

    def isolated_sites(self, cut: Iterable[str] = (), dead: Iterable[str] = ()) -> set[str]:
        """Give the sites that have no host (or router, if they have no hosts) in the first of `components`."""
        parts = self.components(cut, dead)
        return set(self.sites) - (self._sites_in(parts[0]) if parts else set())

    def minimum_cut(self, a: str, b: str) -> set[str]:
        """Give a smallest set of edges (circuits or LAN segments) without which `a` doesn't reach `b`."""
        flow = self._flow(a, b, node_width=len(self.edges) + 1)
        near = flow.near()
        return {name for name in self.edges if ("edge", name, "in") in near and ("edge", name, "out") not in near}

    def disjoint_paths(self, a: str, b: str) -> list[list[str]]:
        """Give as many paths as possible of which no two share an edge, as lists of nodes; shortest first."""
        return self._flow(a, b, node_width=len(self.edges) + 1).paths()

    def node_disjoint_paths(self, a: str, b: str) -> list[list[str]]:
        """Give as many paths as possible of which no two share an edge, or a node but their ends; shortest first."""
        return self._flow(a, b, node_width=1).paths()

    def shortest_path(self, a: str, b: str, weight: Callable[[str], float] | None = None) -> list[str] | None:
        """Give the nodes of the path of the least weight, or None if there is no path.

        `weight` gives an edge's weight by its name, not negative; it is the delay by default, 0 for a LAN segment.
        Among equal weights fewer hops win, then the order of names.
        """
        self._ends(a, b)
        weigh = weight or (lambda name: self.delays.get(name, 0.0))
        at = self._edges_at
        heap: list[tuple[float, int, list[str]]] = [(0.0, 0, [a])]
        done: set[str] = set()
        while heap:
            distance, hops, path = heapq.heappop(heap)
            if path[-1] == b:
                return path
            if path[-1] in done:
                continue
            done.add(path[-1])
            for name in at[path[-1]]:
                for node in self.edges[name] - done:
                    heapq.heappush(heap, (distance + weigh(name), hops + 1, [*path, node]))
        return None

    def _gone(self, cut: Iterable[str], dead: Iterable[str]) -> tuple[set[str], set[str]]:
        edges = {self._known(name, self.edges, "edge") for name in cut}
        return edges, {self._known(name, self.nodes, "node") for name in dead}

    def _reachable(self, start: str, gone_edges: Collection[str], gone_nodes: Collection[str]) -> set[str]:
        seen = {start} - set(gone_nodes)
        queue = deque(seen)
        while queue:
            for name, ends in self._edges_at[queue.popleft()].items():
                if name not in gone_edges and not ends <= seen:
                    further = ends.difference(seen, gone_nodes)
                    queue.extend(further)
                    seen |= further
        return seen

    @cached_property
    def _edges_at(self) -> dict[str, dict[str, frozenset[str]]]:
        """The edges at each node, with all their ends."""
        at: dict[str, dict[str, frozenset[str]]] = {node: {} for node in self.nodes}
        for name, ends in self.edges.items():
            for node in ends:
                at[node][name] = ends
        return at

    def _sites_in(self, part: set[str]) -> set[str]:
        return {name for name, nodes in self.sites.items() if nodes & part}

    def _flow(self, a: str, b: str, node_width: int) -> _Flow:
        self._ends(a, b)
        # A cut must never be found where a node meets an edge, only at the edge itself.
        wide = len(self.edges) + 1
        flow = _Flow(("node", a, "out"), ("node", b, "in"))
        for node in sorted(self.nodes):
            flow.add(("node", node, "in"), ("node", node, "out"), node_width)
        for name in sorted(self.edges):
            flow.add(("edge", name, "in"), ("edge", name, "out"), 1)
            for node in sorted(self.edges[name]):
                flow.add(("node", node, "out"), ("edge", name, "in"), wide)
                flow.add(("edge", name, "out"), ("node", node, "in"), wide)
        flow.maximise()
        return flow

    def _ends(self, a: str, b: str) -> None:
        self._known(a, self.nodes, "node")
        self._known(b, self.nodes, "node")
        if a == b:
            raise BadValue(f"two different nodes are needed, not {a} twice")

    def _known(self, name: str, names: Collection[str], what: str) -> str:
        if name not in names:
            raise BadValue(f"the testbed has no {what} {name}", nearest(name, names))
        return name


class _Flow:
    """A network of whole-number widths and the largest flow through it, by shortest augmenting paths."""

    def __init__(self, source: _Vertex, sink: _Vertex) -> None:
        self._source = source
        self._sink = sink
        self._width: dict[_Vertex, dict[_Vertex, int]] = {source: {}, sink: {}}
        self._left: dict[_Vertex, dict[_Vertex, int]] = {source: {}, sink: {}}

    def add(self, start: _Vertex, end: _Vertex, width: int) -> None:
        self._width.setdefault(start, {})[end] = width
        self._left.setdefault(start, {})[end] = width
        self._left.setdefault(end, {}).setdefault(start, 0)

    def maximise(self) -> None:
        while self._sink in (before := self._search()):
            vertex = self._sink
            while vertex != self._source:
                previous = before[vertex]
                self._left[previous][vertex] -= 1
                self._left[vertex][previous] += 1
                vertex = previous

    def near(self) -> set[_Vertex]:
        """Give the source's side of the smallest cut."""
        return {self._source, *self._search()}

    def paths(self) -> list[list[str]]:
        """Take the flow apart into paths, each as the list of its nodes."""
        used = {
            start: [end for end, width in ends.items() for _unit in range(width - self._left[start][end])]
            for start, ends in self._width.items()
        }
        found = []
        while used[self._source]:
            vertex, path = self._source, [self._source[1]]
            while vertex != self._sink:
                vertex = used[vertex].pop()
                kind, name, _side = vertex
                if kind == "node" and path[-1] != name:
                    # A flow may go in a circle; a path may not.
                    path = [*path[: path.index(name)], name] if name in path else [*path, name]
            found.append(path)
        return sorted(found, key=lambda path: (len(path), path))

    def _search(self) -> dict[_Vertex, _Vertex]:
        before: dict[_Vertex, _Vertex] = {}
        queue = deque([self._source])
        while queue:
            vertex = queue.popleft()
            for end, left in self._left[vertex].items():
                if left > 0 and end not in before and end != self._source:
                    before[end] = vertex
                    queue.append(end)
        return before
