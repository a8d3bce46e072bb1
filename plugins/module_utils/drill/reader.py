# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading of mappings that people wrote: every problem is collected, none stops the reading."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeVar

from ..errors import BadValue, Problem, shown
from ..suggest import nearest
from ..values import items
from .model import Range

T = TypeVar("T")

_FEW = 25
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")


class Reader:
    """One mapping at the place `where` of the input; what is wrong with it is appended to `problems`.

    A value that can't be read gives None, so that reading goes on; the caller refuses in the end if there are problems.
    """

    def __init__(self, value: object, where: str, allowed: Iterable[str], problems: list[Problem]) -> None:
        self.where = where
        self.problems = problems
        self.values: Mapping[str, object] = {}
        allowed = tuple(allowed)
        if not isinstance(value, Mapping):
            self.problem("", "is not a mapping")
            return
        self.values = {str(key): item for key, item in value.items() if item is not None}
        others = f", only {', '.join(allowed)}" if len(allowed) <= _FEW else ""
        for key in value:
            if str(key) not in allowed:
                self.problem(shown(key), f"there is no such key here{others}", nearest(str(key), allowed))

    def with_values(self, values: Mapping[str, object]) -> Reader:
        """Give a reader of other values at the same place, all of whose keys are known to be right."""
        return Reader(values, self.where, values, self.problems)

    def problem(self, key: str, message: str, suggestion: str | None = None) -> None:
        place = ".".join(part for part in (self.where, key) if part)
        self.problems.append(Problem("", None, place, message, suggestion))

    def has(self, key: str) -> bool:
        return key in self.values

    def need(self, key: str, convert: Callable[[object], T]) -> T | None:
        """Give the value of `key`, which must be there."""
        if key not in self.values:
            self.problem(key, "is missing")
            return None
        return self._convert(key, convert)

    def take(self, key: str, convert: Callable[[object], T], default: T) -> T:
        """Give the value of `key`, or `default` where it is absent or can't be read."""
        if key not in self.values:
            return default
        value = self._convert(key, convert)
        return default if value is None else value

    def maybe(self, key: str, convert: Callable[[object], T]) -> T | None:
        """Give the value of `key`, or None where it is absent or can't be read."""
        return self._convert(key, convert) if key in self.values else None

    def items(self, key: str) -> Sequence[object]:
        """Give the list `key`, empty where it is absent."""
        return self.take(key, items, ())

    def _convert(self, key: str, convert: Callable[[object], T]) -> T | None:
        try:
            return convert(self.values[key])
        except BadValue as error:
            self.problem(key, error.message, error.suggestion)
            return None


def name(value: object) -> str:
    """Give a name that is fit for ids and file names."""
    if not isinstance(value, str) or not _NAME.fullmatch(value):
        raise BadValue("is not a name: up to 40 of a-z, 0-9, _ and -, and it starts with a letter or digit")
    return value


def one_or_more(convert: Callable[[object], T]) -> Callable[[object], tuple[T, ...]]:
    """Make a converter that takes one value or a list of them."""

    def convert_all(value: object) -> tuple[T, ...]:
        if isinstance(value, (list, tuple)):
            return tuple(convert(item) for item in value)
        return (convert(value),)

    return convert_all


def range_of(convert: Callable[[object], float]) -> Callable[[object], Range]:
    """Make a converter to a range: `26..34%`, `..5ms` (at most), `12ms..` (at least), or one exact value.

    A unit that stands at the upper bound only holds for both.
    """

    def convert_range(value: object) -> Range:
        if not isinstance(value, str) or ".." not in value:
            exact = convert(value)
            return Range(exact, exact)
        low_text, _dots, high_text = (part.strip() for part in value.partition(".."))
        if not low_text and not high_text:
            raise BadValue("has no bound; write for example 26..34%")
        unit = re.sub(r"[0-9.\s]", "", high_text)
        if unit and re.fullmatch(r"[0-9.]+", low_text):
            low_text += unit
        low = convert(low_text) if low_text else None
        high = convert(high_text) if high_text else None
        if low is not None and high is not None and low > high:
            raise BadValue(f"{shown(value)} has its bounds the wrong way round")
        return Range(low, high)

    return convert_range


def refuse_twins(where: str, names: Iterable[str], problems: list[Problem]) -> None:
    """Add a problem for each name that occurs more than once."""
    for twin, count in Counter(names).items():
        if count > 1:
            problems.append(Problem("", None, where, f"{count} of them are called {twin}"))
