# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The probes of a phase that are questions to targets, each asked until it is known whether it holds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ...module_utils.drill import expectations
from ...module_utils.drill.check import Asked
from . import account
from .wording import many

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ...module_utils.drill.model import Phase, Probe
    from ...module_utils.drill.places import Places
    from .fleet import Fleet
    from .run import Run

Outcome = dict[str, Any]


class Asking:
    """Asks the targets of one run; the outcomes go into `state`. `wait` gets seconds, and may end the run."""

    def __init__(
        self, state: Run, places: Places, fleet: Fleet, now: Callable[[], float], wait: Callable[[float], object]
    ) -> None:
        self._state = state
        self._places = places
        self._fleet = fleet
        self._now = now
        self._wait = wait

    def ask(self, phase: Phase) -> list[str]:
        """Ask all probes of a phase; give those that don't hold, in words."""
        probes = self._state.drill.of_phase(phase)
        found = until_settled(probes, self._once, self._now, self._wait)
        outcomes = [expectations.repeated(probe, each) for probe, each in zip(probes, found, strict=True)]
        self._state.outcomes += outcomes
        return [f"{outcome['name']}: {outcome['detail']}" for outcome in outcomes if not outcome["ok"]]

    def held(self, phase: Phase) -> str:
        """Say how many of a phase's probes hold; nothing if it has none."""
        probes = [outcome for outcome in self._state.outcomes if outcome["phase"] == phase]
        return f"{sum(outcome['ok'] for outcome in probes)} of {many(len(probes), 'probe')} hold" if probes else ""

    def remember(self) -> list[str]:
        """Ask what will be compared with; say in words what is not known."""
        probes = [
            probe for probe in self._state.drill.probes if isinstance(probe.check, Asked) and probe.check.compares
        ]
        results = self._results(probes)
        self._state.earlier = {name: result["value"] for name, result in results.items() if result["ok"]}
        said = {name: result["detail"] for name, result in results.items()}
        unknown = [probe for probe in probes if probe.id not in self._state.earlier]
        return [f"{probe.name}: {said.get(probe.id, 'no answer')}" for probe in unknown]

    def _once(self, probes: Sequence[Probe]) -> list[Outcome]:
        results, at = self._results(probes), self._now()
        return [
            expectations.answered(
                probe, probe.check, results.get(probe.id), at, account.context(self._state, self._places, probe)
            )
            for probe in probes
            if isinstance(probe.check, Asked)
        ]

    def _results(self, probes: Sequence[Probe]) -> dict[str, dict[str, Any]]:
        """Ask the targets, and give their answers by the probes' ids."""
        requests: dict[str, dict[str, Any]] = {}
        for probe in probes:
            if isinstance(probe.check, Asked):
                for node, question in probe.check.questions(probe.id, self._state.name):
                    requests.setdefault(node, {"probes": []})["probes"].append(question)
        answers = self._fleet.call("probe", requests, timeout=60.0)
        return {result["id"]: result for answer in answers.of.values() for result in answer["results"]}


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
