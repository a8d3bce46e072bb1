# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How closely a service is watched, and how much it takes to suspect its server."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

from ..errors import BadInput, Problem

_FEWEST = 3
_COUNTS = ("needed", "observers")


@dataclass(frozen=True)
class Watch:
    """How one service is watched, the same at all its agents; raises `BadInput` with all that is wrong.

    Each of so many `observers` asks every `period_s` and waits `timeout_s`; after `needed` failures in a row it is
    sure. What it says is good for `good_for_s` after it came. Where nobody said anything for `silence_s`, that is a
    suspicion too. The level of suspicion is a number from 0 to 1: `suspect_at` or more for a whole period is a
    suspicion, which `trust_at` or less ends. A new holder has `grace_s` to start the service. An agent that wakes more
    than `late_s` late doubts itself.
    """

    period_s: float = 1.0
    timeout_s: float = 0.8
    needed: int = 3
    observers: int = 3
    good_for_s: float = 3.0
    silence_s: float = 5.0
    grace_s: float = 20.0
    late_s: float = 0.2
    suspect_at: float = 0.6
    trust_at: float = 0.4

    def __post_init__(self) -> None:
        wrong = self._no_numbers() or {**self._wrong_times(), **self._wrong_levels()}
        if wrong:
            raise BadInput([Problem("", None, name, message) for name, message in wrong.items()])

    @property
    def suspected_s(self) -> float:
        """By when after its end a server is suspected, where observers are healthy and their messages arrive."""
        return (self.needed + 2) * self.period_s + self.timeout_s

    def _no_numbers(self) -> dict[str, str]:
        wrong: dict[str, str] = {}
        for name in (field.name for field in fields(self)):
            value = getattr(self, name)
            if not (math.isfinite(value) and (value > 0 or (name == "grace_s" and value == 0))):
                wrong[name] = "is not a number above 0"
            elif name in _COUNTS and not isinstance(value, int):
                wrong[name] = "is not a whole number"
        return wrong

    def _wrong_times(self) -> dict[str, str]:
        wrong: dict[str, str] = {}
        if self.timeout_s > self.period_s:
            wrong["timeout_s"] = (
                f"is {self.timeout_s:g} s, and the next request goes out after {self.period_s:g} s: a slow server "
                "would be asked several times at once; choose a longer period_s or a shorter timeout_s"
            )
        shortest = 2 * self.period_s + self.timeout_s
        if self.good_for_s < shortest:
            wrong["good_for_s"] = (
                f"is {self.good_for_s:g} s: an observer would be forgotten when one message is lost; "
                f"choose {shortest:g} s or more"
            )
        if self.silence_s < self.good_for_s:
            wrong["silence_s"] = (
                f"is {self.silence_s:g} s, and what was said is good for {self.good_for_s:g} s; "
                "choose a longer silence_s or a shorter good_for_s"
            )
        return wrong

    def _wrong_levels(self) -> dict[str, str]:
        if self.observers < _FEWEST:
            return {
                "observers": f"is {self.observers}: beside the server's own host it takes two to tell a dead server "
                f"from one of them that is cut off; choose {_FEWEST}, and a longer period_s to ask the server less"
            }
        wrong: dict[str, str] = {}
        if self.suspect_at > 1 - 1 / self.observers:
            wrong["suspect_at"] = (
                f"is {self.suspect_at:g}: the server's own host saying that it is well would outweigh all the others; "
                f"choose {_down(1 - 1 / self.observers):g} or less"
            )
        if self.trust_at < 1 / self.observers:
            wrong["trust_at"] = (
                f"is {self.trust_at:g}: one observer that is cut off would keep a suspicion up for ever; "
                f"choose {1 - _down(1 - 1 / self.observers):g} or more, or more observers"
            )
        elif self.trust_at >= self.suspect_at:
            wrong["trust_at"] = f"is not below suspect_at ({self.suspect_at:g}): choose less, or more observers"
        return wrong


def _down(share: float) -> float:
    return math.floor(100 * share) / 100
