# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""This host's HAProxy: told who serves, and asked what it has seen of the servers (P1.12)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from ..errors import BadValue
from ..haproxy import LEFT_S, STATISTICS, leads_to, orders, read_statistics
from ..watch.traffic import LOOKS
from .supervise import boottime

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from ..haproxy import Server
    from .driving import Driving
    from .watching import Watching

_ANSWER_S = 1.0
_PATIENCE_S = 3.0
"""HAProxy may be started anew, or after the agent; only then is it told that it isn't there."""
_LONGEST = 1024 * 1024


class Proxies:
    """Keeps each proxy at the holder of its service; where HAProxy doesn't answer, that is told once.

    `services` are those that have a proxy here, each with its part and its watching. `tell` gets an event's name and
    values, and the service's name if it is one's.
    """

    def __init__(
        self, socket: Path | None, services: Mapping[str, tuple[Driving[Any], Watching]],
        tell: Callable[[str, Mapping[str, Any], str], object],
    ) -> None:  # fmt: skip
        self._socket, self._services, self._tell = socket, services, tell
        self._led: dict[str, str] = {}
        self._since_left: dict[tuple[str, str], float] = {}
        self._since: float | None = None
        self._told = False

    def leads_to(self, service: str) -> str | None:
        """Give the host to which a service's proxy leads new connections; None if that isn't known."""
        return self._led.get(service)

    async def run(self) -> None:
        """Look at HAProxy again and again, for ever; where no service has a proxy there is nothing to do."""
        if self._socket is None or not self._services:
            return
        pause_s = min(watching.watch.period_s for _driver, watching in self._services.values()) / LOOKS
        while True:
            try:
                await self._look(self._socket)
            except (OSError, BadValue, TimeoutError) as error:
                self._lost(getattr(error, "strerror", None) or str(error) or "it doesn't answer")
            else:
                self._reached()
            await asyncio.sleep(pause_s)

    async def _look(self, socket: Path) -> None:
        known = read_statistics(await _ask(socket, STATISTICS))
        said: list[str] = []
        for name, (driver, watching) in self._services.items():
            servers = known.get(name)
            if servers is None:
                raise BadValue(f"it doesn't know {name}: run playbooks/agents.yml")
            holder = driver.view.holder if driver.view else None
            watching.passed(holder, servers[holder].counts if holder in servers else None)
            said += orders(name, servers, driver.nearest, self._left(name, servers))
            self._follow(name, servers)
        if said and (words := (await _ask(socket, *said)).strip()):
            raise BadValue(f"it doesn't do {said[0]}: {words}")

    def _left(self, service: str, servers: Mapping[str, Server]) -> list[str]:
        """Give the servers that have got no new connections for so long that none is still being made to them."""
        now = boottime()
        for name, server in servers.items():
            if server.maintained:
                self._since_left.setdefault((service, name), now)
            else:
                self._since_left.pop((service, name), None)
        return [name for name in servers if now >= self._since_left.get((service, name), now) + LEFT_S]

    def _follow(self, service: str, servers: Mapping[str, Server]) -> None:
        to = leads_to(servers)
        if to and to != self._led.get(service):
            self._led[service] = to
            self._tell("proxy_switched", {"to": to}, service)

    def _lost(self, why: str) -> None:
        for _driver, watching in self._services.values():
            watching.passed(None, None)
        self._led.clear()
        now = boottime()
        if self._since is None:
            self._since = now
        if now >= self._since + _PATIENCE_S and not self._told:
            self._told = True
            self._tell("proxy_unreachable", {"text": f"HAProxy at {self._socket}: {why}"}, "")

    def _reached(self) -> None:
        self._since = None
        if self._told:
            self._told = False
            self._tell("proxy_reached", {"text": "HAProxy answers again"}, "")


async def _ask(socket: Path, *commands: str) -> str:
    """Give what HAProxy says to these commands."""
    async with asyncio.timeout(_ANSWER_S):
        reader, writer = await asyncio.open_unix_connection(str(socket), limit=_LONGEST)
        try:
            writer.write(f"{';'.join(commands)}\n".encode())
            await writer.drain()
            return (await reader.read()).decode("utf-8", "replace")
        finally:
            writer.close()
