# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A query's words, each with its place, and errors that point at one."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from ..errors import BadValue, shown
from ..suggest import nearest

TEXT_MOST: Final = 4096
KEYWORDS: Final = (
    "where", "since", "until", "last", "per", "count", "over", "by", "select", "as", "and", "or", "not", "in", "has",
    "contains", "like", "true", "false", "null",
)  # fmt: skip

_IDENTIFIER = r"[A-Za-z_][A-Za-z0-9_@-]*"
_QUOTED = r'"(?:[^"\\\n]|\\.)*"' + r"|'(?:[^'\\\n]|\\.)*'"
_TOKEN = re.compile(
    rf"""(?P<space>\s+)
    |(?P<text>{_QUOTED})
    |(?P<number>-?[0-9][A-Za-z0-9_.:+-]*)
    |(?P<word>{_IDENTIFIER}(?:\.(?:[A-Za-z0-9_@-]+|{_QUOTED}))*)
    |(?P<sign><=|>=|!=|==|[=<>(),|])""",
    re.VERBOSE,
)
_PART = re.compile(rf"{_QUOTED}|[^.\"']+")
_ESCAPE = re.compile(r"\\(.)")
_ESCAPED = {"n": "\n", "t": "\t"}


class QueryError(BadValue):
    """A query can't be understood, and `query` is its text.

    `position` (from 1) is where reading stopped, and `expected` says what could have stood there.
    """

    def __init__(self, query: str, position: int, message: str, expected: str, suggestion: str | None = None) -> None:
        super().__init__(message, suggestion)
        self.query, self.position, self.expected = query, position, expected

    def __str__(self) -> str:
        hint = f"; did you mean {self.suggestion}?" if self.suggestion else ""
        return f"position {self.position}: {self.message}; expected {self.expected}{hint}"

    def pointed(self) -> str:
        """Give the line of the query with a mark under the place, and the error below it."""
        begin = self.query.rfind("\n", 0, self.position - 1) + 1
        line = self.query[begin:].split("\n", 1)[0]
        return f"{line}\n{' ' * (self.position - 1 - begin)}^ {self}"


class Word(NamedTuple):
    """A word of a query. `kind` is text, number, word, sign or end; `said` is the text's content, else as written."""

    kind: str
    said: str
    position: int

    def keyword(self) -> str | None:
        """Give the keyword that it is, whatever its letters' case."""
        folded = self.said.lower()
        return folded if self.kind == "word" and folded in KEYWORDS else None

    def shown(self) -> str:
        return "the query ends" if self.kind == "end" else f"there is {shown(self.said)}"


def words(query: str) -> list[Word]:
    """Give the words of a query, the last of which is its end. Raises `QueryError`."""
    if len(query) > TEXT_MOST:
        raise QueryError(query, TEXT_MOST + 1, f"it is {len(query)} letters long", f"{TEXT_MOST} at most")
    found, place = [], 0
    while place < len(query):
        match = _TOKEN.match(query, place)
        if match is None or match.lastgroup is None:
            raise _stray(query, place)
        if match.lastgroup != "space":
            said = unquoted(match[0]) if match.lastgroup == "text" else match[0]
            found.append(Word(match.lastgroup, said, place + 1))
        place = match.end()
    return [*found, Word("end", "", len(query) + 1)]


def unquoted(text: str) -> str:
    r"""Give what stands between quotation marks; `\n` and `\t` are signs, any other sign after `\` is itself."""
    return _ESCAPE.sub(lambda match: _ESCAPED.get(match[1], match[1]), text[1:-1])


def path(word: str) -> tuple[str, ...]:
    """Give the parts of a field's name: `values.a."b c"` has three."""
    return tuple(unquoted(part) if part[0] in "\"'" else part for part in _PART.findall(word))


def fail(query: str, word: Word, expected: str, choices: tuple[str, ...] = (), message: str = "") -> QueryError:
    """Give the error that says that something else should stand in the place of `word`."""
    near = nearest(word.said.lower(), choices) if word.kind == "word" else None
    return QueryError(query, word.position, message or word.shown(), expected, near)


def _stray(query: str, place: int) -> QueryError:
    sign = query[place]
    if sign in "\"'":
        return QueryError(query, place + 1, "a text begins here and doesn't end", f"a {sign} at its end")
    expected = "a word, a number, a text in quotation marks, or one of = != < <= > >= ( ) , |"
    return QueryError(query, place + 1, f"there is {shown(sign)}", f"{expected}; other signs belong in quotation marks")
