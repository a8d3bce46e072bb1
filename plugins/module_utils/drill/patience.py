# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How often a question is asked, and how many wrong answers it may have."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True)
class Patience:
    """A question is asked `tries` times, `every_s` apart, and `tolerate` of the answers may be wrong.

    With a `deadline_s` it is asked until an answer is right instead, for the last time when so many seconds are over.
    """

    tries: int = 1
    every_s: float = 1.0
    tolerate: int = 0
    deadline_s: float | None = None

    @property
    def lasts_s(self) -> float:
        """How long after the first time it may be asked for the last time."""
        return (self.tries - 1) * self.every_s if self.deadline_s is None else self.deadline_s

    def settled(self, right: Sequence[bool], asked_for_s: float) -> bool:
        """Say whether no further answer is needed; the last question was `asked_for_s` after the first one."""
        if self.deadline_s is not None:
            return any(right) or asked_for_s + self.every_s > self.deadline_s
        return right.count(False) > self.tolerate or len(right) >= self.tries

    def holds(self, right: Sequence[bool]) -> bool:
        """Say whether it holds, by all answers that there are."""
        return any(right) and (self.deadline_s is not None or right.count(False) <= self.tolerate)


ONCE = Patience()
