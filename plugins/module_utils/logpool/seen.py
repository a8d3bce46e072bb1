# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which events of an origin have come already."""

from __future__ import annotations

from bisect import bisect_right
from typing import Final

RANGES_MOST: Final = 1024


class Seen:
    """The sequence numbers of one origin that have come, as ranges.

    It so stays small, and knows also the events that were dropped since. Of more than `RANGES_MOST` ranges the two
    oldest become one: who comes that late in a gap between them counts as come already.
    """

    __slots__ = ("_begins", "_ends", "newest")

    def __init__(self) -> None:
        self._begins: list[int] = []
        self._ends: list[int] = []
        self.newest = 0.0
        """The latest time of any of its events, as the origin told it."""

    def __len__(self) -> int:
        return len(self._begins)

    def __contains__(self, number: int) -> bool:
        place = bisect_right(self._begins, number)
        return place > 0 and number <= self._ends[place - 1]

    def add(self, number: int) -> None:
        """Note a number that isn't in it."""
        begins, ends = self._begins, self._ends
        if ends and number == ends[-1] + 1:
            ends[-1] = number
            return
        place = bisect_right(begins, number)
        after_last = place > 0 and ends[place - 1] == number - 1
        before_next = place < len(begins) and begins[place] == number + 1
        if after_last and before_next:
            ends[place - 1] = ends.pop(place)
            del begins[place]
        elif after_last:
            ends[place - 1] = number
        elif before_next:
            begins[place] = number
        else:
            begins.insert(place, number)
            ends.insert(place, number)
        if len(begins) > RANGES_MOST:
            del begins[1], ends[0]
