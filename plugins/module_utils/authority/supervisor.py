# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The supervisor of one service: small, a process of its own, and the only one that starts the service.

It has to be fed. When it isn't, because the agent hangs, is stopped or is dead, it kills the service at the deadline.
It starts nothing whose deadline is over, so an agent that hung between its decision and its request starts nothing
late. The service must not outlive it (one control group, or PR_SET_PDEATHSIG).

A service that takes long to start can be prepared while its holder waits for the one before: its program runs, but
does nothing for anybody until it is told to go on, which it is by the same rules by which others are started.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, replace

_PREPARED_S = 120.0
"""After this nobody will want what was prepared: a holder waits for a lease, which is shorter."""


class Do(enum.Enum):
    """What the supervisor's process is to do to the service."""

    LAUNCH = "launch"
    PREPARE = "prepare"
    GO_ON = "go_on"
    TERMINATE = "terminate"
    KILL = "kill"


@dataclass(frozen=True)
class Held:
    """What a new agent asks the supervisor for: by what the running service is authorised."""

    lease: int
    token: int
    term: int
    deadline: float


class Supervisor:
    """Times are absolute, by the clock that the agent has too: a request that comes late is late."""

    def __init__(self) -> None:
        self._held: Held | None = None
        self._prepared: int | None = None
        self._prepared_until = float("inf")
        self._stopping = False
        self._newest = 0

    @property
    def wake_at(self) -> float:
        return self._held.deadline if self._held else self._prepared_until

    def held(self, now: float) -> Held | None:
        """Give what the service runs by; None where it doesn't run, or is being stopped."""
        return self._held if self._held and not self._stopping and now < self._held.deadline else None

    def prepare(self, now: float, *, token: int) -> Do | None:
        """Start the service as far as it doesn't serve, unless it runs or is prepared, or the token isn't newer."""
        if self._held or self._prepared is not None or token <= self._newest:
            return None
        self._prepared, self._prepared_until = token, now + _PREPARED_S
        return Do.PREPARE

    def start(self, now: float, *, token: int, lease: int, term: int, deadline: float) -> Do | None:
        """Start the service, unless it runs, the token isn't newer than that of the last time, or it is too late.

        What was prepared for this token goes on; what was for another one is killed, and nothing starts.
        """
        if self._held or token <= self._newest or now >= deadline:
            return None
        if self._prepared not in (None, token):
            return Do.KILL
        do = Do.LAUNCH if self._prepared is None else Do.GO_ON
        self._held, self._stopping, self._newest = Held(lease, token, term, deadline), False, token
        return do

    def feed(self, now: float, *, token: int, deadline: float) -> None:
        """Move the deadline; one that has passed can't be moved any more."""
        held = self._held
        if held and token == held.token and now < held.deadline < deadline:
            self._held = replace(held, deadline=deadline)

    def stop(self) -> Do | None:
        """Ask the service to end; the deadline stays. What is only prepared has nothing to end."""
        if not self._held:
            return None if self._prepared is None else Do.KILL
        if self._stopping:
            return None
        self._stopping = True
        return Do.TERMINATE

    def tick(self, now: float) -> Do | None:
        """Kill the service when it is time; again and again, until it is dead."""
        return Do.KILL if now >= self.wake_at else None

    def exited(self) -> bool:
        """The service is dead, with all its processes; say whether it was started, and the agent is to be told."""
        started = self._held is not None
        self._held, self._stopping = None, False
        self._prepared, self._prepared_until = None, float("inf")
        return started
