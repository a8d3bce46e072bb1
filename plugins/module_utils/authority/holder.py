# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The holder's side: from the acquisition of a service until it is given back, or lost."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING

from .actions import Feed, KeepAlive, Prepare, Release, StartService, StopService, Tell

if TYPE_CHECKING:
    from .actions import Action
    from .supervisor import Held
    from .timing import Timing


class State(enum.Enum):
    """Where a holder stands. `OVER` is the end: whoever acquires again is another holder."""

    WAITING = "waiting"
    SERVING = "serving"
    STOPPING = "stopping"
    OVER = "over"


class Holder:
    """Holds a service by a lease of the store, with a fencing token; keeps, starts and stops in time.

    `sent_at` is when the request was sent that the store answered with this token, `start_at` from when on the service
    may run. All times are those of one monotonic clock of this machine that counts suspended time (CLOCK_BOOTTIME).
    The deadline is counted from *before* a keepalive was sent: when the store got it, only its answer could tell.
    """

    def __init__(
        self, timing: Timing, *, lease: int, token: int, term: int, sent_at: float, start_at: float
    ) -> None:  # fmt: skip
        self.lease, self.token, self.term = lease, token, term
        self.state = State.WAITING
        self.deadline = sent_at + timing.lease_s
        self.start_at = start_at
        self._timing = timing
        self._lost = self._prepared = False
        self._keep_at = sent_at + timing.keepalive_s

    @classmethod
    def resumed(cls, timing: Timing, held: Held, now: float) -> Holder:
        """Give the holder of a service that a supervisor kept running while this agent was started anew."""
        sent_at = held.deadline - timing.lease_s
        holder = cls(timing, lease=held.lease, token=held.token, term=held.term, sent_at=sent_at, start_at=now)
        holder.state, holder._keep_at = State.SERVING, now
        return holder

    @property
    def wake_at(self) -> float:
        if self.state is State.OVER:
            return float("inf")
        waits = [self._keep_at] if not self._lost else []
        if self.state is not State.STOPPING:
            waits.append(self._stop_at)
        if self.state is State.WAITING:
            waits.append(self.start_at)
        return min(waits, default=float("inf"))

    def tick(self, now: float) -> list[Action]:
        """Do what is due: stop before the deadline, prepare, start when the wait is over, keep the lease alive."""
        actions: list[Action] = []
        if now >= self._stop_at and self.state in (State.WAITING, State.SERVING):
            actions += self.stop("the lease could not be renewed in time")
        elif self.state is State.WAITING and now >= self.start_at:
            self.state = State.SERVING
            actions.append(StartService(self.token, self.lease, self.term, self.deadline))
        elif self.state is State.WAITING and not self._prepared:
            self._prepared = True
            actions.append(Prepare(self.token, self.term))
        if self.state is not State.OVER and not self._lost and now >= self._keep_at:
            self._keep_at = now + self._timing.keepalive_s
            actions.append(KeepAlive(self.lease, self.token, now))
        return actions

    def kept(self, sent_at: float) -> list[Action]:
        """The store renewed the lease, asked by a keepalive that was sent at `sent_at`."""
        deadline = sent_at + self._timing.lease_s
        if self.state is State.OVER or self._lost or deadline <= self.deadline:
            return []
        self.deadline = deadline
        return [Feed(self.token, deadline)] if self.state is State.SERVING else []

    def lost(self, why: str) -> list[Action]:
        """The store says that the service is not, or no longer, this holder's."""
        if self.state is State.OVER or self._lost:
            return []
        self._lost = True
        return self.stop(why)

    def stop(self, why: str) -> list[Action]:
        """Stop the service, then give it back. The lease is kept meanwhile, but the supervisor's deadline stays."""
        if self.state is State.WAITING:
            # An older instance may still run elsewhere: nothing has been waited for that a successor could rely on.
            self.state = State.OVER
            given_up = Tell("authority_given_up", why)
            return [given_up, StopService(why), Release(self.lease, self.token, clean=False)]
        if self.state is not State.SERVING:
            return []
        self.state = State.STOPPING
        return [Tell("service_stopping", why), StopService(why)]

    def stopped(self) -> list[Action]:
        """The supervisor says that the service is dead, whoever ended it."""
        if self.state in (State.WAITING, State.OVER):
            return []
        self.state = State.OVER
        return [Release(self.lease, self.token, clean=not self._lost)]

    @property
    def _stop_at(self) -> float:
        return self.deadline - self._timing.stop_s
