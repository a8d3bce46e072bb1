# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The query language: from words to what is meant (docs/reference/log.md has the grammar)."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, TypeAlias

from ..errors import shown
from ..suggest import nearest
from .conditions import COMPARISONS, EVENT_FIELDS, All, Among, Comparison, Field, Has, Not, Some
from .words import QueryError, Word, fail, path, words

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from .conditions import Condition, Scalar

STAGES: Final = ("where", "last", "count", "select")
UNITS_S: Final[Mapping[str, float]] = {"ms": 1e-3, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
LONGEST_S: Final = 366 * 86400.0
LAST_MOST: Final = 1_000_000
NESTED_MOST: Final = 50

_HEAD = ("where", "since", "until")
_CONSTANTS: Mapping[str, bool | None] = {"true": True, "false": False, "null": None}
_DURATION = re.compile(r"([0-9]+(?:\.[0-9]+)?)([A-Za-z]+)")
_WHOLE = re.compile(r"-?[0-9]{1,300}")
_NUMBER = re.compile(r"-?[0-9]{1,300}(?:\.[0-9]{1,300})?(?:[eE][+-]?[0-9]{1,4})?")
_DURATION_EXPECTED = "a duration such as 10m (ms, s, m, h, d)"
_INSTANT_EXPECTED = f"{_DURATION_EXPECTED} or an instant such as 2026-11-22T10:00:00Z"


@dataclass(frozen=True)
class Instant:
    """A time that a query names: `at` seconds since the epoch, or `ago_s` before the query is run."""

    at: float | None = None
    ago_s: float = 0.0

    def when(self, now: float) -> float:
        return now - self.ago_s if self.at is None else self.at


@dataclass(frozen=True)
class WhereStage:
    condition: Condition


@dataclass(frozen=True)
class LastStage:
    most: int
    per: tuple[Field, ...]


@dataclass(frozen=True)
class CountStage:
    """`over_s` None: all in one."""

    over_s: float | None
    by: tuple[Field, ...]


@dataclass(frozen=True)
class SelectStage:
    """Fields with the names that they get."""

    fields: tuple[tuple[Field, str], ...]


StageMeant: TypeAlias = "WhereStage | LastStage | CountStage | SelectStage"


@dataclass(frozen=True)
class Meant:
    """What a query means. `stages` begin after the head."""

    condition: All
    since: Instant | None
    until: Instant | None
    stages: tuple[StageMeant, ...]


def parse(query: str) -> Meant:
    """Read a query. Raises `QueryError`."""
    return _Parser(query).query()


class _Parser:
    """Reads from left to right. `_names` are the fields that rows have at that place; None: those of an event."""

    def __init__(self, query: str) -> None:
        self._query = query
        self._words = words(query)
        self._place = 0
        self._depth = 0
        self._names: tuple[str, ...] | None = None

    def query(self) -> Meant:
        conditions: list[Condition] = []
        bounds: dict[str, Instant] = {}
        while self._word.keyword() in _HEAD:
            word = self._next()
            keyword = word.keyword()
            if keyword in bounds or (keyword == "where" and conditions):
                raise fail(self._query, word, "and, | or the query's end", message=f"{keyword} is there already")
            if keyword == "where":
                conditions.append(self._condition())
            else:
                bounds[str(keyword)] = self._instant()
        is_head = bool(conditions or bounds)
        stages = self._stages(is_head)
        while stages and isinstance(stages[0], WhereStage):
            conditions.append(stages.pop(0).condition)  # type: ignore[union-attr]
        return Meant(All(tuple(conditions)), bounds.get("since"), bounds.get("until"), tuple(stages))

    @property
    def _word(self) -> Word:
        return self._words[self._place]

    def _next(self) -> Word:
        word = self._word
        if word.kind != "end":
            self._place += 1
        return word

    def _is(self, *keywords: str) -> bool:
        """Go over the next word if it is one of these, and say whether it was."""
        found = self._word.keyword() in keywords
        self._place += found
        return found

    def _sign(self, *signs: str) -> bool:
        found = self._word.kind == "sign" and self._word.said in signs
        self._place += found
        return found

    def _wrong(self, expected: str, *choices: str) -> QueryError:
        return fail(self._query, self._word, expected, choices)

    def _stages(self, is_head: bool) -> list[StageMeant]:
        stages: list[StageMeant] = []
        if self._word.kind == "end":
            return stages
        if not is_head:
            stages.append(self._stage((*_HEAD, *STAGES[1:])))
        while self._sign("|"):
            stages.append(self._stage(STAGES))
        if self._word.kind != "end":
            follow = ("and", "or", *_HEAD) if is_head and not stages else ("and", "or", "per", "over", "by", "as")
            if self._word.keyword() in STAGES:
                raise self._wrong(f"a | before {self._word.said}")
            raise self._wrong("| and another stage, or the query's end", *follow)
        return stages

    def _stage(self, choices: tuple[str, ...]) -> StageMeant:
        word = self._word
        for keyword, read in self._readers().items():
            if self._is(keyword):
                return read(word)
        if word.keyword() in _HEAD:
            raise self._wrong(f"{word.said} before the first |")
        raise self._wrong(", ".join(choices[:-1]) + f" or {choices[-1]}", *choices)

    def _readers(self) -> dict[str, Callable[[Word], StageMeant]]:
        return {"where": self._where, "last": self._last, "count": self._count, "select": self._select}

    def _where(self, _word: Word) -> WhereStage:
        return WhereStage(self._condition())

    def _last(self, _word: Word) -> LastStage:
        most = 1
        if self._word.kind == "number":
            word = self._next()
            if not _WHOLE.fullmatch(word.said) or not 1 <= int(word.said) <= LAST_MOST:
                raise fail(self._query, word, f"a whole number from 1 to {LAST_MOST}")
            most = int(word.said)
        return LastStage(most, self._fields() if self._is("per") else ())

    def _count(self, word: Word) -> CountStage:
        over_s = self._over(word) if self._is("over") else None
        by = self._fields() if self._is("by") else ()
        self._names = ("count", *(("from", "to") if over_s else ()), *(field.name for field in by))
        return CountStage(over_s, by)

    def _over(self, word: Word) -> float:
        if self._names is not None and "time" not in self._names:
            message = "windows need the field time, which the rows don't have here"
            raise fail(self._query, word, "count without over, or select time before it", message=message)
        place = self._word
        over_s = self._duration(place, _DURATION_EXPECTED)
        if over_s <= 0:
            raise fail(self._query, place, _DURATION_EXPECTED, message="a window can't be empty")
        self._next()
        return over_s

    def _select(self, _word: Word) -> SelectStage:
        chosen: dict[str, Field] = {}
        while not chosen or self._sign(","):
            word = self._word
            field = self._field()
            name = self._name() if self._is("as") else field.name
            if name in chosen:
                raise fail(self._query, word, "as and another name", message=f"there are two fields {shown(name)}")
            chosen[name] = field
        self._names = tuple(chosen)
        return SelectStage(tuple((field, name) for name, field in chosen.items()))

    def _name(self) -> str:
        if self._word.kind not in ("word", "text") or self._word.keyword() or not self._word.said:
            raise self._wrong("a name")
        return self._next().said

    def _fields(self) -> tuple[Field, ...]:
        found = [self._field()]
        while self._sign(","):
            found.append(self._field())
        return tuple(dict.fromkeys(found))

    def _field(self) -> Field:
        """Read a field's name. After `count` and `select` only their own fields are there."""
        word = self._word
        known = EVENT_FIELDS if self._names is None else self._names
        expected = f"a field: {', '.join(known)}" + (" or values.NAME" if self._names is None else "")
        if word.kind not in ("word", "text") or (word.keyword() and word.said not in known):
            raise fail(self._query, word, expected)
        name, parts = word.said, path(word.said) if word.kind == "word" else (word.said,)
        if self._names is None and parts[0] == "values":
            self._next()
            return Field(name, parts)
        if name not in known:
            raise self._unknown(word, known, expected)
        self._next()
        return Field(name, (name,))

    def _unknown(self, word: Word, known: tuple[str, ...], expected: str) -> QueryError:
        """Say that there is no such field. What an event tells by itself is among its values."""
        near = nearest(word.said, known)
        if self._names is None:
            first, _dot, rest = word.said.partition(".")
            if rest and nearest(first, ("values",)):
                near = f"values.{rest}"
            elif near is None and word.kind == "word":
                near = f"values.{word.said}"
        message = f"there is no field {shown(word.said)}" + ("" if self._names is None else " here")
        return QueryError(self._query, word.position, message, expected, near)

    def _condition(self) -> Condition:
        return self._joined("or", lambda: self._joined("and", self._term, All), Some)

    def _joined(
        self, keyword: str, read: Callable[[], Condition], join: Callable[[tuple[Condition, ...]], Condition]
    ) -> Condition:
        parts = [read()]
        while self._is(keyword):
            parts.append(read())
        return parts[0] if len(parts) == 1 else join(tuple(parts))

    def _term(self) -> Condition:
        self._depth += 1
        if self._depth > NESTED_MOST:
            raise self._wrong(f"at most {NESTED_MOST} times not and ( inside each other")
        try:
            if self._is("not"):
                return Not(self._term())
            if self._sign("("):
                inner = self._condition()
                if not self._sign(")"):
                    raise self._wrong(") or and, or", "and", "or")
                return inner
            return Has(self._field()) if self._is("has") else self._comparison()
        finally:
            self._depth -= 1

    def _comparison(self) -> Condition:
        field = self._field()
        if self._is("in"):
            return Among(field, self._list())
        word = self._word
        sign = word.keyword() or word.said
        if field.path == ("important",) and sign not in COMPARISONS:
            return Comparison(field, "=", value=True)
        if word.kind not in ("sign", "word") or sign not in COMPARISONS:
            raise self._wrong(", ".join((*COMPARISONS, "in")), *COMPARISONS, "in")
        self._next()
        place = self._word
        value = self._value()
        if sign == "like" and not isinstance(value, str):
            raise fail(self._query, place, 'a text with * and ?, such as "kvm*"')
        if sign in ("<", "<=", ">", ">=") and (value is None or isinstance(value, bool)):
            raise fail(self._query, place, "a number or a text, since only these have an order")
        return Comparison(field, sign, value)

    def _list(self) -> tuple[Scalar, ...]:
        if not self._sign("("):
            raise self._wrong('a list such as ("a", "b")')
        values = [self._value()]
        while self._sign(","):
            values.append(self._value())
        if not self._sign(")"):
            raise self._wrong(", or )")
        return tuple(values)

    def _value(self) -> Scalar:
        word = self._word
        if word.kind == "number":
            value: Scalar = self._number(word)
        elif word.kind == "text" or (word.kind == "word" and word.keyword() is None):
            value = word.said
        elif word.keyword() in _CONSTANTS:
            value = _CONSTANTS[str(word.keyword())]
        else:
            raise self._wrong("a number, a text, true, false or null")
        self._next()
        return value

    def _number(self, word: Word) -> float:
        if _WHOLE.fullmatch(word.said):
            return int(word.said)
        if not _NUMBER.fullmatch(word.said):
            message = f"{shown(word.said)} is no number"
            raise fail(self._query, word, "a number; a text belongs in quotation marks", message=message)
        number = float(word.said)
        if not math.isfinite(number):
            raise fail(self._query, word, "a smaller number")
        return number

    def _instant(self) -> Instant:
        word = self._word
        if word.kind == "number" and _DURATION.fullmatch(word.said):
            found = Instant(ago_s=self._duration(word, _INSTANT_EXPECTED))
        elif word.kind in ("number", "text"):
            found = Instant(at=self._date(word))
        else:
            raise self._wrong(_INSTANT_EXPECTED)
        self._next()
        return found

    def _date(self, word: Word) -> float:
        try:
            when = datetime.fromisoformat(word.said)
        except ValueError:
            raise fail(self._query, word, _INSTANT_EXPECTED) from None
        return (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()

    def _duration(self, word: Word, expected: str) -> float:
        match = _DURATION.fullmatch(word.said) if word.kind == "number" else None
        if not match:
            raise fail(self._query, word, expected)
        unit = match[2].lower()
        if unit not in UNITS_S:
            near = nearest(unit, UNITS_S)
            suggestion = f"{match[1]}{near}" if near else None
            raise QueryError(self._query, word.position, f"there is no unit {shown(match[2])}", expected, suggestion)
        found = float(match[1]) * UNITS_S[unit]
        if found > LONGEST_S:
            raise fail(self._query, word, f"at most {LONGEST_S / UNITS_S['d']:g}d")
        return found
