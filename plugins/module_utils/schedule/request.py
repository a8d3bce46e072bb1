# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading of what shall run when. Whether systemd understands an instant, only the host knows."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..drill.reader import Reader, name
from ..errors import BadInput, BadValue, Problem, shown
from ..units import duration
from ..values import file_path, items, text, whole

if TYPE_CHECKING:
    from collections.abc import Mapping

_USER = re.compile(r"[a-z_][a-z0-9_-]{0,30}")
_TIMEOUT_S = 2 * 3600.0


@dataclass(frozen=True)
class ScheduledDrill:
    """A playbook that runs `at` a calendar expression of systemd or `random_delay_s` later, for `timeout_s` at most."""

    name: str
    playbook: str
    at: str
    random_delay_s: float
    timeout_s: float


@dataclass(frozen=True)
class Schedule:
    """All drills of a project, and how they run. `on_failure` is a shell command, or empty; `reports` is absolute."""

    drills: tuple[ScheduledDrill, ...]
    project: str
    user: str
    command: str
    reports: str
    keep_runs: int
    keep_days: int
    on_failure: str


def read(drills: object, settings: Mapping[str, object]) -> Schedule:
    """Give the schedule. Raises `BadInput` with everything that is wrong with it."""
    problems: list[Problem] = []
    top = Reader(
        settings, "", ("project", "user", "command", "reports", "keep_runs", "keep_days", "on_failure"), problems
    )
    project = top.need("project", file_path) or ""
    reports = top.need("reports", text) or ""
    schedule = Schedule(
        drills=_drills(drills, problems),
        project=project,
        user=top.need("user", _user) or "",
        command=top.need("command", file_path) or "",
        reports=reports if reports.startswith("/") else f"{project}/{reports}",
        keep_runs=top.take("keep_runs", whole(1, 1_000_000), 1),
        keep_days=top.take("keep_days", whole(0, 1_000_000), 0),
        on_failure=top.take("on_failure", text, "") if settings.get("on_failure") else "",
    )
    if problems:
        raise BadInput(problems)
    return schedule


def _drills(value: object, problems: list[Problem]) -> tuple[ScheduledDrill, ...]:
    try:
        listed = items(value)
    except BadValue as error:
        problems.append(Problem("", None, "drills", error.message))
        return ()
    read_ones = [_drill(item, f"drills[{index}]", problems) for index, item in enumerate(listed)]
    found = [drill for drill in read_ones if drill]
    problems += [
        Problem("", None, "drills", f"{count} of them are called {twin}")
        for twin, count in Counter(drill.name for drill in found).items()
        if count > 1
    ]
    return tuple(found)


def _drill(item: object, where: str, problems: list[Problem]) -> ScheduledDrill | None:
    entry = Reader(item, where, ("name", "playbook", "at", "random_delay", "timeout"), problems)
    drill, playbook, at = entry.need("name", name), entry.need("playbook", _argument), entry.need("at", _argument)
    random_delay_s = entry.take("random_delay", duration, 0.0)
    timeout_s = entry.take("timeout", _some_time, _TIMEOUT_S)
    if drill is None or playbook is None or at is None:
        return None
    return ScheduledDrill(drill, playbook, at, random_delay_s, timeout_s)


def _argument(value: object) -> str:
    """Give a text that no program takes for an option."""
    found = text(value)
    if found.startswith("-") or not found.isprintable():
        raise BadValue(f"{shown(value)} can't be the argument of a command")
    return found


def _some_time(value: object) -> float:
    found = duration(value)
    if found < 1:
        raise BadValue(f"{shown(value)} is less than a second")
    return found


def _user(value: object) -> str:
    found = text(value)
    if not _USER.fullmatch(found):
        raise BadValue(f"{shown(value)} is not the name of a user")
    return found
