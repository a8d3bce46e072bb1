# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Watching a service from here: asking it, if this agent is one of those that do, and weighing what all observers say.

Only few agents ask the server itself (`watch.observers`), so that its load doesn't grow with the testbed. They publish
what they saw, and everybody else goes by that for as long as it is good: the cached answers of P1.6.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from ..errors import BadValue, OkiagariError
from ..watch import Observation, Observer, OwnHealth, Suspicion, Traffic, observers
from .overlay import NoAnswer
from .requests import Answer, request
from .supervise import boottime

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ..watch import Counts
    from .config import Config, Service
    from .driving import Driving
    from .overlay import Overlay

OP = "observation"


class Watching:
    """One service as this agent sees it."""

    def __init__(
        self, config: Config, service: Service, overlay: Overlay, driver: Driving[Any],
        tell: Callable[[str, Mapping[str, Any]], object], hear: Callable[[str], object] | None = None,
    ) -> None:  # fmt: skip
        """`hear` gets what the service answers while it runs here, and is well."""
        self.watch = service.watch
        self._hear = hear
        self._config, self._service, self._overlay, self._driver, self._tell = config, service, overlay, driver, tell
        self._health = OwnHealth(service.watch.late_s)
        self._observer = Observer(service.name, config.name, config.me.domain, service.watch, self._health)
        self._suspicion = Suspicion(service.name, service.watch)
        self._traffic = Traffic(service.watch.period_s)
        self._urged = asyncio.Event()
        self._links = {name: peer.links for name, peer in config.peers.items()}
        self._domains = {name: peer.domain for name, peer in config.peers.items()}
        self._token = -1
        self._turn = 0
        self._asks = False
        self._own = Observer(service.name, config.name, config.me.domain, service.watch, self._health)
        self._own_token: int | None = None

    @property
    def level(self) -> float:
        """How suspicious the holder is, from 0 to 1."""
        return self._suspicion.level(boottime())

    @property
    def hindrance(self) -> str:
        """Why this host had better not be elected: it has the service, and the service isn't well."""
        here = self._suspicion.suspected and self._suspicion.holder == self._config.name
        return f"{self._service.name} isn't well here" if here else ""

    async def run(self) -> None:
        """Watch, for ever; a service without a dummy request is watched by its lease alone."""
        while self._service.request:
            planned = boottime() + self.watch.period_s
            self._urged.clear()
            await self._look()
            with suppress(TimeoutError):
                async with asyncio.timeout(max(0.0, planned - boottime())):
                    await self._urged.wait()
            self._health.late(max(0.0, boottime() - planned))

    def heard(self, body: Mapping[str, Any], sender: str) -> None:
        """Another agent has observed this."""
        observation = Observation.from_dict(body)
        if observation.observer != sender:
            raise BadValue(f"{sender} speaks as {observation.observer}")
        self._suspicion.heard(boottime(), observation)
        self._weigh()

    def passed(self, holder: str | None, counts: Counts | None) -> None:
        """So much of what clients asked this holder has passed by here; None where nobody knows."""
        now = boottime()
        self._traffic.saw(now, counts if self._asks and holder == self._observer.holder else None)
        if self._traffic.urges(now):
            self._urged.set()

    async def _look(self) -> None:
        view = self._driver.view
        if view and (view.token, view.holder) != (self._token, self._suspicion.holder):
            self._begin(view.holder, view.token)
        await asyncio.gather(self._look_at_holder(), self._look_at_further())
        self._weigh()

    async def _look_at_holder(self) -> None:
        if self._asks:
            answer, _done = await asyncio.gather(self._ask(), self._look_at_myself())
            if self._hear and self._observer.holder == self._config.name and not answer.wrong:
                self._hear(answer.said)
            observation = self._observer.result(boottime(), not answer.wrong, answer.wrong)
            self._suspicion.heard(boottime(), observation)
            self._overlay.publish(OP, observation.to_dict())

    async def _look_at_further(self) -> None:
        """Ask the further server that runs here, which is nobody else's to ask."""
        token = self._driver.further
        if token != self._own_token:
            self._own_token = token
            self._own.begin(boottime(), self._config.name)
        if token is None:
            return
        answer = await self._request(self._config.name)
        if self._hear and not answer.wrong:
            self._hear(answer.said)
        observation = self._own.result(boottime(), not answer.wrong, answer.wrong)
        if observation.level >= 1.0:
            self._driver.unwell(f"isn't well: {observation.why}")

    async def _ask(self) -> Answer:
        """Ask the holder, unless clients were just answered; one that may have more to say to its own host always."""
        speaks = self._service.speaks and self._observer.holder == self._config.name
        if self._traffic.spares(boottime()) and not speaks:
            return Answer("")
        return await self._request(self._observer.holder)

    async def _request(self, host: str) -> Answer:
        address = self._config.peers[host].address
        return await request(self._service.request, host=host, address=address, timeout_s=self.watch.timeout_s)

    async def _look_at_myself(self) -> None:
        """Ask another peer, each in its turn: whoever hears nothing of those who are there had better doubt itself.

        One that is known to be gone says nothing about this agent; where all are gone, this agent is cut off.
        """
        others = [name for name in self._config.others if name != self._observer.holder]
        there = [name for name in others if name in self._overlay.alive]
        self._turn += 1
        if not others:
            return
        if not there:
            self._health.unanswered()
            return
        try:
            await self._overlay.ask(there[self._turn % len(there)], "ping", {}, self.watch.timeout_s)
        except NoAnswer:
            self._health.unanswered()
        except OkiagariError:
            self._health.answered()
        else:
            self._health.answered()

    def _begin(self, holder: str | None, token: int) -> None:
        self._token, self._asks = token, False
        self._suspicion.begin(boottime(), holder)
        self._traffic.begin()
        if holder is None or holder not in self._config.peers:
            return
        if self._config.name in observers(holder, self._links, self._domains, self.watch.observers):
            self._asks = True
            self._observer.begin(boottime(), holder)

    def _weigh(self) -> None:
        level = self.level
        changed = self._suspicion.changed(boottime())
        if changed is None:
            return
        self._driver.suspect(changed)
        event = "holder_suspected" if changed else "holder_trusted"
        self._tell(event, {"holder": self._suspicion.holder, "level": round(level, 3)})
