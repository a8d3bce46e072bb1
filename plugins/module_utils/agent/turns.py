# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One thing after the other is done to a replica; what an older holder wanted is given up for a newer one.

A host that died while it gave a pack is waited for as long as a slow link may take. Whoever takes over its service
doesn't wait for that.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

from ..errors import OkiagariError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Coroutine
    from typing import Any

_Given = TypeVar("_Given")


class Turns:
    """The turns of one replica; whoever has `lock` has one that nobody gives up."""

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self._under_way: dict[asyncio.Task[None], int] = {}

    async def do(self, term: int, work: Coroutine[Any, Any, None]) -> None:
        """Do what the holder of this term wants, in its turn; raise `OkiagariError` if it is given up meanwhile."""
        task = asyncio.ensure_future(self._in_turn(work))
        self._under_way[task] = term
        try:
            await asyncio.wait([task])
        finally:
            task.cancel()
            del self._under_way[task]
        if task.cancelled():
            work.close()
            raise OkiagariError(f"what the holder of term {term} wanted is given up: somebody else takes over")
        task.result()

    async def give_up(self, before: float) -> None:
        """Give up what holders of terms before this one want, and wait until nothing is left of it."""
        older = [task for task, term in self._under_way.items() if term < before]
        for task in older:
            task.cancel()
        if older:
            await asyncio.wait(older)

    async def _in_turn(self, work: Coroutine[Any, Any, None]) -> None:
        async with self.lock:
            await work


async def finished(work: Awaitable[_Given]) -> _Given:
    """Do something that isn't broken off in the middle: whoever is given up is so after it."""
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        raise
