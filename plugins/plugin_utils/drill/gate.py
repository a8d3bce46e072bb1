# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a drill has to pass before it may contact anybody, as the files beside the testbed and the reports say it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from ...module_utils.drill import permission
from ...module_utils.errors import Problem
from . import consent, history, watch

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


@dataclass(frozen=True)
class Gate:
    """Asked anew whenever it is called: what a site approves or takes back counts at once. `folder` is the sites'."""

    asked: permission.Undertaking
    testbed: Mapping[str, Any]
    folder: str
    reports: Path

    def __call__(self) -> list[Problem]:
        """Give all that stands against the drill now. Raises `BadInput` for files that can't be read."""
        stop = watch.stop_file(self.reports)
        stopped = [Problem("", None, watch.shown(stop), "no drill starts while this file is there: remove it")]
        approvals = consent.read(self.folder, self.testbed["sites"])
        last = history.last_end(self.reports)
        refused = permission.refusals(self.asked, self.testbed, approvals, datetime.now(UTC), last)
        return [*(stopped if watch.is_there(stop) else ()), *refused]
