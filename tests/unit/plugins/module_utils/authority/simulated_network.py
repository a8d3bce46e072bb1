# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Time, clocks and a network of directed links that can be cut, slow, lossy, and late."""

from __future__ import annotations

import heapq
from collections import Counter
from itertools import count
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Iterable


class Events:
    """What happens when, in true time."""

    def __init__(self) -> None:
        self.now = 0.0
        self.done = 0
        self._heap: list[tuple[float, int, Callable[..., Any], tuple[Any, ...]]] = []
        self._number = count()

    def at(self, when: float, what: Callable[..., Any], *args: Any) -> None:
        heapq.heappush(self._heap, (max(when, self.now), next(self._number), what, args))

    def after(self, delay: float, what: Callable[..., Any], *args: Any) -> None:
        self.at(self.now + delay, what, *args)

    def run(self, until: float) -> None:
        while self._heap and self._heap[0][0] <= until:
            self.now, _number, what, args = heapq.heappop(self._heap)
            self.done += 1
            what(*args)
        self.now = until


class Clock:
    """A host's monotonic clock: it starts anywhere, and runs as fast or slow as its crystal does."""

    def __init__(self, events: Events, chance: random.Random, drift: float) -> None:
        self._events = events
        self._rate = 1.0 + drift * chance.choice((-1.0, 1.0, chance.uniform(-1.0, 1.0)))
        self._offset = chance.uniform(0.0, 1e5)

    def __call__(self) -> float:
        return self._offset + self._rate * self._events.now

    def true(self, time: float) -> float:
        return (time - self._offset) / self._rate


class Network:
    """Carries messages between hosts; `changed` is called after each cut and mending."""

    def __init__(self, events: Events, chance: random.Random) -> None:
        self.events, self.chance = events, chance
        self.cuts: Counter[tuple[int, int]] = Counter()
        self.slow: dict[tuple[int, int], float] = {}
        self.queues: dict[int, tuple[float, float]] = {}
        self.loss = 0.0
        self.repeats = 0.03
        self.changed: Callable[[], None] = lambda: None

    def both_ways(self, one: int, other: int) -> bool:
        return one == other or not (self.cuts[one, other] or self.cuts[other, one])

    def cut(self, links: Iterable[tuple[int, int]], by: int = 1) -> None:
        for link in links:
            self.cuts[link] += by
        self.changed()

    def heal(self) -> None:
        self.cuts.clear()
        self.slow.clear()
        self.queues.clear()
        self.loss = 0.0
        self.changed()

    def send(self, source: int, target: int, what: Callable[..., Any], *args: Any) -> None:
        if source == target:
            self.events.after(0.0002, what, *args)
            return
        if self.cuts[source, target] or (self.loss and self.chance.random() < self.loss):
            return
        self._carry(source, target, what, args)
        if self.chance.random() < self.repeats:
            self.events.after(self.chance.uniform(0.1, 20.0), what, *args)

    def _carry(self, source: int, target: int, what: Callable[..., Any], args: tuple[Any, ...]) -> None:
        delay = 0.002 + 0.05 * self.chance.random()
        if (source, target) in self.slow:
            delay += self.slow[source, target] * self.chance.random()
        if target in self.queues:
            since, growth = self.queues[target]
            delay += growth * (self.events.now - since)
        self.events.after(delay, what, *args)
