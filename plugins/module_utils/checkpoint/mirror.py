# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the replicas have of an image, at the host that captures it: whatever differs from it becomes a block (P1.2).

Pages are offered as they come, and taken in at once, so that one image is held and not two. A capture that fails in
the middle leaves a mirror that nobody else has: it is to be thrown away, and the next pack is a first one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import digests, pages
from .engines import np
from .pages import BLOCK

if TYPE_CHECKING:
    from collections.abc import Callable

    from .digests import Table
    from .pages import Numbers, Pages


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
        self._numbers: list[Any] = []
        self._before: list[Any] = []
        self._held = 0

    def begin(self, emit: Callable[[bytes], object]) -> None:
        """Begin a capture, whose blocks `emit` gets."""
        self._emit, self.blocks = emit, 0

    def offer(self, numbers: Numbers, content: Pages) -> None:
        """Take what these pages are now. In a capture each is offered once; those that aren't have not changed."""
        before = self.image[numbers]
        other = np.flatnonzero((before != content).any(axis=1))
        for start in range(0, len(other), BLOCK):
            some = other[start : start + BLOCK]
            self._numbers.append(numbers[some])
            self._before.append(before[some])
            self.image[numbers[some]] = content[some]
            self._held += len(some)
            if self._held >= BLOCK:
                self._flush()

    def offer_zeros(self, numbers: Numbers) -> None:
        """Take that these pages are zero."""
        filled = numbers[self.image[numbers].any(axis=1)]
        self.offer(filled, np.zeros((len(filled), pages.PAGE // 8), np.uint64))

    def end(self) -> None:
        """End a capture: every page was offered that may have changed."""
        self._flush()

    def _flush(self) -> None:
        if not self._held:
            return
        numbers, before = np.concatenate(self._numbers), np.concatenate(self._before)
        self._numbers, self._before, self._held = [], [], 0
        now = self.image[numbers]
        digests.note(self.table, numbers, now)
        for start in range(0, len(numbers), BLOCK):
            some = slice(start, start + BLOCK)
            self._emit(pages.block(numbers[some], before[some], now[some]))
            self.blocks += 1
