# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Events that a fault may wait for: a route of this target changes, or a line is logged here.

A watch is made when the waiting begins, and looked at again and again; each look is one short command or read.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import BadValue, OkiagariError, shown
from ..fault.model import Problems
from ..fault.parameters import address, prefix
from ..runner import Runner, output
from ..units import duration
from ..values import choice, file_path, items
from . import routing_probes

if TYPE_CHECKING:
    from .system import Clock

_LONGEST_PATTERN = 200
_LONGEST_LINE = 2000
_MOST_AT_ONCE = 2**20
_OVERLAP_S = 1.0
_UNIT = re.compile(r"(?!-)[A-Za-z0-9:_.@\\-]{1,200}")


class Watch(ABC):
    """One event. It begins to watch when it is made; what was before is no event."""

    @abstractmethod
    def look(self) -> str | None:
        """Say what has happened, or None. Raises `OkiagariError` or `OSError` if that can't be known just now."""


class RouteWatch(Watch):
    """The route that packets to a prefix take leads to one of `via`, or, without these, to somewhere else than before.

    To lead there already is an event too.
    """

    def __init__(self, event: Mapping[str, Any], runner: Runner, _clock: Clock) -> None:
        self._runner = runner
        self._prefix = event["prefix"]
        self._via = set(event.get("via", ()))
        self._before = None if self._via else self._way()

    def look(self) -> str | None:
        now = self._way()
        came = now & self._via if self._via else now != self._before
        return f"the route to {self._prefix} leads to {', '.join(sorted(now)) or 'nowhere'}" if came else None

    def _way(self) -> set[str]:
        """The next hops, or the interfaces where there are none."""
        _ok, value, _detail = routing_probes.route(self._runner, {"prefix": self._prefix})
        return set(value["via"] or value["dev"])


class FileWatch(Watch):
    """A line that matches is added to a file, which may be made, cut short or replaced meanwhile."""

    def __init__(self, event: Mapping[str, Any], _runner: Runner, _clock: Clock) -> None:
        self._path = Path(event["file"])
        self._pattern = re.compile(event["matches"])
        self._file, self._offset = self._present()
        self._rest = b""

    def look(self) -> str | None:
        file, size = self._present()
        if file != self._file or size < self._offset:
            self._file, self._offset, self._rest = file, 0, b""
        if size == self._offset:
            return None
        with self._path.open("rb") as stream:
            stream.seek(self._offset)
            read = stream.read(_MOST_AT_ONCE)
        self._offset += len(read)
        *lines, self._rest = (self._rest + read).split(b"\n")
        self._rest = self._rest[-_LONGEST_LINE:]
        return _first(self._pattern, (line.decode(errors="replace") for line in lines))

    def _present(self) -> tuple[int | None, int]:
        try:
            found = self._path.stat()
        except FileNotFoundError:
            return None, 0
        return found.st_ino, found.st_size


class JournalWatch(Watch):
    """A unit logs a line that matches to the journal of systemd."""

    def __init__(self, event: Mapping[str, Any], runner: Runner, clock: Clock) -> None:
        self._unit = event["unit"]
        self._pattern = re.compile(event["matches"])
        self._runner, self._clock = runner, clock
        self._began = self._since = clock.now()
        self.look()

    def look(self) -> str | None:
        now = self._clock.now()
        said = output(
            self._runner,
            ("journalctl", "--quiet", "--output=cat", f"--unit={self._unit}", f"--since=@{self._since:.6f}"),
        )
        # What was logged a moment ago may not be in the journal yet.
        self._since = max(self._began, now - _OVERLAP_S)
        return _first(self._pattern, said.splitlines())


def pattern(value: object) -> str:
    """Give a regular expression of Python, which is searched for in each line."""
    if not isinstance(value, str) or not 0 < len(value) <= _LONGEST_PATTERN:
        raise BadValue(f"{shown(value)} is not a regular expression of 1 to {_LONGEST_PATTERN} letters")
    try:
        re.compile(value)
    except (re.error, OverflowError, RecursionError) as error:
        raise BadValue(f"{shown(value)} is not a regular expression: {error}") from error
    return value


def unit(value: object) -> str:
    """Give the name of a systemd unit."""
    if not isinstance(value, str) or not _UNIT.fullmatch(value):
        raise BadValue(f"{shown(value)} is not the name of a unit such as frr.service")
    return value


def _addresses(value: object) -> list[str]:
    return [address(each) for each in items(value)]


def read(value: object) -> dict[str, Any]:
    """Give the `when` of a program's fault, typed. Raises `BadInput` with all that is wrong with it."""
    problems = Problems()
    kinds: dict[str, dict[str, Callable[[object], Any]]] = {
        "route": {"prefix": prefix, "via": _addresses},
        "log": {"unit": unit, "file": file_path, "matches": pattern},
    }
    kind = value.get("type") if isinstance(value, Mapping) else None
    readers = {"type": choice(kinds, "type of event"), "within": duration}
    readers |= kinds[kind] if isinstance(kind, str) and kind in kinds else {}
    found = problems.read("when", value, readers, ("via", "unit", "file"))
    if kind == "log" and ("unit" in found) == ("file" in found):
        problems.add("when", "says either unit or file")
    problems.raise_if_any()
    return found


def watch(event: Mapping[str, Any], runner: Runner, clock: Clock) -> Watch:
    """Begin to watch for an event as `read` gives it. Raises `OkiagariError` if that isn't possible."""
    kind = RouteWatch if event["type"] == "route" else FileWatch if "file" in event else JournalWatch
    try:
        return kind(event, runner, clock)
    except OSError as error:
        raise OkiagariError(f"{error.filename}: {error.strerror}") from error


def _first(pattern: re.Pattern[str], lines: Iterable[str]) -> str | None:
    return next((f"logged: {shown(line)}" for line in lines if pattern.search(line[:_LONGEST_LINE])), None)
