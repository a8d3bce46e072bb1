# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An event: what it says, its id, its form on the wire, its limits (P2.7)."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from ..errors import BadValue, shown
from ..values import mismatch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from ..values import Shape

SCHEMA: Final = 1
VALUES_MOST: Final = 65_536
"""Bytes of an event's values as JSON."""
DEEPEST: Final = 32
"""How deeply values may be nested."""
TIME_MOST: Final = 253_402_300_799.0
"""The last second of the year 9999."""
_SEQUENCE_MOST = 2**63 - 1
_TYPES = (str, int, float, str, str, str, dict, bool)

TRACE: Final = re.compile(r"[!-~]{0,120}")
ORIGIN: Final = re.compile(r"[!-~]{1,320}")
HOST: Final = re.compile(r"[!-~]{1,253}")
SOURCE: Final = re.compile(r"[ -~]{1,120}")
_SHAPE: dict[str, Shape] = {
    "origin": ORIGIN, "sequence": int, "time": float, "trace": TRACE, "host": HOST, "source": SOURCE,
    "values": dict, "important": bool,
}  # fmt: skip


def _no_number(constant: str) -> float:
    raise BadValue(f"an event has {constant}, which is no number in JSON")


_decode = json.JSONDecoder(parse_constant=_no_number).decode
_encode = json.JSONEncoder(allow_nan=False, separators=(",", ":"), sort_keys=True).encode


class Event(NamedTuple):
    """Something that happened.

    `origin` is a run of a program on a host that numbers its events from 1 in their order; with `sequence` it is the
    event's id, so that copies of one event that come by several ways count once. `time` is in seconds since the epoch
    by the clock of `host`. `trace` joins the events of one thing that goes on (a drill's run, a flow); it may be empty.
    `source` is what on the host tells: a program, a unit, a port (`tcp/7000`). `values` are JSON. `important` events
    are for durable copies and are dropped last.
    """

    origin: str
    sequence: int
    time: float
    trace: str
    host: str
    source: str
    values: Mapping[str, Any]
    important: bool = False

    @property
    def id(self) -> str:
        return f"{self.origin}:{self.sequence}"

    def to_dict(self) -> dict[str, Any]:
        """Give the event as a query's result shows it."""
        return {
            "time": self.time,
            "trace": self.trace,
            "host": self.host,
            "source": self.source,
            "values": self.values,
            "important": self.important,
            "id": self.id,
        }

    def wire(self) -> bytes:
        """Give the form in which the event travels and is kept: one line of ASCII JSON, the same for equal events."""
        return _text({"schema": SCHEMA, **self._asdict()}).encode()


def from_wire(line: bytes | str) -> Event:
    """Read the form on the wire. Raises `BadValue` for anything else; keys that aren't known here are passed over.

    How large its values may be, and how deep, is seen to where it is kept.
    """
    said = _mapping(line)
    try:
        event = Event(*[said[field] for field in Event._fields])
    except KeyError as error:
        raise BadValue(f"an event has no {error.args[0]}") from error
    if said.get("schema") != SCHEMA:
        raise BadValue(f"an event of schema {shown(said.get('schema'))} can't be read, only one of {SCHEMA}")
    if isinstance(event.time, int) and not isinstance(event.time, bool) and event.time <= TIME_MOST:
        event = event._replace(time=float(event.time))
    check(event)
    return event


def check(event: Event) -> None:
    """Raise `BadValue` if anything but the values' contents is not as it should be."""
    origin, sequence, time, trace, host, source, _values, _important = event
    if (
        tuple(map(type, event)) == _TYPES
        and 0 <= time <= TIME_MOST
        and 0 < sequence <= _SEQUENCE_MOST
        and TRACE.fullmatch(trace)
        and HOST.fullmatch(host)
        and SOURCE.fullmatch(source)
        and ORIGIN.fullmatch(origin)
    ):
        return
    wrong = mismatch(event._asdict(), _SHAPE, "an event")
    if wrong is None and 0 < sequence <= _SEQUENCE_MOST:
        wrong = f"an event's time is {shown(time)}, not the seconds since the epoch"
    raise BadValue(wrong or f"an event's sequence is {shown(sequence)}, which counts from 1")


def values_text(values: Mapping[str, Any], most: int = VALUES_MOST) -> str:
    """Give values as they are kept: canonical JSON in ASCII. Raises `BadValue` for what is none, too long or deep."""
    text = _text(values)
    if len(text) > most:
        raise BadValue(f"an event's values are {len(text)} bytes long; {most} are allowed")
    # Whatever has few brackets isn't deep: only the rest is looked at.
    if text.count("{") + text.count("[") > DEEPEST and _depth(values) > DEEPEST:
        raise BadValue(f"an event's values are nested deeper than {DEEPEST}")
    return text


class Emitter:
    """Gives the events of one run of a program their ids. `run` must differ from that of any earlier run on the host.

    Not for several threads at once.
    """

    def __init__(self, host: str, run: str, clock: Callable[[], float]) -> None:
        self.host = host
        self.origin = f"{host}/{run}"
        self.sequence = 0
        """The number of the last event."""
        self._clock = clock
        check(Event(self.origin, 1, 0.0, "", host, "agent", {}))

    def event(
        self,
        source: str,
        values: Mapping[str, Any],
        *,
        trace: str = "",
        important: bool = False,
        time: float | None = None,
        host: str | None = None,
        known: tuple[str, int] | None = None,
    ) -> Event:
        """Give the next event, or one whose origin and sequence are `known`.

        Raises `BadValue`, and uses up no number, if it can't be one.
        """
        origin, sequence = known or (self.origin, self.sequence + 1)
        event = Event(
            origin=origin,
            sequence=sequence,
            time=float(self._clock() if time is None else time),
            trace=trace,
            host=self.host if host is None else host,
            source=source,
            values=dict(values),
            important=important,
        )
        check(event)
        values_text(event.values)
        self.sequence += known is None
        return event


def _mapping(line: bytes | str) -> dict[str, Any]:
    try:
        said = _decode(line if isinstance(line, str) else line.decode())
    except (ValueError, RecursionError) as error:
        raise BadValue(f"an event is not JSON: {shown(str(error))}") from error
    if not isinstance(said, dict):
        raise BadValue(f"an event is not a mapping, but {shown(said)}")
    return said


def _text(value: Mapping[str, Any]) -> str:
    try:
        return _encode(value)
    except (TypeError, ValueError, RecursionError) as error:
        raise BadValue(f"an event's values are not JSON: {error}") from error


def _depth(value: object) -> int:
    depth, level = 0, [value]
    while level:
        depth += 1
        level = [inner for each in level for inner in _inner(each) if isinstance(inner, (dict, list, tuple))]
    return depth


def _inner(value: object) -> Iterable[object]:
    return value.values() if isinstance(value, dict) else value if isinstance(value, (list, tuple)) else ()
