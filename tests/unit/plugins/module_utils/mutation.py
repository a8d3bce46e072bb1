# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Well-formed data made malformed: by chance, but the same with the same seed; and what people may read about it."""

from __future__ import annotations

import copy
import math
import re
import string
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

if TYPE_CHECKING:
    import random
    from collections.abc import Iterator

# What tells of Python rather than of the input.
INTERNAL = re.compile(
    r"object at 0x|NoneType|<class|<function|Traceback|\w(Error|Exception)\b|\bNone\b|\bTrue\b|\bFalse\b"
    r"|\{'|\['|invalid literal|not subscriptable|has no attribute|unexpected keyword|report it|codec|sys\."
)

Path = tuple[Any, ...]


def words(longest: int) -> st.SearchStrategy[str]:
    """Give texts that don't themselves look like something of Python's: messages repeat what somebody wrote."""
    return st.text(max_size=longest).filter(lambda text: not INTERNAL.search(text))


_DEEPEST = 12


def nested() -> Any:
    """Give lists in lists, deeper than Python likes to recurse."""
    value: Any = []
    for _level in range(5000):
        value = [value]
    return value


def junk() -> list[Any]:
    """Give values of every type that YAML and JSON know, none of which is right anywhere but by accident."""
    return [
        None, True, False, 0, -1, 7, 10**6, 10**400, 1 << 20000, -(10**40), 0.5, -2.5, 1e308,
        math.nan, math.inf, -math.inf, "", " ", "x", "-", "..", "../../etc/passwd", "/", "/dev/sda", "-rf",
        "a b", "a;reboot",
        "$(reboot)", "a\nb", "a\0b", "\ufffd\ufffd", "é", "٣s", "\ud800", "{{ x }}", "x" * 5000, "5 parsecs",
        "-5s", "1e3s",
        "5ss", "5%%", "1e400", "nan", "0", "10.0.0.300", "10.1.0.0/99", "10.1.0.1/16", "fe80::1%lo", "::",
        "0.0.0.0/0",
        "1..2..3", "..", "5ms..1ms", [], [None], [[]], [{}], ["x", 3], {}, {"x": 1}, {"": None},
        {"a": {"b": {"c": []}}}, b"bytes",
    ]  # fmt: skip


def places(data: Any, path: Path = ()) -> Iterator[Path]:
    """Give the way to every value in `data`, `data` itself first; not into what is nested for its own sake."""
    yield path
    if len(path) > _DEEPEST:
        return
    inner = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    for key, value in inner:
        yield from places(value, (*path, key))


def at(data: Any, path: Path) -> Any:
    """Give the value at `path`."""
    for key in path:
        data = data[key]
    return data


def put(data: Any, path: Path, value: Any) -> Any:
    """Give a copy of `data` with another value at `path`."""
    if not path:
        return value
    data = copy.deepcopy(data)
    at(data, path[:-1])[path[-1]] = value
    return data


def slip(rng: random.Random, word: str) -> str:
    """Give `word` with one letter too many, missing or wrong, or with two neighbours that have changed places."""
    letters = string.ascii_lowercase
    position = rng.randrange(len(word))
    return rng.choice(
        [
            word[:position] + word[position + 1 :],
            word[:position] + rng.choice(letters) + word[position:],
            word[:position] + rng.choice(letters) + word[position + 1 :],
            word[:position] + word[position : position + 2][::-1] + word[position + 2 :],
        ]
    )


def mutated(rng: random.Random, data: Any, values: list[Any]) -> Any:
    """Give a copy of `data` with one thing changed: left out, given twice, misspelt, or another of `values`."""
    path = rng.choice(list(places(data)))
    value = at(data, path)
    change = rng.randrange(6)
    if change == 0 and path:
        data = copy.deepcopy(data)
        del at(data, path[:-1])[path[-1]]
        return data
    if change == 1 and path and isinstance(path[-1], int):
        data = copy.deepcopy(data)
        at(data, path[:-1]).append(copy.deepcopy(value))
        return data
    if change == 2 and path and isinstance(path[-1], str) and path[-1]:
        return put(
            data,
            path[:-1],
            {slip(rng, key) if key == path[-1] else key: item for key, item in at(data, path[:-1]).items()},
        )
    if change == 3 and isinstance(value, str) and value:
        return put(data, path, slip(rng, value))
    if change == 4:
        return put(data, path, copy.deepcopy(at(data, rng.choice(list(places(data))))))
    return put(data, path, rng.choice(values))
