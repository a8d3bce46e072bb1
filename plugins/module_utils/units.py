# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Quantities as people write them (`20s`, `5ms`, `30%`, `1gbit`) to plain numbers.

Every function raises `BadValue` for what it can't read, whatever the type of the value.
"""

from __future__ import annotations

import math
import re

from .errors import BadValue, shown
from .suggest import nearest

DAY_S = 86400.0
_DURATION = "a duration such as 20s"

_SECONDS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "min": 60.0, "h": 3600.0}
_MILLISECONDS = {"us": 1e-3, "ms": 1.0, "s": 1e3, "min": 60e3, "h": 3600e3}
_PERCENT = {"%": 1.0}
_BITS_PER_SECOND = {"bit": 1.0, "kbit": 1e3, "mbit": 1e6, "gbit": 1e9, "tbit": 1e12}
_MEBIBYTES = {"mib": 1.0, "gib": 1024.0, "tib": 1024.0**2}
_QUANTITY = re.compile(r"([+-]?[0-9]{1,30}(?:\.[0-9]{1,30})?)\s*([A-Za-z%/]*)")


def seconds(value: object) -> float:
    """Give a duration in seconds: `20s`, `1.5 min`, `200ms`. A bare number is in seconds."""
    return _quantity(value, _SECONDS, _DURATION, bare="s")


def signed_seconds(value: object) -> float:
    """Give a span in seconds as `seconds` does, which may be negative: `-90s`."""
    if isinstance(value, str) and value.lstrip().startswith("-"):
        return -seconds(value.lstrip()[1:])
    if isinstance(value, (int, float)) and value < 0:
        return -seconds(-value)
    return seconds(value)


def duration(value: object) -> float:
    """Give a duration in seconds as `seconds` does, of a day at most."""
    found = seconds(value)
    if found > DAY_S:
        raise BadValue(f"{shown(value)} is more than a day")
    return found


def milliseconds(value: object) -> float:
    """Give a duration in milliseconds: `5ms`, `200us`, `1s`.

    A bare number other than 0 is refused, because some people mean seconds by it and some milliseconds.
    """
    return _quantity(value, _MILLISECONDS, "a duration with its unit such as 5ms", bare=None)


def percent(value: object) -> float:
    """Give a share in percent, 0 to 100: `30%`, `0.5 %`. A bare number is in percent."""
    number = _quantity(value, _PERCENT, "a percentage such as 30%", bare="%")
    if number > 100:
        raise BadValue(f"{shown(value)} is more than 100%")
    return number


def bits_per_second(value: object) -> int:
    """Give a rate in whole bits per second: `1gbit`, `64kbit` (powers of 1000). A bare number is in bits per second."""
    return round(_quantity(value, _BITS_PER_SECOND, "a rate such as 100mbit", bare="bit"))


def mebibytes(value: object) -> int:
    """Give a size in whole mebibytes: `512mib`, `4gib` (powers of 1024). A bare number is in mebibytes."""
    return round(_quantity(value, _MEBIBYTES, "a size such as 4gib", bare="mib"))


def _quantity(value: object, units: dict[str, float], wanted: str, bare: str | None) -> float:
    number, unit = _split(value, wanted)
    if number < 0:
        raise BadValue(f"{shown(value)} is negative")
    if not unit:
        if bare is None and number:
            raise BadValue(f"{shown(value)} is not {wanted}")
        return number
    if unit not in units:
        raise BadValue(
            f"{shown(value)} has the unknown unit {unit}, not one of {', '.join(units)}", nearest(unit, units)
        )
    return round(number * units[unit], 9)


def _split(value: object, wanted: str) -> tuple[float, str]:
    if isinstance(value, str):
        match = _QUANTITY.fullmatch(value.strip())
        if match:
            return float(match[1]), match[2].lower()
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        try:
            number = float(value)
        except OverflowError:
            number = math.inf
        if math.isfinite(number):
            return number, ""
    raise BadValue(f"{shown(value)} is not {wanted}")
