# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""index.html: every drill with its last verdict, its trends against its budget, and all its runs."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from ...module_utils.drill.budget import MEASURES
from ..report.html import style, template
from ..report.verdicts import Verdict
from ..report.wording import UNKNOWN, milliseconds, percent, several
from . import drawing
from .standing import Standing, standings

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from .runs import Run

_HERE = Path(__file__).parent
_RECENT = timedelta(days=30)
_BRIEF = 8


def render(runs: Sequence[Run], now: datetime, due: Mapping[str, str], link: Callable[[Run], str]) -> str:
    """Give the page of all runs, which come the oldest first.

    `due` says in words when each scheduled drill comes next; `link` gives a run's page, or nothing where it is gone.
    """
    found = standings(runs)
    recent = [run for run in runs if run.started > now - _RECENT]
    page: str = template("index.html.j2", _HERE).render(
        style=style() + (_HERE / "index.css").read_text(encoding="utf-8"),
        testbeds=", ".join(dict.fromkeys(run.testbed for run in runs if run.testbed)),
        runs=len(runs),
        since=f"{runs[0].started:%Y-%m-%d}" if runs else "",
        overall=_overall(found),
        tiles=[_count(recent), _held(recent), _outage(recent)],
        calendar=drawing.calendar(runs, now.date(), link),
        drills=[_drill(one, due, link) for one in found],
        due=[{"drill": drill, "when": when} for drill, when in due.items()],
    )
    return page


def _overall(found: Sequence[Standing]) -> dict[str, Any]:
    """Say how the drills stand, by the last run of each that proves anything."""
    proven = [one.proven for one in found if one.proven]
    bad = [run for run in proven if not run.held]
    unproven = [one.drill for one in found if one.proven is None or one.proven is not one.last]
    notes = [f"{run.title or run.drill}: {run.summary or run.verdict.meaning}" for run in bad]
    if unproven:
        notes.append(f"The last run proved nothing: {', '.join(unproven)}.")
    if not proven:
        return {"verdict": Verdict("", "Nothing proven", "empty", "neutral", ""), "says": "", "notes": notes}
    if bad:
        says = f"{len(bad)} of {several(len(found), 'drill')} didn't hold when last tried."
        return {"verdict": Verdict("", "Not all hold", "cross", "bad", ""), "says": says, "notes": notes}
    says = f"Each of {several(len(proven), 'drill')} held when last tried, and everything was as before."
    return {"verdict": Verdict("", "All hold", "check", "good", ""), "says": says, "notes": notes}


def _tile(label: str, value: str, note: str, tone: str = "neutral") -> dict[str, str]:
    return {"label": label, "value": value, "note": note, "tone": tone}


def _count(recent: Sequence[Run]) -> dict[str, str]:
    idle = sum(not run.proves for run in recent)
    note = f"of {several(len({run.drill for run in recent}), 'drill')}" + (f"; {idle} proved nothing" if idle else "")
    return _tile("Runs in 30 days", str(len(recent)), note)


def _held(recent: Sequence[Run]) -> dict[str, str]:
    proving = [run for run in recent if run.proves]
    if not proving:
        return _tile("Held in 30 days", UNKNOWN, "no run proved anything")
    bad = [run for run in proving if not run.held]
    share = percent((len(proving) - len(bad)) / len(proving) * 100)
    note = f"{len(proving) - len(bad)} of {several(len(proving), 'run')}"
    return _tile("Held in 30 days", share, note, "bad" if bad else "good")


def _outage(recent: Sequence[Run]) -> dict[str, str]:
    runs = [run for run in recent if "outage" in run.measured]
    if not runs:
        return _tile("Longest outage in 30 days", UNKNOWN, "no stream ran through any fault")
    worst = max(runs, key=lambda run: run.measured["outage"])
    return _tile(
        "Longest outage in 30 days",
        milliseconds(worst.measured["outage"]),
        f"{worst.title or worst.drill}, {worst.started:%Y-%m-%d}",
    )


def _drill(one: Standing, due: Mapping[str, str], link: Callable[[Run], str]) -> dict[str, Any]:
    rows = [_row(run, link(run)) for run in reversed(one.runs)]
    return {
        "name": one.drill,
        "title": one.title,
        "verdict": one.last.verdict,
        "when": f"{one.last.started:%Y-%m-%d %H:%M} UTC",
        "link": link(one.last),
        "summary": one.last.summary or one.last.verdict.meaning,
        "record": f"{one.held} of {several(one.proving, 'run')} held" if one.proving else "nothing proven yet",
        "streak": one.streak,
        "due": due.get(one.drill, ""),
        "strip": drawing.strip(one.runs, link),
        "trends": [_trend(one, name) for name in MEASURES if name in one.measures],
        "brief": rows[:_BRIEF],
        "rest": rows[_BRIEF:],
    }


def _trend(one: Standing, name: str) -> dict[str, Any]:
    limit = one.last.budget.get(name)
    values = [run.measured[name] for run in one.runs[-drawing.TREND :] if name in run.measured]
    last = one.last.measured.get(name)
    over = limit is not None and last is not None and last > limit
    words = [f"median {milliseconds(median(values))}"] if values else []
    words += [f"at most {milliseconds(limit)}"] if limit is not None else []
    return {
        "label": MEASURES[name].title,
        "value": milliseconds(last),
        "tone": "bad" if over else "",
        "note": ", ".join(words),
        "svg": drawing.trend(one.runs, name, limit),
    }


def _row(run: Run, link: str) -> dict[str, Any]:
    return {
        "started": f"{run.started:%Y-%m-%d %H:%M:%S}",
        "verdict": run.verdict,
        "link": link,
        "who": run.who,
        "figures": [
            {"label": measure.title, "value": milliseconds(run.measured.get(name)), "over": _over(run, name)}
            for name, measure in MEASURES.items()
        ],
    }


def _over(run: Run, name: str) -> bool:
    return name in run.measured and name in run.budget and run.measured[name] > run.budget[name]
