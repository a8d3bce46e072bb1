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
    ("stopping", "off"): ("cut",),
    ("on", "stopping"): ("shut",),
    ("paused", "stopping"): ("resume", "shut"),
    ("on", "paused"): ("pause",),
    ("stopping", "paused"): ("cut", "start", "pause"),
    ("off", "paused"): ("start", "pause"),
    ("off", "on"): ("start",),
    ("paused", "on"): ("resume",),
    # It can't be called back, and left alone it would be off for good.
    ("stopping", "on"): ("cut", "start"),
}


def power_ops(name: str, have: Mapping[str, Any], want: Mapping[str, Any]) -> list[Op]:
    """Give the steps to the wanted power, such as `("start", "naist-r1")`; a machine that is gone stays gone.

    One that is off has nothing left to do on its way to `stopping`.
    """
    if "missing" in have:
        return []
    return [(step, name) for step in _WAYS.get((have["power"], want["power"]), ())]
