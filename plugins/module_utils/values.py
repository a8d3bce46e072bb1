# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Converters of single values that people wrote. Each raises `BadValue` for what it can't take, whatever its type."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from .errors import BadValue
from .suggest import nearest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


def whole(low: int, high: int) -> Callable[[object], int]:
    """Make a converter to whole numbers from `low` to `high`."""

    def convert(value: object) -> int:
        if isinstance(value, str) and re.fullmatch(r"[0-9]{1,20}", value):
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise BadValue(f"is not a whole number from {low} to {high}")
        return value

    return convert


def choice(choices: Iterable[str], what: str) -> Callable[[object], str]:
    """Make a converter to one of `choices`; `what` names them in the message."""
    known = tuple(choices)

    def convert(value: object) -> str:
        if not isinstance(value, str) or value not in known:
            shown = value if isinstance(value, str) else f"a {type(value).__name__}"
            raise BadValue(f"there is no {what} {shown}", nearest(str(value), known))
        return value

    return convert
