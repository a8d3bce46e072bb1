# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a query asks of an event or of a row: fields, comparisons, and what can be told without reading the values.

A field that isn't there, or that is of another type than what it is compared with, makes a comparison false, also with
`!=` and `<`. Numbers compare with numbers, texts with texts.
"""

from __future__ import annotations

import fnmatch
import json
import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING, Any, Final, TypeAlias

if TYPE_CHECKING:
    from .record import Context

EVENT_FIELDS: Final = ("time", "trace", "host", "source", "important", "origin", "sequence", "id", "values")
_CONTEXT_FIELDS = ("host", "source", "important", "origin")
ABSENT: Final = object()
"""The value of a field that isn't there."""

Getter = Callable[[Any], Any]
Test = Callable[[Any], bool]
Scalar: TypeAlias = "str | int | float | bool | None"

_ORDERS: Mapping[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip
_NUMBERS = (int, float)
COMPARISONS: Final = ("=", "==", "!=", *_ORDERS, "contains", "like")


@dataclass(frozen=True)
class Field:
    """A field by its name as written. `path` has its parts, if it is one of an event, else only the name."""

    name: str
    path: tuple[str, ...]

    def of_event(self) -> Getter:
        """Make what gives the field of an event, or `ABSENT`."""
        first: Getter = operator.attrgetter(self.path[0])
        return reduce(_inner, self.path[1:], first)

    def of_row(self) -> Getter:
        """Make what gives the field of a row, or `ABSENT`."""
        name = self.name
        return lambda row: row.get(name, ABSENT)

    def needle(self, value: object = ABSENT) -> list[bytes]:
        """Give what the values' JSON has in it if the field is there, and has this value."""
        if self.path[0] != "values" or len(self.path) == 1:
            return []
        tail = json.dumps(value) if isinstance(value, str) or value is None or isinstance(value, bool) else ""
        return [f"{json.dumps(self.path[-1])}:{tail}".encode()]


@dataclass(frozen=True)
class Comparison:
    """`host = "a"`."""

    field: Field
    sign: str
    value: Scalar

    def test(self, getter: Callable[[Field], Getter]) -> Test:
        return _comparison(getter(self.field), self.sign, self.value)

    def possible(self, context: Context) -> bool | None:
        return _of_context(self, self.field, context)

    def needles(self) -> list[bytes]:
        return self.field.needle(self.value) if self.sign in ("=", "==") else self.field.needle()


@dataclass(frozen=True)
class Among:
    """`host in ("a", "b")`."""

    field: Field
    values: tuple[Scalar, ...]

    def test(self, getter: Callable[[Field], Getter]) -> Test:
        return _any([_comparison(getter(self.field), "=", value) for value in self.values])

    def possible(self, context: Context) -> bool | None:
        return _of_context(self, self.field, context)

    def needles(self) -> list[bytes]:
        return self.field.needle()


@dataclass(frozen=True)
class Has:
    """`has values.ms`."""

    field: Field

    def test(self, getter: Callable[[Field], Getter]) -> Test:
        get = getter(self.field)
        return lambda row: get(row) is not ABSENT

    def possible(self, context: Context) -> bool | None:
        return _of_context(self, self.field, context)

    def needles(self) -> list[bytes]:
        return self.field.needle()


@dataclass(frozen=True)
class Not:
    """`not has values.ms`."""

    inner: Condition

    def test(self, getter: Callable[[Field], Getter]) -> Test:
        test = self.inner.test(getter)
        return lambda row: not test(row)

    def possible(self, context: Context) -> bool | None:
        inner = self.inner.possible(context)
        return None if inner is None else not inner

    def needles(self) -> list[bytes]:
        return []


@dataclass(frozen=True)
class All:
    """Conditions with `and`; none: everything."""

    parts: tuple[Condition, ...]

    def test(self, getter: Callable[[Field], Getter]) -> Test:
        tests = [part.test(getter) for part in self.parts]
        return tests[0] if len(tests) == 1 else lambda row: all(test(row) for test in tests)

    def possible(self, context: Context) -> bool | None:
        said = [part.possible(context) for part in self.parts]
        return False if False in said else None if None in said else True

    def needles(self) -> list[bytes]:
        return [needle for part in self.parts for needle in part.needles()]


@dataclass(frozen=True)
class Some:
    """Conditions with `or`."""

    parts: tuple[Condition, ...]

    def test(self, getter: Callable[[Field], Getter]) -> Test:
        return _any([part.test(getter) for part in self.parts])

    def possible(self, context: Context) -> bool | None:
        said = [part.possible(context) for part in self.parts]
        return True if True in said else None if None in said else False

    def needles(self) -> list[bytes]:
        return []


Condition: TypeAlias = "Comparison | Among | Has | Not | All | Some"
"""Each gives its `test`; whether an event with a `Context` is `possible` (None: the rest of the event decides); and
`needles`, all of which are somewhere in the record of an event that it holds for."""


def event_getter(field: Field) -> Getter:
    return field.of_event()


def row_getter(field: Field) -> Getter:
    return field.of_row()


def traces(condition: Condition) -> tuple[str, ...] | None:
    """Give the only traces that an event can have for which the condition holds; None: it may be any."""
    if isinstance(condition, All):
        return next((found for found in map(traces, condition.parts) if found is not None), None)
    values: tuple[Scalar, ...] = ()
    if isinstance(condition, Comparison) and condition.sign in ("=", "=="):
        values = (condition.value,)
    elif isinstance(condition, Among):
        values = condition.values
    else:
        return None
    # An event without a trace isn't in the index.
    if condition.field.path != ("trace",) or "" in values:
        return None
    return tuple(dict.fromkeys(value for value in values if isinstance(value, str)))


def _of_context(condition: Comparison | Among | Has, field: Field, context: Context) -> bool | None:
    return condition.test(event_getter)(context) if field.path[0] in _CONTEXT_FIELDS else None


def _inner(outer: Getter, key: str) -> Getter:
    def get(row: Any) -> Any:
        found = outer(row)
        return found.get(key, ABSENT) if isinstance(found, dict) else ABSENT

    return get


def _any(tests: list[Test]) -> Test:
    return lambda row: any(test(row) for test in tests)


def _comparison(get: Getter, sign: str, value: Scalar) -> Test:
    if sign in ("=", "=="):
        return _equal(get, value)
    if sign == "!=":
        equal = _equal(get, value)
        return lambda row: get(row) is not ABSENT and not equal(row)
    if sign == "contains":
        return _contains(get, value)
    if sign == "like":
        return _like(get, str(value))
    compare = _ORDERS[sign]
    if isinstance(value, str):
        return lambda row: isinstance(found := get(row), str) and compare(found, value)
    return lambda row: type(found := get(row)) in _NUMBERS and compare(found, value)


def _equal(get: Getter, value: Scalar) -> Test:
    if value is None or isinstance(value, bool):
        return lambda row: get(row) is value
    if isinstance(value, str):
        return lambda row: isinstance(found := get(row), str) and found == value
    return lambda row: type(found := get(row)) in _NUMBERS and found == value


def _contains(get: Getter, value: Scalar) -> Test:
    """A text has this in it, or a list has this among its items."""
    same = _equal(lambda item: item, value)

    def test(row: Any) -> bool:
        found = get(row)
        if isinstance(found, str):
            return isinstance(value, str) and value in found
        return isinstance(found, list) and any(map(same, found))

    return test


def _like(get: Getter, pattern: str) -> Test:
    """A text is as the pattern, in which `*` stands for any signs and `?` for one."""
    # In a pattern of fnmatch a bracket would begin a choice of letters.
    matches = re.compile(fnmatch.translate(pattern.replace("[", "[[]"))).match
    return lambda row: isinstance(found := get(row), str) and matches(found) is not None
