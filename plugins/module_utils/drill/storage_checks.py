# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks of the storage that the sites share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..target.writers import key_of
from ..values import choice, file_path
from .check import Asked

if TYPE_CHECKING:
    from .check import Context, Scope
    from .model import Phase
    from .reader import Reader


@dataclass(frozen=True)
class Readback(Asked):
    """What a writer wrote, read on another node: all that was acknowledged has to be there, bit for bit.

    In the phase on_fault that is what was acknowledged before the first fault.
    """

    name = "readback"
    of: str
    source: str
    path: str
    size: int

    @classmethod
    def keys(cls, phase: Phase | None) -> tuple[str, ...]:  # noqa: ARG003
        return ("of", "from", "path")

    @classmethod
    def unfit(cls, phase: Phase) -> str | None:
        if phase == "before":
            return "reads what was written since T0: use the phase on_fault or after, not before"
        return super().unfit(phase)

    @classmethod
    def read(cls, entry: Reader, scope: Scope) -> Readback | None:
        of = entry.need("of", choice(scope.writers, "writer called"))
        source, path = entry.need("from", scope.places.node), entry.maybe("path", file_path)
        if of is None or source is None:
            return None
        return cls(of, source, path or scope.writers[of].path, scope.writers[of].size)

    def describe(self, phase: Phase, within: float | None) -> str:  # noqa: ARG002
        return f"what {self.of} wrote is read at {self.source}"

    def question(self, run: str) -> dict[str, Any]:
        return {"type": "readback", "path": self.path, "key": key_of(run, self.of), "size": self.size}

    def faults(self, ok: bool, value: dict[str, Any], context: Context) -> list[str]:
        acknowledged = context.acknowledged
        if not acknowledged:
            return ["nothing that was acknowledged is known of"]
        value["acknowledged"] = acknowledged
        lost = acknowledged - int(value.get("records", 0))
        if not ok or lost == acknowledged:
            return [f"none of the {acknowledged} acknowledged records is there"]
        if lost > 0:
            first = value["records"]
            return [f"{lost} of {acknowledged} acknowledged records are lost or wrong, from number {first} on"]
        return []
