# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One agent's own asking of one service, and what it tells the others of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..errors import BadValue, shown
from ..values import Shape, mismatch

if TYPE_CHECKING:
    from .health import OwnHealth
    from .policy import Watch

_SHAPE: dict[str, Shape] = {
    "service": str,
    "holder": str,
    "observer": str,
    "domain": str,
    "sequence": int,
    "level": (int, float),
    "why": str,
    "good_for_s": (int, float),
}


@dataclass(frozen=True)
class Observation:
    """What `observer`, a host in this failure domain, concludes about the service at this holder.

    `level` is 0 where it is well and 1 where the observer is sure that it isn't; `why` says it to people. Of two
    observations of one observer the one with the higher `sequence` is the newer. It is good for `good_for_s` after it
    came, by the clock of whoever gets it.
    """

    service: str
    holder: str
    observer: str
    domain: str
    sequence: int
    level: float
    why: str
    good_for_s: float

    def to_dict(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in _SHAPE}

    @classmethod
    def from_dict(cls, value: object) -> Observation:
        """Read what another agent sent; raise `BadValue` for what `to_dict` can't have given."""
        wrong = mismatch(value, _SHAPE)
        if wrong or not isinstance(value, dict):
            raise BadValue(f"is not an observation: {wrong}")
        if not 0 <= value["level"] <= 1:
            raise BadValue(f"is not an observation: its level is {shown(value['level'])}")
        if not value["good_for_s"] > 0:
            raise BadValue(f"is not an observation: it is good for {shown(value['good_for_s'])} s")
        return cls(**{name: value[name] for name in _SHAPE})


class Observer:
    """The asking of one service by the agent on host `observer`; `health` is this agent's doubt in itself.

    Failures count from when the service was first well under the present holder, or `grace_s` after that one came: it
    waits for its predecessor's lease and restores the state before it starts anything.
    """

    def __init__(self, service: str, observer: str, domain: str, watch: Watch, health: OwnHealth) -> None:
        self.holder = ""
        self.failures = 0
        self._service, self._observer, self._domain = service, observer, domain
        self._watch, self._health = watch, health
        self._sequence = 0
        self._counts_from = float("-inf")

    def begin(self, now: float, holder: str) -> None:
        """Ask this holder from now on, which has just come, or which holds the service anew."""
        self.holder, self.failures = holder, 0
        self._counts_from = now + self._watch.grace_s

    def result(self, now: float, well: bool, why: str) -> Observation:
        """Conclude from what the check said, `well` and in words, or from its running out of time."""
        self._sequence += 1
        if well:
            self.failures, self._counts_from = 0, now
        elif now < self._counts_from:
            why = f"may still be starting: {why}"
        else:
            self.failures += 1
            why = f"{why} ({self.failures} in a row, sure after {self._needed:g})"
        level = min(1.0, self.failures / self._needed)
        return Observation(
            self._service, self.holder, self._observer, self._domain,
            self._sequence, level, why, self._watch.good_for_s,
        )  # fmt: skip

    @property
    def _needed(self) -> float:
        return self._watch.needed * self._health.multiplier
