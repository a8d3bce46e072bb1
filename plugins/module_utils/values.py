# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Values from outside, told apart from what they should have been.

What people and programs ask for is read value by value; each reader raises `BadValue` for what it can't read, whatever
its type. What a device answers is compared with a `Shape` as a whole, before anybody looks into it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from .errors import BadValue, shown
from .suggest import nearest

_FEW = 10
_WHOLE = re.compile(r"[0-9]{1,9}")
_NUMBER = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,9})?")

Shape = type | tuple[type, ...] | re.Pattern[str] | list["Shape"] | dict[str, "Shape"]  # pylint: disable=unsupported-binary-operation
"""A type or several, or a pattern for a whole text; `[shape]` is a list of such.

A mapping gives the shapes of its keys: one that may be absent ends in `?`, `*` is every key, and others are ignored.
"""


def flag(value: object) -> bool:
    """Give true or false."""
    if not isinstance(value, bool):
        raise BadValue("is neither true nor false")
    return value


def whole(low: int, high: int) -> Callable[[object], int]:
    """Make a reader of whole numbers from `low` to `high`."""

    def read(value: object) -> int:
        if isinstance(value, str) and _WHOLE.fullmatch(value):
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise BadValue(f"{shown(value)} is not a whole number from {low} to {high}")
        return value

    return read


def number(low: float, high: float) -> Callable[[object], float]:
    """Make a reader of numbers from `low` to `high`."""

    def read(value: object) -> float:
        if isinstance(value, str) and _NUMBER.fullmatch(value):
            value = float(value)
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= high:
            raise BadValue(f"{shown(value)} is not a number from {low:g} to {high:g}")
        return float(value)

    return read


def choice(choices: Iterable[str], what: str) -> Callable[[object], str]:
    """Make a reader of one of `choices`; `what` names them in the message."""
    known = tuple(choices)

    def read(value: object) -> str:
        if not isinstance(value, str):
            raise BadValue(f"{shown(value)} is not a text")
        if value not in known:
            near = nearest(value, known)
            others = f"; there are {', '.join(known)}" if known and near is None and len(known) <= _FEW else ""
            raise BadValue(f"there is no {what} {shown(value)}{others}", near)
        return value

    return read


def text(value: object) -> str:
    """Give a text that isn't empty, with single spaces."""
    if not isinstance(value, str) or not value.strip():
        raise BadValue(f"{shown(value)} is not a text")
    return " ".join(value.split())


def file_path(value: object) -> str:
    """Give the absolute path of a file."""
    path = text(value)
    if not path.startswith("/") or path.endswith("/") or ".." in path.split("/") or not path.isprintable():
        raise BadValue(f"{shown(value)} is not the absolute path of a file")
    return path


def mapping(value: object) -> Mapping[str, Any]:
    """Give a mapping."""
    if not isinstance(value, Mapping):
        raise BadValue(f"{shown(value)} is not a mapping")
    return value


def items(value: object) -> Sequence[Any]:
    """Give a list."""
    if not isinstance(value, (list, tuple)):
        raise BadValue(f"{shown(value)} is not a list")
    return value


def from_json(document: str) -> Any:
    """Give what a JSON document says."""
    try:
        return json.loads(document, parse_constant=_no_number)
    except (json.JSONDecodeError, BadValue) as error:
        raise BadValue(f"is not JSON: {error}") from error
    except (ValueError, RecursionError) as error:
        raise BadValue("is not JSON: a number in it is too long, or it is nested too deeply") from error


def mismatch(value: object, shape: Shape, where: str = "it") -> str | None:
    """Say in which place `value` isn't of `shape`, and what is there instead; None if it fits."""
    wrong: Iterator[str | None]
    if isinstance(shape, list):
        if not isinstance(value, list):
            return f"{where} is not a list, but {shown(value)}"
        wrong = (mismatch(item, shape[0], f"{where}[{index}]") for index, item in enumerate(value))
    elif isinstance(shape, dict):
        if not isinstance(value, dict):
            return f"{where} is not a mapping, but {shown(value)}"
        wrong = _mismatches(value, shape, where)
    elif isinstance(shape, re.Pattern):
        return None if isinstance(value, str) and shape.fullmatch(value) else f"{where} is {shown(value)}"
    else:
        fits = isinstance(value, shape) and (shape is bool or not isinstance(value, bool))
        return None if fits else f"{where} is {shown(value)}"
    return next((found for found in wrong if found), None)


def _mismatches(value: dict[str, Any], shape: dict[str, Shape], where: str) -> Iterator[str | None]:
    for name, inner in shape.items():
        key = name.removesuffix("?")
        if name == "*":
            yield from (mismatch(item, inner, f"{where}.{shown(each)}") for each, item in value.items())
        elif key in value:
            yield mismatch(value[key], inner, f"{where}.{key}")
        elif key == name:
            yield f"{where}.{key} is missing"


def _no_number(constant: str) -> Any:
    raise BadValue(f"{constant} is no number there")
