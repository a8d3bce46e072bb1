# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a vote carries."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import NamedTuple

from ..errors import BadInput, Problem


class Committed(NamedTuple):
    """The newest state of a service that a host holds complete: the term it was written in, and its epoch there."""

    term: int = 0
    epoch: int = 0

    def __str__(self) -> str:
        return f"term {self.term}, epoch {self.epoch}"


NO_STATE = Committed()


@dataclass(frozen=True)
class Profile:
    """A host as a candidate for one service.

    `machine` and `network` tell how stable it was of late, from 0 (never fit) to 1 (always); `distance_ms` is the mean
    round-trip time to those who use the service; the highest `priority` goes first. `hindrance` says why it can't run
    the service at present (`its disk is full`), and is empty where it can.
    """

    host: str
    domain: str
    committed: Committed = NO_STATE
    machine: float = 1.0
    network: float = 1.0
    distance_ms: float = 0.0
    priority: int = 0
    hindrance: str = ""

    def __post_init__(self) -> None:
        shares = (("machine", self.machine), ("network", self.network))
        wrong = [f"{name} is not a number from 0 to 1" for name, share in shares if not 0.0 <= share <= 1.0]
        if not (math.isfinite(self.distance_ms) and self.distance_ms >= 0.0):
            wrong.append("distance_ms is not a number from 0")
        if wrong:
            raise BadInput([Problem("", None, self.host, message) for message in wrong])

    @property
    def stability(self) -> float:
        """The weaker of machine and network, in tenths: what differs by less is no reason to pass over a near host."""
        return math.floor(10 * min(self.machine, self.network) + 1e-9) / 10


@dataclass(frozen=True)
class Rules:
    """What people ruled about a service's hosts; of different rules the ones with the higher `revision` hold.

    Where `allowed` is None every host is. Preferred hosts go first among those that hold equally new state.
    """

    revision: int = 0
    allowed: frozenset[str] | None = None
    forbidden: frozenset[str] = frozenset()
    preferred: frozenset[str] = frozenset()

    def merged(self, other: Rules) -> Rules:
        """Give the rules that hold where both are known; of two with one revision both: what either forbids is."""
        if self.revision != other.revision:
            return max(self, other, key=lambda rules: rules.revision)
        narrowed = [rules.allowed for rules in (self, other) if rules.allowed is not None]
        return Rules(
            self.revision,
            frozenset.intersection(*narrowed) if narrowed else None,
            self.forbidden | other.forbidden,
            self.preferred | other.preferred,
        )


@dataclass(frozen=True)
class Vote:
    """What a host answered to the one who called an election: whether it votes for this call, and who it is.

    A vote that isn't `granted` counts for no majority, but its profile is as good a candidate as any.
    """

    profile: Profile
    rules: Rules = field(default_factory=Rules)
    granted: bool = True

    @property
    def voter(self) -> str:
        return self.profile.host
