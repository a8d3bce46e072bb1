# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Questions that are asked again and again, until it is known whether their probes hold."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ...module_utils.drill.model import Probe

Outcome = dict[str, Any]


def until_settled(
    probes: Sequence[Probe],
    ask: Callable[[Sequence[Probe]], Sequence[Outcome]],
    now: Callable[[], float],
    wait: Callable[[float], object],
) -> list[list[Outcome]]:
    """Give the outcomes of each probe. `ask` gives one of each that it is handed; `wait` gets seconds."""
    outcomes: dict[str, list[Outcome]] = {probe.id: [] for probe in probes}
    begun = now()
    due = dict.fromkeys(outcomes, begun)
    open_ = list(probes)
    while open_:
        asked_at = now()
        ready = [probe for probe in open_ if due[probe.id] <= asked_at]
        for probe, outcome in zip(ready, ask(ready), strict=True):
            outcomes[probe.id].append(outcome)
            due[probe.id] = asked_at + probe.patience.every_s
            right = [bool(each["ok"]) for each in outcomes[probe.id]]
            if probe.patience.settled(right, asked_at - begun):
                open_.remove(probe)
        if open_:
            wait(max(0.0, min(due[probe.id] for probe in open_) - now()))
    return list(outcomes.values())
