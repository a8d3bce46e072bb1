# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What this agent knows of the paths to its peers (P1.13): which is traced when, and what is told of them.

All peers are traced, not only neighbours: whoever may be a candidate some day is among them, and their addresses are
known. One at a time, every `PERIOD_S`, and soon after something has happened to a peer or to its link.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from ..paths import Path, changed, on_all, pairs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from .trace import Tracer

PERIOD_S = 600.0
SOON_S = 5.0
"""So long after it was told of, a change is looked at, which may not be the only one."""
AGAIN_S = 30.0
"""A peer isn't traced more often than that, whatever happens to it."""


class Paths:
    """The newest path to each of `peers`, by name and address; `tell` is given a peer, its old path and its new one."""

    def __init__(self, peers: Mapping[str, str], tell: Callable[[str, Path, Path], object]) -> None:
        self.found: dict[str, Path] = {}
        self._peers, self._tell = dict(peers), tell
        # With the fewest silent routers since the last change: what a router says again was no change.
        self._fullest: dict[str, Path] = {}
        self._due = dict.fromkeys(peers, time.monotonic() + SOON_S)
        self._begun: dict[str, float] = {}
        self._wake = asyncio.Event()

    def soon(self, peer: str) -> None:
        """Have a peer traced soon."""
        if peer in self._due:
            at = max(time.monotonic() + SOON_S, self._begun.get(peer, float("-inf")) + AGAIN_S)
            self._due[peer] = min(self._due[peer], at)
            self._wake.set()

    async def run(self, tracer: Tracer) -> None:
        """Trace all peers, for ever."""
        while self._due:
            peer = min(self._due, key=lambda peer: self._due[peer])
            self._wake.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(max(0.0, self._due[peer] - time.monotonic())):
                    await self._wake.wait()
            if not self._wake.is_set():
                self._begun[peer] = time.monotonic()
                self._due[peer] = self._begun[peer] + PERIOD_S
                self.take(peer, await tracer.trace(self._peers[peer]))

    def take(self, peer: str, path: Path) -> None:
        """Take what a peer's path is now."""
        self.found[peer] = path
        before = self._fullest.get(peer, path)
        if another := changed(before, path):
            self._tell(peer, before, path)
        if another or not _fuller(before, path):
            self._fullest[peer] = path

    def hops(self, peer: str) -> list[list[str]] | None:
        """Give the newest path's addresses by TTL; None: there is none yet."""
        return self.found[peer].hops if peer in self.found else None

    def show(self, peers: Iterable[str]) -> Iterator[dict[str, Any]]:
        """Give the path to each of these peers, what is on all of them, and what each two of them share."""
        known = {peer: self.found[peer] for peer in peers if peer in self.found}
        for peer in peers:
            yield {"peer": peer, "path": known[peer].to_dict() if peer in known else None}
        yield {"on_all": sorted(on_all(known.values()))}
        for pair, sharing in pairs(known).items():
            yield {"pair": list(pair), **sharing.to_dict()}


def _fuller(a: Path, b: Path) -> bool:
    """Say whether `a` says more than `b`."""
    return sum(map(bool, a.hops)) > sum(map(bool, b.hops))
