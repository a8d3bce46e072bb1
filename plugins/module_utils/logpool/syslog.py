# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lines of syslog: RFC 5424, and the older form of BSD (RFC 3164) with its variants."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from .entries import SEVERITIES, Entry, decoded, entry, host_name, iso_time, source_name, text_entry, trace_in

if TYPE_CHECKING:
    from datetime import tzinfo

FACILITIES: Final = (
    "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp", "ntp",
    "audit", "alert", "clock", *(f"local{number}" for number in range(8)),
)  # fmt: skip
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_PRIORITY = re.compile(r"<([0-9]{1,3})>")
_RFC5424 = re.compile(r"1 (\S+) (\S+) (\S+) (\S+) (\S+) (.*)", re.DOTALL)
_ELEMENT = re.compile(r'\[([^\s=\]"]+)((?: +[^\s=\]"]+="(?:[^"\\\]]|\\.)*")*) *\]', re.DOTALL)
_PARAMETER = re.compile(r'([^\s=\]"]+)="((?:[^"\\\]]|\\.)*)"', re.DOTALL)
_ESCAPE = re.compile(r'\\(["\\\]])')
_BSD_TIME = re.compile(rf"({'|'.join(_MONTHS)}) ([ 0-9][0-9]) ([0-9]{{2}}):([0-9]{{2}}):([0-9]{{2}}) +")
_ISO_TIME = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]{5,20}(?:Z|[+-][0-9]{2}:?[0-9]{2})?) +")
_TAG = re.compile(r"([^\s:\[\]]+)(?:\[([^\]\s]*)\])?: ?")
_HOST = re.compile(r"([^\s\[\]]*[^\s\[\]:]) +")
_NIL = "-"


def parse(line: bytes | str, now: float, zone: tzinfo = UTC) -> Entry:
    """Give what a line says; one that is no syslog is its text.

    Times of BSD's form have no year, and mean the one nearest to `now`; they are in `zone`. Events of the severity
    `crit` and above are important.
    """
    text = decoded(line)
    known, rest = _priority(text)
    modern = _RFC5424.fullmatch(rest) if known else None
    found = _modern(text, known, modern) if modern else None
    return found or _older(text, known, rest, now, zone)


def _priority(text: str) -> tuple[dict[str, Any], str]:
    match = _PRIORITY.match(text)
    if not match or int(match[1]) >= 8 * len(FACILITIES):
        return {}, text
    facility, severity = divmod(int(match[1]), 8)
    return {"facility": FACILITIES[facility], "severity": SEVERITIES[severity]}, text[match.end() :]


def _modern(text: str, known: dict[str, Any], match: re.Match[str]) -> Entry | None:
    time, host, program, process, message_id, rest = (None if part == _NIL else part for part in match.groups())
    found = _structured(rest) if rest else ({}, "")
    if found is None:
        return None
    data, message = found
    values = {**known, "message": message.removeprefix("\ufeff")}
    values |= {"pid": _process(process)} if process else {}
    values |= {"msgid": message_id} if message_id else {}
    values |= {"data": data} if data else {}
    return entry(
        text,
        values,
        time=iso_time(time, UTC) if time else None,
        host=host_name(host),
        source=source_name(program),
        trace=next(filter(None, map(trace_in, data.values())), ""),
        important=_is_important(known),
    )


def _structured(rest: str) -> tuple[dict[str, dict[str, str]], str] | None:
    """Give structured data and the message; None if it isn't of its form."""
    if rest.startswith(f"{_NIL} "):
        return {}, rest[2:]
    data: dict[str, dict[str, str]] = {}
    place = 0
    while match := _ELEMENT.match(rest, place):
        data[match[1]] = {name: _ESCAPE.sub(r"\1", value) for name, value in _PARAMETER.findall(match[2])}
        place = match.end()
    return (data, rest[place + 1 :]) if data and rest[place : place + 1] in ("", " ") else None


def _older(text: str, known: dict[str, Any], rest: str, now: float, zone: tzinfo) -> Entry:
    time, rest = _time(rest, now, zone)
    if time is None and not known:
        return text_entry(text)
    # A program on the host itself leaves out the host.
    host = None if _TAG.match(rest) else _HOST.match(rest) if time is not None else None
    rest = rest[host.end() :] if host else rest
    tag = _TAG.match(rest)
    values = {**known, "message": rest[tag.end() :] if tag else rest}
    values |= {"pid": _process(tag[2])} if tag and tag[2] else {}
    return entry(
        text,
        values,
        time=time,
        host=host_name(host[1]) if host else None,
        source=source_name(tag[1]) if tag else None,
        important=_is_important(known),
    )


def _time(rest: str, now: float, zone: tzinfo) -> tuple[float | None, str]:
    time, match = None, _BSD_TIME.match(rest)
    if match:
        time = _nearest_year(match, now, zone)
    else:
        match = _ISO_TIME.match(rest)
        time = iso_time(match[1], zone) if match else None
    return (None, rest) if match is None or time is None else (time, rest[match.end() :])


def _nearest_year(match: re.Match[str], now: float, zone: tzinfo) -> float | None:
    month, (day, hour, minute, second) = _MONTHS.index(match[1]) + 1, map(int, match.groups()[1:])
    present = datetime.fromtimestamp(now, zone).year
    times = []
    for year in (present - 1, present, present + 1):
        try:
            times.append(datetime(year, month, day, hour, minute, second, tzinfo=zone).timestamp())
        except (ValueError, OverflowError):  # the 29th of February
            continue
    return min((time for time in times if time >= 0), key=lambda time: abs(time - now), default=None)


def _process(said: str) -> int | str:
    return int(said) if re.fullmatch(r"[0-9]{1,18}", said) else said


def _is_important(known: dict[str, Any]) -> bool:
    return known.get("severity") in SEVERITIES[:3]
