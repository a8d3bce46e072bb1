# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The servers of a service beside each other, as people want them: by way of this host's agent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..errors import BadInput, OkiagariError, Problem

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .succession import Ask


class ServiceServers:
    """One service: all its servers run at just these `hosts`, or `count` of them run wherever is best, or as it is.

    `wait_s` is waited for each one that comes or goes.
    """

    def __init__(self, ask: Ask, service: str, hosts: Sequence[str] | None, count: int | None, wait_s: float) -> None:
        self._ask, self._service, self._wait_s = ask, service, wait_s
        self._hosts, self._count = hosts, count
        self.there: dict[str, Any] = {}
        """Which servers there are, by the last look."""

    def read(self) -> dict[str, Any]:
        self.there = self._last(op="servers")
        return {"servers": sorted(self.there["servers"])}

    def want(self) -> dict[str, Any]:
        """Give which servers there are to be; raise `BadInput` with all that is against it."""
        servers: list[str] = self.there["servers"]
        if self._hosts is None and self._count is None:
            return {"servers": sorted(servers)}
        key = "count" if self._hosts is None else "hosts"
        wanted = set(self._best(servers) if self._hosts is None else self._hosts)
        if problems := self._problems(wanted):
            raise BadInput([Problem("", None, key, each) for each in problems])
        return {"servers": sorted(wanted)}

    def create(self) -> None:
        """Make it so: more first, so that there are never fewer than before or after, where that many may be."""
        servers: list[str] = self.there["servers"]
        wanted = self.want()["servers"]
        more = [host for host in wanted if host not in servers]
        fewer = [host for host in reversed(servers) if host not in wanted]
        room = self.there["most"] - len(servers)
        for host in more[:room]:
            self._last(op="replicate", to=host, seconds=self._wait_s)
        for index, host in enumerate(fewer):
            self._last(op="merge", host=host, seconds=self._wait_s)
            for other in more[room + index : room + index + 1]:
                self._last(op="replicate", to=other, seconds=self._wait_s)

    def remove(self) -> None:
        """Nothing calls this: a service is removed from the role's settings."""
        raise OkiagariError("a service's servers aren't removed: take the service out of agent_services")

    def _best(self, servers: Sequence[str]) -> list[str]:
        """Give so many hosts: those that serve, but for the ones that came last, and then the best of the others."""
        return [*servers, *self.there["next"]][: self._count]

    def _problems(self, wanted: set[str]) -> list[str]:
        holder, most = self.there["holder"], self.there["most"]
        more = [host for host in sorted(wanted) if host not in self.there["servers"]]
        found = []
        if holder is None:
            found.append(f"nobody holds {self._service} now; an election will give it to somebody")
        elif self._count is not None and self._count < 1:
            found.append(f"is {self._count}: to have no server, take {self._service} out of agent_services")
        elif holder not in wanted:
            found.append(
                f"{holder} has the elected server, into which others are merged; to have it elsewhere, hand it over "
                "first (okiagari.testbed.successor_election)"
            )
        if max(len(wanted), self._count or 0) > most:
            found.append(f"{self._service} may have {most} servers at most; servers in agent_services says how many")
        elif self._count is not None and len(wanted) < self._count:
            found.append(f"is {self._count}, and only {', '.join(sorted(wanted))} can have one now")
        found += [
            f"{host} can't have one now: okiagari-agent ask election service={self._service} says why"
            for host in more if host not in self.there["next"]
        ]  # fmt: skip
        return found

    def _last(self, **request: Any) -> dict[str, Any]:
        """Give the last answer; those before it say that it takes."""
        *_waiting, said = self._ask({**request, "service": self._service})
        return said
