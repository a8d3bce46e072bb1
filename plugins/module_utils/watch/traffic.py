# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What clients are answered, as far as it passes by an observer: it may go by that instead of asking (P1.12)."""

from __future__ import annotations

from dataclasses import dataclass

LOOKS = 5
"""How often in a period is looked at what has passed."""
_GOOD_LOOKS = 2
"""For how many looks an answer is good: few enough that a suspicion is no later for its being noticed late."""


@dataclass(frozen=True)
class Counts:
    """How much of what clients asked one server was answered so far, and how much failed; neither has a unit."""

    answered: int = 0
    failed: int = 0


class Traffic:
    """What passes by one observer on its way to the present holder, and whether the observer has to ask for itself.

    An answer is good for two looks; a failure never counts but by making the observer ask. So the first request to a
    server that has ended goes out 0.8 periods after its last answer at the latest; without clients it is a whole one.
    An observer asks twice in a period at most.
    """

    def __init__(self, period_s: float) -> None:
        self._good_s, self._apart_s = _GOOD_LOOKS * period_s / LOOKS, period_s / 2
        self._counts: Counts | None = None
        self._good_until = self._asked_at = float("-inf")
        self._failed = self._spared = False

    def begin(self) -> None:
        """Forget everything: there is another holder."""
        self._counts, self._good_until = None, float("-inf")
        self._failed = self._spared = False

    def saw(self, now: float, counts: Counts | None) -> None:
        """Take what has been counted for the holder since whenever; None where nobody knows."""
        before, self._counts = self._counts, counts
        if counts is None or before is None or counts.answered < before.answered or counts.failed < before.failed:
            return
        if counts.failed > before.failed:
            self._failed, self._good_until = True, float("-inf")
        elif counts.answered > before.answered:
            self._good_until = now + self._good_s

    def spares(self, now: float) -> bool:
        """Say, when the observer would ask, that clients were answered just now, so that it needn't."""
        self._spared, self._failed = now < self._good_until, False
        if not self._spared:
            self._asked_at = now
        return self._spared

    def urges(self, now: float) -> bool:
        """Whether the observer had better ask now, before its time."""
        if self._failed:
            return now >= self._asked_at + self._apart_s
        return self._spared and now >= self._good_until
