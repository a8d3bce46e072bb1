# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the replicas have of an image, at the host that captures it: whatever differs from it becomes a block (P1.2).

Pages are offered as they come, and taken in at once, so that one image is held and not two. A capture that fails in
the middle leaves a mirror that nobody else has: it is to be thrown away, and the next pack is a first one.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

from . import digests, pages
from .engines import np
from .pages import BLOCK

if TYPE_CHECKING:
    from collections.abc import Callable

    from .digests import Table
    from .pages import Numbers, Pages

_STEP = 256


class Mirror:
    """The mirror of an image. `image` is writable and all zeros at first; `emit` gets the blocks, from `begin` on.

    With `table`, the digests of its pages, it is what a replica has.
    """

    def __init__(self, image: Pages, table: Table | None = None) -> None:
        self.image = image
        self.table: Table = np.empty((len(image), digests.BYTES), np.uint8) if table is None else table
        if table is None:
            digests.begin(self.table)
        self.blocks = 0
        self._emit: Callable[[bytes], object] = lambda _block: None
        self._later = False
        self._held: deque[tuple[Any, Any]] = deque()
        self._pages_held = 0

    def begin(self, emit: Callable[[bytes], object], *, later: bool = False) -> None:
        """Begin a capture, whose blocks `emit` gets: as soon as there are some, or not before the `end`.

        What waits for the end is held in memory: pages as they were, but for those that were zero.
        """
        self._emit, self._later, self.blocks = emit, later, 0
        self._held.clear()
        self._pages_held = 0

    def offer(self, numbers: Numbers, content: Pages) -> None:
        """Take what these pages are now. In a capture each is offered once; those that aren't have not changed."""
        other = np.flatnonzero((self.image[numbers] != content).any(axis=1))
        if len(other):
            self._take(numbers[other], content[other])

    def look(self, first: int, content: Pages) -> None:
        """Take what the pages from number `first` on are now, as `offer` does."""
        for start in range(0, len(content), _STEP):
            some = content[start : start + _STEP]
            place = first + start
            other = np.flatnonzero((self.image[place : place + len(some)] != some).any(axis=1))
            if len(other):
                self._take(place + other, some[other])

    def look_for_zeros(self, first: int, end: int) -> None:
        """Take that the pages from number `first` up to `end` are zero."""
        for start in range(first, end, _STEP):
            filled = np.flatnonzero(self.image[start : min(start + _STEP, end)].any(axis=1))
            if len(filled):
                self._take(start + filled, _zeros(len(filled)))

    def offer_zeros(self, numbers: Numbers) -> None:
        """Take that these pages are zero."""
        filled = numbers[self.image[numbers].any(axis=1)]
        if len(filled):
            self._take(filled, _zeros(len(filled)))

    def end(self) -> None:
        """End a capture: every page was offered that may have changed."""
        while self._held:
            self._give()

    def _take(self, numbers: Any, content: Any) -> None:
        """Take pages that differ, and hold what they were."""
        before = self.image[numbers]
        self.image[numbers] = content
        self._held.append((numbers, before if before.any() else _zeros(len(before))))
        self._pages_held += len(numbers)
        while self._pages_held >= BLOCK and not self._later:
            self._give()

    def _give(self) -> None:
        """Give a block of what is held."""
        numbers, before = self._some()
        now = self.image[numbers]
        digests.note(self.table, numbers, now)
        self._emit(pages.block(numbers, before, now))
        self.blocks += 1

    def _some(self) -> tuple[Any, Any]:
        some: list[tuple[Any, Any]] = []
        room = BLOCK
        while self._held and room:
            numbers, before = self._held.popleft()
            if len(numbers) > room:
                self._held.appendleft((numbers[room:], before[room:]))
                numbers, before = numbers[:room], before[:room]
            some.append((numbers, before))
            room -= len(numbers)
        self._pages_held -= BLOCK - room
        return np.concatenate([numbers for numbers, _before in some]), np.concatenate([before for _n, before in some])


def _zeros(count: int) -> Any:
    """Give so many pages of zeros, in the room of one."""
    words = pages.PAGE // 8
    return np.broadcast_to(np.zeros(words, np.uint64), (count, words))
