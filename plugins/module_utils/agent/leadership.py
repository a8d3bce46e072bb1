# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the leader of the store of leases should be: at no site that holds a service.

When a site with both is lost, its services wait for the store, too: until another leader is elected, and then for the
whole TTL once more, since a new leader doesn't know when leases were renewed last.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from ..errors import OkiagariError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from .store import Store

_LOOK_S = 5.0
_STEADY = 4
"""At so many looks in a row the same sites have to hold services: a store whose leader changes takes no renewals for a
second or two, which costs a holder its lease that has just acquired it."""


def better(leader: str, domains: Mapping[str, str], holding: Collection[str]) -> Sequence[str]:
    """Give the members that would lead better, in the order of their names; none if the leader is well where it is.

    `domains` are the failure domains of the members, as far as they are known, `holding` those that hold services.
    """
    if domains.get(leader) not in holding:
        return ()
    return sorted(name for name, domain in domains.items() if domain not in holding)


class Leadership:
    """Moves the store's leader away from this host's failure domain while this host holds a service.

    `domains` are those of all hosts by their names, which members of the store have, too. `holding` gives the domains
    that hold services if this host is among them, else nothing; `moved` gets the old and the new leader.
    """

    def __init__(
        self, store: Store, domains: Mapping[str, str], holding: Callable[[], Collection[str]],
        moved: Callable[[str, str], object],
    ) -> None:  # fmt: skip
        self._store, self._domains, self._holding, self._moved = store, domains, holding, moved

    async def run(self) -> None:
        """Look every few seconds, for ever. What can't be done is for next time: all goes on meanwhile."""
        before: Collection[str] = ()
        looks = 0
        while True:
            await asyncio.sleep(_LOOK_S)
            holding = set(self._holding())
            looks = looks + 1 if holding == before else 1
            before = holding
            if holding and looks >= _STEADY:
                try:
                    await self.look(holding)
                except OkiagariError:
                    continue

    async def look(self, holding: Collection[str]) -> None:
        """Move the leader, if it should be; to the first of the better ones that can lead."""
        leader, members = await self._store.members()
        domains = {name: self._domains[name] for name in members if name in self._domains}
        refused: OkiagariError | None = None
        for name in better(leader.name, domains, holding):
            try:
                await self._store.lead(leader, members[name])
            except OkiagariError as error:
                refused = error
            else:
                self._moved(leader.name, name)
                return
        if refused:
            raise refused
