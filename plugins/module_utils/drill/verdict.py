# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From all that is known after a run to one verdict."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

EXIT_CODES: Mapping[str, int] = {
    "held": 0,
    "failed": 1,
    "aborted": 2,
    "not_restored": 3,
    "infrastructure": 4,
    "nothing_tested": 5,
}

NOTHING = "the drill has no fault, or no probe that a fault could break"

# The worst first: a testbed that isn't as before must not hide behind any other verdict.
SEVERITY = ("not_restored", "infrastructure", "aborted", "failed", "nothing_tested", "held")


@dataclass
class Facts:
    """What happened, in sentences for people. `restored` None: not known, because nothing could be compared."""

    left: list[str] = field(default_factory=list)
    infrastructure: list[str] = field(default_factory=list)
    aborted: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    tests_something: bool = True
    injected: bool = False
    restored: bool | None = None


@dataclass(frozen=True)
class Verdict:
    """`reasons` say why not held, the decisive ones first."""

    name: str
    exit_code: int
    reasons: tuple[str, ...]


def decide(facts: Facts) -> Verdict:
    """Give the verdict: the worst of all that the facts speak for."""
    found = {
        "not_restored": facts.left,
        "infrastructure": facts.infrastructure,
        "aborted": facts.aborted,
        "failed": facts.failed,
        "nothing_tested": [] if facts.tests_something else [NOTHING],
    }
    if facts.injected and facts.restored is None:
        found["not_restored"] = [*facts.left, "it isn't known whether everything is as before"]
    reasons = tuple(reason for name in SEVERITY for reason in found.get(name, ()))
    name = next(name for name in SEVERITY if name == "held" or found[name])
    return Verdict(name, EXIT_CODES[name], reasons)


def worst(names: list[str]) -> str:
    """Give the worst of some verdicts; `names` isn't empty."""
    return min(names, key=SEVERITY.index)


def summary(verdict: Verdict, outage_ms: float | None, restored: bool | None) -> str:
    """Give the verdict in one sentence."""
    first = verdict.reasons[0].rstrip(".") if verdict.reasons else ""
    if verdict.name != "held":
        more = f" (and {len(verdict.reasons) - 1} more)" if len(verdict.reasons) > 1 else ""
        return f"{verdict.name.replace('_', ' ').capitalize()}: {first}{more}."
    outage = "no stream was watched" if outage_ms is None else f"the longest outage was {outage_ms:.0f} ms"
    return f"Held: {outage}; {'everything is as before' if restored else 'nothing was changed'}."
