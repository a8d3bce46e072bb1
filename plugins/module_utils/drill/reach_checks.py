# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks of whether packets arrive, and by which way."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..errors import shown
from ..units import duration, milliseconds, percent
from ..values import flag, whole
from .check import Asked
from .reader import one_or_more

if TYPE_CHECKING:
    from .check import Answer, Context, Scope
    from .reader import Reader


@dataclass(frozen=True)
class Ping(Asked):
    """`count` echo requests from a node to an address; `answers` false: none may be answered."""

    name = "ping"
    allowed = ("from", "to", "count", "interval", "answers", "max_loss", "max_rtt")
    source: str
    to: str
    address: str
    count: int = 5
    interval: float = 0.1
    answers: bool = True
    max_loss: float = 0.0
    max_rtt_ms: float | None = None

    @classmethod
    def read(cls, entry: Reader, scope: Scope) -> Ping | None:
        source, address = entry.need("from", scope.places.node), entry.need("to", scope.places.address)
        check = cls(
            source or "",
            shown(entry.values.get("to")),
            address or "",
            count=entry.take("count", whole(1, 100), 5),
            interval=entry.take("interval", duration, 0.1),
            answers=entry.take("answers", flag, True),
            max_loss=entry.take("max_loss", percent, 0.0),
            max_rtt_ms=entry.maybe("max_rtt", milliseconds),
        )
        return check if source and address else None

    def asserts(self) -> str:
        return f"{self.source} {'reaches' if self.answers else 'does not reach'} {self.to}"

    def parameters(self) -> dict[str, Any]:
        return {"to": self.address, "count": self.count, "interval": self.interval}

    def faults(self, answer: Answer, context: Context) -> list[str]:  # noqa: ARG002
        value = answer.value
        if "received" not in value:
            return ["it is not known"]
        if not self.answers:
            return ["it answers, and should not"] if value["received"] else []
        if not answer.ok:
            return ["no answer"]
        found = []
        if value["loss_percent"] > self.max_loss:
            found.append(f"{value['loss_percent']:g} % lost, expected at most {self.max_loss:g} %")
        if self.max_rtt_ms is not None and value["rtt_ms"][1] > self.max_rtt_ms:
            found.append(f"{value['rtt_ms'][1]:g} ms, expected at most {self.max_rtt_ms:g} ms")
        return found


@dataclass(frozen=True)
class Path(Asked):
    """The way from a node to an address. `via` and `avoid` name circuits and nodes."""

    name = "path"
    allowed = ("from", "to", "via", "avoid")
    source: str
    to: str
    address: str
    via: tuple[str, ...] = ()
    avoid: tuple[str, ...] = ()

    @classmethod
    def read(cls, entry: Reader, scope: Scope) -> Path | None:
        source, address = entry.need("from", scope.places.node), entry.need("to", scope.places.address)
        named = one_or_more(scope.places.node_or_circuit)
        via, avoid = entry.maybe("via", named) or (), entry.maybe("avoid", named) or ()
        if not entry.has("via") and not entry.has("avoid"):
            entry.problem("", "says neither via nor avoid")
        return cls(source, str(entry.values["to"]), address, via, avoid) if source and address else None

    def asserts(self) -> str:
        words = [f"over {' and '.join(self.via)}"] if self.via else []
        words += [f"not over {' or '.join(self.avoid)}"] if self.avoid else []
        return f"{self.source} to {self.to} goes {', '.join(words)}"

    def parameters(self) -> dict[str, Any]:
        return {"to": self.address}

    def faults(self, answer: Answer, context: Context) -> list[str]:
        places, hops = context.places, list(answer.value.get("hops", []))
        steps = places.crossed(self.source, hops)
        # A step between parallel circuits that can't be told apart proves no `via` and no `avoid`.
        surely = {step[0] for step in steps if len(step) == 1}
        surely |= {node for node in places.walk(self.source, hops) if node}
        perhaps = {circuit for step in steps for circuit in step} | surely
        found = [] if answer.ok else ["the destination did not answer"]
        found += [f"it does not go over {name}" for name in self.via if name not in surely]
        found += [f"it goes over {name}" for name in self.avoid if name in perhaps]
        return found

    def words(self, answer: Answer, context: Context) -> str:
        hops = answer.value.get("hops", [])
        walked = zip(context.places.walk(self.source, hops), [self.source, *hops], strict=True)
        return " > ".join(str(name or hop) for name, hop in walked)
