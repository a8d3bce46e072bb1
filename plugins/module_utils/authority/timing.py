# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The times by which no two servers run at once, and the inequalities that hold between them."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

from ..errors import BadInput, Problem

LEASE_SHARE = 0.6
"""Which share of the TTL a holder counts on: the rest covers drift, the supervisor, and a store that is early."""
_HIGHEST_DRIFT = 0.1


@dataclass(frozen=True)
class Timing:
    """Times of one service, the same at all its agents; all in seconds. Raises `BadInput` where they can't be safe.

    `ttl_s` is the TTL of the store's lease, which is renewed every `keepalive_s`. The service is told to stop `stop_s`
    before the holder's deadline, and killed at the deadline by the supervisor, which takes `kill_s` at most. No clock
    runs faster or slower than true by more than the share `drift`. An answer is waited for `answer_s`, and the store is
    asked every `poll_s` who holds the service.
    """

    ttl_s: float = 10.0
    keepalive_s: float = 1.0
    stop_s: float = 2.0
    kill_s: float = 0.5
    drift: float = 0.01
    answer_s: float = 1.0
    poll_s: float = 2.0

    def __post_init__(self) -> None:
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        wrong = {
            name: "is not a number above 0"
            for name, value in values.items()
            if not (math.isfinite(value) and (value > 0 or (name == "drift" and value == 0)))
        }
        if not wrong and self.drift > _HIGHEST_DRIFT:
            wrong["drift"] = f"is above {_HIGHEST_DRIFT:g}: a clock that wrong is to be repaired, not allowed for"
        if not wrong and self.over_s > self.ttl_s / (1 + self.drift):
            wrong["ttl_s"] = (
                f"is {self.ttl_s:g} s, by which the service may still run: it is dead after {self.over_s:.2f} s only; "
                "choose a longer TTL, a shorter kill_s or less drift"
            )
        if not wrong and self.lease_s - self.stop_s < 2 * self.keepalive_s + self.answer_s:
            wrong["keepalive_s"] = (
                f"leaves no second try: of {self.ttl_s:g} s a holder counts on {self.lease_s:g} s, and stops "
                f"{self.stop_s:g} s before; choose a longer TTL, a shorter stop_s, keepalive_s or answer_s"
            )
        if wrong:
            raise BadInput([Problem("", None, name, message) for name, message in wrong.items()])

    @property
    def lease_s(self) -> float:
        """How long after sending a keepalive that was answered the holder's deadline is, by its own clock."""
        return LEASE_SHARE * self.ttl_s

    @property
    def over_s(self) -> float:
        """By when after that, in true time, no instance of the service runs, whatever hangs."""
        return self.lease_s / (1 - self.drift) + self.kill_s

    @property
    def wait_s(self) -> float:
        """How long a successor waits, by its own clock, from when it knows that the key is gone."""
        return self.over_s * (1 + self.drift)
