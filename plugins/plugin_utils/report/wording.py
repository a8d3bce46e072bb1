# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Figures as people read them."""

from __future__ import annotations

from typing import Any

from .reading import moment, number

UNKNOWN = "\u2013"
_SPACE = "\u00a0"
_MINUS = "\u2212"


def _trimmed(value: float, digits: int) -> str:
    shown = f"{value:,.{digits}f}".replace(",", "\u202f")
    return shown.rstrip("0").rstrip(".") if "." in shown else shown


def milliseconds(value: Any) -> str:
    """A length of time given in ms: 3.1 ms, 212 ms, 1.25 s, 2 min 5 s."""
    amount = number(value)
    if amount is None:
        return UNKNOWN
    if abs(amount) < 9.95:
        return f"{_trimmed(amount, 1)}{_SPACE}ms"
    if abs(amount) < 999.5:
        return f"{amount:.0f}{_SPACE}ms"
    if abs(amount) < 59_950:
        return f"{_trimmed(amount / 1000, 2 if abs(amount) < 9_995 else 1)}{_SPACE}s"
    minutes, rest = divmod(round(amount / 1000), 60)
    return f"{minutes}{_SPACE}min" + (f"{_SPACE}{rest}{_SPACE}s" if rest else "")


def size(value: Any, per: str = "") -> str:
    """A number of bytes: 512 B, 4 KiB, 1.5 MiB; `per` follows the unit."""
    amount = number(value)
    if amount is None:
        return UNKNOWN
    for unit, factor in (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)):
        if amount >= factor:
            return f"{_trimmed(amount / factor, 1)}{_SPACE}{unit}{per}"
    return f"{amount:.0f}{_SPACE}B{per}"


def seconds(value: Any) -> str:
    """A length of time given in s."""
    amount = number(value)
    return UNKNOWN if amount is None else milliseconds(amount * 1000)


def instant(value: Any) -> str:
    """A moment since T0, always to the millisecond: instants are compared with each other."""
    amount = number(value)
    return UNKNOWN if amount is None else f"{amount:.3f}{_SPACE}s".replace("-", _MINUS)


def lateness(asked: Any, actual: Any) -> str:
    """By how much an instant missed the one asked for: +2.0 ms; empty if either isn't known."""
    wanted, got = number(asked), number(actual)
    if wanted is None or got is None:
        return ""
    missed = (got - wanted) * 1000
    sign = _MINUS if missed < 0 else "+"
    return f"{sign}{milliseconds(abs(missed))}"


def percent(value: Any) -> str:
    """A share: 0.55 %, 30 %, 100 %."""
    amount = number(value)
    return UNKNOWN if amount is None else f"{_trimmed(amount, 2 if abs(amount) < 10 else 1)}{_SPACE}%"


def count(value: Any) -> str:
    """A whole number, with thin spaces between the thousands."""
    amount = number(value)
    return UNKNOWN if amount is None else _trimmed(amount, 0)


def several(amount: int, one: str, many: str | None = None) -> str:
    """1 target, 2 targets."""
    return f"{count(amount)}{_SPACE}{one if amount == 1 else many or one + 's'}"


def wall_clock(value: Any) -> str:
    """An ISO instant as a date and time in UTC; as it stands if it isn't one."""
    at = moment(value)
    return at.strftime("%Y-%m-%d %H:%M:%S UTC") if at else str(value or UNKNOWN)


def plain(word: Any) -> str:
    """An identifier as words: not_restored becomes not restored."""
    return str(word or "").replace("_", " ").strip()
