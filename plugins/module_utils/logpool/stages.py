# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a query does with what it has found, one stage after the other. Rows come in portions, newest first."""

from __future__ import annotations

import json
from array import array
from bisect import bisect_right, insort
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final, Protocol

from ..errors import OkiagariError
from .conditions import ABSENT

if TYPE_CHECKING:
    from .conditions import Getter, Test

GROUPS_MOST: Final = 100_000
"""How many groups a `count` or a `last ... per` may have."""
WINDOW_MOST: Final = 100_000
"""How far a subscription counts in each group."""

Row = Any
Groups = Sequence[tuple[str, "Getter"]]


class TooMany(OkiagariError):  # noqa: N818
    """A query has more groups than are kept."""

    def __init__(self) -> None:
        super().__init__(
            f"the query has more than {GROUPS_MOST} groups; narrow it with where or since, or group by another field"
        )


class Stage(Protocol):
    """One run of one stage."""

    full: bool
    """No row that comes now changes anything any more."""

    def take(self, rows: list[Row]) -> list[Row]:
        """Give what is known to follow from these rows, and from those before."""

    def end(self) -> list[Row]:
        """Give what was left to be told until all rows had come."""


class Each:
    """Changes or leaves out each row by itself."""

    full = False

    def __init__(self, change: Callable[[list[Row]], list[Row]]) -> None:
        self.take = change

    def end(self) -> list[Row]:
        return []


def where(test: Test) -> Each:
    return Each(lambda rows: [row for row in rows if test(row)])


def select(fields: Groups) -> Each:
    return Each(lambda rows: [_told(row, fields) for row in rows])


class Last:
    """The first `most` rows that come, which are the newest; with `per`, so many of each group."""

    def __init__(self, most: int, per: Groups) -> None:
        self.full = False
        self._most, self._key = most, grouper(per)
        self._taken: dict[Any, int] = {}

    def take(self, rows: list[Row]) -> list[Row]:
        taken, most, key = self._taken, self._most, self._key
        if key is None:
            before = taken.get(None, 0)
            found = rows[: most - before]
            taken[None] = before + len(found)
            self.full = taken[None] >= most
            return found
        found = []
        for row in rows:
            group = key(row)
            count = taken.get(group, 0)
            if count < most:
                taken[group] = count + 1
                found.append(row)
        _bounded(taken)
        return found

    def end(self) -> list[Row]:
        return []


class Windows:
    """How many rows there are in each group, in windows of `over_s` seconds, the newest of which ends at `until`."""

    full = False

    def __init__(self, time: Getter, over_s: float, by: Groups, until: float) -> None:
        self._time, self._over_s, self._until = time, over_s, until
        self._tally = Tally(by)
        self._window = 0

    def take(self, rows: list[Row]) -> list[Row]:
        found: list[Row] = []
        for row in rows:
            time = self._time(row)
            # A host whose clock is a little ahead belongs to the newest window.
            window = max(0, int((self._until - time) // self._over_s)) if type(time) in (int, float) else self._window
            if window != self._window:
                found += self.end()
                self._window = window
            self._tally.add(row)
        return found

    def end(self) -> list[Row]:
        until = self._until - self._window * self._over_s
        return self._tally.rows({"from": until - self._over_s, "to": until})


class Total:
    """How many rows there are in each group; without groups one row, also if there are none."""

    full = False

    def __init__(self, by: Groups) -> None:
        self._tally = Tally(by)
        self._is_one = not by

    def take(self, rows: list[Row]) -> list[Row]:
        for row in rows:
            self._tally.add(row)
        return []

    def end(self) -> list[Row]:
        return self._tally.rows({}) or ([{"count": 0}] if self._is_one else [])


class Tally:
    """Counts by group."""

    def __init__(self, by: Groups) -> None:
        self._by, self._key = by, grouper(by)
        self._counts: dict[Any, int] = {}
        self._shown: dict[Any, Row] = {}

    def add(self, row: Row) -> None:
        group = None if self._key is None else self._key(row)
        count = self._counts.get(group)
        if count is None:
            self._shown[group] = _told(row, self._by)
            self._counts[group] = 1
            _bounded(self._counts)
        else:
            self._counts[group] = count + 1

    def rows(self, window: dict[str, float]) -> list[Row]:
        """Give a row of each group, the largest count first, and forget them all."""
        counted = sorted(self._counts.items(), key=lambda item: -item[1])
        found = [{"count": count, **window, **self._shown[group]} for group, count in counted]
        self._counts, self._shown = {}, {}
        return found


class Running:
    """For a subscription: with each row, how many of its group have come so far."""

    full = False

    def __init__(self, by: Groups) -> None:
        self._by, self._key = by, grouper(by)
        self._counts: dict[Any, int] = {}

    def take(self, rows: list[Row]) -> list[Row]:
        found = []
        for row in rows:
            group = None if self._key is None else self._key(row)
            self._counts[group] = self._counts.get(group, 0) + 1
            _forgetting(self._counts)
            found.append({"count": self._counts[group], **_told(row, self._by)})
        return found

    def end(self) -> list[Row]:
        return []


class Sliding:
    """For a subscription: with each row, how many of its group there are in the window that ends at its time."""

    full = False

    def __init__(self, time: Getter, over_s: float, by: Groups, now: Callable[[], float]) -> None:
        self._time, self._over_s, self._now = time, over_s, now
        self._by, self._key = by, grouper(by)
        self._times: dict[Any, array[float]] = {}

    def take(self, rows: list[Row]) -> list[Row]:
        found = []
        for row in rows:
            time = self._time(row)
            if type(time) not in (int, float):
                continue
            # A host whose clock is a little ahead would make all others late.
            time = min(time, self._now())
            group = None if self._key is None else self._key(row)
            # Taken out and put back, the group that was silent for longest is the first to be forgotten.
            times = self._times.pop(group, None) or array("d")
            self._times[group] = times
            _forgetting(self._times)
            # One that comes so late tells nothing: nobody knows any more what was in its window.
            if times and time <= times[-1] - self._over_s:
                continue
            insort(times, time)
            self._tidy(times)
            count = bisect_right(times, time) - bisect_right(times, time - self._over_s)
            window = {"from": time - self._over_s, "to": time}
            found.append({"count": min(count, WINDOW_MOST), **window, **_told(row, self._by)})
        return found

    def end(self) -> list[Row]:
        return []

    def _tidy(self, times: array[float]) -> None:
        """Remove what no window has in it any more, also of one that comes late, if it is worth it."""
        over = bisect_right(times, times[-1] - 2 * self._over_s)
        if over > len(times) // 2 or len(times) > 2 * WINDOW_MOST:
            del times[: max(over, len(times) - WINDOW_MOST)]


def grouper(by: Groups) -> Callable[[Row], Any] | None:
    """Make what gives a row's group; None: all are in one."""
    if not by:
        return None
    getters = [getter for _name, getter in by]
    if len(getters) == 1:
        return lambda row: _hashable(getters[0](row))
    return lambda row: tuple([_hashable(getter(row)) for getter in getters])


def _hashable(value: Any) -> Any:
    """Give a text as it is, and anything else as a pair, so that 1, true and "1" differ."""
    return value if isinstance(value, str) else ("", json.dumps(None if value is ABSENT else value, sort_keys=True))


def _told(row: Row, fields: Groups) -> Row:
    return {name: None if (value := getter(row)) is ABSENT else value for name, getter in fields}


def _bounded(groups: dict[Any, Any]) -> None:
    if len(groups) > GROUPS_MOST:
        raise TooMany


def _forgetting(groups: dict[Any, Any]) -> None:
    if len(groups) > GROUPS_MOST:
        del groups[next(iter(groups))]
