# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading of a drill as a person writes it; docs/reference/drill.md is its manual."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from ..errors import BadInput, Problem, shown
from ..fault.kinds import KINDS
from ..fault.model import span
from ..target.writers import LARGEST, SMALLEST
from ..units import duration, milliseconds, percent, seconds
from ..values import choice, file_path, flag, number, text, whole
from .conflicts import GUARD_S
from .model import (
    PHASES,
    WINDOWS,
    Check,
    Drill,
    Fault,
    Path,
    Phase,
    Ping,
    Probe,
    Readback,
    Route,
    Traffic,
    TrafficCheck,
    WriteCheck,
    Writer,
)
from .placement import COMMON_KEYS, FAULTS, keys_of, place
from .places import Places
from .reader import Reader, name, one_or_more, range_of

KEYS = (
    "name",
    "title",
    "hypothesis",
    "traffic",
    "writers",
    "timeline",
    "probes",
    "expects_isolated",
    "expects_no_majority",
    "watch",
    "recover_timeout",
    "reports",
    "testbed",
)
_CHECKS = ("ping", "path", "route", "traffic", "readback", "writes")
_MEASURED = ("traffic", "writes")


def parse(arguments: object, testbed: Mapping[str, Any]) -> Drill:
    """Give the drill that the arguments of the task describe, in the resolved testbed.

    The keys `reports` and `testbed` are for the task itself. Whether the drill may run there is for `conflicts` and
    `blast`. Raises `BadInput` with everything that is wrong with it.
    """
    problems: list[Problem] = []
    top = Reader(arguments, "", KEYS, problems)
    top.maybe("reports", text)
    places = Places(testbed)
    drill_name = top.need("name", name) or "drill"
    traffic = _traffic(top, places, problems)
    writers = _writers(top, places, problems)
    faults = _timeline(top, drill_name, places, problems)
    drill = Drill(
        name=drill_name,
        title=top.take("title", text, drill_name.replace("_", " ").capitalize()),
        hypothesis=top.need("hypothesis", text) or "",
        traffic=traffic,
        faults=faults,
        probes=_probes(top, places, traffic, writers, faults, problems),
        writers=writers,
        expects_isolated=top.maybe("expects_isolated", one_or_more(places.site)) or (),
        expects_no_majority=top.take("expects_no_majority", flag, default=False),
        watch_s=top.take("watch", duration, 10.0),
        recover_timeout_s=top.take("recover_timeout", duration, 30.0),
    )
    if problems:
        raise BadInput(problems)
    return drill


def _traffic(top: Reader, places: Places, problems: list[Problem]) -> tuple[Traffic, ...]:
    found: list[Traffic] = []
    for index, item in enumerate(top.items("traffic")):
        entry = Reader(item, f"traffic[{index}]", ("name", "between", "rate"), problems)
        stream, between = entry.need("name", name), entry.need("between", places.two_nodes)
        rate = entry.take("rate", whole(1, 1000), 100)
        if stream is not None and between is not None:
            found.append(Traffic(stream, between[0], between[1], rate))
    _refuse_twins("traffic", [stream.name for stream in found], problems)
    return tuple(found)


def _writers(top: Reader, places: Places, problems: list[Problem]) -> tuple[Writer, ...]:
    found: list[Writer] = []
    for index, item in enumerate(top.items("writers")):
        entry = Reader(item, f"writers[{index}]", ("name", "node", "path", "rate", "size"), problems)
        writer, node, path = entry.need("name", name), entry.need("node", places.node), entry.need("path", file_path)
        rate, size = entry.take("rate", whole(1, 1000), 10), entry.take("size", _size, 4096)
        if writer and node and path:
            found.append(Writer(writer, node, path, float(rate), size))
    _refuse_twins("writers", [writer.name for writer in found], problems)
    problems += [
        Problem("", None, "writers", f"{count} of them write to {path}")
        for path, count in Counter(writer.path for writer in found).items()
        if count > 1
    ]
    return tuple(found)


def _timeline(top: Reader, drill: str, places: Places, problems: list[Problem]) -> tuple[Fault, ...]:
    found: list[Fault] = []
    for index, item in enumerate(top.items("timeline")):
        where = f"timeline[{index}]"
        fault = item.get("fault") if isinstance(item, Mapping) else None
        allowed = (*COMMON_KEYS, *(keys_of(fault) if isinstance(fault, str) and fault in FAULTS else _all_keys()))
        entry = Reader(item, where, allowed, problems)
        at, lasts = entry.need("at", duration), entry.need("for", span)
        rounds = _rounds(entry, lasts)
        known = entry.need("fault", choice(FAULTS, "kind of fault"))
        if known is None:
            continue
        placed = place(known, entry, places)
        if at is None or lasts is None:
            continue
        for turn, begin in enumerate(rounds):
            targets: Counter[str] = Counter()
            for share in placed:
                targets[share.target] += 1
                fault_id = f"{drill}-{index + 1}-{share.target}"
                fault_id += f"-{targets[share.target]}" if targets[share.target] > 1 else ""
                fault_id += f"-r{turn + 1}" if turn else ""
                found.append(Fault(fault_id, share.kind, share.target, share.params, at + begin, lasts, share.circuit))
    return tuple(found)


def _rounds(entry: Reader, lasts: float | None) -> list[float]:
    """When a fault comes again, in seconds after the first time: `times` times, one `every` so often."""
    every, times = entry.maybe("every", duration), entry.maybe("times", whole(2, 1000))
    if entry.has("every") != entry.has("times"):
        entry.problem("times" if entry.has("every") else "every", "is missing; the two go together")
    if every is None or times is None or lasts is None:
        return [0.0]
    if every < lasts + GUARD_S:
        entry.problem("every", f"is too often: each time lasts {lasts:g} s, and the next may begin {GUARD_S:g} s later")
        return [0.0]
    return [round(turn * every, 6) for turn in range(times)]


def _probes(
    top: Reader,
    places: Places,
    traffic: tuple[Traffic, ...],
    writers: tuple[Writer, ...],
    faults: tuple[Fault, ...],
    problems: list[Problem],
) -> tuple[Probe, ...]:
    found: list[Probe] = []
    streams = {stream.name: stream for stream in traffic}
    written = {writer.name: writer for writer in writers}
    for index, item in enumerate(top.items("probes")):
        entry = Reader(item, f"probes[{index}]", ("name", "phase", "at", "within", *_CHECKS), problems)
        phase = entry.need("phase", _phase)
        check = _check(entry, phase, places, streams, written, problems)
        at = entry.maybe("at", duration)
        within = entry.maybe("within", duration)
        if phase is None:
            continue
        if entry.has("at") and phase != "on_fault":
            entry.problem("at", f"is for probes of the phase on_fault, not {phase}")
        if phase == "on_fault":
            at = _instant(entry, at, faults)
        if phase == "recover_within" and within is None and not entry.has("within"):
            entry.problem("within", "is missing")
        if entry.has("within") and phase != "recover_within":
            entry.problem("within", f"is for probes of the phase recover_within, not {phase}")
        if check is not None:
            label = entry.take("name", text, _describe(check, phase, within))
            found.append(Probe(f"probe-{index + 1}", label, phase, check, at, within))
    _refuse_twins("probes", [f"{probe.name} ({probe.phase})" for probe in found], problems)
    return tuple(found)


def _check(
    entry: Reader,
    phase: Phase | None,
    places: Places,
    streams: Mapping[str, Traffic],
    written: Mapping[str, Writer],
    problems: list[Problem],
) -> Check | None:
    given = [key for key in _CHECKS if entry.has(key)]
    if len(given) != 1:
        entry.problem("", f"has to have exactly one of {', '.join(_CHECKS)}")
        return None
    kind = given[0]
    if kind in _MEASURED and phase in ("before", "on_fault", "after"):
        entry.problem(kind, f"is measured over the whole run: use the phase continuous or recover_within, not {phase}")
    if kind not in _MEASURED and phase in ("continuous", "recover_within"):
        entry.problem(kind, f"is asked at one instant; the phase {phase} is for traffic and writes")
    if kind == "readback" and phase == "before":
        entry.problem(kind, "reads what was written since T0: use the phase on_fault or after, not before")
    value, where = entry.values[kind], f"{entry.where}.{kind}"
    if kind == "ping":
        return _ping(value, where, places, problems)
    if kind == "path":
        return _path(value, where, places, problems)
    if kind == "route":
        return _route(value, where, places, problems)
    if kind == "readback":
        return _readback(value, where, places, written, problems)
    if kind == "writes":
        return _writes(value, where, phase, written, problems)
    return _traffic_check(value, where, phase, places, streams, problems)


def _ping(value: object, where: str, places: Places, problems: list[Problem]) -> Ping | None:
    entry = Reader(value, where, ("from", "to", "count", "interval", "answers", "max_loss", "max_rtt"), problems)
    source, address = entry.need("from", places.node), entry.need("to", places.address)
    check = Ping(
        source or "",
        shown(entry.values.get("to")),
        address or "",
        count=entry.take("count", whole(1, 100), 5),
        interval=entry.take("interval", duration, 0.1),
        answers=entry.take("answers", flag, True),
        max_loss=entry.take("max_loss", percent, 0.0),
        max_rtt_ms=entry.maybe("max_rtt", milliseconds),
    )
    return check if source and address else None


def _path(value: object, where: str, places: Places, problems: list[Problem]) -> Path | None:
    entry = Reader(value, where, ("from", "to", "via", "avoid"), problems)
    source, address = entry.need("from", places.node), entry.need("to", places.address)
    named = one_or_more(places.node_or_circuit)
    via, avoid = entry.maybe("via", named) or (), entry.maybe("avoid", named) or ()
    if not entry.has("via") and not entry.has("avoid"):
        entry.problem("", "says neither via nor avoid")
    return Path(source, str(entry.values["to"]), address, via, avoid) if source and address else None


def _route(value: object, where: str, places: Places, problems: list[Problem]) -> Route | None:
    entry = Reader(value, where, ("from", "to", "via"), problems)
    source, prefix = entry.need("from", places.node), entry.need("to", places.prefix)
    if source is None:
        return None
    addresses = entry.need("via", lambda via: places.neighbours(source, via))
    if prefix is None or addresses is None:
        return None
    return Route(source, str(entry.values["to"]), prefix, str(entry.values["via"]), addresses)


def _traffic_check(
    value: object,
    where: str,
    phase: Phase | None,
    places: Places,
    streams: Mapping[str, Traffic],
    problems: list[Problem],
) -> TrafficCheck | None:
    if isinstance(value, str):
        value = {"of": value}
    keys = (
        ("of", "from")
        if phase == "recover_within"
        else ("of", "from", "during", "loss", "latency", "latency_rise", "max_outage")
    )
    entry = Reader(value, where, keys, problems)
    of = entry.need("of", choice(streams, "traffic called"))
    if of is None:
        return None
    ends = streams[of].a, streams[of].b
    sender = entry.maybe(
        "from", lambda value: places.one_of(ends, value, f"{of} is between {ends[0]} and {ends[1]}, not from")
    )
    expectations = ("loss", "latency", "latency_rise", "max_outage")
    if phase == "continuous" and not any(entry.has(key) for key in expectations):
        entry.problem("", f"says nothing that could be wrong; give one of {', '.join(expectations)}")
    return TrafficCheck(
        of,
        sender,
        during=entry.take("during", choice((*WINDOWS, *KINDS), "window"), "faults"),
        loss=entry.maybe("loss", range_of(percent)),
        latency_ms=entry.maybe("latency", range_of(milliseconds)),
        latency_rise_ms=entry.maybe("latency_rise", range_of(milliseconds)),
        max_outage_s=entry.maybe("max_outage", seconds),
    )


def _readback(
    value: object, where: str, places: Places, written: Mapping[str, Writer], problems: list[Problem]
) -> Readback | None:
    entry = Reader(value, where, ("of", "from", "path"), problems)
    of, source = entry.need("of", choice(written, "writer called")), entry.need("from", places.node)
    path = entry.maybe("path", file_path)
    if of is None or source is None:
        return None
    return Readback(of, source, path or written[of].path, written[of].size)


def _writes(
    value: object, where: str, phase: Phase | None, written: Mapping[str, Writer], problems: list[Problem]
) -> WriteCheck | None:
    if isinstance(value, str):
        value = {"of": value}
    keys = ("of",) if phase == "recover_within" else ("of", "during", "rate", "max_pause")
    entry = Reader(value, where, keys, problems)
    of = entry.need("of", choice(written, "writer called"))
    if of is None:
        return None
    if phase == "continuous" and not entry.has("rate") and not entry.has("max_pause"):
        entry.problem("", "says nothing that could be wrong; give one of rate, max_pause")
    return WriteCheck(
        of,
        during=entry.take("during", choice((*WINDOWS, *KINDS), "window"), "faults"),
        rate=entry.maybe("rate", range_of(number(0, 1000))),
        max_pause_s=entry.maybe("max_pause", seconds),
    )


def _instant(entry: Reader, at: float | None, faults: tuple[Fault, ...]) -> float | None:
    """When a probe of the phase on_fault is asked: halfway through the first fault unless it says so."""
    if not faults:
        if at is None and not entry.problems:
            entry.problem("at", "is missing, and there is no fault to ask halfway through")
        return at
    if at is None:
        first = min(faults, key=lambda fault: fault.at)
        return first.at + first.lasts / 2
    if not any(fault.at <= at < fault.ends for fault in faults):
        entry.problem("at", f"no fault is on at {at:g} s")
    return at


def _describe(check: Check, phase: Phase, within: float | None) -> str:
    if isinstance(check, Ping):
        return f"{check.source} {'reaches' if check.answers else 'does not reach'} {check.to}"
    if isinstance(check, Path):
        words = [f"over {' and '.join(check.via)}"] if check.via else []
        words += [f"not over {' or '.join(check.avoid)}"] if check.avoid else []
        return f"{check.source} to {check.to} goes {', '.join(words)}"
    if isinstance(check, Route):
        return f"{check.source} routes {check.to} via {check.via}"
    if isinstance(check, Readback):
        return f"what {check.of} wrote is read at {check.source}"
    if isinstance(check, WriteCheck):
        return _describe_writes(check, phase, within)
    sender = f" from {check.sender}" if check.sender else ""
    if phase == "recover_within":
        return f"{check.of}{sender} is back within {within or 0:g} s"
    parts = {
        "loses": check.loss and check.loss.text("%"),
        "takes": check.latency_ms and check.latency_ms.text("ms"),
        "takes longer by": check.latency_rise_ms and check.latency_rise_ms.text("ms"),
        "is silent for": None if check.max_outage_s is None else f"at most {check.max_outage_s:g} s",
    }
    return f"{check.of}{sender} " + ", ".join(f"{verb} {what}" for verb, what in parts.items() if what)


def _describe_writes(check: WriteCheck, phase: Phase, within: float | None) -> str:
    if phase == "recover_within":
        return f"{check.of} writes again within {within or 0:g} s"
    words = [f"writes {check.rate.text('records/s')} ({check.during})"] if check.rate else []
    words += [f"pauses for at most {check.max_pause_s:g} s"] if check.max_pause_s is not None else []
    return f"{check.of} {', '.join(words)}"


def _size(value: object) -> int:
    """A size in bytes, or as 64kib or 4mib."""
    for unit, factor in (("kib", 2**10), ("mib", 2**20)):
        if isinstance(value, str) and value.strip().lower().endswith(unit):
            return whole(1, LARGEST // factor)(value.strip()[: -len(unit)].strip()) * factor
    return whole(SMALLEST, LARGEST)(value)


def _phase(value: object) -> Phase:
    return next(phase for phase in PHASES if phase == choice(PHASES, "phase")(value))


def _all_keys() -> tuple[str, ...]:
    return tuple(sorted({key for fault in FAULTS for key in keys_of(fault)}))


def _refuse_twins(where: str, names: list[str], problems: list[Problem]) -> None:
    for twin, count in Counter(names).items():
        if count > 1:
            problems.append(Problem("", None, where, f"{count} of them are called {twin}"))
