# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How an agent gets the important events that it missed: while it was down, was cut off, or a link was congested.

Each peer numbers the important events in the order in which they came to it. An agent remembers up to which number it
has read the list of each peer, and asks for what came after it: for ids first, and then for those events that it lacks.
So what all have already costs 40 bytes an event, once a peer. Numbers are of one life of the peer: one that was started
anew says so, and is read from its beginning.

A peer that becomes reachable is read at once, one peer at a time and each agent in another order, so that no storm
follows a partition that heals; in quiet times the one that was read longest ago is read every `PERIOD_S`.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from ..errors import BadValue, OkiagariError
from ..values import Shape, items, mismatch

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .events import Events
    from .overlay import Overlay

OP_POSITIONS = "events.positions"
OP_LINES = "events.lines"
PERIOD_S = 30.0
RETRY_S = 2.0
"""After so long a peer that is there, but did not answer, is asked again."""
_IDS, _LINES, _BYTES = 1000, 200, 256 * 1024
_FOUND: Shape = {"run": str, "until": int, "ids": [[(int, str)]]}
_EVENTS: Shape = {"lines": [str], "looked_at": int}


class CatchUp:
    """Reads the lists of the agent `name`'s peers into `events`, and answers for its own list."""

    def __init__(self, name: str, events: Events, overlay: Overlay) -> None:
        self._name, self._events, self._overlay = name, events, overlay
        self._read: dict[str, tuple[str, int]] = {}
        """Up to which position the list of each peer was read, and in which of its lives; the last to be read last."""
        self._waiting: set[str] = set()
        self._wake = asyncio.Event()

    def changed(self, peer: str, alive: bool) -> None:
        """Note who comes and goes."""
        if alive:
            self._waiting.add(peer)
            self._wake.set()
        else:
            self._waiting.discard(peer)

    async def run(self) -> None:
        """Catch up, for ever."""
        while True:
            while self._waiting:
                peer = min(self._waiting, key=self._turn)
                self._waiting.discard(peer)
                try:
                    await self.read(peer)
                except OkiagariError:
                    asyncio.get_running_loop().call_later(RETRY_S, self._again, peer)
            self._wake.clear()
            try:
                async with asyncio.timeout(PERIOD_S):
                    await self._wake.wait()
            except TimeoutError:
                self._waiting.update(self._next())

    async def read(self, peer: str) -> None:
        """Take the important events that a peer has and this agent lacks.

        Raises `OkiagariError` where it can't be read to the end; what was read counts.
        """
        run, position = known = self._read.pop(peer, ("", 0))
        self._read[peer] = known
        while True:
            said = await self._asked(peer, OP_POSITIONS, {"run": run, "after": position}, _FOUND)
            if position > known[1] and said["run"] != run:
                raise BadValue(f"{peer} was started anew meanwhile")
            await self._take_missing(peer, said)
            if said["run"] == run and said["until"] <= position:
                return
            run, position = self._read[peer] = said["run"], said["until"]

    def positions(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Answer a peer: the ids of the next important events after a position, and up to where they go."""
        after = body.get("after")
        known = body.get("run") == self._events.run_id and isinstance(after, int)
        found = self._events.pool.important(after if known and isinstance(after, int) else 0, _IDS)
        until = found[-1][0] if found else self._events.pool.position
        return {
            "run": self._events.run_id, "until": until,
            "ids": [[position, event.origin, event.sequence] for position, event in found],
        }  # fmt: skip

    def lines(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Answer a peer: the events at these positions, as far as they are still here and go into one answer."""
        if body.get("run") != self._events.run_id:
            raise BadValue("these positions are of an earlier life of this agent")
        lines: list[str] = []
        asked = 0
        for position in items(body.get("positions"))[:_LINES]:
            event = self._events.pool.at(position) if isinstance(position, int) else None
            lines += [event.wire().decode()] if event else []
            asked += 1
            if sum(map(len, lines)) > _BYTES:
                break
        return {"lines": lines, "looked_at": asked}

    async def _asked(self, peer: str, op: str, body: Mapping[str, Any], shape: Shape) -> Mapping[str, Any]:
        said = await self._overlay.ask(peer, op, body)
        if wrong := mismatch(said, shape, f"an answer of {peer}"):
            raise BadValue(wrong)
        return said

    async def _take_missing(self, peer: str, said: Mapping[str, Any]) -> None:
        missing = [place for place, origin, sequence in map(_id, said["ids"]) if self._lacks(origin, sequence)]
        while missing:
            body = {"run": said["run"], "positions": missing[:_LINES]}
            found = await self._asked(peer, OP_LINES, body, _EVENTS)
            self._events.heard(found["lines"])
            missing = missing[max(found["looked_at"], 1) :]

    def _lacks(self, origin: str, sequence: int) -> bool:
        return not self._events.pool.knows(origin, sequence)

    def _again(self, peer: str) -> None:
        if peer in self._overlay.alive:
            self.changed(peer, alive=True)

    def _turn(self, peer: str) -> tuple[bool, str]:
        # Each begins with the one after itself: nobody is asked by all at once.
        return peer <= self._name, peer

    def _next(self) -> list[str]:
        return [peer for peer in self._read if peer in self._overlay.alive][:1]


def _id(said: list[Any]) -> tuple[int, str, int]:
    if list(map(type, said)) != [int, str, int]:
        raise BadValue("an answer has an id of another form")
    return said[0], said[1], said[2]
