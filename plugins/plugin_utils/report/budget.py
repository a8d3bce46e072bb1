# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A run's figures against the drill's budget."""

from __future__ import annotations

from typing import Any

from ...module_utils.drill.budget import MEASURES
from .reading import Report, mapping, number
from .wording import UNKNOWN, milliseconds, plain

_STATES = {
    True: ("good", "within", "check"),
    False: ("bad", "over", "cross"),
    None: ("neutral", "not measured", "empty"),
}


def limit_of(report: Report, name: str) -> float | None:
    """The limit of one figure, in ms; None where the budget has none."""
    return number(mapping(mapping(report.get("budget")).get(name)).get("limit_ms"))


def budget_rows(report: Report) -> list[dict[str, Any]]:
    """Every limit beside what was measured; `ok` is None where nothing was, `share` is that of the limit."""
    rows = []
    for name, item in mapping(report.get("budget")).items():
        limit, taken = limit_of(report, name), number(mapping(item).get("measured_ms"))
        if limit is None:
            continue
        ok = None if taken is None else taken <= limit
        tone, state, icon = _STATES[ok]
        rows.append(
            {
                "title": MEASURES[name].title if name in MEASURES else plain(name),
                "limit": milliseconds(limit),
                "measured": UNKNOWN if taken is None else milliseconds(taken),
                "ok": ok,
                "tone": tone,
                "state": state,
                "icon": icon,
                "share": "" if taken is None else f"{min(100.0, taken / limit * 100) if limit else 100.0:.1f}%",
            }
        )
    return rows
