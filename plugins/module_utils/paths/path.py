# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A path: all the ways that were seen to one host, at one time."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Collection

    from .walk import Walk, Way


@dataclass(frozen=True)
class Path:
    """The ways to a host, several where routers balance their load, as they were at `seen_at`, seconds of a clock.

    `arrived`: the host answered at the end of each way, which so has no more routers than these.
    """

    ways: frozenset[Way]
    arrived: bool
    seen_at: float

    @classmethod
    def of(cls, walks: Collection[Walk], seen_at: float) -> Path:
        return cls(frozenset(walk.way for walk in walks), all(walk.arrived for walk in walks), seen_at)

    @property
    def routers(self) -> frozenset[str]:
        """The addresses that answered on any way."""
        return frozenset(address for way in self.ways for address in way if address is not None)

    @property
    def silent(self) -> int | None:
        """How many routers of one way, that with the most of them, didn't answer; None: the host didn't either."""
        return max((way.count(None) for way in self.ways), default=0) if self.arrived else None

    @property
    def hops(self) -> list[list[str]]:
        """The addresses by TTL, from 1: none where nobody answered, several where the load is balanced."""
        by_ttl = zip_longest(*self.ways)
        return [sorted({address for address in there if address is not None}) for there in by_ttl]

    def to_dict(self) -> dict[str, Any]:
        return {"hops": self.hops, "arrived": self.arrived, "silent": self.silent, "seen_at": round(self.seen_at, 3)}

    def __str__(self) -> str:
        """Give it on one line, `*` for who is silent, and `...` for what is not known."""
        words = ["|".join(there) or "*" for there in self.hops]
        return " ".join([*words, *([] if self.arrived else ["..."])]) or "direct"


def changed(old: Path, new: Path) -> bool:
    """Say whether packets surely go another way now; that a router is silent, or balances otherwise, is no change."""
    if old.arrived and new.arrived and {len(way) for way in old.ways}.isdisjoint(len(way) for way in new.ways):
        return True
    return any(a and b and set(a).isdisjoint(b) for a, b in zip(old.hops, new.hops, strict=False))
