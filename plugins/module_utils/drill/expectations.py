# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether probes hold: what was expected against what was answered or measured."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from . import statistics, writes
from .model import Path, Ping, Probe, Range, Readback, Route, TrafficCheck, WriteCheck

if TYPE_CHECKING:
    from .places import Places
    from .statistics import Direction
    from .writes import Written

Windows = Mapping[str, Sequence[tuple[float, float]]]
Outcome = dict[str, Any]


def answered(
    probe: Probe, result: Mapping[str, Any] | None, at: float | None, places: Places, acknowledged: int | None = None
) -> Outcome:
    """Judge a probe by the target program's result (None: there is no answer). `at` goes into the outcome as it is.

    `acknowledged` is how many records of the writer in question must be there (None: nothing is known of it).
    """
    if result is None:
        return _outcome(probe, False, "no answer from the target that was to ask", at, None)
    value = dict(result.get("value") or {})
    detail = str(result.get("detail", ""))
    check = probe.check
    if isinstance(check, Ping):
        faults = _ping(check, bool(result["ok"]), value)
    elif isinstance(check, Path):
        faults = _path(check, bool(result["ok"]), value, places)
        hops = value.get("hops", [])
        walked = zip(places.walk(check.source, hops), [check.source, *hops], strict=True)
        detail = " > ".join(str(name or hop) for name, hop in walked)
    elif isinstance(check, Route):
        ways = value.get("via", [])
        faults = [] if set(ways) & set(check.addresses) else [f"the route does not lead to {check.via}"]
    elif isinstance(check, Readback):
        faults = _readback(bool(result["ok"]), value, acknowledged)
    else:
        raise TypeError("traffic is measured, not asked")
    return _outcome(probe, not faults, "; ".join([*faults, detail]), at, value)


def measured(
    probe: Probe, check: TrafficCheck, directions: Sequence[Direction], windows: Windows, injected: float | None
) -> Outcome:
    """Judge a probe by the streams; `injected` is the instant of the first injection (None: nothing was injected)."""
    chosen = [
        direction for direction in directions if direction.name == check.of and check.sender in (None, direction.source)
    ]
    expected = 1 if check.sender else 2
    if len(chosen) < expected or not all(direction.packets for direction in chosen):
        return _outcome(probe, False, f"{check.of} was not measured", None, None)
    if injected is None:
        return _outcome(probe, False, "no fault was injected", None, None)
    faults: list[str] = []
    details: list[str] = []
    value: dict[str, Any] = {}
    for direction in chosen:
        way = f"from {direction.source}"
        facts, wrong, words = _traffic(probe, check, direction, windows, injected)
        value[direction.source] = facts
        faults += [f"{way}: {fault}" for fault in wrong]
        details += [f"{way}: {word}" for word in words]
    return _outcome(probe, not faults, "; ".join(faults or details), injected, value)


def wrote(
    probe: Probe, check: WriteCheck, all_written: Sequence[Written], windows: Windows, injected: float | None
) -> Outcome:
    """Judge a probe by what its writer did; `injected` is the instant of the first injection (None: there was none)."""
    one = next((each for each in all_written if each.writer.name == check.of), None)
    if one is None or not one.acks:
        said = f"{check.of} wrote nothing" + (f": {one.errors[0][2]}" if one and one.errors else "")
        return _outcome(probe, False, said, None, None)
    if injected is None:
        return _outcome(probe, False, "no fault was injected", None, None)
    facts: dict[str, Any] = {}
    wrong: list[str] = []
    words: list[str] = []
    if check.rate is not None:
        found = writes.rate(one, windows.get(check.during, ()))
        facts["records_per_s"] = found if found is None else round(found, 3)
        words.append("rate not known" if found is None else f"{found:.3g} records/s")
        if found is None or found not in check.rate:
            wrong.append(f"{words[-1]}, expected {check.rate.text('records/s')}")
    if check.max_pause_s is not None:
        longest = writes.pause(one, injected)
        facts["pause_ms"] = round(1000 * longest.seconds, 1)
        words.append(f"longest pause {longest.seconds:.3g} s")
        if longest.seconds > check.max_pause_s:
            wrong.append(f"{words[-1]}, expected at most {check.max_pause_s:g} s")
    if probe.phase == "recover_within":
        hit = writes.pause(one, injected, first_end(windows))
        taken = None if hit.until is None else max(0.0, hit.until - injected)
        facts["recovered_s"] = None if taken is None else round(taken, 3)
        again = f"wrote again after {taken:.3g} s" if taken else "no pause"
        words.append("did not write again" if taken is None else again)
        if taken is None or taken > (probe.within or 0.0):
            wrong.append(f"{words[-1]}, expected within {probe.within:g} s")
    words += [f"{count} times {name}" for _first, _last, name, count in one.errors]
    return _outcome(probe, not wrong, "; ".join(wrong or words), injected, facts)


def _readback(ok: bool, value: dict[str, Any], acknowledged: int | None) -> list[str]:
    if not acknowledged:
        return ["nothing that was acknowledged is known of"]
    value["acknowledged"] = acknowledged
    lost = acknowledged - int(value.get("records", 0))
    if not ok or lost == acknowledged:
        return [f"none of the {acknowledged} acknowledged records is there"]
    if lost > 0:
        return [f"{lost} of {acknowledged} acknowledged records are lost or wrong, from number {value['records']} on"]
    return []


def _traffic(
    probe: Probe, check: TrafficCheck, direction: Direction, windows: Windows, injected: float
) -> tuple[dict[str, Any], list[str], list[str]]:
    """What was measured, what of it is wrong, and all of it in words."""
    window = windows.get(check.during, ())
    facts: dict[str, Any] = {}
    wrong: list[str] = []
    words: list[str] = []

    def expect(what: str, unit: str, wanted: Range | None, found: float | None) -> None:
        if wanted is None:
            return
        facts[what] = found if found is None else round(found, 3)
        text = f"{what.partition('_')[0]} {'not known' if found is None else f'{found:.4g} {unit}'}"
        words.append(text)
        if found is None or found not in wanted:
            wrong.append(f"{text}, expected {wanted.text(unit)}")

    longest = statistics.silence(direction, injected)
    if probe.phase == "recover_within":
        hit = statistics.silence(direction, injected, first_end(windows))
        taken = None if hit.until is None else max(0.0, hit.until - injected)
        facts["recovered_s"] = None if taken is None else round(taken, 3)
        words.append("stayed silent" if taken is None else f"back after {taken:.3g} s" if taken else "was never silent")
        if taken is None or taken > (probe.within or 0.0):
            wrong.append(f"{words[-1]}, expected within {probe.within:g} s")
    if check.max_outage_s is not None:
        facts["outage_ms"] = round(1000 * longest.seconds, 1)
        words.append(f"longest silence {1000 * longest.seconds:.0f} ms")
        if longest.seconds > check.max_outage_s:
            wrong.append(f"{words[-1]}, expected at most {1000 * check.max_outage_s:g} ms")
    expect("loss_percent", "%", check.loss, statistics.loss_percent(direction, window))
    expect("latency_ms", "ms", check.latency_ms, statistics.latency_ms(direction, window))
    base, then = statistics.latency_ms(direction, windows["before"]), statistics.latency_ms(direction, window)
    rise = None if base is None or then is None else then - base
    expect("latency_rise_ms", "ms", check.latency_rise_ms, rise)
    return facts, wrong, words


def first_end(windows: Windows) -> float:
    """When the first fault ends: what falls silent afterwards is the way back, not the detour."""
    return min((end for _start, end in windows.get("faults", ())), default=math.inf)


def _ping(check: Ping, ok: bool, value: Mapping[str, Any]) -> list[str]:
    if not check.answers:
        return ["it answers, and should not"] if value.get("received") else []
    if not ok:
        return ["no answer"]
    faults = []
    if value["loss_percent"] > check.max_loss:
        faults.append(f"{value['loss_percent']:g} % lost, expected at most {check.max_loss:g} %")
    if check.max_rtt_ms is not None and value["rtt_ms"][1] > check.max_rtt_ms:
        faults.append(f"{value['rtt_ms'][1]:g} ms, expected at most {check.max_rtt_ms:g} ms")
    return faults


def _path(check: Path, ok: bool, value: Mapping[str, Any], places: Places) -> list[str]:
    hops = list(value.get("hops", []))
    steps = places.crossed(check.source, hops)
    # A step between parallel circuits that can't be told apart proves no `via` and no `avoid`.
    surely = {step[0] for step in steps if len(step) == 1} | {node for node in places.walk(check.source, hops) if node}
    perhaps = {circuit for step in steps for circuit in step} | surely
    faults = [] if ok else ["the destination did not answer"]
    faults += [f"it does not go over {name}" for name in check.via if name not in surely]
    faults += [f"it goes over {name}" for name in check.avoid if name in perhaps]
    return faults


def _outcome(probe: Probe, ok: bool, detail: str, at: float | None, value: Any) -> Outcome:
    return {"name": probe.name, "phase": probe.phase, "ok": ok, "detail": detail, "at": at, "value": value}
