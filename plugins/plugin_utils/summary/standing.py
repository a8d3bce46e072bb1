# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the runs of each drill add up to."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import takewhile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from .runs import Run

_WORST_FIRST = ("bad", "caution", "neutral", "good")


@dataclass(frozen=True)
class Standing:
    """A drill and its runs, the oldest first; there is at least one."""

    drill: str
    runs: Sequence[Run]

    @property
    def last(self) -> Run:
        return self.runs[-1]

    @property
    def title(self) -> str:
        return next((run.title for run in reversed(self.runs) if run.title), self.drill)

    @property
    def proven(self) -> Run | None:
        """The last run that proves anything."""
        return next((run for run in reversed(self.runs) if run.proves), None)

    @property
    def held(self) -> int:
        return sum(run.held for run in self.runs)

    @property
    def proving(self) -> int:
        return sum(run.proves for run in self.runs)

    @property
    def streak(self) -> int:
        """How many runs have held since the last that didn't. Those that prove nothing don't count either way."""
        return sum(1 for _run in takewhile(lambda run: run.held, (run for run in reversed(self.runs) if run.proves)))

    @property
    def measures(self) -> list[str]:
        """What was measured in any run, or is limited by the last one's budget."""
        known = {name for run in self.runs for name in run.measured}
        return [*known, *(name for name in self.last.budget if name not in known)]


def standings(runs: Iterable[Run]) -> list[Standing]:
    """Give each drill's standing: what fails first, then by name. `runs` come the oldest first."""
    by_drill: dict[str, list[Run]] = {}
    for run in runs:
        by_drill.setdefault(run.drill, []).append(run)
    found = [Standing(drill, own) for drill, own in by_drill.items()]
    return sorted(found, key=lambda one: (_rank(one), one.drill))


def worst(runs: Iterable[Run]) -> Run:
    """Give the run with the worst verdict, the latest of equals; there is at least one."""
    return min(runs, key=lambda run: (_WORST_FIRST.index(run.verdict.tone), -run.started.timestamp()))


def _rank(one: Standing) -> int:
    return 2 if one.proven is None else int(one.proven.held)
