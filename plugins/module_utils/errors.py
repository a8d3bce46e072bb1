# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Errors that a person reads: one tree, and one exception that carries every problem of an input."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_LONGEST_SHOWN = 40
_HUGE = 10**30


class OkiagariError(Exception):
    """The root of every error this collection raises on purpose; its text is meant for people."""


class BadValue(OkiagariError, ValueError):  # noqa: N818 - it says what is bad, not that it is an error
    """One value is wrong. `suggestion` is the correct spelling that is probably meant, or None."""

    def __init__(self, message: str, suggestion: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.suggestion = suggestion

    def __str__(self) -> str:
        return _with_suggestion(self.message, self.suggestion)


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong with an input.

    `file` and `key` may be empty and `line` (from 1) may be None where there is nothing to point at.
    """

    file: str
    line: int | None
    key: str
    message: str
    suggestion: str | None = None

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.file and self.line is not None else self.file
        parts = [part for part in (place, self.key, self.message) if part]
        return _with_suggestion(": ".join(parts), self.suggestion)


class BadInput(OkiagariError):  # noqa: N818
    """An input was refused. `problems` holds all that is wrong with it, in the order of the input; never empty."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems: tuple[Problem, ...] = tuple(problems)
        if not self.problems:
            raise ValueError("BadInput needs at least one problem")
        super().__init__(self.problems)

    def __str__(self) -> str:
        return "\n".join(str(problem) for problem in self.problems)


def shown(value: object) -> str:
    """Write a value that somebody gave into a message: short, on one line, and in the words of people."""
    if value is None or value == "":
        return "nothing"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int) and abs(value) > _HUGE:
        return "a huge number"
    if isinstance(value, (str, int, float)):
        text = "".join(letter if letter.isprintable() else "?" for letter in str(value)[: _LONGEST_SHOWN + 1])
        return text if len(text) <= _LONGEST_SHOWN else f"{text[: _LONGEST_SHOWN - 3]}..."
    if isinstance(value, Mapping):
        return "a mapping"
    return "a list" if isinstance(value, (list, tuple)) else f"a {type(value).__name__}"


def _with_suggestion(text: str, suggestion: str | None) -> str:
    return f"{text}; did you mean {suggestion}?" if suggestion else text
