# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The check of how much gets through from one node to another, which loads the way between them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..fault.parameters import rate
from ..target.throughput_probes import span
from .check import Asked

if TYPE_CHECKING:
    from .check import Answer, Context, Scope
    from .model import Phase
    from .reader import Reader

_FIRST_PORT = 18700
_SECONDS = 2.0


@dataclass(frozen=True)
class Throughput(Asked):
    """One TCP stream from a node to another for `seconds`: `least` bits a second have to arrive."""

    name = "throughput"
    allowed = ("from", "to", "for", "at_least")
    source: str
    to: str
    local: str
    peer: str
    port: int
    seconds: float
    least: int

    @classmethod
    def unfit(cls, phase: Phase) -> str | None:
        if phase in ("before", "on_fault", "after"):
            return None
        return f"loads the network: use the phase before, on_fault or after, not {phase}"

    @classmethod
    def read(cls, entry: Reader, scope: Scope) -> Throughput | None:
        places = scope.places
        source, to = entry.need("from", places.node), entry.need("to", places.node)
        seconds, least = entry.take("for", span, _SECONDS), entry.need("at_least", rate)
        if source and source == to:
            entry.problem("to", f"is {to} itself")
        local, peer = entry.maybe("from", places.address), entry.maybe("to", places.address)
        if not (source and to and local and peer and least):
            return None
        # Each sender has a port of its own, so that several may send to one node.
        port = _FIRST_PORT + [*places.nodes].index(source)
        return cls(source, to, local, peer, port, seconds, least)

    def asserts(self) -> str:
        return f"{self.source} sends {self.to} at least {self.least / 1e6:g} Mbit/s"

    def parameters(self) -> dict[str, Any]:
        return {"from": self.local, "to": self.peer, "port": self.port, "seconds": self.seconds}

    def helper(self) -> tuple[str, dict[str, Any]]:
        where = {"local": self.peer, "peer": self.local, "port": self.port}
        return self.to, {"type": "sink", **where, "seconds": self.seconds}

    def faults(self, answer: Answer, context: Context) -> list[str]:  # noqa: ARG002
        if not answer.ok:
            return ["not measured"]
        short = answer.value["bits_per_s"] < self.least
        return [f"expected at least {self.least / 1e6:g} Mbit/s"] if short else []
