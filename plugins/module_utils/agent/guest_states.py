# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A guest's committed state, as people want it: by way of this host's agent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..errors import OkiagariError

if TYPE_CHECKING:
    from .succession import Ask

_SHOWN = ("term", "epoch", "root")


class GuestStates:
    """One guest's states. `now` says whether one is to be captured and committed, for which `wait_s` is waited."""

    def __init__(self, ask: Ask, service: str, wait_s: float, *, now: bool) -> None:
        self._ask, self._service, self._wait_s, self._now = ask, service, wait_s, now
        self.there: dict[str, Any] = {}
        """Which states there are, by the last look."""
        self.made: dict[str, Any] = {}
        """What was committed."""

    def read(self) -> dict[str, Any]:
        """Look which states there are, and give the committed one."""
        self.there = self._last(op="states")
        return self._shown()

    def want(self) -> dict[str, Any]:
        """Give the state that is to be committed; raise `OkiagariError` where nobody could have it captured."""
        if not self._now:
            return self._shown()
        if self.there["holder"] is None:
            raise OkiagariError(f"nobody holds {self._service} now; an election will give it to somebody")
        committed = self._shown()
        return {"epoch": f"the next one after {committed['epoch']}" if committed else "the first one"}

    def create(self) -> None:
        self.made = self._last(op="checkpoint", seconds=self._wait_s)

    def remove(self) -> None:
        """Nothing calls this: replicas drop old states by themselves."""
        raise OkiagariError("a guest's states aren't removed: take the service out of agent_services")

    def _shown(self) -> dict[str, Any]:
        """Give what people compare of the committed state, nothing where there is none."""
        committed = self.there["committed"] or {}
        return {key: committed[key] for key in _SHOWN if key in committed}

    def _last(self, **request: Any) -> dict[str, Any]:
        """Give the last answer; those before it say that it takes."""
        *_waiting, said = self._ask({**request, "service": self._service})
        return said
