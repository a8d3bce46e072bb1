# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks of the storage that the sites share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..target.writers import key_of
from ..values import choice, file_path, flag
from .check import Asked

if TYPE_CHECKING:
    from .check import Answer, Context, Scope
    from .model import Phase
    from .reader import Reader


@dataclass(frozen=True)
class Readback(Asked):
    """What a writer wrote, read on another node: all that was acknowledged has to be there, bit for bit.

    In the phase on_fault that is what was acknowledged before the first fault.
    """

    name = "readback"
    allowed = ("of", "from", "path")
    of: str
    source: str
    path: str
    size: int

    @classmethod
    def unfit(cls, phase: Phase) -> str | None:
        if phase in ("on_fault", "after"):
            return None
        return f"reads what was written since T0: use the phase on_fault or after, not {phase}"

    @classmethod
    def read(cls, entry: Reader, scope: Scope) -> Readback | None:
        of = entry.need("of", choice(scope.writers, "writer called"))
        source, path = entry.need("from", scope.places.node), entry.maybe("path", file_path)
        if of is None or source is None:
            return None
        return cls(of, source, path or scope.writers[of].path, scope.writers[of].size)

    def asserts(self) -> str:
        return f"what {self.of} wrote is read at {self.source}"

    def question(self, run: str) -> dict[str, Any]:
        return {**super().question(run), "key": key_of(run, self.of)}

    def parameters(self) -> dict[str, Any]:
        return {"path": self.path, "size": self.size}

    def faults(self, answer: Answer, context: Context) -> list[str]:
        acknowledged = context.acknowledged
        if not acknowledged:
            return ["nothing that was acknowledged is known of"]
        answer.value["acknowledged"] = acknowledged
        lost = acknowledged - int(answer.value.get("records", 0))
        if not answer.ok or lost == acknowledged:
            return [f"none of the {acknowledged} acknowledged records is there"]
        if lost > 0:
            first = answer.value["records"]
            return [f"{lost} of {acknowledged} acknowledged records are lost or wrong, from number {first} on"]
        return []


@dataclass(frozen=True)
class Storage(Asked):
    """How a member sees the storage: with a majority (`quorum`), nothing to repair in its own bricks (`healed`)."""

    name = "storage"
    allowed = ("node", "quorum", "healed")
    source: str
    quorum: bool | None
    healed: bool | None

    @classmethod
    def read(cls, entry: Reader, scope: Scope) -> Storage | None:
        source = entry.need("node", scope.places.node)
        quorum, healed = entry.maybe("quorum", flag), entry.maybe("healed", flag)
        if not entry.has("quorum") and not entry.has("healed"):
            entry.problem("", "says neither quorum nor healed")
        return cls(source, quorum, healed) if source else None

    def asserts(self) -> str:
        words = [] if self.quorum is None else [f"{'has' if self.quorum else 'has no'} quorum"]
        words += [] if self.healed is None else [f"{'is' if self.healed else 'is not'} healed"]
        return f"the storage of {self.source} {' and '.join(words)}"

    def parameters(self) -> dict[str, Any]:
        return {}

    def faults(self, answer: Answer, context: Context) -> list[str]:  # noqa: ARG002
        value = answer.value
        if "pending" not in value:
            return ["it is not known"]
        found = []
        if self.quorum is not None and value["members"] is None:
            found.append("whether it has quorum is not known")
        elif self.quorum is not None and (2 * value["connected"] > value["members"]) != self.quorum:
            found.append("it has no quorum" if self.quorum else "it has quorum, and should not")
        if self.healed is not None and (not value["pending"] and not value["stopped"]) != self.healed:
            found.append("it is not healed" if self.healed else "it is healed, and should not be")
        return found
