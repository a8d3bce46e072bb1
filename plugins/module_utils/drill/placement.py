# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a fault of the timeline lands: from a circuit or a node's name to the parameters on each target."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..fault.kinds import KINDS

if TYPE_CHECKING:
    from collections.abc import Callable

    from .places import Places
    from .reader import Reader


@dataclass(frozen=True)
class Placed:
    """A fault's share on one target."""

    target: str
    params: dict[str, Any]
    circuit: str | None = None


COMMON_KEYS = ("fault", "at", "for")
_ON_INTERFACE = ("circuit", "from", "node", "interface")
_ON_ROUTE = ("node", "to")


def keys_of(kind: str) -> tuple[str, ...]:
    """The keys that a timeline entry of this kind may have, besides `COMMON_KEYS`."""
    own = {"link_down": _ON_INTERFACE, "loss": (*_ON_INTERFACE, "percent"), "route_override": (*_ON_ROUTE, "via")}
    return own.get(kind, _ON_ROUTE)


def place(kind: str, entry: Reader, places: Places) -> list[Placed]:
    """Give the fault's share on each of its targets; what can't be placed is a problem of the entry, and left out."""
    return _PLACERS[kind](entry, places)


def _on_interface(entry: Reader, places: Places, **params: Any) -> list[Placed]:
    if entry.has("circuit"):
        for key in ("node", "interface"):
            if entry.has(key):
                entry.problem(key, "is not for a fault on a circuit; one end of it is chosen by from")
        return _on_circuit(entry, places, params)
    if entry.has("from"):
        entry.problem("from", "chooses the end of a circuit, and no circuit is given")
    if not entry.has("node") and not entry.has("interface"):
        entry.problem("circuit", "is missing; or name a node and its interface")
        return []
    node = entry.need("node", places.node)
    if node is None:
        return []
    interfaces = {interface["name"]: interface for interface in places.nodes[node]["interfaces"]}
    chosen = entry.need("interface", lambda value: places.interface(node, value))
    if chosen is None:
        return []
    return [Placed(node, {"interface": chosen, **params}, interfaces[chosen].get("circuit"))]


def _on_circuit(entry: Reader, places: Places, params: dict[str, Any]) -> list[Placed]:
    circuit = entry.need("circuit", places.circuit)
    if circuit is None:
        return []
    only = entry.maybe("from", lambda value: places.end(circuit, value))
    return [
        Placed(node, {"interface": interface, **params}, circuit)
        for node, interface in places.ends(circuit).items()
        if only in (None, node)
    ]


def _link_down(entry: Reader, places: Places) -> list[Placed]:
    return _on_interface(entry, places)


def _loss(entry: Reader, places: Places) -> list[Placed]:
    share = entry.need("percent", KINDS["loss"].parameters["percent"])
    return _on_interface(entry, places, percent=share)


def _route_override(entry: Reader, places: Places) -> list[Placed]:
    node, prefix = entry.need("node", places.node), entry.need("to", places.prefix)
    if node is None:
        return []
    via = entry.need("via", lambda value: places.neighbour(node, value))
    return [] if prefix is None or via is None else [Placed(node, {"prefix": prefix, "via": via})]


def _route_blackhole(entry: Reader, places: Places) -> list[Placed]:
    node, prefix = entry.need("node", places.node), entry.need("to", places.prefix)
    return [] if node is None or prefix is None else [Placed(node, {"prefix": prefix})]


_PLACERS: dict[str, Callable[[Reader, Places], list[Placed]]] = {
    "link_down": _link_down,
    "loss": _loss,
    "route_override": _route_override,
    "route_blackhole": _route_blackhole,
}
