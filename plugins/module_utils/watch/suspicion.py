# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What all observers together say of a service's holder, as one agent heard it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

    from .observer import Observation
    from .policy import Watch

_INDEPENDENT = 2
"""In how many failure domains a suspicion is held, where so many are heard."""


@dataclass(frozen=True)
class _Heard:
    observation: Observation
    until: float


class Suspicion:
    """The newest observation of each observer about the present holder, at any agent, and what follows from them.

    An observation is taken at this agent's own clock and expires (P1.6). `changed` is to be called after each `begin`
    and `heard`, and at `wake_at`; to be late is safe: what wasn't heard because this agent slept is no silence.
    """

    def __init__(self, service: str, watch: Watch) -> None:
        self.holder: str | None = None
        self.suspected = False
        self.wake_at = float("inf")
        self._service, self._watch = service, watch
        self._heard: dict[str, _Heard] = {}
        self._silent_since = 0.0
        self._high_since: float | None = None

    def begin(self, now: float, holder: str | None) -> None:
        """Forget everything: this host holds the service now, or holds it anew, or nobody does."""
        self.holder, self.suspected, self._silent_since, self._high_since = holder, False, now, None
        self._heard.clear()
        self._plan(now)

    def heard(self, now: float, observation: Observation) -> None:
        """Take an observation, which may be late, repeated or about another holder: then nothing changes.

        The number of one that expired is kept for `silence_s`, lest neighbours tell it each other for ever. So an
        observer whose numbers begin anew is heard again `good_for_s` and `silence_s` later at the latest.
        """
        if (observation.service, observation.holder) != (self._service, self.holder):
            return
        known = self._heard.get(observation.observer)
        if known and now < known.until + self._watch.silence_s and observation.sequence <= known.observation.sequence:
            return
        self._heard[observation.observer] = _Heard(observation, now + self._good_for(observation))
        self._silent_since = now

    def told(self, now: float) -> tuple[Observation, ...]:
        """What to answer a neighbour who asks: all that is good still, each for the rest of its time."""
        return tuple(replace(each.observation, good_for_s=each.until - now) for each in self._fresh(now))

    def level(self, now: float) -> float:
        """How suspicious the holder is, from 0 to 1: the mean of the failure domains whose observers are heard.

        Where none is, it is the share of `silence_s` that has passed since the last word.
        """
        if self.holder is None:
            return 0.0
        opinions = by_domain([each.observation for each in self._fresh(now)])
        if opinions:
            return _mean(opinions.values())
        return 1.0 if self._silent(now) else max(0.0, (now - self._silent_since) / self._watch.silence_s)

    def changed(self, now: float) -> bool | None:
        """True if the holder is suspected from now on, False if it isn't any more; None if all is as before.

        The level has to be high for a period, in which every observer asks again, and be held by two failure domains
        if two are heard. One that is heard alone decides alone, and a single observer only once it is sure: it may have
        been split off from all others, whose elections it can't win but with the consistency `available`. Silence
        begins a suspicion, but never ends one.
        """
        before = self.suspected
        if self.holder is not None:
            self._weigh(now)
        self._plan(now)
        return None if self.suspected == before else self.suspected

    def _weigh(self, now: float) -> None:
        fresh = [each.observation for each in self._fresh(now)]
        if not fresh:
            if now > self.wake_at + self._watch.period_s:
                self._silent_since = now
            self._high_since = None
            self.suspected = self.suspected or self._silent(now)
            return
        opinions = by_domain(fresh)
        level = _mean(opinions.values())
        sure = self._watch.suspect_at if len(fresh) > 1 else 1.0
        holding = sum(1 for each in opinions.values() if each >= sure)
        if level < sure or holding < min(_INDEPENDENT, len(opinions)):
            self._high_since = None
        elif self._high_since is None:
            self._high_since = now
        if self._high_since is not None and now >= self._high_since + self._watch.period_s:
            self.suspected = True
        elif level <= self._watch.trust_at:
            self.suspected = False

    def _plan(self, now: float) -> None:
        fresh = self._fresh(now)
        times = [each.until for each in fresh]
        if self.holder is not None and not self.suspected:
            if not fresh:
                times.append(self._silent_since + self._watch.silence_s)
            elif self._high_since is not None:
                times.append(self._high_since + self._watch.period_s)
        self.wake_at = min(times, default=float("inf"))

    def _fresh(self, now: float) -> list[_Heard]:
        return [each for each in self._heard.values() if now < each.until]

    def _silent(self, now: float) -> bool:
        return now >= self._silent_since + self._watch.silence_s

    def _good_for(self, observation: Observation) -> float:
        return min(observation.good_for_s, self._watch.good_for_s)


def by_domain(observations: Collection[Observation]) -> dict[str, float]:
    """Give each failure domain's level: the mean of its observers.

    They share what may fail on the way, so that together they are one witness, however many they are. Of the ways to
    make one of them, the highest would let a single broken host speak for its site; the lowest a busy one, which takes
    long to be sure, keep its site from speaking.
    """
    levels: dict[str, list[float]] = {}
    for each in observations:
        levels.setdefault(each.domain, []).append(each.level)
    return {domain: _mean(inside) for domain, inside in levels.items()}


def _mean(levels: Collection[float]) -> float:
    return sum(levels) / len(levels)
