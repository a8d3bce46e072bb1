# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Durable copies of important events: which site has how many of them. The agent sends and stores."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import BadValue, shown
from ..suggest import nearest

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


class Copies:
    """Up to which position (of `Pool.important`) each of some sites has acknowledged.

    A site acknowledges a position when it has stored all up to there, so that the agent sends it what `Pool.important`
    gives after that, in this order, and again until it is acknowledged. Positions are those of one pool: with a new
    pool there are new `Copies`, and a site knows by their ids the events that it has.
    """

    def __init__(self, sites: Iterable[str], needed: int) -> None:
        self.acknowledged: dict[str, int] = dict.fromkeys(sites, 0)
        self._needed = needed
        if not 1 <= needed <= len(self.acknowledged):
            raise BadValue(f"{shown(needed)} copies can't be had of {len(self.acknowledged)} sites")

    def after(self, site: str) -> int:
        """Give the position after which a site needs all."""
        if site not in self.acknowledged:
            raise BadValue(f"there is no site {shown(site)} for copies", nearest(site, self.acknowledged))
        return self.acknowledged[site]

    def acknowledge(self, site: str, position: int) -> None:
        """Note that a site has all up to a position; late and repeated messages change nothing."""
        self.acknowledged[site] = max(self.after(site), position)

    def durable_until(self) -> int:
        """Give the position up to which enough sites have all."""
        return sorted(self.acknowledged.values(), reverse=True)[self._needed - 1]

    def behind(self, position: int) -> Mapping[str, int]:
        """Give the sites that don't have all up to a position, and how many are missing at most."""
        return {site: position - has for site, has in self.acknowledged.items() if has < position}
