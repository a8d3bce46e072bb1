# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A VyOS configuration as `set` lines, and the fewest commands that make of one what another says.

A line is held as its *path*, the words after `set`. A *scope* is a path below which all is ours: what stands there and
isn't wanted is deleted. Whatever is outside of every scope is never deleted.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from ..errors import BadInput, BadValue, Problem
from ..suggest import nearest

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

Path = tuple[str, ...]

PORT = re.compile(r"(?:eth|lan)[0-9]+|(?:eno|ens|enp|enx).+|bond[0-9]+")
"""What VyOS calls an interface that leads somewhere."""

_SAFE = re.compile(r"[A-Za-z0-9_./:@%+,=-]+")
# A terminal takes `?` for a question and a tab for a wish to complete, in quotes too; VyOS keeps no quote in a value.
_IMPOSSIBLE = re.compile(r"[\x00-\x1f\x7f'\"?\\`]")
_RANGE = re.compile(r"([^{}]*)\{([0-9]{1,9})\.\.([0-9]{1,9})\}([^{}]*)")
_VERBS = ("set", "delete")


class Changes(NamedTuple):
    """What leads from one configuration to another: first all `delete`, then all `set`."""

    delete: tuple[Path, ...]
    set: tuple[Path, ...]

    def commands(self) -> list[str]:
        """Give the command lines in their order."""
        return [command("delete", path) for path in self.delete] + [command("set", path) for path in self.set]


@dataclass(frozen=True)
class Scope:
    """A path below which everything is ours. In each word one `{FIRST..LAST}` stands for the numbers of that range."""

    words: Path

    def __post_init__(self) -> None:
        if not self.words:
            raise BadValue("a scope needs at least one word, else everything would be deleted")
        for word in self.words:
            match = _RANGE.fullmatch(word)
            if ("{" in word or "}" in word) and not match:
                raise BadValue(f"{word} is not a word, nor one with a range such as br{{100..3999}}")
            if match and int(match[2]) > int(match[3]):
                raise BadValue(f"the range of {word} is empty")

    @classmethod
    def read(cls, text: str) -> Scope:
        """Read a scope such as `interfaces bridge br{100..3999}`; raise `BadValue` if it is none."""
        return cls(_words(text))

    def holds(self, path: Sequence[str]) -> bool:
        """Say whether `path` is the scope itself or lies below it."""
        return len(path) >= len(self.words) and all(
            _fits(pattern, word) for pattern, word in zip(self.words, path, strict=False)
        )

    def __str__(self) -> str:
        return " ".join(self.words)


def wanted(lines: Iterable[str], scopes: Iterable[str]) -> tuple[list[Path], list[Scope]]:
    """Read what a user wants: `set` lines, and scopes. Raise `BadInput` with all that is wrong with them."""
    problems: list[Problem] = []
    paths: dict[Path, None] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        try:
            paths[_wanted(line)] = None
        except BadValue as error:
            problems.append(Problem("", None, f"line {number}", f"{line.strip()}: {error.message}", error.suggestion))
    read = []
    for text in scopes:
        try:
            read.append(Scope.read(text))
        except BadValue as error:
            problems.append(Problem("", None, "scopes", f"{text}: {error.message}", error.suggestion))
    if problems:
        raise BadInput(problems)
    return list(paths), read


def parse(text: str) -> list[Path]:
    """Read what `show configuration commands` gives. Anything but `set` lines is left out."""
    paths: dict[Path, None] = {}
    for line in text.splitlines():
        if line.startswith("set "):
            try:
                paths[tuple(shlex.split(line)[1:])] = None
            except ValueError:
                # Other people's values may hold what no line of ours can; what isn't read is never touched.
                continue
    return list(paths)


def difference(want: Collection[Path], have: Collection[Path], scopes: Collection[Scope]) -> Changes:
    """Give the fewest commands that make `have` hold all of `want`, and nothing else within `scopes`.

    A line is there already if a present one begins with it. A whole branch that is to go is deleted at once, but never
    above its scope. Wanted lines keep their order.
    """
    needed = _prefixes(want)
    present = _prefixes(have)
    deleted: dict[Path, None] = {}
    for path in have:
        if path not in needed and (depth := _depth(path, scopes)) is not None:
            top = next(path[:size] for size in range(depth, len(path) + 1) if path[:size] not in needed)
            deleted[top] = None
    return Changes(tuple(deleted), tuple(path for path in want if path not in present))


def missing(want: Collection[Path], have: Collection[Path]) -> list[Path]:
    """Give the wanted lines that `have` doesn't hold."""
    present = _prefixes(have)
    return [path for path in want if path not in present]


def command(verb: str, path: Sequence[str]) -> str:
    """Give a command line, with quotes where the router's shell needs them."""
    return " ".join([verb, *(word if _SAFE.fullmatch(word) else f"'{word}'" for word in path)])


def _wanted(line: str) -> Path:
    words = _words(line)
    if words[:1] != ("set",):
        verb = words[0] if words else ""
        if verb == "delete":
            raise BadValue("lines say what shall stand; to have something deleted, name a scope that holds it")
        raise BadValue("must begin with set", nearest(verb, _VERBS))
    if len(words) < 2:
        raise BadValue("says nothing to set")
    return words[1:]


def _words(text: str) -> Path:
    if "\n" in text.strip():
        raise BadValue("must be one line")
    try:
        words = tuple(shlex.split(text))
    except ValueError:
        raise BadValue("has a quote without its end") from None
    for word in words:
        found = _IMPOSSIBLE.search(word)
        if found:
            raise BadValue(f"holds {found[0]!r}, which can't be typed at a router's command line")
    if "" in words:
        raise BadValue("holds an empty word")
    return words


def _fits(pattern: str, word: str) -> bool:
    match = _RANGE.fullmatch(pattern)
    if not match:
        return pattern == word
    head, first, last, tail = match.groups()
    number = word[len(head) : len(word) - len(tail)] if word.startswith(head) and word.endswith(tail) else ""
    return number.isascii() and number.isdecimal() and int(first) <= int(number) <= int(last)


def _prefixes(paths: Iterable[Path]) -> set[Path]:
    return {path[:size] for path in paths for size in range(1, len(path) + 1)}


def _depth(path: Path, scopes: Iterable[Scope]) -> int | None:
    return min((len(scope.words) for scope in scopes if scope.holds(path)), default=None)
