# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who is told of events as they come: subscriptions, and waiting for one with a deadline."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any

from .stages import WINDOW_MOST

if TYPE_CHECKING:
    from collections.abc import Callable

    from .event import Event
    from .pool import Pool
    from .query import Query
    from .record import View

Row = dict[str, Any]


class Following:
    """A query that is asked of each event as it comes."""

    def __init__(self, query: Query) -> None:
        self.query = query
        self._now = 0.0
        self._run = query.follow(lambda: self._now)

    def push(self, event: Event | View, now: float) -> list[Row]:
        """Give the rows that the query has for this event, mostly none or one."""
        self._now = now
        since, until = self.query.span(now)
        return self._run.take([event]) if since <= event.time <= until and self.query.test(event) else []

    def recall(self, pool: Pool, now: float) -> list[Row]:
        """Count what the query's counts cover and the pool holds, the oldest first; give the rows as `push` does.

        So a count doesn't begin with nothing when a subscription begins. It begins with `WINDOW_MOST` events at most.
        """
        since = now - self.query.looks_back_s
        recent = []
        for view in islice(pool.found(self.query, now), WINDOW_MOST):
            if view.time <= since:
                break
            recent.append(view)
        return [row for view in reversed(recent) for row in self.push(view, now)]


class Subscriptions:
    """All subscriptions of one pool; each event that the pool has taken is offered to them."""

    def __init__(self) -> None:
        self._all: dict[int, tuple[Following, Callable[[Row], object]]] = {}
        self._last = 0

    def __len__(self) -> int:
        return len(self._all)

    def add(self, following: Following, deliver: Callable[[Row], object]) -> int:
        """Call `deliver` with each row from now on; give the number that ends it. `deliver` must not wait."""
        self._last += 1
        self._all[self._last] = (following, deliver)
        return self._last

    def remove(self, number: int) -> None:
        """End a subscription; nothing happens if it has ended."""
        self._all.pop(number, None)

    def offer(self, event: Event, now: float) -> None:
        """Tell everybody who asks for this event. What one of them raises is raised when all have been told."""
        failures = []
        for following, deliver in list(self._all.values()):
            try:
                for row in following.push(event, now):
                    deliver(row)
            except Exception as error:  # noqa: BLE001 - a subscriber's, of any kind
                failures.append(error)
        if failures:
            raise failures[0]


class Waiting:
    """Somebody waits for a query's first row, until `deadline` (seconds by the clock that gives every `now`).

    First `begin`, then `push` for each event that comes after it, until `row` is there or `is_over`.
    """

    def __init__(self, query: Query, deadline: float) -> None:
        self.deadline = deadline
        self.row: Row | None = None
        self._query = query
        self._following = Following(query)

    def begin(self, pool: Pool, now: float) -> Row | None:
        """Look for a row among what the pool holds: the newest there is."""
        if self._query.looks_back_s:
            rows = self._following.recall(pool, now)
            self.row = rows[-1] if rows else None
        else:
            self.row = next(pool.run(self._query, now), None)
        return self.row

    def push(self, event: Event, now: float) -> Row | None:
        """Give the row, if there was one or this event has made one in time."""
        if self.row is None and now <= self.deadline:
            self.row = next(iter(self._following.push(event, now)), None)
        return self.row

    def left_s(self, now: float) -> float:
        """Say for how long it may still wait; 0: the deadline is over, or the row is there."""
        return 0.0 if self.row is not None else max(0.0, self.deadline - now)
