# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The blast radius: what the timeline's faults leave of the testbed's graph, at every instant."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..errors import Problem
from ..fault.kinds import KINDS
from ..topology.graph import Graph

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from .model import Drill, Fault


@dataclass(frozen=True)
class Radius:
    """From the instant `since` on, until the next one: the circuits that carry nothing, and the sites thus cut off.

    `silent` are the nodes that answer nobody, without power for example; their circuits carry nothing either.
    """

    since: float
    cut: tuple[str, ...]
    isolated: tuple[str, ...]
    silent: tuple[str, ...] = ()


def radii(drill: Drill, testbed: Mapping[str, Any]) -> list[Radius]:
    """Give the blast radius at each instant at which it may change, in order.

    The management network isn't in the graph: no fault stands on it.
    """
    graph = Graph.from_testbed(testbed)
    changes: dict[float, Counter[tuple[str, str]]] = {}
    for fault in drill.faults:
        struck = [("edge", edge) for edge in _cut_by(fault, testbed)]
        struck += [("node", fault.target)] if fault.silences else []
        for instant, count in ((fault.at, 1), (fault.ends, -1)):
            change = changes.setdefault(instant, Counter())
            for each in struck:
                change[each] += count
    standing: Counter[tuple[str, str]] = Counter()
    found: list[Radius] = []
    for instant, change in sorted(changes.items()):
        for each, count in change.items():
            standing[each] += count
        gone = sorted(each for each, count in standing.items() if count)
        cut, silent = (tuple(name for what, name in gone if what == sort) for sort in ("edge", "node"))
        same = found and (found[-1].cut, found[-1].silent) == (cut, silent)
        isolated = found[-1].isolated if same else tuple(sorted(graph.isolated_sites(cut=cut, dead=silent)))
        found.append(Radius(instant, cut, isolated, silent))
    return found


def refusals(drill: Drill, found: list[Radius]) -> list[Problem]:
    """Give a problem for each site that is isolated without being expected to be, and the other way round."""
    expected = set(drill.expects_isolated)
    problems = []
    for site in sorted({site for radius in found for site in radius.isolated} - expected):
        radius = next(radius for radius in found if site in radius.isolated)
        message = (
            f"{site} is cut off at {radius.since:g} s, when {_gone(radius)}; "
            f"if that is the drill's purpose, say expects_isolated: [{site}]"
        )
        problems.append(Problem("", None, "timeline", message))
    never = expected - {site for radius in found for site in radius.isolated}
    return problems + [
        Problem("", None, "expects_isolated", f"{site} isn't isolated by anything in the timeline")
        for site in sorted(never)
    ]


def without_majority(
    drill: Drill, found: Iterable[Radius], testbed: Mapping[str, Any], members: Collection[str]
) -> list[Problem]:
    """Give a problem if the timeline leaves no majority of the storage's `members` together, unless that is expected.

    Then nobody can write anything, anywhere. Without members there is no storage, and nothing to lose.
    """
    graph = Graph.from_testbed(testbed)
    together = [
        (radius.since, max((len(part & set(members)) for part in _parts(graph, radius)), default=0)) for radius in found
    ]
    lost = [(since, most) for since, most in together if members and 2 * most <= len(members)]
    if bool(lost) is drill.expects_no_majority:
        return []
    if not lost:
        return [Problem("", None, "expects_no_majority", "the timeline takes no majority from any storage")]
    since, most = lost[0]
    message = (
        f"from {since:g} s on only {most} of the storage's {len(members)} members reach each other, "
        "so nobody can write; if that is the drill's purpose, say expects_no_majority: true"
    )
    return [Problem("", None, "timeline", message)]


def _parts(graph: Graph, radius: Radius) -> list[set[str]]:
    return graph.components(cut=radius.cut, dead=radius.silent)


def _gone(radius: Radius) -> str:
    words = [f"{' and '.join(radius.cut)} carry nothing"] if radius.cut else []
    words += [f"{node} answers nobody" for node in radius.silent]
    return " and ".join(words)


def edge_of(fault: Fault, testbed: Mapping[str, Any]) -> str | None:
    """Give the circuit or the LAN that the fault stands on; None for a fault that stands on neither."""
    if fault.circuit:
        return fault.circuit
    interfaces = testbed["nodes"][fault.target]["interfaces"]
    found = next((item for item in interfaces if item["name"] == fault.interface), None)
    return str(found["segment"]) if found and found["kind"] == "lan" else None


def _cut_by(fault: Fault, testbed: Mapping[str, Any]) -> tuple[str, ...]:
    """The edges that a fault makes useless: circuits or a segment. One that works one way only counts as none.

    A fault that changes counts as what it is at its worst, all the time that it may stand.
    """
    if fault.silences:
        return tuple(name for name, ends in testbed["circuits"].items() if fault.target in (ends["a"], ends["b"]))
    if not any(KINDS[fault.kind].cuts(params) for params in (fault.params, *(step.params for step in fault.steps))):
        return ()
    edge = edge_of(fault, testbed)
    return (edge,) if edge else ()
