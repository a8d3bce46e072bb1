# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Parameters that change while a fault stands: from one value to another, in equal steps."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..values import whole
from .model import Step
from .reader import Reader

if TYPE_CHECKING:
    from collections.abc import Iterable

# A slow target needs so long to change a fault and to read it back.
LEAST_S = 0.5
_STEPS = 10
_DEPTH = 2

_Convert = Callable[[Mapping[str, object], str], object]


@dataclass(frozen=True)
class Ramp:
    """An entry of the timeline as it is at the first step, and at the last one of `count`."""

    first: Mapping[str, object]
    last: Mapping[str, object]
    count: int


def read(entry: Reader, keys: Iterable[str]) -> Ramp | None:
    """Give the ramp of an entry, or None where nothing ramps. `keys` may, or a key of theirs, one level further down.

    What is wrong with it is a problem of the entry.
    """
    ramps: list[Reader] = []

    def at_first(value: Mapping[str, object], where: str) -> object:
        outer = Reader(value, where, ("ramp",), entry.problems)
        ramp = Reader(outer.values.get("ramp", {}), f"{where}.ramp", ("from", "to", "steps"), entry.problems)
        ramps.append(ramp)
        return ramp.need("from", _as_it_is)

    def at_last(_value: Mapping[str, object], _where: str) -> object:
        return next(ends).need("to", _as_it_is)

    own = {key: entry.values[key] for key in keys if entry.has(key)}
    first = {key: _replaced(value, f"{entry.where}.{key}", at_first) for key, value in own.items()}
    if not ramps:
        return None
    ends = iter(ramps)
    last = {key: _replaced(value, f"{entry.where}.{key}", at_last) for key, value in own.items()}
    counts = [ramp.take("steps", whole(2, 1000), _STEPS) for ramp in ramps]
    if len(set(counts)) > 1:
        ramps[-1].problem("steps", "is another number than that of this fault's other ramp: give both the same")
    return Ramp({**entry.values, **first}, {**entry.values, **last}, counts[0])


def steps(first: Mapping[str, Any], last: Mapping[str, Any], count: int, lasts: float) -> tuple[Step, ...]:
    """Give what follows the parameters `first`, up to `last`: `count` values in all, each equally long."""
    return tuple(
        Step(round(number * lasts / count, 6), _between(first, last, number / (count - 1)))
        for number in range(1, count)
    )


def _between(first: Any, last: Any, share: float) -> Any:
    if isinstance(first, Mapping):
        return {key: _between(value, last[key], share) for key, value in first.items()}
    if isinstance(first, (int, float)) and first != last:
        value = first + (last - first) * share
        return round(value) if isinstance(first, int) and isinstance(last, int) else round(value, 9)
    return first


def _replaced(value: object, where: str, convert: _Convert, depth: int = _DEPTH) -> object:
    """Copy a value with what `convert` makes of each ramp in it."""
    if not isinstance(value, Mapping) or not depth:
        return value
    if _is_meant_as_ramp(value):
        return convert(value, where)
    return {key: _replaced(item, f"{where}.{key}", convert, depth - 1) for key, item in value.items()}


def _is_meant_as_ramp(value: Mapping[str, object]) -> bool:
    """Also if the word `ramp` is misspelt."""
    return "ramp" in value or any(isinstance(item, Mapping) and {"from", "to"} & {*item} for item in value.values())


def _as_it_is(value: object) -> object:
    return value
