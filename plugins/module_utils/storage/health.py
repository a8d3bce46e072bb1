# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a cluster is, in one answer, and the wait until it is well."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from ..errors import OkiagariError

if TYPE_CHECKING:
    from collections.abc import Callable

    from .gluster import Gluster

UNKNOWN = -1
_POLL_S = 1.0


def health(engine: Gluster, volume: str) -> dict[str, Any]:
    """Give members, quorum, bricks, what waits for self-heal and what is split, as `engine`'s member sees it."""
    have = engine.gather(volume)
    if have.volume is None:
        raise OkiagariError(f"there is no volume {volume} here, or its manager does not answer")
    bricks = {place: place in have.volume.online for place in have.volume.bricks}
    try:
        heal = engine.heal(volume)
        pending = UNKNOWN if heal.silent else heal.total
        split = list(engine.split_brain(volume)) if pending else []
    except OkiagariError:
        pending, split = UNKNOWN, []
    quorum = 2 * sum(have.peers.values()) > len(have.peers)
    return {
        "peers": dict(sorted(have.peers.items())),
        "quorum": quorum,
        "bricks": bricks,
        "pending": pending,
        "split_brain": split,
        "healthy": all(have.peers.values()) and all(bricks.values()) and pending == 0 and not split,
    }


def await_health(
    engine: Gluster,
    volume: str,
    timeout: float,
    wait: Callable[[float], object] = time.sleep,
    now: Callable[[], float] = time.monotonic,
) -> tuple[dict[str, Any], float]:
    """Give the state as soon as it is healthy, or the last one after `timeout` seconds, and how long that took."""
    start = now()
    while True:
        state = health(engine, volume)
        waited = round(now() - start, 1)
        if state["healthy"] or waited >= timeout:
            return state, waited
        wait(_POLL_S)
