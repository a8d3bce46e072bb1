# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks of what a router knows: its kernel's routes, its BGP's paths, its BFD sessions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..fault.parameters import vrf
from ..values import flag
from .check import Asked

if TYPE_CHECKING:
    from .check import Answer, Context, Scope
    from .reader import Reader


@dataclass(frozen=True)
class Route(Asked):
    """A node's route to a prefix; `via` holds the addresses of the neighbour that it must lead to."""

    name = "route"
    allowed = ("from", "to", "via")
    source: str
    to: str
    prefix: str
    via: str
    addresses: tuple[str, ...]

    @classmethod
    def read(cls, entry: Reader, scope: Scope) -> Route | None:
        source, prefix = entry.need("from", scope.places.node), entry.need("to", scope.places.prefix)
        if source is None:
            return None
        addresses = entry.need("via", lambda via: scope.places.neighbours(source, via))
        if prefix is None or addresses is None:
            return None
        return cls(source, str(entry.values["to"]), prefix, str(entry.values["via"]), addresses)

    def asserts(self) -> str:
        return f"{self.source} routes {self.to} via {self.via}"

    def parameters(self) -> dict[str, Any]:
        return {"prefix": self.prefix}

    def faults(self, answer: Answer, context: Context) -> list[str]:  # noqa: ARG002
        led = set(answer.value.get("via", [])) & set(self.addresses)
        return [] if led else [f"the route does not lead to {self.via}"]


@dataclass(frozen=True)
class Bgp(Asked):
    """BGP's best path to a prefix on a node: there or not, and from the neighbour at one of `addresses`."""

    name = "bgp"
    allowed = ("node", "to", "present", "via", "vrf")
    source: str
    to: str
    prefix: str
    present: bool = True
    via: str | None = None
    addresses: tuple[str, ...] = ()
    vrf: str | None = None

    @classmethod
    def read(cls, entry: Reader, scope: Scope) -> Bgp | None:
        source, prefix = entry.need("node", scope.places.node), entry.need("to", scope.places.prefix)
        present, routing = entry.take("present", flag, True), entry.maybe("vrf", vrf)
        if entry.has("via") and not present:
            entry.problem("via", "is the way of a path that is present")
        if source is None:
            return None
        addresses = entry.maybe("via", lambda via: scope.places.neighbours(source, via))
        if prefix is None:
            return None
        via = str(entry.values["via"]) if addresses else None
        return cls(source, str(entry.values["to"]), prefix, present, via, addresses or (), routing)

    def asserts(self) -> str:
        way = f" via {self.via}" if self.via else ""
        return f"BGP on {self.source} has {'a' if self.present else 'no'} path to {self.to}{way}{_in(self.vrf)}"

    def parameters(self) -> dict[str, Any]:
        return {"prefix": self.prefix, **_scope(self.vrf)}

    def faults(self, answer: Answer, context: Context) -> list[str]:  # noqa: ARG002
        if "via" not in answer.value:
            return ["it is not known"]
        if answer.ok != self.present:
            return ["there is no best path" if self.present else "there is a path, and should not be"]
        led = not self.addresses or set(answer.value["via"]) & set(self.addresses)
        return [] if led else [f"the best path does not lead to {self.via}"]


@dataclass(frozen=True)
class Bfd(Asked):
    """A node's BFD session to the neighbour at `address`: up, or not."""

    name = "bfd"
    allowed = ("node", "neighbor", "up", "vrf")
    source: str
    neighbor: str
    address: str
    up: bool = True
    vrf: str | None = None

    @classmethod
    def read(cls, entry: Reader, scope: Scope) -> Bfd | None:
        source, routing = entry.need("node", scope.places.node), entry.maybe("vrf", vrf)
        up = entry.take("up", flag, True)
        if source is None:
            return None
        address = entry.need("neighbor", lambda word: scope.places.neighbour(source, word))
        return cls(source, str(entry.values["neighbor"]), address, up, routing) if address else None

    def asserts(self) -> str:
        state = "up" if self.up else "not up"
        return f"BFD on {self.source} to {self.neighbor}{_in(self.vrf)} is {state}"

    def parameters(self) -> dict[str, Any]:
        return {"neighbor": self.address, **_scope(self.vrf)}

    def faults(self, answer: Answer, context: Context) -> list[str]:  # noqa: ARG002
        if "status" not in answer.value:
            return ["it is not known"]
        return [] if answer.ok == self.up else ["it is not up" if self.up else "it is up, and should not be"]


def _in(name: str | None) -> str:
    return f" in {name}" if name else ""


def _scope(name: str | None) -> dict[str, str]:
    return {"vrf": name} if name else {}
