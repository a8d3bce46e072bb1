# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A drill in the log of the testbed's agents, and what they say of it in its report. Nothing depends on either."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from ...module_utils.drill.statistics import Clock

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from .fleet import Fleet
    from .run import Run

_MOST = 500
_TRIES = 3
_PATIENCE_S = 10.0
_LONGEST = 120
_LETTERS = 1000
_QUERY = (
    'where source like "service/*" or (source = agent and not values.event in (peer_reachable, peer_unreachable)) '
    "since {since} until {until} | last {most}"
)


def exchange(fleet: Fleet, agents: Iterable[str], run: Run, report: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Tell an agent of the drill, and give what all agents said during it, as rows of the report.

    One agent is enough, since each holds the events of all: the first of the targets `agents` that answers.
    """
    request = {"tell": told(run, report), "query": query(report)}
    for target in list(agents)[:_TRIES]:
        answer = fleet.call("log", {target: request}, timeout=_PATIENCE_S).of.get(target)
        if answer is not None:
            return rows(run, answer.get("rows") or [])
    return []


def told(run: Run, report: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Give the drill's events as an agent takes them, by the controller's clock, with the run's name as their trace."""
    about = {key: report[key] for key in ("drill", "title", "hypothesis")}
    result = {key: report[key] for key in ("verdict", "summary", "outage_ms", "restored")}
    found: list[dict[str, Any]] = [
        {"time": run.started, "important": True, "values": {"event": "drill_begun", **about}},
        *(
            {
                "time": (run.t0 or 0.0) + event["t"], "host": event["target"],
                "values": {"event": event["event"], "fault": event["fault"], "detail": event["detail"][:_LETTERS]},
            }
            for event in report["events"]
            if event["t"] is not None
        ),
        {"time": run.ended, "important": True, "values": {"event": "drill_ended", **result}},
    ]  # fmt: skip
    # By its number an event counts once, also where a second agent is told.
    trace = run.name[:_LONGEST]
    return [
        {"source": "drill", "trace": trace, "id": [f"drill/{run.name}", number], **event}
        for number, event in enumerate(found, 1)
    ]


def query(report: Mapping[str, Any]) -> str:
    """Give what is asked: what services and agents said while the drill went on, but not who reached whom."""
    return _QUERY.format(since=report["started"], until=report["ended"], most=_MOST)


def rows(run: Run, found: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Give an agent's rows in the order of time, in seconds since T0, by the controller's clock."""
    if run.t0 is None:
        return []
    t0 = run.t0
    told = [
        {
            "t": round(row["time"] - run.clocks.get(row["host"], Clock()).offset - t0, 3),
            "host": row["host"],
            "source": row["source"],
            "event": str(row["values"].get("event", "")),
            "detail": _words(row["values"]),
        }
        for row in found
    ]
    return sorted(told, key=lambda row: float(row["t"]))


def _words(values: Mapping[str, Any]) -> str:
    words = [f"{key} {_shown(value)}" for key, value in values.items() if key != "event" and value not in (None, "")]
    return ", ".join(words)[:_LETTERS]


def _shown(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)
