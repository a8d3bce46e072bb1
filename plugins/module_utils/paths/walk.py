# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One flow's way to a host while it is traced: which question was answered by whom."""

from __future__ import annotations

from typing import Final, TypeAlias

Way: TypeAlias = "tuple[str | None, ...]"
"""The addresses of the routers by TTL, from 1; None where nobody answered."""

MOST_HOPS: Final = 30
_SILENT_MOST = 5
"""After so many routers in a row that don't answer, a host that doesn't answer either isn't looked for any further."""


class Walk:
    """The way to the address `to`, asked for with any TTL in any order; those above `MOST_HOPS` only find the host."""

    def __init__(self, to: str) -> None:
        self._to = to
        self._asked: dict[bytes, int] = {}
        self._hops: dict[int, str] = {}
        # The smallest TTL with which a packet got to the host, and to where it went no further; 0: none is known.
        self._host = self._end = 0

    def ask(self, number: bytes, ttl: int) -> None:
        """Note that a packet with this number, which no other has, is sent."""
        self._asked[number] = ttl

    def heard(self, number: bytes, sender: str, *, last: bool) -> None:
        """Take an answer, which may be late, or none to this walk; `last`: the packet would have gone no further.

        A router that doesn't say to which packet it answers gives an empty `number`, and answers to the newest.
        """
        ttl = self._asked.get(number or next(reversed(self._asked), b""))
        if ttl is None:
            return
        if sender == self._to:
            self._host = min(self._host or ttl, ttl)
        elif ttl <= MOST_HOPS and (not last or self._ends_there(ttl, sender)):
            self._hops[ttl] = sender
        if sender == self._to or last:
            self._end = min(self._end or ttl, ttl)

    def _ends_there(self, ttl: int, sender: str) -> bool:
        """Whether who says that there is no way any further stands at this TTL, and not nearer."""
        return sender not in self._hops.values() and (ttl == 1 or ttl - 1 in self._hops)

    def answered(self, ttl: int) -> bool:
        return ttl in self._hops or 0 < self._end <= ttl

    def over(self, ttl: int) -> bool:
        """Say whether there is no use in asking with more than this TTL."""
        if self._end:
            return self._end <= ttl
        return ttl - max(self._hops, default=0) >= _SILENT_MOST

    @property
    def arrived(self) -> bool:
        return 0 < self._host <= MOST_HOPS

    @property
    def way(self) -> Way:
        """Give the routers: all of them if it `arrived`, or else up to the last one that answered."""
        end = self._host if self.arrived else max(self._hops, default=0) + 1
        return tuple(self._hops.get(ttl) for ttl in range(1, end))
