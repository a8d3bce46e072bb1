# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The check of a writer: how fast it wrote, how long it paused, when it wrote again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..fault.kinds import KINDS
from ..units import seconds
from ..values import choice, number
from . import writes
from .check import Judgement, Measured
from .model import WINDOWS
from .reader import range_of
from .statistics import first_end

if TYPE_CHECKING:
    from .check import Measurements, Scope
    from .model import Phase, Range
    from .reader import Reader


@dataclass(frozen=True)
class WriteCheck(Measured):
    """What a writer has to show. `rate`: acknowledged records a second in the window `during`, as in `TrafficCheck`."""

    name = "writes"
    shorthand = "of"
    of: str
    during: str = "faults"
    rate: Range | None = None
    max_pause_s: float | None = None

    @classmethod
    def keys(cls, phase: Phase | None) -> tuple[str, ...]:
        return ("of",) if phase == "recover_within" else ("of", "during", "rate", "max_pause")

    @classmethod
    def read(cls, entry: Reader, scope: Scope) -> WriteCheck | None:
        of = entry.need("of", choice(scope.writers, "writer called"))
        if of is None:
            return None
        if scope.phase == "continuous" and not entry.has("rate") and not entry.has("max_pause"):
            entry.problem("", "says nothing that could be wrong; give one of rate, max_pause")
        return cls(
            of,
            during=entry.take("during", choice((*WINDOWS, *KINDS), "window"), "faults"),
            rate=entry.maybe("rate", range_of(number(0, 1000))),
            max_pause_s=entry.maybe("max_pause", seconds),
        )

    def describe(self, phase: Phase, within: float | None) -> str:
        if phase == "recover_within":
            return f"{self.of} writes again within {within or 0:g} s"
        words = [f"writes {self.rate.text('records/s')} ({self.during})"] if self.rate else []
        words += [f"pauses for at most {self.max_pause_s:g} s"] if self.max_pause_s is not None else []
        return f"{self.of} {', '.join(words)}"

    def judge(self, phase: Phase, within: float | None, measured: Measurements) -> Judgement:
        one = next((each for each in measured.written if each.writer.name == self.of), None)
        injected = measured.injected
        if one is None or not one.acks:
            said = f"{self.of} wrote nothing" + (f": {one.errors[0][2]}" if one and one.errors else "")
            return Judgement(False, said, None, None)
        if injected is None:
            return Judgement(False, "no fault was injected", None, None)
        facts: dict[str, Any] = {}
        wrong: list[str] = []
        words: list[str] = []
        if self.rate is not None:
            found = writes.rate(one, measured.windows.get(self.during, ()))
            facts["records_per_s"] = found if found is None else round(found, 3)
            words.append("rate not known" if found is None else f"{found:.3g} records/s")
            if found is None or found not in self.rate:
                wrong.append(f"{words[-1]}, expected {self.rate.text('records/s')}")
        if self.max_pause_s is not None:
            longest = writes.pause(one, injected)
            facts["pause_ms"] = round(1000 * longest.seconds, 1)
            words.append(f"longest pause {longest.seconds:.3g} s")
            if longest.seconds > self.max_pause_s:
                wrong.append(f"{words[-1]}, expected at most {self.max_pause_s:g} s")
        if phase == "recover_within":
            hit = writes.pause(one, injected, first_end(measured.windows))
            taken = None if hit.until is None else max(0.0, hit.until - injected)
            facts["recovered_s"] = None if taken is None else round(taken, 3)
            again = f"wrote again after {taken:.3g} s" if taken else "no pause"
            words.append("did not write again" if taken is None else again)
            if taken is None or taken > (within or 0.0):
                wrong.append(f"{words[-1]}, expected within {within:g} s")
        words += [f"{count} times {name}" for _first, _last, name, count in one.errors]
        return Judgement(not wrong, "; ".join(wrong or words), injected, facts)
