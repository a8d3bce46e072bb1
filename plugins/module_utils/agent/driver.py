# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One agent's part in a service with the consistency `quorum`: its record of votes, and the store."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING, Any

from ..authority import Participant
from ..authority import actions as act
from ..errors import BadValue
from .driving import OP, Driving
from .store import NotReached
from .supervise import boottime
from .vote_file import VoteFile
from .wire import to_wire

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ..authority import View
    from ..election import Profile, Rules
    from .config import Config, Service
    from .overlay import Overlay
    from .store import Store


class Driver(Driving[Participant]):
    """Runs one service's `Participant` in the event loop."""

    def __init__(
        self, config: Config, service: Service, overlay: Overlay, store: Store, rules: Rules,
        profile: Callable[[Service], Profile], tell: Callable[[str, Mapping[str, Any]], object],
    ) -> None:  # fmt: skip
        super().__init__(config, service, overlay, rules, profile, tell)
        self._store = store
        self._view: View | None = None
        self._votes = VoteFile(config.state, service.name)
        self._unreachable = False

    @property
    def here(self) -> str:
        holder = self.participant.holder if self.participant else None
        return holder.state.value if holder else "not held"

    @property
    def holds(self) -> bool:
        return self.participant is not None and self.participant.holder is not None

    @property
    def view(self) -> View | None:
        return self._view

    async def run(self) -> None:
        """Take part, for ever."""
        self._background(self._supervised.run())
        held = await self._supervised.held()
        reading = self._votes.read()
        for text in reading.said:
            self._tell("record_damaged", {"text": text})
        if reading.record and reading.repair:
            await asyncio.to_thread(self._votes.write, reading.record)
        participant = Participant(
            self._config.name, self.service.agents, self.service.charter, self.service.timing,
            record=reading.record, profile=self._profile(self.service), rules=self.rules,
            chance=random.SystemRandom(), held=held, now=boottime(),
        )  # fmt: skip
        await self._take_part(participant)

    def token(self) -> int | None:
        """Give the fencing token by which this host holds the service; None if it doesn't."""
        holder = self.participant.holder if self.participant else None
        return holder.token if holder else None

    def look(self) -> None:
        """Read the store now: something has changed there."""
        if self.participant:
            self._background(self._asked(act.Read()))

    async def holder(self) -> str | None:
        return (await self._store.read(self.service.name)).holder

    async def _do(self, action: act.Action) -> None:
        match action:
            case act.Persist():
                await asyncio.to_thread(self._votes.write, action.record)
            case act.Send():
                self._overlay.send(action.to, OP, {"service": self.service.name, **to_wire(action.message)})
            case act.Prepare() | act.StartService() | act.Feed() | act.StopService():
                self._supervise(action)
            case act.Tell():
                self._tell(action.event, {"text": action.text})
            case act.Release():
                # An heir that is told before the store is looks there too early, and an election comes before it.
                await asyncio.wait({self._background(self._asked(action))}, timeout=self.service.timing.answer_s)
            case _:
                self._background(self._asked(action))

    async def _asked(self, action: act.Action) -> None:
        """Make a request to the store, and tell the participant of its answer; with none, nothing is told."""
        try:
            await self._ask(action)
        except (NotReached, BadValue) as error:
            if not self._unreachable:
                self._tell("store_unreachable", {"text": str(error)})
            self._unreachable = True
        else:
            if self._unreachable:
                self._tell("store_reached", {"text": "the store answers again"})
            self._unreachable = False

    async def _ask(self, action: act.Action) -> None:
        store, name = self._store, self.service.name
        match action:
            case act.Read():
                view = await store.read(name)
                self._view = view
                self.participate(lambda participant, now: participant.saw(now, view))
            case act.Acquire(lease=lease):
                token = await store.acquire(
                    name, self._config.name, lease=lease, term=action.term, after=action.after, ttl_s=action.ttl_s
                )
                if token is None:
                    self.participate(lambda participant, _now: participant.refused(lease))
                else:
                    self.participate(lambda participant, now: participant.acquired(now, lease, token))
            case act.KeepAlive(lease=lease):
                if await store.keep_alive(name, lease=lease, token=action.token):
                    self.participate(lambda participant, _now: participant.kept(lease, action.sent_at))
                else:
                    self.participate(lambda participant, _now: participant.lost(lease))
            case act.Release():
                await store.release(name, lease=action.lease, token=action.token, clean=action.clean)
                await self._ask(act.Read())
            case act.Abandon():
                await store.abandon(action.lease)

    def _stopped(self, token: object) -> None:
        self.participate(
            lambda participant, _now: (
                participant.stopped() if participant.holder and participant.holder.token == token else []
            )
        )
