# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make the summary of all runs anew, and remove the reports that nobody is likely to miss."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from ansible.plugins.action import ActionBase

from ..module_utils.errors import BadInput, OkiagariError, Problem
from ..module_utils.reconcile import reconcile
from ..plugin_utils.project import in_project
from ..plugin_utils.summary import INDEX, outdated, page_of, remove, write_page

if TYPE_CHECKING:
    from pathlib import Path

_LEAST = {"keep_runs": 1, "keep_days": 0}


class ActionModule(ActionBase):
    """`okiagari.testbed.drill_reports`: see the module of this name for its documentation."""

    _requires_connection = False
    _supports_check_mode = True
    _supports_async = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        _validated, given = self.validate_argument_spec(
            {
                "reports": {"type": "path", "default": "reports"},
                "keep_runs": {"type": "int"},
                "keep_days": {"type": "int", "default": 0},
            }
        )
        problems = [
            Problem("", None, key, f"{given[key]} is less than {least}")
            for key, least in _LEAST.items()
            if given[key] is not None and given[key] < least
        ]
        if problems:
            return {**result, "failed": True, "msg": str(BadInput(problems))}
        reports = in_project(self._loader.get_basedir(), given["reports"])
        try:
            return {**result, **self._tidied(reports, given["keep_runs"], given["keep_days"])}
        except (OkiagariError, OSError) as error:
            return {**result, "failed": True, "msg": str(error)}

    def _tidied(self, reports: Path, keep_runs: int | None, keep_days: int) -> dict[str, Any]:
        if not reports.is_dir():
            raise OkiagariError(f"there are no reports: {reports} is not a directory")
        now = datetime.now(UTC)
        gone = outdated(reports, keep_runs, keep_days, now) if keep_runs else []
        names = [str(folder.relative_to(reports)) for folder in gone]
        index = reports / INDEX

        def read() -> dict[str, Any]:
            page = index.read_text(encoding="utf-8", errors="replace") if index.is_file() else None
            left = [name for name, folder in zip(names, gone, strict=True) if folder.exists()]
            return {"outdated": left, INDEX: "current" if page == page_of(reports, now) else "stale"}

        def act() -> None:
            for folder in gone:
                remove(folder)
            write_page(reports, now)

        outcome = reconcile(
            "present",
            self._task.check_mode,
            read=read,
            want=lambda: {"outdated": [], INDEX: "current"},
            create=act,
        )
        return {"changed": outcome.changed, "diff": outcome.diff(), "removed": names, "page": str(index)}
