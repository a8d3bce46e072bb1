# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rankings: the criteria by which candidates are compared, in their order. A new one is one function and one line."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..values import choice

if TYPE_CHECKING:
    from collections.abc import Callable

    from .profile import Profile, Rules


@dataclass(frozen=True)
class Score:
    """How a candidate does by one criterion. The smaller `key` goes first; `shown` is for people."""

    criterion: str
    key: tuple[float, ...] | str
    shown: str


@dataclass(frozen=True)
class Occasion:
    """What a ranking may know beside the profile. Nothing else: no clock, and no randomness of its own."""

    service: str
    term: int
    rules: Rules


def best(profile: Profile, occasion: Occasion) -> tuple[Score, ...]:
    """Newest committed state, then preferred hosts, then stability, then nearness, then priority."""
    return (
        Score("committed", (-profile.committed.term, -profile.committed.epoch), str(profile.committed)),
        _preferred(profile, occasion),
        Score("stability", (-profile.stability,), f"{profile.stability:.1f}"),
        Score("distance", (profile.distance_ms,), f"{profile.distance_ms:g} ms"),
        _priority(profile),
    )


def priority(profile: Profile, occasion: Occasion) -> tuple[Score, ...]:
    """Preferred hosts, then the highest priority; equal ones as `best` has them."""
    return (_preferred(profile, occasion), _priority(profile), *best(profile, occasion))


def random(profile: Profile, occasion: Occasion) -> tuple[Score, ...]:
    """Preferred hosts, then by lot: each term of each service has its own, which everybody draws alike."""
    lot = hashlib.sha256(f"{occasion.service}\0{occasion.term}\0{profile.host}".encode()).hexdigest()[:16]
    return (_preferred(profile, occasion), Score("lot", lot, lot))


RANKINGS: dict[str, Callable[[Profile, Occasion], tuple[Score, ...]]] = {
    "best": best,
    "priority": priority,
    "random": random,
}


def ranking_of(name: str) -> Callable[[Profile, Occasion], tuple[Score, ...]]:
    """Give the ranking of this name; raise `BadValue` with the nearest one if there is none."""
    return RANKINGS[choice(RANKINGS, "ranking")(name)]


def _preferred(profile: Profile, occasion: Occasion) -> Score:
    preferred = profile.host in occasion.rules.preferred
    return Score("preferred", (0.0 if preferred else 1.0,), "yes" if preferred else "no")


def _priority(profile: Profile) -> Score:
    return Score("priority", (-profile.priority,), str(profile.priority))
