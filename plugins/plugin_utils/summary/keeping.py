# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which run folders may go: never anything but what a drill wrote, and of that only what nobody is likely to miss."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_RUN = re.compile(r"(\d{8}T\d{6}Z)(-\d+)?")
_SCHEMA = re.compile(r"okiagari\.report/\d+")
_FILES = ("report.html", "junit.xml", "report.json")
"""What a run folder holds; report.json goes last, so that a folder which is half gone is still known for one."""
_FAILED = ("failed", "not_restored")


def outdated(reports: Path, runs: int, days: float, now: datetime) -> list[Path]:
    """Give the run folders that are neither among the newest `runs` of their drill, nor of the last `days`.

    The last run of each drill that failed is kept too, and a folder that holds anything else than a run's own files.
    """
    since = now - timedelta(days=days)
    return [
        folder for drill in _folders(reports) for folder in _outdated(drill, runs, since) if _holds_only_ours(folder)
    ]


def remove(folder: Path) -> None:
    """Remove a run folder; what is in it besides the run's own files stays, and the folder with it."""
    for name in _FILES:
        (folder / name).unlink(missing_ok=True)
    if not any(folder.iterdir()):
        folder.rmdir()


def _outdated(drill: Path, runs: int, since: datetime) -> Iterator[Path]:
    kept, failed = 0, False
    for folder in sorted(_folders(drill), key=_order, reverse=True):
        report = _report(folder)
        if report is None:
            continue
        kept += 1
        newest_failure = not failed and report.get("verdict") in _FAILED
        failed = failed or newest_failure
        if kept > runs and not newest_failure and _instant(folder) < since:
            yield folder


def _folders(path: Path) -> Iterator[Path]:
    """Links are never followed: what they lead to may be anybody's."""
    return (entry for entry in sorted(path.iterdir()) if entry.is_dir() and not entry.is_symlink())


def _order(folder: Path) -> tuple[str, int]:
    name, _dash, number = folder.name.partition("-")
    return name, int(number) if number.isdigit() else 1


def _instant(folder: Path) -> datetime:
    return datetime.strptime(folder.name.partition("-")[0], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)


def _report(folder: Path) -> dict[str, Any] | None:
    """Give the report of a run folder of this drill; None if it isn't one."""
    if not _RUN.fullmatch(folder.name):
        return None
    try:
        _instant(folder)
        report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    ours = isinstance(report, dict) and _SCHEMA.fullmatch(str(report.get("schema")))
    return report if ours and report.get("drill") == folder.parent.name else None


def _holds_only_ours(folder: Path) -> bool:
    return all(entry.name in _FILES and entry.is_file() and not entry.is_symlink() for entry in folder.iterdir())
