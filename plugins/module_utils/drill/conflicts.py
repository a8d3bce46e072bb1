# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Two faults that claim the same thing on the same target."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING

from ..errors import Problem
from ..fault.kinds import KINDS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .model import Fault

# Until then the first fault's lease may still fire, if the target's runner is slow.
GUARD_S = 1.0


def conflicts(faults: Sequence[Fault]) -> list[Problem]:
    """Give a problem for each two faults that would stand on the same thing at once, or less than `GUARD_S` apart."""
    return [
        Problem("", None, f"{first.id} and {second.id}", _message(first, second))
        for one, other in combinations(faults, 2)
        for first, second in [sorted((one, other), key=lambda fault: fault.at)]
        if first.maker == second.maker and _claim(first) == _claim(second) and second.at < first.ends + GUARD_S
    ]


def _claim(fault: Fault) -> str:
    return KINDS[fault.kind].claim(fault.params)


def _message(first: Fault, second: Fault) -> str:
    thing = _claim(first).replace(":", " ", 1)
    return (
        f"both claim the {thing} of {first.target}, from {first.at:g} s to {first.ends:g} s and from {second.at:g} s; "
        f"the second may begin at {first.ends + GUARD_S:g} s"
    )
