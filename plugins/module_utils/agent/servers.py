# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What people ask about the servers of a service, at any agent: which there are, and to have more or fewer.

More servers serve beside the elected one (replicate, P1.10); fewer is one that stops and is merged (merge, P1.11).
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

from ..errors import BadValue, OkiagariError
from ..values import Shape, choice, mismatch, number
from .available_driver import AvailableDriver
from .overlay import NoAnswer
from .supervise import boottime

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping

    from ..authority import Available
    from ..authority.actions import Action
    from ..election import Decision
    from .config import Config
    from .driving import Driving
    from .envelope import Opened
    from .overlay import Overlay

OP_REPLICATE, OP_MERGE, OP_SERVER = "server.replicate", "server.merge", "server.show"
_SECONDS = number(0.1, 3600)
_USUALLY_S = 60.0
_ANSWER_S = 5.0
_PROGRESS_S = 5.0
_AGAIN_S = 0.5
_SERVER: dict[str, Shape] = {"serves": bool, "ready": bool, "begins": bool, "owed": bool}


class Servers:
    """The servers of all services. `try_election` gives what an election would come to, and who was silent."""

    def __init__(
        self, config: Config, overlay: Overlay, drivers: Mapping[str, Driving[Any]],
        try_election: Callable[[Driving[Any]], Awaitable[tuple[Decision, dict[str, str]]]],
    ) -> None:  # fmt: skip
        self._config, self._overlay, self._drivers, self._try_election = config, overlay, drivers, try_election

    # from this host

    async def show(self, request: Mapping[str, Any]) -> AsyncGenerator[dict[str, Any], None]:
        """Say who serves, how many may, and which candidates would be next, the best first."""
        driver, participant = self._part(request)
        decision, silent = await self._try_election(driver)
        servers = self._hosts(participant)
        yield {
            "holder": await driver.holder(), "servers": servers, "most": driver.service.servers,
            "next": [host for host in decision.order if host not in servers], "silent": silent,
        }  # fmt: skip

    async def replicate(self, request: Mapping[str, Any]) -> AsyncGenerator[dict[str, Any], None]:
        """Have a further server at the candidate `to`, or the best one, which has by then what the holder has."""
        driver, participant = self._part(request)
        name, seconds = driver.service.name, _SECONDS(request.get("seconds", _USUALLY_S))
        to = choice(driver.service.candidates, "candidate")(request["to"]) if "to" in request else ""
        to = to or await self._best(driver, participant)
        await self._tell(OP_REPLICATE, name, to)
        async for each in self._until(name, to, seconds, _replicated, "has not what the others have"):
            yield each
        yield {"host": to, "servers": self._hosts(participant)}

    async def merge(self, request: Mapping[str, Any]) -> AsyncGenerator[dict[str, Any], None]:
        """Have the further server of `host` stop, or the one that came last, and what it did merged by the holder."""
        driver, participant = self._part(request)
        name, seconds = driver.service.name, _SECONDS(request.get("seconds", _USUALLY_S))
        servers = self._hosts(participant)
        if "host" in request:
            host = choice(driver.service.candidates, "candidate")(request["host"])
        elif len(servers) > 1:
            host = servers[-1]
        else:
            raise OkiagariError(f"there is no further server of {name} that could be merged")
        await self._tell(OP_MERGE, name, host)
        async for each in self._until(name, host, seconds, _merged, "is not merged"):
            yield each
        yield {"host": host, "servers": [each for each in self._hosts(participant) if each != host]}

    async def changed(self, request: Mapping[str, Any]) -> AsyncGenerator[dict[str, Any], None]:
        """The server of this host has changed: the others get what it has."""
        driver, participant = self._part(request)
        if self._config.name not in self._hosts(participant):
            raise OkiagariError(f"{self._config.name} has no server of {driver.service.name}")
        driver.participate(lambda each, _now: each.changed())
        yield {"changed": True}

    # from other agents

    async def begin(self, opened: Opened) -> Mapping[str, Any]:
        """A further server is wanted here."""
        await self._do(OP_REPLICATE, opened.body)
        return {}

    async def end(self, opened: Opened) -> Mapping[str, Any]:
        """The further server of this host is to be merged."""
        await self._do(OP_MERGE, opened.body)
        return {}

    async def tell(self, opened: Opened) -> Mapping[str, Any]:
        """Say how far the server of this host is."""
        _driver, participant = self._part(opened.body)
        return _state(participant)

    async def _best(self, driver: AvailableDriver, participant: Available) -> str:
        decision, _silent = await self._try_election(driver)
        servers = self._hosts(participant)
        for host in decision.order:
            if host not in servers:
                return host
        whys = "; ".join(f"{each.host} {each.why}" for each in decision.places if each.host not in servers)
        raise OkiagariError(f"no candidate is left for a further server of {driver.service.name}{whys and f': {whys}'}")

    async def _tell(self, op: str, service: str, host: str) -> None:
        """Have this begun at a host; raise `OkiagariError` with the reason where it can't be."""
        body = {"service": service}
        if host != self._config.name:
            await self._overlay.ask(host, op, body, _ANSWER_S)
        else:
            await self._do(op, body)

    async def _do(self, op: str, body: Mapping[str, Any]) -> None:
        """Have this begun here, in its turn; raise `OkiagariError` with the reason where it can't be."""
        driver, _participant = self._part(body)
        answered: asyncio.Future[str] = asyncio.get_running_loop().create_future()

        def event(participant: Available, now: float) -> list[Action]:
            replicates = op == OP_REPLICATE
            why = participant.why_no_replica(now) if replicates else participant.why_no_merge(now)
            if not answered.done():
                answered.set_result(why)
            if why:
                return []
            return participant.replicate(now) if replicates else participant.merge(now)

        driver.participate(event)
        if why := await answered:
            raise OkiagariError(why)

    async def _until(
        self, service: str, host: str, seconds: float, done: Callable[[Mapping[str, Any]], bool], missing: str
    ) -> AsyncGenerator[dict[str, Any], None]:
        """Wait until this host's server is so far, and say now and then for how long."""
        begun = told = time.monotonic()
        why = ""
        while True:
            try:
                if done(await self._state_of(service, host)):
                    return
                why = ""
            except NoAnswer as error:
                why = f": {error}"
            now = time.monotonic()
            if now > begun + seconds:
                raise OkiagariError(
                    f"{host} {missing} within {seconds:g} s{why}. It may still come to that; what happened says the "
                    f"log: okiagari-agent ask query 'text=where trace = {service} | last 20'"
                )
            if now > told + _PROGRESS_S:
                told = now
                yield {"waiting_s": round(now - begun)}
            await asyncio.sleep(_AGAIN_S)

    async def _state_of(self, service: str, host: str) -> Mapping[str, Any]:
        if host == self._config.name:
            return _state(self._part({"service": service})[1])
        said = dict(await self._overlay.ask(host, OP_SERVER, {"service": service}, _ANSWER_S))
        if wrong := mismatch(said, _SERVER, host):
            raise BadValue(wrong)
        return said

    def _part(self, request: Mapping[str, Any]) -> tuple[AvailableDriver, Available]:
        driver = self._drivers[choice(self._drivers, "service")(request.get("service"))]
        if not isinstance(driver, AvailableDriver):
            raise BadValue(
                f"{driver.service.name} has the consistency {driver.service.charter.consistency}: it has one server, "
                "and never two"
            )
        if driver.participant is None:
            raise OkiagariError(f"{self._config.name} has just begun to take part in {driver.service.name}; ask again")
        return driver, driver.participant

    @staticmethod
    def _hosts(participant: Available) -> list[str]:
        return [each.host for each in participant.servers(boottime())]


def _state(participant: Available) -> dict[str, Any]:
    return {
        "serves": participant.first or participant.further, "ready": participant.ready, "begins": participant.begins,
        "owed": participant.merging.ledger.owed,
    }  # fmt: skip


def _replicated(said: Mapping[str, Any]) -> bool:
    if not (said["serves"] or said["begins"]):
        raise OkiagariError("the server has ended; journalctl --unit 'okiagari-supervisor@*' at its host says why")
    return bool(said["ready"])


def _merged(said: Mapping[str, Any]) -> bool:
    return not said["serves"] and not said["owed"]
