# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a fault stands in the graph and how it is called on a drawing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .reading import Report, circuits_of, entries, mapping, number, text
from .wording import percent, plain

_NAMES = {
    "link_down": "link down",
    "loss": "loss",
    "route_override": "route overridden",
    "route_blackhole": "route black-holed",
}
_ONE_WAY = {"loss"}


@dataclass(frozen=True)
class Place:
    """A fault on the drawing: on a circuit, or on a node; `towards` is the far node of a fault in one direction."""

    circuit: str | None
    node: str
    towards: str | None
    label: str
    injected: bool
    breaks: bool


def parameters(fault: dict[str, Any]) -> dict[str, Any]:
    """What was asked: the report's `asked`, else the fault's own `params`."""
    return mapping(fault.get("asked")) or mapping(fault.get("params"))


def name_of(fault: dict[str, Any]) -> str:
    """A fault in two or three words: 30 % loss, link down."""
    kind = text(fault.get("kind"), "fault")
    if kind == "loss" and number(parameters(fault).get("percent")) is not None:
        return f"{percent(parameters(fault)['percent'])} loss"
    return _NAMES.get(kind, plain(kind))


def window_of(fault: dict[str, Any]) -> str:
    """From when to when: 5-25 s; empty if not known. For a fault that waited, as it was."""
    came = number(fault.get("injected"))
    start = number(fault.get("at")) if not fault.get("when") else None if came is None else round(came, 1)
    length = number(fault.get("for"))
    if start is None:
        return ""
    return f"{start:g}\u00a0s" if length is None else f"{start:g}\u2013{start + length:g}\u00a0s"


def circuit_of(report: Report, fault: dict[str, Any]) -> str | None:
    """The circuit that a fault stands on: as the report says, else by the target's interface."""
    circuits = circuits_of(report)
    named = fault.get("circuit")
    if isinstance(named, str) and named in circuits:
        return named
    end = (fault.get("target"), parameters(fault).get("interface"))
    for name, circuit in circuits.items():
        if end[1] is not None and end in (
            (circuit.get("a"), circuit.get("a_interface")),
            (circuit.get("b"), circuit.get("b_interface")),
        ):
            return name
    return None


def places(report: Report) -> list[Place]:
    """Every fault's place, in the report's order."""
    circuits = circuits_of(report)
    found = []
    for fault in entries(report.get("faults")):
        node = text(fault.get("target"))
        circuit = circuit_of(report, fault)
        ends = [] if circuit is None else [circuits[circuit].get("a"), circuits[circuit].get("b")]
        far = [end for end in ends if end != node]
        one_way = text(fault.get("kind")) in _ONE_WAY and len(far) == 1
        full = number(parameters(fault).get("percent")) == 100.0
        label = " ".join(part for part in (name_of(fault), window_of(fault)) if part)
        injected = number(fault.get("injected")) is not None
        found.append(
            Place(circuit, node, far[0] if one_way else None, label, injected, fault.get("kind") == "link_down" or full)
        )
    return found
