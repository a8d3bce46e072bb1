# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Two faults that claim the same thing on the same target."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import Problem
from ..fault.kinds import KINDS
from ..fault.netem_kinds import Impairment

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from .model import Fault

# Until then the first fault's lease may still fire, if the target's runner is slow.
GUARD_S = 1.0


def conflicts(faults: Sequence[Fault]) -> list[Problem]:
    """Give a problem for each two faults that may stand on the same thing at once, or less than `GUARD_S` apart."""
    by_claim: dict[tuple[str, str], list[Fault]] = {}
    for fault in faults:
        by_claim.setdefault((fault.maker, _claim(fault)), []).append(fault)
    return [
        Problem("", None, f"{first.id} and {second.id}", _message(first, second))
        for claiming in by_claim.values()
        for first, second in _too_close(claiming)
    ]


def _too_close(faults: Sequence[Fault]) -> Iterator[tuple[Fault, Fault]]:
    in_order = sorted(faults, key=lambda fault: fault.at)
    for index, first in enumerate(in_order):
        for second in in_order[index + 1 :]:
            if second.at >= first.ends + GUARD_S:
                break
            yield first, second


def _claim(fault: Fault) -> str:
    return KINDS[fault.kind].claim(fault.params)


def _message(first: Fault, second: Fault) -> str:
    thing = _claim(first).replace(":", " ", 1)
    together = "; or put both into one impairment" if _impair(first, second) else ""
    return (
        f"both claim the {thing} of {first.target}, from {first.at:g} s to {first.ends:g} s and from {second.at:g} s; "
        f"the second may begin at {first.ends + GUARD_S:g} s{together}"
    )


def _impair(*faults: Fault) -> bool:
    return all(issubclass(KINDS[fault.kind], Impairment) for fault in faults)
