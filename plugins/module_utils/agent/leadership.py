# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the leader of the store of leases should be: at no site that holds a service.

When a site with both is lost, its services wait for the store, too: until another leader is elected, and then for the
whole TTL once more, since a new leader doesn't know when leases were renewed last. Where the members elsewhere are too
few to go on by themselves, another leader would win nothing: the store is lost with that site in any case.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

from ..errors import OkiagariError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from .store import Member, Store

_LOOK_S = 5.0
_STEADY = 4
"""At so many looks in a row the same sites have to hold services, and the same members to answer: a store whose leader
changes takes no renewals for a second or two, or more where one of its members is away or just back, which costs a
holder its lease."""


def better(
    leader: str, domains: Mapping[str, str | None], holding: Collection[str], reached: Collection[str]
) -> Sequence[str]:  # fmt: skip
    """Give the members that would lead better, in the order of their names; none if the leader is well where it is.

    `domains` are the failure domains of all members, None where it isn't known, `holding` those that hold services,
    and `reached` are the members that answer. Without the leader's domain, they have to be a majority of all.
    """
    here = domains.get(leader)
    elsewhere = [name for name in reached if domains.get(name) != here]
    if here not in holding or 2 * len(elsewhere) <= len(domains):
        return ()
    return sorted(name for name in elsewhere if domains.get(name) is not None and domains[name] not in holding)


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
        """Look every few seconds, for ever. What can't be done is for later: all goes on meanwhile."""
        before: object = None
        looks = 0
        while True:
            await asyncio.sleep(_LOOK_S)
            holding = set(self._holding())
            if not holding:
                before = None
                continue
            with suppress(OkiagariError):
                leader, members = await self._store.members()
                reached = await self._store.reached(members.values())
                looks = looks + 1 if (holding, reached) == before else 1
                before = holding, reached
                if looks >= _STEADY:
                    await self.move(leader, members, holding, reached)

    async def move(
        self, leader: Member, members: Mapping[str, Member], holding: Collection[str], reached: Collection[str]
    ) -> None:  # fmt: skip
        """Move the leader, if it should be; to the first of the better ones that can lead."""
        domains = {name: self._domains.get(name) for name in members}
        refused: OkiagariError | None = None
        for name in better(leader.name, domains, holding, reached):
            try:
                await self._store.lead(leader, members[name])
            except OkiagariError as error:
                refused = error
            else:
                self._moved(leader.name, name)
                return
        if refused:
            raise refused
