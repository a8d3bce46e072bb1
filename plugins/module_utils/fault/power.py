# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the back-ends of power have in common: the way from one state of a machine to another, in their own words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .backend import Op

_WAYS: Mapping[tuple[str, str], tuple[str, ...]] = {
    ("on", "off"): ("cut",),
    ("paused", "off"): ("cut",),
    ("on", "paused"): ("pause",),
    ("off", "paused"): ("start", "pause"),
    ("off", "on"): ("start",),
    ("paused", "on"): ("resume",),
}


def power_ops(name: str, have: Mapping[str, Any], want: Mapping[str, Any]) -> list[Op]:
    """Give the steps to the wanted power, such as `("start", "naist-r1")`; a machine that is gone stays gone."""
    if "missing" in have:
        return []
    return [(step, name) for step in _WAYS.get((have["power"], want["power"]), ())]
