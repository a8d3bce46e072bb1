# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What people ask about the states of guests, at any agent: which there are, and to have one committed now (P1.1)."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

from ..errors import BadValue, OkiagariError
from ..values import choice, number
from .states import OP_HEAD

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping

    from .config import Config, Service
    from .driving import Driving
    from .envelope import Opened
    from .overlay import Overlay
    from .states import States
    from .store import Store

OP = "checkpoint"
_SECONDS = number(0.1, 3600)
_USUALLY_S = 60.0
_ANSWER_S = 5.0
_PROGRESS_S = 5.0


class Checkpoints:
    """The states of all guests. `states` are those of whom this host has a replica."""

    def __init__(
        self, config: Config, overlay: Overlay, store: Store, drivers: Mapping[str, Driving[Any]],
        states: Mapping[str, States],
    ) -> None:  # fmt: skip
        self._config, self._overlay, self._store = config, overlay, store
        self._drivers, self._states = drivers, states

    async def make(self, request: Mapping[str, Any]) -> AsyncGenerator[dict[str, Any], None]:
        """Have a state captured from now on and committed, wherever the guest runs; say meanwhile how long it takes."""
        service, seconds = self._guest(request), _SECONDS(request.get("seconds", _USUALLY_S))
        holder = await self._drivers[service.name].holder()
        if holder is None:
            raise OkiagariError(f"nobody holds {service.name} now; an election will give it to somebody")
        begun = time.monotonic()
        made = asyncio.ensure_future(self._made(service.name, holder, seconds))
        try:
            while not (await asyncio.wait([made], timeout=_PROGRESS_S))[0]:
                yield {"waiting_s": round(time.monotonic() - begun)}
            yield {"holder": holder, **made.result()}
        finally:
            made.cancel()

    async def answer(self, opened: Opened) -> Mapping[str, Any]:
        """Another agent was asked for it, and this host has the guest."""
        service = self._guest(opened.body)
        if service.name not in self._states:
            raise OkiagariError(f"{self._config.name} is no candidate of {service.name}")
        return await self._states[service.name].checkpoint(opened.sender, _SECONDS(opened.body.get("seconds")))

    async def show(self, request: Mapping[str, Any]) -> AsyncGenerator[dict[str, Any], None]:
        """Say which state is committed, how old it is, and which hosts have it, as far as they answer."""
        service = self._guest(request)
        holder = await self._drivers[service.name].holder()
        committed = await self._store.committed(service.name)
        heads, silent = await self._heads(service)
        have: list[str] = []
        if committed:
            least = committed["term"], committed["epoch"]
            have = [host for host, head in heads.items() if head and (head["term"], head["epoch"]) >= least]
            if "captured" in committed:
                committed["age_s"] = max(0.0, round(time.time() - committed["captured"], 1))
        yield {
            "holder": holder, "committed": committed, "replicas": heads, "have": have, "silent": silent,
            "domains": sorted({self._config.peers[host].domain for host in have}),
        }  # fmt: skip

    async def _made(self, service: str, holder: str, seconds: float) -> Mapping[str, Any]:
        if holder != self._config.name:
            body = {"service": service, "seconds": seconds}
            return await self._overlay.ask(holder, OP, body, seconds + _ANSWER_S)
        return await self._states[service].checkpoint(holder, seconds)

    async def _heads(self, service: Service) -> tuple[dict[str, Any], dict[str, str]]:
        """Give the newest state of each candidate's replica, None where there is none; and why others don't say it."""
        others = [host for host in service.candidates if host != self._config.name]
        said: dict[str, Any] = dict(await self._overlay.ask_all(others, OP_HEAD, {"service": service.name}))
        if service.name in self._states:
            said[self._config.name] = {"head": self._states[service.name].head}
        heads = {host: said[host].get("head") for host in service.candidates if isinstance(said[host], dict)}
        return heads, {host: str(said[host]) for host in service.candidates if host not in heads}

    def _guest(self, request: Mapping[str, Any]) -> Service:
        service = self._config.services[choice(self._config.services, "service")(request.get("service"))]
        if service.machine is None:
            raise BadValue(f"{service.name} is no guest: only guests have states that are captured")
        return service
