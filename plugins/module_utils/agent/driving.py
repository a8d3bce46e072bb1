# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One agent's part in one service, whatever its consistency: one event after the other, and what each wants done."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from ..authority import actions as act
from ..election.profile import NO_STATE
from ..errors import BadValue
from .supervise import boottime
from .supervision import Supervised
from .wire import from_wire

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping, Sequence

    from ..authority import View
    from ..authority.messages import Message
    from ..election import Committed, Profile, Rules
    from .config import Config, Service
    from .overlay import Overlay

_IDLE_S = 60.0
OP = "election"


class Elections(Protocol):
    """What an agent's part in a service knows of this host as a candidate."""

    profile: Profile
    rules: Rules
    messages: int


class Part(Protocol):
    """A state machine that takes part."""

    @property
    def elector(self) -> Elections:
        """Its elections."""

    @property
    def wake_at(self) -> float:
        """When `tick` has something to do."""

    def tick(self, now: float) -> list[act.Action]:
        """Do what is due."""

    def suspect(self, now: float) -> None:
        """The server is suspected."""

    def trust(self) -> None:
        """It isn't any more."""

    def heard(self, now: float, message: Message) -> list[act.Action]:
        """Another agent said this."""

    def hand_over(self, to: str) -> list[act.Action]:
        """Give the service to another agent."""


P = TypeVar("P", bound=Part)


class Driving(Generic[P]):
    """Runs one service's participant in the event loop.

    `tell` gets an event's name and values, for the log pool; `profile` gives this host as a candidate at the moment.
    """

    def __init__(
        self, config: Config, service: Service, overlay: Overlay, rules: Rules,
        profile: Callable[[Service], Profile], tell: Callable[[str, Mapping[str, Any]], object],
    ) -> None:  # fmt: skip
        self.service = service
        self.participant: P | None = None
        self.rules = rules
        self._config, self._overlay = config, overlay
        self._profile, self._tell = profile, tell
        self._supervised = Supervised(config.run, service.name, self._supervisor_said)
        self._inbox: asyncio.Queue[Callable[[P, float], Sequence[act.Action]]] = asyncio.Queue()
        self._tasks: set[asyncio.Task[None]] = set()
        self._ticked = False

    @property
    def here(self) -> str:
        """What this host is to the service, for people."""
        raise NotImplementedError

    @property
    def holds(self) -> bool:
        """Whether the service is this host's to hand over."""
        raise NotImplementedError

    @property
    def view(self) -> View | None:
        """Who holds the service as far as is known here."""
        raise NotImplementedError

    @property
    def nearest(self) -> str | None:
        """Which host's server the clients of this host use; None if that isn't known."""
        view = self.view
        return view.holder if view else None

    @property
    def further(self) -> int | None:
        """By which token a server runs here that isn't the holder's; None if there is none."""
        return None

    @property
    def committed(self) -> Committed:
        """The newest state of the service that is here, as far as elections go by that."""
        return NO_STATE

    async def run(self) -> None:
        """Take part, for ever."""
        raise NotImplementedError

    async def holder(self) -> str | None:
        """Say who holds the service now."""
        raise NotImplementedError

    def status(self) -> dict[str, Any]:
        """Give what else people may want to know."""
        return {}

    def unwell(self, why: str) -> None:
        """The server that runs here, and isn't the holder's, doesn't do what it should."""

    async def stop(self) -> None:
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def heard(self, body: Mapping[str, Any], sender: str) -> None:
        """Another agent said this; raise `BadValue` if it isn't a message of an election."""
        message = from_wire(body, sender)
        self.participate(lambda participant, now: participant.heard(now, message))

    def suspect(self, suspected: bool) -> None:
        def event(participant: P, now: float) -> list[act.Action]:
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

    def participate(self, event: Callable[[P, float], Sequence[act.Action]]) -> None:
        """Let an event happen to the participant, and have done what it wants done; one that comes too early is lost.

        One event after the other: what the first one wants on disk is there before the second one is looked at.
        """
        if self.participant:
            self._inbox.put_nowait(event)

    async def _take_part(self, participant: P) -> None:
        self.participant = participant
        # What has ended since it was asked what runs was heard by nobody.
        self._supervised.send(do="held")
        while True:
            event = await self._next(participant)
            try:
                actions = event(participant, boottime())
            except BadValue as error:
                # What was asked for can't be, by now: the one that asked is answered already.
                self._tell("request_refused", {"text": str(error)})
            else:
                for action in actions:
                    await self._do(action)

    async def _next(self, participant: P) -> Callable[[P, float], Sequence[act.Action]]:
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
        return lambda participant, now: participant.tick(now)

    async def _do(self, action: act.Action) -> None:
        raise NotImplementedError

    def _supervise(self, action: act.Action) -> None:
        """Have the supervisor do what it is for; what is another's does nothing."""
        match action:
            case act.Prepare() if self.service.machine:
                self._supervised.send(do="prepare", token=action.token, term=action.term)
            case act.StartService():
                self._supervised.send(
                    do="start", token=action.token, lease=action.lease, term=action.term, deadline=action.deadline
                )
            case act.Feed():
                self._supervised.send(do="feed", token=action.token, deadline=action.deadline)
            case act.StopService():
                self._supervised.send(do="stop")

    def _supervisor_said(self, said: Mapping[str, Any]) -> None:
        event = said.get("event")
        if event in ("started", "stopped"):
            self._tell(f"service_{event}", {key: value for key, value in said.items() if key != "event"})
        if event == "stopped":
            self._stopped(said.get("token"))

    def _stopped(self, token: object) -> None:
        raise NotImplementedError

    def _background(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            self._tell("agent_error", {"text": f"{type(error).__name__}: {error}"})
