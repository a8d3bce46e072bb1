# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which peer is traced when, and what is told of its path."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from ansible_collections.okiagari.testbed.plugins.module_utils.agent import paths
from ansible_collections.okiagari.testbed.plugins.module_utils.agent.paths import AGAIN_S, PERIOD_S, SOON_S, Paths

from ..paths.ways import path
from .agents import until

if TYPE_CHECKING:
    from collections.abc import Callable

    from ansible_collections.okiagari.testbed.plugins.module_utils.paths import Path


class Traces:
    """A tracer for which a second passes with each trace; and the clock by which it does."""

    def __init__(self) -> None:
        self.now = 0.0
        self.traced: list[tuple[str, float]] = []

    def monotonic(self) -> float:
        return self.now

    async def trace(self, to: str) -> Path:
        self.traced.append((to, self.now))
        self.now += 1.0
        return path("r")


@pytest.fixture
def traces(monkeypatch: pytest.MonkeyPatch) -> Traces:
    found = Traces()
    monkeypatch.setattr(paths, "time", found)
    return found


def known(*peers: str, tell: Callable[..., object] = print) -> Paths:
    return Paths({peer: f"at-{peer}" for peer in peers}, tell)


def test_all_are_traced_one_after_the_other_and_again_after_a_period(
    traces: Traces, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def run() -> None:
        found = known("b", "c")
        task = asyncio.create_task(found.run(traces))  # type: ignore[arg-type]
        for seconds in (SOON_S, PERIOD_S, PERIOD_S):
            count = len(traces.traced)
            traces.now += seconds
            found._wake.set()
            await until(lambda count=count: len(traces.traced) == count + 2)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert found.hops("c") == [["r"]]

    asyncio.run(run())
    first, second = SOON_S, SOON_S + 2 + PERIOD_S
    assert traces.traced[:4] == [("at-b", first), ("at-c", first + 1), ("at-b", second), ("at-c", second + 1)]


def test_what_happens_to_a_peer_has_it_traced_soon_but_not_over_and_over(traces: Traces) -> None:
    found = known("b")
    found.soon("b")
    found.soon("stranger")
    assert found._due == {"b": SOON_S}
    found._begun["b"], found._due["b"] = 10.0, 10.0 + PERIOD_S
    traces.now = 12.0
    found.soon("b")
    assert found._due["b"] == 10.0 + AGAIN_S
    traces.now = 12.5
    found.soon("b")
    assert found._due["b"] == 10.0 + AGAIN_S


def test_a_path_that_changed_is_told_with_what_was_known_best_of_the_old_one() -> None:
    told: list[tuple[str, str, str]] = []
    found = known("b", tell=lambda peer, old, new: told.append((peer, str(old), str(new))))
    for way in ("a b", "a *", "a ...", "a b", "a c", "a *", "a b"):
        found.take("b", path(way))
    assert told == [("b", "a b", "a c"), ("b", "a c", "a b")]
    assert found.hops("c") is None


def test_nothing_is_traced_where_nobody_is(traces: Traces) -> None:
    asyncio.run(known().run(traces))  # type: ignore[arg-type]
    assert traces.traced == []
