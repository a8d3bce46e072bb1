# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a fault of the timeline lands: from a circuit or a node's name to kinds and parameters on each target."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ..errors import BadInput, BadValue
from ..fault.kinds import KINDS
from ..fault.parameters import machine
from ..values import choice

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from .places import Places
    from .reader import Reader


@dataclass(frozen=True)
class Placed:
    """A fault's share on one target, of the kind `kind`. `by`: what makes it, if the target itself can't.

    `interface` is what the testbed calls the one that it stands on; the target may call it otherwise.
    """

    kind: str
    target: str
    params: dict[str, Any]
    circuit: str | None = None
    by: str | None = None
    interface: str | None = None

    @property
    def silences(self) -> bool:
        """Whether the target answers nobody meanwhile: it is the machine that the fault stands on, not its host."""
        return self._whole and KINDS[self.kind].silences(self.params)

    @property
    def ends_programs(self) -> bool:
        """Whether what runs on the target ends with the fault."""
        return self._whole and KINDS[self.kind].ends_programs(self.params)

    @property
    def _whole(self) -> bool:
        return self.by is not None or "machine" not in self.params


_ON_INTERFACE = ("circuit", "from", "site", "node", "interface")
_ON_ROUTE = ("node", "to")
_ON_NODE = (
    "cpu_pressure", "memory_pressure", "disk_pressure", "disk_full", "disk_slow", "disk_failing",
    "clock_step", "service_stop", "service_freeze",
)  # fmt: skip
_ON_SESSION = ("node", "neighbor", "vrf")


def keys_of(fault: str) -> tuple[str, ...]:
    """The keys of its own that a timeline entry of this fault may have."""
    return _FAULTS[fault][0]


def place(fault: str, entry: Reader, places: Places) -> list[Placed]:
    """Give the fault's share on each of its targets; what can't be placed is a problem of the entry, and left out."""
    return _FAULTS[fault][1](entry, places)


def _own(kind: str) -> tuple[str, ...]:
    """The parameters of a kind that stands on an interface, besides that."""
    return tuple(key for key in (*KINDS[kind].parameters, *KINDS[kind].optional) if key != "interface")


def _interface_fault(kind: str) -> Callable[[Reader, Places], list[Placed]]:
    def placer(entry: Reader, places: Places) -> list[Placed]:
        params = _typed(kind, entry, places)
        shares = _shares(kind, entry, places, params)
        if entry.take("base", choice(("keep", "subtract"), "treatment of the base"), "keep") == "subtract":
            return _beyond_base(entry, places, shares)
        return shares

    return placer


def _typed(kind: str, entry: Reader, places: Places) -> dict[str, Any]:
    """The kind's own parameters; in `only`, `to` may be a site or a node."""
    own = {key: entry.values[key] for key in _own(kind) if entry.has(key)}
    only = own.get("only")
    try:
        if isinstance(only, Mapping) and only.get("to") is not None:
            own["only"] = {**only, "to": places.prefix(only["to"])}
    except BadValue as error:
        entry.problem("only.to", error.message, error.suggestion)
        return {}
    typed = _parsed(kind, entry, {**own, "interface": "any"}) or {}
    return {key: value for key, value in typed.items() if key in own}


def _parsed(kind: str, entry: Reader, params: Mapping[str, Any]) -> dict[str, Any] | None:
    """The kind's parameters typed; None if they are refused."""
    try:
        return KINDS[kind].parse("", params)
    except BadInput as error:
        for each in error.problems:
            entry.problem("", each.message, each.suggestion)
    return None


def _shares(kind: str, entry: Reader, places: Places, params: dict[str, Any]) -> list[Placed]:
    if entry.has("site"):
        return _on_site(kind, entry, places, params)
    if entry.has("circuit"):
        for key in ("node", "interface"):
            if entry.has(key):
                entry.problem(key, "is not for a fault on a circuit; one end of it is chosen by from")
        named = entry.need("circuit", places.circuit)
        if named is None:
            return []
        only = entry.maybe("from", lambda value: places.end(named, value))
        return _on_circuit(kind, named, entry, places, params, only)
    if entry.has("from"):
        entry.problem("from", "chooses the end of a circuit, and no circuit is given")
    if not entry.has("node") and not entry.has("interface"):
        entry.problem("circuit", "is missing; or name a site, or a node and its interface")
        return []
    node = entry.need("node", places.node)
    if node is None:
        return []
    interfaces = {interface["name"]: interface for interface in places.nodes[node]["interfaces"]}
    chosen = entry.need("interface", lambda value: places.interface(node, value))
    if chosen is None:
        return []
    port = _port(node, chosen, "interface", entry, places)
    circuit = interfaces[chosen].get("circuit")
    return [Placed(kind, node, {"interface": port, **params}, circuit, interface=chosen)] if port else []


def _on_site(kind: str, entry: Reader, places: Places, params: dict[str, Any]) -> list[Placed]:
    """Every circuit of a site, at the site's end."""
    for key in ("circuit", "from", "node", "interface"):
        if entry.has(key):
            entry.problem(key, "is not for a fault on all circuits of a site")
    site = entry.need("site", places.site)
    inside = [] if site is None else places.sites[site]["nodes"]
    return [
        share
        for circuit in places.circuits
        for node in places.ends(circuit)
        if node in inside
        for share in _on_circuit(kind, circuit, entry, places, params, node)
    ]


def _on_circuit(
    kind: str, circuit: str, entry: Reader, places: Places, params: dict[str, Any], only: str | None = None
) -> list[Placed]:
    """Give the shares of a circuit's ends, or that of the only one."""
    found = []
    for node, interface in places.ends(circuit).items():
        port = _port(node, interface, "circuit", entry, places) if only in (None, node) else None
        if port:
            found.append(Placed(kind, node, {"interface": port, **params}, circuit, interface=interface))
    return found


def _port(node: str, interface: str, key: str, entry: Reader, places: Places) -> str | None:
    try:
        return places.port(node, interface)
    except BadValue as error:
        entry.problem(key, error.message, error.suggestion)
        return None


def _beyond_base(entry: Reader, places: Places, shares: list[Placed]) -> list[Placed]:
    """Take the circuit's own delay from the one that is asked for, so that both together are what is asked for."""
    found = []
    for share in shares:
        if share.circuit is None:
            entry.problem("base", "is for a fault on a circuit: only its delay is known")
            return []
        base = places.circuits[share.circuit]["delay_ms"] / 1000
        delay = share.params.get("delay", 0.0)
        if delay <= base:
            entry.problem("delay", f"{share.circuit} is {1000 * base:g} ms long already: ask for more, or base: keep")
            return []
        found.append(replace(share, params={**share.params, "delay": round(delay - base, 9)}))
    return found


def _route_override(entry: Reader, places: Places) -> list[Placed]:
    node, prefix = entry.need("node", places.node), entry.need("to", places.prefix)
    if node is None:
        return []
    via = entry.need("via", lambda value: places.neighbour(node, value))
    return [] if prefix is None or via is None else [Placed("route_override", node, {"prefix": prefix, "via": via})]


def _route_fault(kind: str) -> Callable[[Reader, Places], list[Placed]]:
    def placer(entry: Reader, places: Places) -> list[Placed]:
        node, prefix = entry.need("node", places.node), entry.need("to", places.prefix)
        params = {"prefix": prefix, **_further(kind, entry)}
        return [] if node is None or prefix is None else [Placed(kind, node, params)]

    return placer


def _further(kind: str, entry: Reader) -> dict[str, Any]:
    """The parameters that a kind may have and that this entry does."""
    found = {key: entry.maybe(key, convert) for key, convert in KINDS[kind].optional.items()}
    return {key: value for key, value in found.items() if value is not None}


def _session_fault(kind: str) -> Callable[[Reader, Places], list[Placed]]:
    """A fault of a node's BGP session to a neighbour, which is named as in `Places.neighbours`."""

    def placer(entry: Reader, places: Places) -> list[Placed]:
        own = {key: convert for key, convert in KINDS[kind].parameters.items() if key != "neighbor"}
        params = {key: entry.need(key, convert) for key, convert in own.items()}
        params.update(_further(kind, entry))
        node = entry.need("node", places.node)
        if node is None:
            return []
        neighbor = entry.need("neighbor", lambda value: places.neighbour(node, value))
        if neighbor is None:
            return []
        given = {key: value for key, value in params.items() if value is not None}
        return [Placed(kind, node, {"neighbor": neighbor, **given}, places.circuit_to(node, neighbor))]

    return placer


def _bfd_off(entry: Reader, places: Places) -> list[Placed]:
    """At both ends: a neighbour that still had BFD would take the session down."""
    found = []
    for share in _session_fault("bfd_off")(entry, places):
        circuit = str(share.circuit)
        there = next(node for node in places.ends(circuit) if node != share.target)
        back = places.neighbour(there, circuit)
        found += [share, replace(share, target=there, params={**share.params, "neighbor": back})]
    return found


def _node_fault(kind: str) -> Callable[[Reader, Places], list[Placed]]:
    """A fault of a node itself, with the kind's own parameters."""

    def placer(entry: Reader, places: Places) -> list[Placed]:
        node = entry.need("node", places.node)
        params = _parsed(kind, entry, {key: entry.values[key] for key in _own(kind) if entry.has(key)})
        return [] if node is None or params is None else [Placed(kind, node, params)]

    return placer


def _route_loop(entry: Reader, places: Places) -> list[Placed]:
    """Two neighbours send what is meant for a prefix to each other, until its hops are used up."""
    between, prefix = entry.need("between", places.two_nodes), entry.need("to", places.prefix)
    if between is None or prefix is None:
        return []
    found = []
    for here, there in (between, between[::-1]):
        try:
            via = places.neighbour(here, there)
        except BadValue as error:
            entry.problem("between", error.message, error.suggestion)
            return []
        found.append(Placed("route_override", here, {"prefix": prefix, "via": via}))
    return found


def _relay_down(entry: Reader, places: Places) -> list[Placed]:
    """Every circuit of a node is down at both ends, as when an exchange fails."""
    node = entry.need("node", places.node)
    circuits = [name for name in places.circuits if node in places.ends(name)]
    if node is not None and not circuits:
        entry.problem("node", f"no circuit ends at {node}")
    return [share for name in circuits for share in _on_circuit("link_down", name, entry, places, {})]


def _power_fault(kind: str) -> Callable[[Reader, Places], list[Placed]]:
    """A node's power, which is what gives it that; or that of a guest, `machine`, which its host gives it."""

    def placer(entry: Reader, places: Places) -> list[Placed]:
        node, guest = entry.need("node", places.node), entry.maybe("machine", machine)
        if node is None:
            return []
        return [Placed(kind, node, {"machine": guest})] if guest else _powered(kind, "node", [node], entry, places)

    return placer


def _site_down(entry: Reader, places: Places) -> list[Placed]:
    """Every node of a site is without power, as when its supply or its cooling fails."""
    site = entry.need("site", places.site)
    return [] if site is None else _powered("power_cut", "site", places.sites[site]["nodes"], entry, places)


def _powered(kind: str, key: str, nodes: Iterable[str], entry: Reader, places: Places) -> list[Placed]:
    found = []
    for node in nodes:
        try:
            power = places.power(node)
        except BadValue as error:
            entry.problem(key, error.message, error.suggestion)
        else:
            found.append(Placed(kind, node, {"machine": power.machine}, by=power.by))
    return found


_FAULTS: dict[str, tuple[tuple[str, ...], Callable[[Reader, Places], list[Placed]]]] = {
    **{
        kind: ((*_ON_INTERFACE, *_own(kind), *(("base",) if kind == "delay" else ())), _interface_fault(kind))
        for kind in KINDS
        if "interface" in KINDS[kind].parameters
    },
    "route_override": ((*_ON_ROUTE, "via"), _route_override),
    **{kind: (_ON_ROUTE, _route_fault(kind)) for kind in ("route_blackhole", "route_unreachable", "route_prohibit")},
    "bgp_shutdown": (_ON_SESSION, _session_fault("bgp_shutdown")),
    "bfd_off": (_ON_SESSION, _bfd_off),
    "local_preference": ((*_ON_SESSION, "preference"), _session_fault("local_preference")),
    "metric": ((*_ON_SESSION, "metric"), _session_fault("metric")),
    "as_path": ((*_ON_SESSION, "prepend"), _session_fault("as_path")),
    "prefix_withdrawn": ((*_ON_ROUTE, "vrf"), _route_fault("prefix_withdrawn")),
    **{kind: (("node", *_own(kind)), _node_fault(kind)) for kind in _ON_NODE},
    "route_loop": (("between", "to"), _route_loop),
    "relay_down": (("node",), _relay_down),
    "power_cut": (("node", "machine"), _power_fault("power_cut")),
    "reboot": (("node", "machine"), _power_fault("reboot")),
    "pause": (("node", "machine"), _power_fault("pause")),
    "site_down": (("site",), _site_down),
}
FAULTS = tuple(_FAULTS)
"""What a timeline may name: the kinds of fault, and the sets of them."""
