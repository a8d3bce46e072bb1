# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who ran what, and how it went: one line of JSON for each run of a project (docs/reference/drill.md)."""

from __future__ import annotations

import getpass
import json
import os
from contextlib import suppress
from datetime import datetime
from typing import TYPE_CHECKING, Any

from ...module_utils.drill.budget import measured

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path


def user() -> str:
    """Give who runs this; behind sudo that is who called it."""
    try:
        return os.environ.get("SUDO_USER") or getpass.getuser()
    except (KeyError, OSError):
        return f"user {os.getuid()}"


def outcome(report: Mapping[str, Any]) -> dict[str, Any]:
    """Give what is kept of a run's report: enough for the summary of all runs, also when the report is gone."""
    known = {key: report[key] for key in ("started", "ended", "verdict", "title", "summary")}
    limits = {name: each["limit_ms"] for name, each in report["budget"].items()}
    testbed = report["testbed"]["name"]
    return {
        **known,
        "armed": report["t0"] is not None,
        "testbed": testbed,
        "measured": measured(report),
        "budget": limits,
    }


def append(reports: Path, run: Mapping[str, Any]) -> None:
    """Add a run, which is on the disk when this returns. Call it under the lock of the reports."""
    descriptor = os.open(_file(reports), os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
    try:
        end = os.lseek(descriptor, 0, os.SEEK_END)
        # A power cut may have left half a line, which must not spoil this one.
        torn = end and os.pread(descriptor, 1, end - 1) != b"\n"
        os.write(descriptor, b"\n" * bool(torn) + json.dumps(dict(run)).encode() + b"\n")
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def last_end(reports: Path) -> datetime | None:
    """Give when the last run ended in which anything could happen; None without one."""
    ends: list[datetime] = []
    for run in runs(reports):
        with suppress(KeyError, TypeError, ValueError):
            if run["armed"]:
                ends.append(datetime.fromisoformat(run["ended"]))
    return max((end for end in ends if end.tzinfo), default=None)


def runs(reports: Path) -> Iterator[dict[str, Any]]:
    """Give what the history has of each run, in the order in which they ended. It may have been written by anybody."""
    try:
        text = _file(reports).read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return
    for line in text.splitlines():
        with suppress(ValueError):
            run = json.loads(line)
            if isinstance(run, dict):
                yield run


def _file(reports: Path) -> Path:
    return reports / "history.jsonl"
