# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The check of a stream: its loss, delay and outages, as the packets themselves show them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..fault.kinds import KINDS
from ..units import milliseconds, percent, seconds
from ..values import choice
from . import statistics
from .check import Judgement, Measured
from .model import WINDOWS
from .reader import range_of
from .statistics import first_end

if TYPE_CHECKING:
    from .check import Measurements, Scope, Windows
    from .model import Phase, Range
    from .reader import Reader
    from .statistics import Direction

_EXPECTATIONS = ("loss", "latency", "latency_rise", "max_outage")


@dataclass(frozen=True)
class TrafficCheck(Measured):
    """What a stream has to show, in the direction from `sender` or in both (None).

    Loss and latency are those of the packets sent in the window `during`, which is one of `WINDOWS`, or a kind of fault
    for the time that faults of this kind were on; the outage is looked for from the first
    injection to the end of the run. `latency_rise_ms` is against the time before the first fault.
    """

    name = "traffic"
    shorthand = "of"
    of: str
    sender: str | None = None
    during: str = "faults"
    loss: Range | None = None
    latency_ms: Range | None = None
    latency_rise_ms: Range | None = None
    max_outage_s: float | None = None

    @classmethod
    def keys(cls, phase: Phase | None) -> tuple[str, ...]:
        return ("of", "from") if phase == "recover_within" else ("of", "from", "during", *_EXPECTATIONS)

    @classmethod
    def read(cls, entry: Reader, scope: Scope) -> TrafficCheck | None:
        of = entry.need("of", choice(scope.streams, "traffic called"))
        if of is None:
            return None
        ends = scope.streams[of].a, scope.streams[of].b
        refusal = f"{of} is between {ends[0]} and {ends[1]}, not from"
        sender = entry.maybe("from", lambda value: scope.places.one_of(ends, value, refusal))
        if scope.phase == "continuous" and not any(entry.has(key) for key in _EXPECTATIONS):
            entry.problem("", f"says nothing that could be wrong; give one of {', '.join(_EXPECTATIONS)}")
        return cls(
            of,
            sender,
            during=entry.take("during", choice((*WINDOWS, *KINDS), "window"), "faults"),
            loss=entry.maybe("loss", range_of(percent)),
            latency_ms=entry.maybe("latency", range_of(milliseconds)),
            latency_rise_ms=entry.maybe("latency_rise", range_of(milliseconds)),
            max_outage_s=entry.maybe("max_outage", seconds),
        )

    def describe(self, phase: Phase, within: float | None) -> str:
        sender = f" from {self.sender}" if self.sender else ""
        if phase == "recover_within":
            return f"{self.of}{sender} is back within {within or 0:g} s"
        parts = {
            "loses": self.loss and self.loss.text("%"),
            "takes": self.latency_ms and self.latency_ms.text("ms"),
            "takes longer by": self.latency_rise_ms and self.latency_rise_ms.text("ms"),
            "is silent for": None if self.max_outage_s is None else f"at most {self.max_outage_s:g} s",
        }
        return f"{self.of}{sender} " + ", ".join(f"{verb} {what}" for verb, what in parts.items() if what)

    def judge(self, phase: Phase, within: float | None, measured: Measurements) -> Judgement:
        chosen = [
            direction
            for direction in measured.directions
            if direction.name == self.of and self.sender in (None, direction.source)
        ]
        expected = 1 if self.sender else 2
        if len(chosen) < expected or not all(direction.packets for direction in chosen):
            return Judgement(False, f"{self.of} was not measured", None, None)
        if measured.injected is None:
            return Judgement(False, "no fault was injected", None, None)
        faults: list[str] = []
        details: list[str] = []
        value: dict[str, Any] = {}
        for direction in chosen:
            way = f"from {direction.source}"
            limit = (within or 0.0) if phase == "recover_within" else None
            facts, wrong, words = self._shows(direction, limit, measured.windows, measured.injected)
            value[direction.source] = facts
            faults += [f"{way}: {fault}" for fault in wrong]
            details += [f"{way}: {word}" for word in words]
        return Judgement(not faults, "; ".join(faults or details), measured.injected, value)

    def _shows(
        self, direction: Direction, within: float | None, windows: Windows, injected: float
    ) -> tuple[dict[str, Any], list[str], list[str]]:
        """What was measured, what of it is wrong, and all of it in words."""
        window = windows.get(self.during, ())
        facts: dict[str, Any] = {}
        wrong: list[str] = []
        words: list[str] = []

        def expect(what: str, unit: str, wanted: Range | None, found: float | None) -> None:
            if wanted is None:
                return
            facts[what] = found if found is None else round(found, 3)
            text = f"{what.partition('_')[0]} {'not known' if found is None else f'{found:.4g} {unit}'}"
            words.append(text)
            if found is None or found not in wanted:
                wrong.append(f"{text}, expected {wanted.text(unit)}")

        longest = statistics.silence(direction, injected)
        if within is not None:
            hit = statistics.silence(direction, injected, first_end(windows))
            taken = None if hit.until is None else max(0.0, hit.until - injected)
            facts["recovered_s"] = None if taken is None else round(taken, 3)
            back = f"back after {taken:.3g} s" if taken else "was never silent"
            words.append("stayed silent" if taken is None else back)
            if taken is None or taken > within:
                wrong.append(f"{words[-1]}, expected within {within:g} s")
        if self.max_outage_s is not None:
            facts["outage_ms"] = round(1000 * longest.seconds, 1)
            words.append(f"longest silence {1000 * longest.seconds:.0f} ms")
            if longest.seconds > self.max_outage_s:
                wrong.append(f"{words[-1]}, expected at most {1000 * self.max_outage_s:g} ms")
        expect("loss_percent", "%", self.loss, statistics.loss_percent(direction, window))
        expect("latency_ms", "ms", self.latency_ms, statistics.latency_ms(direction, window))
        base, then = statistics.latency_ms(direction, windows["before"]), statistics.latency_ms(direction, window)
        rise = None if base is None or then is None else then - base
        expect("latency_rise_ms", "ms", self.latency_rise_ms, rise)
        return facts, wrong, words
