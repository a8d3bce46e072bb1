# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A run as the history has it: a line of JSON that may be from another version, and is not trusted."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ...module_utils.drill.budget import MEASURES
from ..report.reading import mapping, moment, number, scrubbed, text
from ..report.verdicts import Verdict, verdict_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

_FOLDER = re.compile(r"[a-z0-9_-]+/[0-9TZ-]+")
_UNTOLD = "killed"


@dataclass(frozen=True)
class Run:
    """One run. `measured` and `budget` are in milliseconds by measure; `folder` is below the reports.

    A run whose engine was killed has neither title nor folder nor figures.
    """

    drill: str
    title: str
    id: str
    testbed: str
    who: str
    started: datetime
    verdict: Verdict
    summary: str
    folder: str
    measured: Mapping[str, float]
    budget: Mapping[str, float]

    @property
    def held(self) -> bool:
        return self.verdict.name == "held"

    @property
    def proves(self) -> bool:
        """Whether it says anything about the hypothesis, or about what is left of the drill."""
        return self.verdict.name in ("held", "failed", "not_restored")


def read(history: Iterable[Mapping[str, Any]]) -> list[Run]:
    """Give all runs that can be read, the oldest first."""
    runs = [run for line in history if (run := _run(scrubbed(line)))]
    return sorted(runs, key=lambda run: run.started)


def _run(line: Mapping[str, Any]) -> Run | None:
    drill, started = text(line.get("drill")), moment(line.get("started"))
    if not drill or started is None:
        return None
    folder = text(line.get("report"))
    return Run(
        drill=drill,
        title=text(line.get("title")),
        id=text(line.get("run")),
        testbed=text(line.get("testbed")),
        who=text(line.get("user")),
        started=started,
        verdict=verdict_of({"verdict": line.get("verdict") or _UNTOLD}),
        summary=text(line.get("summary")),
        folder=folder if _FOLDER.fullmatch(folder) else "",
        measured=_figures(line.get("measured")),
        budget=_figures(line.get("budget")),
    )


def _figures(value: Any) -> dict[str, float]:
    known = {name: number(mapping(value).get(name)) for name in MEASURES}
    return {name: figure for name, figure in known.items() if figure is not None}
