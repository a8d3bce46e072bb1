# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A question that was asked over the whole run: when it had no right answer, and since when it has one again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from .statistics import first_end

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .check import Measurements


class Gap(NamedTuple):
    """A time without a right answer, from the first wrong one to the next right one (None: there was none)."""

    begin: float
    end: float | None


def gaps(outcomes: Sequence[Mapping[str, Any]], since: float) -> list[Gap]:
    """Give the gaps of outcomes in the order of time, as far as they are after `since`."""
    found: list[Gap] = []
    for outcome in outcomes:
        standing = bool(found) and found[-1].end is None
        if standing and outcome["ok"]:
            found[-1] = Gap(found[-1].begin, outcome["at"])
        elif not standing and not outcome["ok"]:
            found.append(Gap(outcome["at"], None))
    return [Gap(max(gap.begin, since), gap.end) for gap in found if gap.end is None or gap.end > since]


def outage_s(found: Sequence[Gap], measurements: Measurements) -> float:
    """Give how long the longest gap was."""
    until = measurements.windows["run"][0][1]
    return max(((until if gap.end is None else gap.end) - gap.begin for gap in found), default=0.0)


def recovered_s(found: Sequence[Gap], measurements: Measurements) -> float | None:
    """Give how long after the first injection it was right for good, 0 if it always was; None if it never was.

    A gap that begins after the first fault's end is that of the way back, and doesn't count.
    """
    hits = [gap for gap in found if gap.begin < first_end(measurements.windows)]
    if not hits:
        return 0.0
    end = hits[-1].end
    return None if end is None else end - (measurements.injected or 0.0)
