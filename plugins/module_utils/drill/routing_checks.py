# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks of what a router knows: its kernel's routes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .check import Asked

if TYPE_CHECKING:
    from .check import Context, Scope
    from .model import Phase
    from .reader import Reader


@dataclass(frozen=True)
class Route(Asked):
    """A node's route to a prefix; `via` holds the addresses of the neighbour that it must lead to."""

    name = "route"
    source: str
    to: str
    prefix: str
    via: str
    addresses: tuple[str, ...]

    @classmethod
    def keys(cls, phase: Phase | None) -> tuple[str, ...]:  # noqa: ARG003
        return ("from", "to", "via")

    @classmethod
    def read(cls, entry: Reader, scope: Scope) -> Route | None:
        source, prefix = entry.need("from", scope.places.node), entry.need("to", scope.places.prefix)
        if source is None:
            return None
        addresses = entry.need("via", lambda via: scope.places.neighbours(source, via))
        if prefix is None or addresses is None:
            return None
        return cls(source, str(entry.values["to"]), prefix, str(entry.values["via"]), addresses)

    def describe(self, phase: Phase, within: float | None) -> str:  # noqa: ARG002
        return f"{self.source} routes {self.to} via {self.via}"

    def question(self, run: str) -> dict[str, Any]:  # noqa: ARG002
        return {"type": "route", "prefix": self.prefix}

    def faults(self, ok: bool, value: dict[str, Any], context: Context) -> list[str]:  # noqa: ARG002
        led = set(value.get("via", [])) & set(self.addresses)
        return [] if led else [f"the route does not lead to {self.via}"]
