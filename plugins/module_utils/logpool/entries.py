# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the parsers have in common: an entry of some program's log, on its way to become an event."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from ..errors import BadValue
from .event import TIME_MOST, TRACE, values_text

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import tzinfo

    from .event import Emitter, Event

MESSAGE_MOST: Final = 5000
"""Letters of a line that is kept as text; what is over is cut off, and `cut` says how much it was."""
SEVERITIES: Final = ("emerg", "alert", "crit", "err", "warning", "notice", "info", "debug")
_GRAVE = frozenset((*SEVERITIES[:3], "emergency", "critical", "fatal", "panic"))
_TRACE_KEYS = ("trace", "trace_id", "traceid")
_TIME_KEYS = ("time", "timestamp", "ts")
_LEVEL_KEYS = ("level", "severity")
# In seconds, milliseconds, microseconds or nanoseconds, since what year is known.
_SCALES = (1.0, 1e3, 1e6, 1e9)
_EARLIEST, _LATEST = 5e8, 5e9
_STRAY = re.compile(r"[^!-~]")


class Entry(NamedTuple):
    """What a line of a log says. None: nothing about that.

    `id` is the origin and the sequence of a log that numbers its entries.
    """

    values: dict[str, Any]
    time: float | None = None
    host: str | None = None
    source: str | None = None
    trace: str = ""
    important: bool = False
    id: tuple[str, int] | None = None

    def event(self, emitter: Emitter, source: str) -> Event:
        """Make an event of it; what it doesn't say is the emitter's, or `source`. A parser's entry always is one."""
        return emitter.event(
            self.source or source, self.values, trace=self.trace, important=self.important, time=self.time,
            host=self.host, known=self.id,
        )  # fmt: skip


def text_entry(line: str) -> Entry:
    """Give the entry of a line that has no form."""
    over = len(line) - MESSAGE_MOST
    return Entry({"message": line} if over <= 0 else {"message": line[:MESSAGE_MOST], "cut": over})


def entry(line: str, values: dict[str, Any], **known: Any) -> Entry:
    """Give the entry of a line that says these values, or its text if they can't be those of an event."""
    try:
        values_text(values)
    except BadValue:
        return text_entry(line)._replace(**known)
    return Entry(values, **known)


def decoded(line: bytes | str) -> str:
    """Give a line as text without its end."""
    return (line if isinstance(line, str) else line.decode("utf-8", "replace")).rstrip("\r\n\0")


def host_name(said: str | None) -> str | None:
    """Give a host's name with `?` for what doesn't belong in one."""
    return _STRAY.sub("?", said)[:253] if said else None


def source_name(said: str | None) -> str | None:
    """Give a program's name with `?` for what doesn't belong in one."""
    return _STRAY.sub("?", said)[:120] if said else None


def trace_in(values: Mapping[str, Any]) -> str:
    """Give the trace that values name, or none."""
    for key in _TRACE_KEYS:
        said = values.get(key)
        if isinstance(said, str) and TRACE.fullmatch(said):
            return said
    return ""


def time_in(values: Mapping[str, Any]) -> float | None:
    """Give the time that values name."""
    for key in _TIME_KEYS:
        said = values.get(key)
        found = iso_time(said, UTC) if isinstance(said, str) else epoch(said)
        if found is not None:
            return found
    return None


def is_grave(values: Mapping[str, Any]) -> bool:
    """Say whether values name a level at which an event is important."""
    return any(str(values.get(key)).lower() in _GRAVE for key in _LEVEL_KEYS)


def iso_time(said: str, zone: tzinfo) -> float | None:
    """Give an instant as ISO 8601 writes it; without a zone it is in `zone`."""
    if not re.match(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:", said):
        return None
    try:
        when = datetime.fromisoformat(said)
        found = (when if when.tzinfo else when.replace(tzinfo=zone)).timestamp()
    except (ValueError, OverflowError):
        return None
    return found if 0 <= found <= TIME_MOST else None


def epoch(said: object) -> float | None:
    """Give seconds since the epoch of a number that counts them or their parts."""
    if isinstance(said, bool) or not isinstance(said, (int, float)) or not abs(said) < _LATEST * _SCALES[-1]:
        return None
    return next((said / scale for scale in _SCALES if _EARLIEST <= said / scale < _LATEST), None)
