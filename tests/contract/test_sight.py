# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Agents that stand still for longer than a connection lasts, and must be seen by all others again afterwards."""

from __future__ import annotations

import random
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from real_agents import Farm, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

CHAIN = {"a": ["b"], "b": ["a", "c"], "c": ["b", "d"], "d": ["c"]}
STALLS_S = (1.5, 2.0, 2.2, 2.5, 3.0, 6.0)


@pytest.fixture
def farm(tmp_path: Path) -> Iterator[Farm]:
    farm = Farm(tmp_path, CHAIN, [])
    try:
        farm.configure(lambda _node: {})
        farm.start()
        yield farm
    finally:
        farm.end()


def all_see_all(farm: Farm) -> bool:
    """Whether each can be asked by each, and knows it."""
    for node in farm.nodes.values():
        others = sorted(farm.nodes.keys() - {node.name})
        if node.ask("status")[0]["reachable"] != others:
            return False
        answers = node.ask("ping", peers=others)
        if any("answer" not in said for said in answers if "peer" in said):
            return False
    return True


@pytest.mark.parametrize("stalls", [4, pytest.param(100, marks=pytest.mark.soak)])
def test_who_stood_still_is_seen_and_asked_by_all_again(farm: Farm, stalls: int) -> None:
    """About one stall in fifteen on a busy machine is one that zenoh doesn't mend by itself."""
    wait_for(lambda: all_see_all(farm), 60)
    chance = random.Random(7)
    longest = 0.0
    for _round in range(stalls):
        node = farm.nodes[chance.choice("abcd")]
        node.signal("run", signal.SIGSTOP)
        time.sleep(chance.choice(STALLS_S))
        node.signal("run", signal.SIGCONT)
        since = time.monotonic()
        # For a moment all may still believe in connections that are about to end.
        time.sleep(1.0)
        wait_for(lambda: all_see_all(farm), 90)
        longest = max(longest, time.monotonic() - since)
    rows = farm.nodes["a"].ask("query", text="where values.event = declared_again")[:-1]
    print(
        f"{stalls} stalls; all saw all again after {longest:.1f} s at most; {len(rows)} times one was declared again:"
    )
    for row in rows:
        print(f"  {row['row']['host']}: {row['row']['values']['text']}")
