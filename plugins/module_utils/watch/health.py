# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How far an observer doubts itself.

After Lifeguard's local health multiplier: A. Dadgar, J. Phillips, J. Currey, "Lifeguard: Local Health Awareness for
More Accurate Failure Detection", 2018. A detector that is slow itself takes others for dead; one that knows
it gives them more time instead.
"""

from __future__ import annotations

HIGHEST = 8
"""The highest score, from which a healthy observer is back at none after as many answers."""


class OwnHealth:
    """An agent's doubt in itself, the same for all services that it observes: a score from 0 to 8 that moves by one.

    It rises with each wake-up that is more than `late_s` late and each request to *another peer* that isn't answered,
    and falls with each that is. Being in time doesn't lower it, since whoever is cut off may be in time; neither does
    an answer to an agent that woke late, which only tells that the network is well.
    """

    def __init__(self, late_s: float) -> None:
        self.score = 0
        self._late_s = late_s
        self._punctual = True

    @property
    def multiplier(self) -> float:
        """How many times the failures this observer needs: 1 up to a score of 2, which chance may give; at most 4."""
        return max(1.0, self.score / 2)

    def late(self, seconds: float) -> None:
        """Note how much later than planned this agent woke."""
        self._punctual = seconds <= self._late_s
        if not self._punctual:
            self._move(1)

    def answered(self) -> None:
        """Note that another peer answered this agent's own request."""
        if self._punctual:
            self._move(-1)

    def unanswered(self) -> None:
        """Note that another peer didn't."""
        self._move(1)

    def _move(self, step: int) -> None:
        self.score = min(max(self.score + step, 0), HIGHEST)
