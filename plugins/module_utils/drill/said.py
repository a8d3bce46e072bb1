# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a service or a command is expected to say."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..errors import BadValue, shown

if TYPE_CHECKING:
    from .reader import Reader

_LONGEST = 1000


@dataclass(frozen=True)
class Said:
    """What a text has to be. `equals` leaves white space at both ends aside; `matches` is a regular expression."""

    contains: str | None = None
    matches: str | None = None
    equals: str | None = None

    KEYS = ("contains", "matches", "equals")

    @classmethod
    def read(cls, entry: Reader) -> Said:
        return cls(entry.maybe("contains", _piece), entry.maybe("matches", _expression), entry.maybe("equals", _piece))

    def faults(self, text: str) -> list[str]:
        """Say what of it a text is not."""
        found = []
        if self.contains is not None and self.contains not in text:
            found.append(f"says {_start(text)}, expected with {shown(self.contains)} in it")
        if self.matches is not None and not re.search(self.matches, text):
            found.append(f"says {_start(text)}, expected to match {shown(self.matches)}")
        if self.equals is not None and self.equals.strip() != text.strip():
            found.append(f"says {_start(text)}, expected {shown(self.equals)}")
        return found

    def __str__(self) -> str:
        """Give it for people, after a verb: `says "well"`."""
        words = [f"has {shown(self.contains)} in it"] if self.contains is not None else []
        words += [f"matches {shown(self.matches)}"] if self.matches is not None else []
        words += [f"is {shown(self.equals)}"] if self.equals is not None else []
        return " and ".join(words)


def _start(text: str) -> str:
    return shown(text.strip()) if text.strip() else "nothing"


def _piece(value: object) -> str:
    if not isinstance(value, str) or not value or len(value) > _LONGEST:
        raise BadValue(f"{shown(value)} is not a text of 1 to {_LONGEST} characters")
    return value


def _expression(value: object) -> str:
    expression = _piece(value)
    try:
        re.compile(expression)
    except (re.error, OverflowError, RecursionError) as error:
        raise BadValue(f"{shown(value)} is not a regular expression: {error}") from None
    return expression
