# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One agent's part in one service: a `Participant`, and the doing of what it wants done."""

from __future__ import annotations

import asyncio
import random
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeAlias

from ..authority import Participant
from ..authority import actions as act
from ..errors import BadValue
from .store import NotReached
from .supervise import boottime
from .supervision import Supervised
from .vote_file import VoteFile
from .wire import from_wire, to_wire

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping, Sequence

    from ..authority import View
    from ..election import Profile, Rules
    from .config import Config, Service
    from .overlay import Overlay
    from .store import Store

Event: TypeAlias = "Callable[[Participant, float], Sequence[act.Action]]"

_IDLE_S = 60.0
OP = "election"


class Driver:
    """Runs one service's participant in the event loop.

    `tell` gets an event's name and values, for the log pool; `profile` gives this host as a candidate at the moment.
    """

    def __init__(
        self, config: Config, service: Service, overlay: Overlay, store: Store, rules: Rules,
        profile: Callable[[Service], Profile], tell: Callable[[str, Mapping[str, Any]], object],
    ) -> None:  # fmt: skip
        self.service = service
        self.participant: Participant | None = None
        self.view: View | None = None
        self.rules = rules
        self._config, self._overlay, self._store = config, overlay, store
        self._profile, self._tell = profile, tell
        self._votes = VoteFile(config.state, service.name)
        self._supervised = Supervised(config.run, service.name, self._supervisor_said)
        self._inbox: asyncio.Queue[Event] = asyncio.Queue()
        self._tasks: set[asyncio.Task[None]] = set()
        self._unreachable = self._ticked = False

    async def run(self) -> None:
        """Take part, for ever."""
        self._background(self._supervised.run())
        held = await self._supervised.held()
        reading = self._votes.read()
        for text in reading.said:
            self._tell("record_damaged", {"text": text})
        if reading.record and reading.repair:
            await asyncio.to_thread(self._votes.write, reading.record)
        self.participant = Participant(
            self._config.name, self.service.agents, self.service.charter, self.service.timing,
            record=reading.record, profile=self._profile(self.service), rules=self.rules,
            chance=random.SystemRandom(), held=held, now=boottime(),
        )  # fmt: skip
        self._supervised.send(do="held")
        while True:
            event = await self._next(self.participant)
            try:
                actions = event(self.participant, boottime())
            except BadValue as error:
                # What was asked for can't be, by now: the one that asked is answered already.
                self._tell("request_refused", {"text": str(error)})
            else:
                await self._do(actions)

    def token(self) -> int | None:
        """Give the fencing token by which this host holds the service; None if it doesn't."""
        holder = self.participant.holder if self.participant else None
        return holder.token if holder else None

    async def stop(self) -> None:
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def heard(self, body: Mapping[str, Any], sender: str) -> None:
        """Another agent said this; raise `BadValue` if it isn't a message of an election."""
        message = from_wire(body, sender)
        self.participate(lambda participant, now: participant.heard(now, message))

    def suspect(self, suspected: bool) -> None:
        def event(participant: Participant, now: float) -> list[act.Action]:
            if suspected:
                participant.suspect(now)
            else:
                participant.trust()
            return []

        self.participate(event)

    def rule(self, rules: Rules) -> None:
        """Take rules for the next election, from now on."""
        self.rules = rules
        if self.participant:
            self.participant.elector.rules = rules

    def participate(self, event: Event) -> None:
        """Let an event happen to the participant, and have done what it wants done; one that comes too early is lost.

        One event after the other: what the first one wants on disk is there before the second one is looked at.
        """
        if self.participant:
            self._inbox.put_nowait(event)

    async def _next(self, participant: Participant) -> Event:
        # Whatever a participant wants, the rest of the agent has its turn.
        await asyncio.sleep(0)
        left = participant.wake_at - boottime()
        if left <= 0 and self._ticked and not self._inbox.empty():
            # Neither time nor events may keep the other from its turn.
            self._ticked = False
            return self._inbox.get_nowait()
        if left > 0:
            with suppress(TimeoutError):
                async with asyncio.timeout(min(left, _IDLE_S)):
                    return await self._inbox.get()
        self._ticked = True
        participant.elector.profile = self._profile(self.service)
        return Participant.tick

    async def _do(self, actions: Sequence[act.Action]) -> None:
        for action in actions:
            match action:
                case act.Persist():
                    await asyncio.to_thread(self._votes.write, action.record)
                case act.Send():
                    self._overlay.send(action.to, OP, {"service": self.service.name, **to_wire(action.message)})
                case act.StartService():
                    self._supervised.send(
                        do="start", token=action.token, lease=action.lease, term=action.term, deadline=action.deadline
                    )
                case act.Feed():
                    self._supervised.send(do="feed", token=action.token, deadline=action.deadline)
                case act.StopService():
                    self._supervised.send(do="stop")
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
                self.view = view
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

    def _supervisor_said(self, said: Mapping[str, Any]) -> None:
        event = said.get("event")
        if event in ("started", "stopped"):
            self._tell(f"service_{event}", {key: value for key, value in said.items() if key != "event"})
        if event == "stopped":
            token = said.get("token")
            self.participate(
                lambda participant, _now: (
                    participant.stopped() if participant.holder and participant.holder.token == token else []
                )
            )

    def _background(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            self._tell("agent_error", {"text": f"{type(error).__name__}: {error}"})
