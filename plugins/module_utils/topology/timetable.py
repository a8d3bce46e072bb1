# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When drills may run, as a description says it: windows of the week, dates on which there are none, time zones.

Every function raises `BadValue` for what it can't read, whatever the type of the value.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, tzinfo
from typing import TYPE_CHECKING, Any, Final

from ..errors import BadValue
from ..suggest import nearest

if TYPE_CHECKING:
    from collections.abc import Mapping

DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
CONSENT: Final = ("always", "ask", "never")

_DAY_MINUTES = 24 * 60
_WINDOW = re.compile(r"(?:(?P<days>[A-Za-z,\s-]*[A-Za-z])\s+)?(?P<opens>[0-9:]+)\s*-\s*(?P<closes>[0-9:]+)")
_TIME = re.compile(r"([0-9]{1,2}):([0-9]{2})")
# The calendar's own bounds are no dates to reckon with.
_DATE = re.compile(r"2[0-9]{3}-[0-9]{2}-[0-9]{2}")


@dataclass(frozen=True)
class Window:
    """Opens on each of `days` (0: Monday), so many minutes after midnight as `opens` says.

    It closes `closes` minutes after that same midnight, which is more than a day's for one that goes over midnight.
    """

    days: tuple[int, ...]
    opens: int
    closes: int


@dataclass(frozen=True)
class Blackout:
    """Whole dates (ISO 8601), the last one included."""

    first: str
    last: str


@dataclass(frozen=True)
class SiteRules:
    """What a site says about drills that touch it; no windows: at any time."""

    windows: tuple[Window, ...] = ()
    blackouts: tuple[Blackout, ...] = ()
    consent: str = "always"

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> SiteRules:
        """Give the rules of a site of the resolved testbed."""
        return cls(**{**data, **_times(data)})


@dataclass(frozen=True)
class Rules:
    """What the testbed says about all drills; all windows and dates, those of sites too, are in `timezone`."""

    windows: tuple[Window, ...] = ()
    blackouts: tuple[Blackout, ...] = ()
    timezone: str = "UTC"
    pause_s: float = 0.0

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Rules:
        """Give the rules of the resolved testbed."""
        return cls(**{**data, **_times(data)})


def window(value: object) -> Window:
    """Give a window: `mon-fri 22:00-06:00`, `sat,sun 00:00-24:00`, `09:00-12:00` (every day)."""
    match = _WINDOW.fullmatch(value.strip()) if isinstance(value, str) else None
    if not match:
        raise BadValue("is not a window such as mon-fri 22:00-06:00")
    opens, closes = _minutes(match["opens"]), _minutes(match["closes"])
    if opens % _DAY_MINUTES == closes % _DAY_MINUTES and (opens, closes) != (0, _DAY_MINUTES):
        raise BadValue("opens and closes at the same time; the whole day is 00:00-24:00")
    if opens == _DAY_MINUTES:
        raise BadValue("opens at 24:00; that is 00:00 of the next day")
    return Window(_days(match["days"] or "mon-sun"), opens, closes if closes > opens else closes + _DAY_MINUTES)


def blackout(value: object) -> Blackout:
    """Give the dates of `2026-12-24` (a date of YAML too) or `2026-12-24..2027-01-03`."""
    first, dots, last = value.partition("..") if isinstance(value, str) else (value, "", "")
    found = Blackout(day(first).isoformat(), day(last if dots else first).isoformat())
    if found.last < found.first:
        raise BadValue("has its dates the wrong way round")
    return found


def day(value: object) -> date:
    """Give a date, typed as text or as YAML's own."""
    text = value.isoformat() if isinstance(value, date) else value.strip() if isinstance(value, str) else ""
    if not _DATE.fullmatch(text):
        raise BadValue("is not a date such as 2026-12-24")
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise BadValue(f"there is no date {text}") from None


def zone(name: object) -> tzinfo:
    """Give the time zone of this name; all but `UTC` come from this machine's database of time zones."""
    if name == "UTC":
        return UTC
    from zoneinfo import ZoneInfo, available_timezones

    try:
        if isinstance(name, str) and name:
            return ZoneInfo(name)
    except (LookupError, OSError, ValueError):
        pass
    known = available_timezones()
    if not known:
        raise BadValue("no time zone is known on this machine: install the package tzdata")
    raise BadValue("is not a time zone such as Asia/Tokyo", nearest(str(name), known))


def _times(data: Mapping[str, Any]) -> dict[str, Any]:
    windows = tuple(Window(**{**each, "days": tuple(each["days"])}) for each in data["windows"])
    return {"windows": windows, "blackouts": tuple(Blackout(**each) for each in data["blackouts"])}


def _minutes(text: str) -> int:
    match = _TIME.fullmatch(text)
    found = 60 * int(match[1]) + int(match[2]) if match and int(match[2]) < 60 else _DAY_MINUTES + 1
    if found > _DAY_MINUTES:
        raise BadValue(f"{text} is not a time from 00:00 to 24:00")
    return found


def _days(text: str) -> tuple[int, ...]:
    found: set[int] = set()
    for part in text.lower().split(","):
        first, dash, last = (word.strip() for word in part.partition("-"))
        begin = _day(first)
        # From Friday to Monday goes over the end of the week.
        more = (_day(last) - begin) % len(DAYS) if dash else 0
        found.update((begin + offset) % len(DAYS) for offset in range(more + 1))
    return tuple(sorted(found))


def _day(word: str) -> int:
    if word not in DAYS:
        raise BadValue(f"there is no day {word}, only {', '.join(DAYS)}", nearest(word, DAYS))
    return DAYS.index(word)
