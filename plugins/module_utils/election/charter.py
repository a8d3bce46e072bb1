# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""By which rules the votes for a service's server are counted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..errors import BadInput, BadValue, Problem
from ..values import choice
from .ranking import RANKINGS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

QUORUM = "quorum"
AVAILABLE = "available"
CONSISTENCIES = (QUORUM, AVAILABLE)
_FEWEST = 3


@dataclass(frozen=True)
class Charter:
    """How a service's server is elected; `read_charter` gives a checked one.

    `voters` gives each voter's failure domain. With the consistency `quorum` a decision needs the votes of a majority
    of them; with `available` any votes will do, so that each part of a split network elects.
    """

    service: str
    voters: Mapping[str, str]
    ranking: str = "best"
    consistency: str = QUORUM

    @property
    def needed(self) -> int:
        """How many voters' votes a decision needs."""
        return len(self.voters) // 2 + 1 if self.consistency == QUORUM else 0


def read_charter(service: str, voters: Mapping[str, str], ranking: str = "best", consistency: str = QUORUM) -> Charter:
    """Give the charter of a service; raise `BadInput` with all that is wrong with it."""
    problems: list[Problem] = []
    for key, value, known in (("ranking", ranking, RANKINGS), ("consistency", consistency, CONSISTENCIES)):
        try:
            choice(known, key)(value)
        except BadValue as error:
            problems.append(Problem("", None, key, error.message, error.suggestion))
    if consistency == QUORUM:
        problems += [Problem("", None, "voters", message) for message in _doubts(voters)]
    if problems:
        raise BadInput(problems)
    return Charter(service, dict(voters), ranking, consistency)


def _doubts(voters: Mapping[str, str]) -> Iterator[str]:
    if len(voters) < _FEWEST:
        yield (
            f"there are {len(voters)}, and a majority that outlives the loss of one needs {_FEWEST}; "
            "add voters at other sites, or choose the consistency available"
        )
    for domain in sorted(set(voters.values())):
        together = sorted(voter for voter, where in voters.items() if where == domain)
        if len(together) > 1:
            yield f"{' and '.join(together)} fall together with {domain}: only one of them can be a voter"
