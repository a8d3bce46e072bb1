# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A drill's program for one target: read, checked as a whole, with the instants at which its faults come and go."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from ..errors import BadInput, BadValue, OkiagariError
from ..fault.kinds import find_kind
from ..fault.model import Fault, Problems, check_id, parse_fault
from ..units import seconds
from . import probes, writers

_KEYS = ("drill", "t0", "ends", "target", "faults", "streams", "writers", "probes", "before")
_STREAM_KEYS = ("id", "local", "peer", "port", "rate", "from", "until")
_WRITER_KEYS = ("id", "path", "rate", "size", "from", "until")


@dataclass(frozen=True)
class Planned:
    """A fault of a program: from `at` for `lasts` seconds after T0."""

    fault: Fault
    at: float
    lasts: float

    @property
    def until(self) -> float:
        return self.at + self.lasts


@dataclass(frozen=True)
class Program:
    """What one target does in a drill. `t0` is in seconds since the epoch, by the target's own clock.

    `before` is the target's snapshot from before the drill: when it is like that again, all is restored.
    """

    drill: str
    t0: float
    ends: float
    target: str
    faults: tuple[Planned, ...]
    streams: tuple[Mapping[str, Any], ...]
    writers: tuple[Mapping[str, Any], ...]
    probes: tuple[Mapping[str, Any], ...]
    before: Mapping[str, Any]


def parse(data: object) -> Program:
    """Give the program that `data` describes. Raises `BadInput` with all that is wrong."""
    problems = Problems()
    if not isinstance(data, Mapping):
        problems.add("program", "is not a mapping with drill, t0 and ends")
        raise BadInput(problems.found)
    problems.unknown_keys("program", data, _KEYS)
    try:
        check_id(data.get("drill"))
    except BadValue as error:
        problems.add("drill", error.message)
    instants = {}
    for key in ("t0", "ends"):
        try:
            instants[key] = seconds(data.get(key))
        except BadValue as error:
            problems.add(key, error.message)
    faults = []
    for each in data.get("faults") or ():
        try:
            fault = parse_fault(each, in_program=True)
            fault = replace(fault, target=fault.target or str(data.get("target") or ""))
            faults.append(Planned(fault, seconds(each["at"]), seconds(each["for"])))
        except BadInput as refused:
            problems.found.extend(refused.problems)
    _check_overlaps(faults, problems)
    for stream in data.get("streams") or ():
        _check_stream(stream, problems)
    for writer in data.get("writers") or ():
        _check_writer(writer, problems)
    for probe in data.get("probes") or ():
        try:
            probes.find(probe)
            seconds(probe.get("at"))
        except BadValue as error:
            problems.add(f"probe {probe.get('id')}", f"at: {error.message}")
        except OkiagariError as unknown:
            problems.add(f"probe {probe.get('id')}", str(unknown))
    problems.raise_if_any()
    streams, written, asked = (tuple(data.get(key) or ()) for key in ("streams", "writers", "probes"))
    target = str(data.get("target") or "")
    before = data.get("before") or {}
    return Program(
        data["drill"], instants["t0"], instants["ends"], target, tuple(faults), streams, written, asked, before
    )


def _check_overlaps(faults: list[Planned], problems: Problems) -> None:
    ids = [planned.fault.id for planned in faults]
    for repeated in sorted({name for name in ids if ids.count(name) > 1}):
        problems.add(repeated, "two faults of this program have this id")
    for index, one in enumerate(faults):
        for other in faults[index + 1 :]:
            claim = find_kind(one.fault.kind).claim(one.fault.params)
            if (
                claim == find_kind(other.fault.kind).claim(other.fault.params)
                and one.at < other.until
                and other.at < one.until
            ):
                problems.add(other.fault.id, f"stands on {claim} at the same time as {one.fault.id}")


def _check_stream(stream: Mapping[str, Any], problems: Problems) -> None:
    name = f"stream {stream.get('id')}"
    problems.unknown_keys(name, stream, _STREAM_KEYS)
    try:
        for key in ("local", "peer"):
            ipaddress.ip_address(str(stream[key]))
        if not 0 < int(stream["port"]) < 65536:
            problems.add(name, f"port {stream['port']} is not between 1 and 65535")
        if not 0 < float(stream["rate"]) <= 10000:
            problems.add(name, f"a rate of {stream['rate']} is not between 0 and 10000 packets per second")
        if not seconds(stream["from"]) < seconds(stream["until"]):
            problems.add(name, "ends before it begins")
    except KeyError as error:
        problems.add(name, f"{error.args[0]} is missing")
    except (ValueError, TypeError) as error:
        problems.add(name, str(error))


def _check_writer(writer: Mapping[str, Any], problems: Problems) -> None:
    name = f"writer {writer.get('id')}"
    problems.unknown_keys(name, writer, _WRITER_KEYS)
    try:
        check_id(writer["id"])
        writers.check(writer)
    except KeyError as error:
        problems.add(name, f"{error.args[0]} is missing")
    except (ValueError, TypeError) as error:
        problems.add(name, str(error))
