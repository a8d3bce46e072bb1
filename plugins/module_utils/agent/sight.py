# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How agents notice that one of them is there and is not seen, and mend it.

zenoh's routers tell each other once a connection who is there and what can be asked. One that is busy while a
connection is made anew may drop what it is told, for good (eclipse-zenoh/zenoh, issue 1886): to all behind that
connection the agent is gone then, while it sees all of them; nobody asks it for its vote, and no service comes to it.
So each agent asks its peers whom they see: who comes, soon after, and one of the others every `PERIOD_S`. Who may have
been missed says again that it is there.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

from ..values import Shape, mismatch

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from .overlay import Overlay

OP_SEEN = "sight.seen"
PERIOD_S = 10.0
SOON_S = 2.0
"""So long a change is given to be known everywhere; what is found is looked at again after as long."""
_LONGEST_REST_S = 60.0
_SEEN: Shape = {"alive": [str]}


def missed(me: str, seen: Collection[str], answering: Collection[str], told: Mapping[str, Collection[str]]) -> str:
    """Say why the agent `me` may be missing somewhere, or nothing.

    `seen` are those whom it sees itself, `answering` the neighbours that answer on the links, and `told` says of peers
    whom each of them sees. Where two agents miss each other, neither can ask the other; both learn of it by a third, or
    by the link between them.
    """
    blind = sorted(peer for peer, theirs in told.items() if me not in theirs)
    if blind:
        return f"{', '.join(blind)}: seen from here, but not seeing {me}"
    hidden = sorted(set(answering) - set(seen))
    if hidden:
        return f"{', '.join(hidden)}: answering on the link, but not seen"
    for peer in sorted(told):
        hidden = sorted(set(told[peer]) - set(seen))
        if hidden:
            return f"{', '.join(hidden)}: seen by {peer}, but not from here"
    return ""


class Sight:
    """The eye of the agent `name` on who sees it; `others` are its peers.

    `answering` gives the neighbours that answer on the links; `tell` is told why it was declared again.
    """

    def __init__(
        self,
        name: str,
        others: Collection[str],
        overlay: Overlay,
        answering: Callable[[], Collection[str]],
        tell: Callable[[str], object],
    ) -> None:
        self._name, self._known, self._overlay = name, others, overlay
        self._answering, self._tell = answering, tell
        self._new: set[str] = set()
        """Who came, and wasn't asked since."""
        self._turns: list[str] = []
        self._wake = asyncio.Event()
        self._rest_s = SOON_S

    def seen(self) -> dict[str, list[str]]:
        """Answer whom this agent sees."""
        return {"alive": sorted(self._overlay.alive)}

    def changed(self, peer: str, alive: bool) -> None:
        """Note who comes and goes."""
        if alive:
            self._new.add(peer)
            self._wake.set()
        else:
            self._new.discard(peer)

    async def run(self) -> None:
        """Look, for ever."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(PERIOD_S):
                    await self._wake.wait()
            self._wake.clear()
            await asyncio.sleep(SOON_S)
            await self.look()

    async def look(self) -> None:
        """Ask who is new, or else the next one; declare this agent again where it is missed twice."""
        peers, self._new = self._new or self._next(), set()
        if await self._missed(peers):
            await asyncio.sleep(SOON_S)
            why = await self._missed(peers)
            if why:
                await self._overlay.declare_again()
                self._tell(why)
                # Who never gets in, because its certificate is refused, isn't called at for ever.
                await asyncio.sleep(self._rest_s)
                self._rest_s = min(2 * self._rest_s, _LONGEST_REST_S)
                self._new |= peers & self._overlay.alive
                self._wake.set()
                return
        self._rest_s = SOON_S

    async def _missed(self, peers: set[str]) -> str:
        answers = await self._overlay.ask_all(sorted(peers & self._overlay.alive), OP_SEEN, {})
        told: dict[str, list[str]] = {}
        for peer, said in answers.items():
            # Who doesn't answer, or nothing that makes sense, says nothing of this agent; its turn comes again.
            if not isinstance(said, Exception) and not mismatch(said, _SEEN):
                told[peer] = [name for name in said["alive"] if name == self._name or name in self._known]
        return missed(self._name, self._overlay.alive, self._answering(), told)

    def _next(self) -> set[str]:
        others = self._overlay.alive - {self._name}
        self._turns = [peer for peer in self._turns if peer in others]
        if not self._turns:
            self._turns = sorted(others)
        return {self._turns.pop(0)} if self._turns else set()
