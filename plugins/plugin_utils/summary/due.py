# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When scheduled drills come next: the role drill_schedule leaves `schedule.json` beside the reports."""

from __future__ import annotations

import json
import os
import re
import subprocess
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from ..report.reading import entries, text

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

FILE = "schedule.json"

_INSTANT = re.compile(r"(\d{4}-\d\d-\d\d \d\d:\d\d):\d\d UTC$", re.MULTILINE)
_PATIENCE_S = 5.0


def due(reports: Path, now: datetime, ask: Callable[[str, datetime], str]) -> dict[str, str]:
    """Give when each scheduled drill comes next, in words, the soonest first.

    `ask` gives what `systemd-analyze calendar` says of an expression; where that is no instant, the expression stands.
    """
    found = {}
    for entry in _entries(reports / FILE):
        drill, at = text(entry.get("name")), text(entry.get("at"))
        instants = _INSTANT.findall(ask(at, now)) if drill and at else []
        if drill and at:
            found[drill] = f"{instants[-1]} UTC" if instants else at
    return dict(sorted(found.items(), key=lambda item: (not item[1].endswith("UTC"), item[1])))


def _entries(path: Path) -> list[dict[str, Any]]:
    try:
        return entries(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return []


def analyze(at: str, now: datetime) -> str:
    """Ask this machine's systemd about a calendar expression; nothing where there is none."""
    base = f"{now.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
    try:
        return subprocess.run(
            ["systemd-analyze", "calendar", f"--base-time={base}", "--", at],
            capture_output=True,
            text=True,
            timeout=_PATIENCE_S,
            check=False,
            env={**os.environ, "LC_ALL": "C"},
        ).stdout
    except (OSError, subprocess.TimeoutExpired):
        return ""
