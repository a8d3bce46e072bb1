# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The successor's side: from an election's result until the service is acquired."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .actions import Abandon, Acquire
from .holder import Holder
from .view import View

if TYPE_CHECKING:
    import random

    from .actions import Action
    from .timing import Timing


class Successor:
    """What one agent knows of a service that it doesn't hold, and its attempts to acquire it.

    `chance` gives the ids of leases, which have to differ between agents and between runs of an agent.
    """

    def __init__(self, timing: Timing, chance: random.Random) -> None:
        self.view = View()
        self.fresh_until = float("-inf")
        self._timing, self._chance = timing, chance
        self._vacant_since: float | None = None
        self._renewed_at = 0.0
        self._term = 0
        self._stand_at = self._stand_until = float("inf")
        self._attempt: Acquire | None = None
        self._start_at = float("inf")

    @property
    def vacant(self) -> bool:
        return self._vacant_since is not None

    @property
    def wake_at(self) -> float:
        if self._attempt:
            return self._attempt.sent_at + 2 * self._timing.answer_s
        return self._stand_at if self._may_stand else float("inf")

    def saw(self, now: float, view: View) -> bool:
        """Take what the store says; say whether it is news. An answer that was overtaken by a later one is none."""
        if view.revision < self.view.revision:
            return False
        self.fresh_until = now + 2 * self._timing.poll_s + self._timing.answer_s
        if view.renewed != self.view.renewed:
            self._renewed_at = now
        if view.holder is not None:
            self._vacant_since = None
        elif self._vacant_since is None or view.token != self.view.token:
            self._vacant_since = now
        self.view = view
        return True

    def stand(self, term: int, at: float) -> None:
        """This agent may acquire the service in this term, from `at` on, if it becomes vacant before long."""
        if term > self._term:
            self._term, self._stand_at, self._stand_until = term, at, at + 3 * self._timing.ttl_s

    def waits(self, now: float) -> bool:
        """Say whether this agent takes the service as soon as it sees that it is vacant."""
        return not self.vacant and self._stand_at <= now <= self._stand_until and self._term > self.view.term

    def tick(self, now: float) -> list[Action]:
        if self._attempt:
            if now < self.wake_at:
                return []
            lease, self._attempt = self._attempt.lease, None
            return [Abandon(lease)]
        if not self._may_stand or self._vacant_since is None or now < self._stand_at:
            return []
        self._stand_at = float("inf")
        if now > self._stand_until:
            return []
        # One that never renewed its lease may have done so until it lost it.
        renewed_at = self._renewed_at if self.view.renewed > self.view.token else self._vacant_since
        self._start_at = self._vacant_since if self.view.released else renewed_at + self._timing.wait_s
        lease = self._chance.getrandbits(62) + 1
        self._attempt = Acquire(lease, self._term, self.view.token, self._timing.ttl_s, now)
        return [self._attempt]

    def acquired(self, lease: int, token: int) -> Holder | None:
        """The store gave the service to the attempt with this lease; None if it was abandoned meanwhile.

        The transaction compared that nobody held the service since this agent saw it vacant, so what it saw then holds:
        given back, or gone. A key that is gone need not have expired (people and bugs revoke leases), so the
        predecessor's own lease is waited for. It counts on nothing but renewals that the store has, none of which came
        after the newest of which this agent knows: so its lease is counted from when this agent first saw that one.
        """
        attempt = self._attempt
        if attempt is None or attempt.lease != lease:
            return None
        self._attempt = None
        if self.view.revision > token and (self.view.holder is None or self.view.token != token):
            return None
        return Holder(
            self._timing, lease=lease, token=token, term=attempt.term,
            sent_at=attempt.sent_at, start_at=self._start_at,
        )  # fmt: skip

    def refused(self, lease: int) -> None:
        """Somebody else has the service, or had it meanwhile."""
        if self._attempt and self._attempt.lease == lease:
            self._attempt = None

    @property
    def _may_stand(self) -> bool:
        return self._attempt is None and self.vacant and self._term > self.view.term
