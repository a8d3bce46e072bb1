# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A service's holder and the rules about its hosts, as people want them: by way of this host's agent."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from ..errors import OkiagariError

if TYPE_CHECKING:
    from ..target.system import Clock

Ask: TypeAlias = Callable[[dict[str, Any]], Iterator[dict[str, Any]]]

_POLL_S = 0.2
RULES = ("forbidden", "preferred", "allowed")


class Succession:
    """One service. `rules` are those of `RULES` that are to change; `to` is who shall hold it, or None.

    Where nobody is `allowed` everybody is. A hand-over is over when the store says so, for which `wait_s` is waited.
    """

    def __init__(
        self, ask: Ask, clock: Clock, service: str, rules: dict[str, Sequence[str]], to: str | None, wait_s: float
    ) -> None:
        self._ask, self._clock, self._service, self._to, self._wait_s = ask, clock, service, to, wait_s
        self._rules: dict[str, list[str] | None] = {key: sorted(set(names)) for key, names in rules.items()}
        if self._rules.get("allowed") == []:
            self._rules["allowed"] = None
        self._state: dict[str, Any] = {}
        self.election: dict[str, Any] = {}

    def read(self) -> dict[str, Any]:
        """Give who holds the service and what is ruled, and hold a dry run of an election, `election`."""
        self.election = self._one(op="election")
        held = self._one(op="rules")["before"]
        self._state = {"holder": self.election["holder"], **{key: held[key] for key in RULES}}
        return self._state

    def want(self) -> dict[str, Any]:
        return {**self._state, **self._rules, **({"holder": self._to} if self._to else {})}

    def create(self) -> None:
        """Make it so: the rules first, since who is forbidden may not be handed over to."""
        if self._rules:
            self._one(op="rules", **self._rules)
        if self._to is None:
            return
        self._one(op="hand_over", to=self._to)
        end = self._clock.monotonic() + self._wait_s
        while (holder := self._one(op="election")["holder"]) != self._to:
            if self._clock.monotonic() > end:
                raise OkiagariError(
                    f"{self._to} has not taken {self._service} within {self._wait_s:g} s; {holder or 'nobody'} has it. "
                    "What happened says the log: okiagari-agent ask query "
                    f"'text=where trace = {self._service} | last 20'"
                )
            self._clock.sleep(_POLL_S)

    def remove(self) -> None:
        """Nothing calls this: a service is removed from the role's settings."""
        raise OkiagariError("a service's holder isn't removed: stop the service")

    def _one(self, **request: Any) -> dict[str, Any]:
        return next(iter(self._ask({**request, "service": self._service})))
