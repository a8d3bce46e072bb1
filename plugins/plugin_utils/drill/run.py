# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Everything that a run has found out so far. The engine fills it; `account` makes the report of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ...module_utils.drill.verdict import Facts

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ...module_utils.drill.model import Drill
    from ...module_utils.drill.statistics import Clock

Snapshots = dict[str, dict[str, Any]]


@dataclass
class Run:
    """One run of a drill. Instants are epoch seconds by the controller's clock, except those inside `collected`.

    `refused` is what stood against it, so that nobody was contacted.
    `cut_short`: a probe with `stop` didn't hold, and ended it. `earlier`: the facts from before the faults, by the id
    of the probe that compares with them.
    """

    drill: Drill
    testbed: Mapping[str, Any]
    id: str
    started: float
    ended: float = 0.0
    t0: float | None = None
    clocks: dict[str, Clock] = field(default_factory=dict)
    reached: dict[str, bool] = field(default_factory=dict)
    before: Snapshots = field(default_factory=dict)
    during: Snapshots = field(default_factory=dict)
    after: Snapshots = field(default_factory=dict)
    collected: dict[str, dict[str, Any]] = field(default_factory=dict)
    outcomes: list[dict[str, Any]] = field(default_factory=list)
    phases: list[dict[str, Any]] = field(default_factory=list)
    arm_s: float | None = None
    restored_at: float | None = None
    aborted_at: float | None = None
    abort_reason: str = ""
    refused: list[str] = field(default_factory=list)
    cut_short: bool = False
    earlier: dict[str, dict[str, Any]] = field(default_factory=dict)
    facts: Facts = field(default_factory=Facts)

    @property
    def name(self) -> str:
        """The name that the targets know this run by."""
        return f"{self.drill.name}-{self.id}"
