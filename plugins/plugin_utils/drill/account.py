# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From what a run has found out to its report (docs/reference/report.md); the run's facts are completed with it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from ...module_utils.drill import budget, expectations, statistics, verdict, writes
from ...module_utils.drill.check import Asked, Context, Measured, Measurements
from ...module_utils.drill.compare import differences
from ...module_utils.drill.statistics import Clock, Direction, first_end
from ...module_utils.drill.storage_checks import Readback

if TYPE_CHECKING:
    from ...module_utils.drill.check import Windows
    from ...module_utils.drill.model import Fault, Phase, Probe
    from ...module_utils.drill.places import Places
    from ...module_utils.drill.writes import Written
    from .run import Run

SCHEMA = "okiagari.report/1"

Receipts = Mapping[str, Mapping[str, Any]]


def iso(epoch: float | None) -> str | None:
    """Give an instant as reports write it."""
    if epoch is None:
        return None
    return datetime.fromtimestamp(epoch, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def report(run: Run, places: Places) -> dict[str, Any]:
    """Judge the run and give its report. The run's facts are complete afterwards."""
    receipts = {receipt["id"]: receipt for answer in run.collected.values() for receipt in answer.get("faults", ())}
    faults = [_fault(run, fault, receipts.get(fault.id)) for fault in run.drill.faults]
    directions = _directions(run)
    windows = _windows(run, faults)
    injected = min((fault["injected"] for fault in faults if fault["injected"] is not None), default=None)
    outage_ms = _outage_ms(directions, injected)
    all_written = _written(run)
    probes = _probes(run, places, Measurements(directions, all_written, windows, injected))
    timing = _timing(run, faults)
    judged = budget.judge(run.drill.budget, {"outage_ms": outage_ms, "timing": timing})
    _complete(run, faults, probes, judged, injected)
    for fault in faults:
        fault["measured"] = {**fault["measured"], **_measured(fault, directions, windows, places)}
    decision = verdict.decide(run.facts)
    return {
        "schema": SCHEMA,
        "drill": run.drill.name,
        "title": run.drill.title,
        "run": run.id,
        "hypothesis": run.drill.hypothesis,
        "seed": run.drill.seed,
        "choices": dict(run.drill.choices),
        "verdict": decision.name,
        "exit_code": decision.exit_code,
        "summary": verdict.summary(decision, outage_ms, run.facts.restored),
        "reason": list(decision.reasons) or None,
        "restored": run.facts.restored,
        "outage_ms": outage_ms,
        "budget": judged,
        "started": iso(run.started),
        "ended": iso(run.ended),
        "t0": iso(run.t0),
        "t0_epoch": run.t0,
        "testbed": {key: run.testbed.get(key) for key in ("name", "nodes", "circuits", "sites")},
        "targets": {target: _target(run, target) for target in sorted(run.reached)},
        "timing": timing,
        "faults": faults,
        "probes": probes,
        "streams": [_stream(direction, injected, first_end(windows)) for direction in directions],
        "writers": [writes.summary(one, windows, injected) for one in all_written],
        "phases": run.phases,
        "events": _events(run),
        "differences": differences(run.before, run.after) if run.after else [],
        "during": differences(run.before, run.during),
        "snapshots": {"before": run.before, "after": run.after},
    }


def _complete(
    run: Run,
    faults: Sequence[Mapping[str, Any]],
    probes: Sequence[Mapping[str, Any]],
    judged: Mapping[str, Mapping[str, Any]],
    injected: float | None,
) -> None:
    facts = run.facts
    facts.injected = injected is not None
    # What stopped the drill early also kept faults from coming and probes from holding: that is no reason of its own.
    if not run.collected or facts.aborted or facts.infrastructure or run.cut_short:
        return
    facts.infrastructure += [
        f"{fault['id']} was not injected: {fault['error'] or 'its target says nothing about it'}"
        for fault in faults
        if fault["injected"] is None
    ]
    facts.failed += [
        f"{probe['name']}: {probe['detail']}"
        for probe in probes
        if not probe["ok"] and probe["phase"] not in ("before", "after")
    ]
    facts.failed += budget.excesses(judged)


def _target(run: Run, target: str) -> dict[str, Any]:
    clock = run.clocks.get(target)
    return {
        "reached": run.reached[target],
        "clock_offset_ms": _milliseconds(clock.offset if clock else None),
        "clock_uncertainty_ms": _milliseconds(clock.uncertainty if clock else None),
    }


def _fault(run: Run, fault: Fault, receipt: Mapping[str, Any] | None) -> dict[str, Any]:
    known = receipt or {}
    return {
        "id": fault.id,
        "kind": fault.kind,
        "target": fault.target,
        "made_by": fault.maker,
        "circuit": fault.circuit,
        "at": fault.at,
        "for": fault.lasts,
        "when": fault.when.text if fault.when else None,
        "asked": dict(fault.params),
        "installed": known.get("installed") or {},
        "steps": [
            {"at": _since(run, fault.maker, step["at"]), "asked": step["params"], "installed": step["installed"]}
            for step in known.get("steps") or ()
        ],
        "measured": {**(known.get("measured") or {}), **_back(run, fault, known.get("undone_at"))},
        "injected": _since(run, fault.maker, known.get("injected_at")),
        "undone": _since(run, fault.maker, known.get("undone_at")) if known.get("injected_at") else None,
        "undone_by": known.get("undone_by"),
        "state": known.get("state", "unknown" if run.t0 else "not armed"),
        "error": known.get("error"),
    }


def _back(run: Run, fault: Fault, undone_at: float | None) -> dict[str, Any]:
    """How long after its end a machine took logins again, as what gives it its power saw it."""
    events = run.collected.get(fault.by or "", {}).get("events", ())
    later = [event["at"] for event in events if event["event"] == "restored" and event["at"] >= (undone_at or math.inf)]
    return {"back_s": round(min(later) - (undone_at or 0.0), 3)} if later else {}


def _since(run: Run, target: str, at: float | None) -> float | None:
    """An instant of the target's clock in seconds since T0."""
    if at is None or run.t0 is None:
        return None
    return round(at - run.clocks.get(target, Clock()).offset - run.t0, 4)


def _directions(run: Run) -> list[Direction]:
    streams = [
        {**stream, "target": target} for target, answer in run.collected.items() for stream in answer.get("streams", ())
    ]
    return [] if run.t0 is None else statistics.directions(run.drill.traffic, streams, run.clocks, run.t0)


def _windows(run: Run, faults: Sequence[Mapping[str, Any]]) -> Windows:
    until = run.drill.until
    spans = [
        (fault["kind"], (fault["injected"], until if fault["undone"] is None else fault["undone"]))
        for fault in faults
        if fault["injected"] is not None
    ]
    first = min((start for _kind, (start, _end) in spans), default=until)
    last = max((end for _kind, (_start, end) in spans), default=until)
    by_kind = {kind: [span for one, span in spans if one == kind] for kind, _span in spans}
    every = [span for _kind, span in spans]
    return {"before": [(0.0, first)], "faults": every, "after": [(last, until)], "run": [(0.0, until)], **by_kind}


def _outage_ms(directions: Sequence[Direction], injected: float | None) -> float | None:
    if injected is None or not directions:
        return None
    return round(1000 * max(statistics.silence(direction, injected).seconds for direction in directions), 1)


def context(run: Run, places: Places, probe: Probe, before: float | None = None) -> Context:
    """Give what an answer is judged with. A read-back has to find all that was acknowledged, or that `before`."""
    check = probe.check
    one = next((each for each in _written(run) if isinstance(check, Readback) and each.writer.name == check.of), None)
    acknowledged = None if one is None else len(one.acks) if before is None else one.before(before)
    return Context(places, acknowledged, run.earlier.get(probe.id))


def _written(run: Run) -> list[Written]:
    results = [result for answer in run.collected.values() for result in answer.get("writers", ())]
    return writes.written(run.drill.writers, results, run.clocks, run.t0 or 0.0, run.drill.until)


def _probes(run: Run, places: Places, measurements: Measurements) -> list[dict[str, Any]]:
    """All outcomes in the order of the phases; what was never asked is left out."""
    found = _asked(run, "before")
    for probe in run.drill.probes if run.collected else ():
        if isinstance(probe.check, Measured):
            found.append(expectations.measured(probe, probe.check, measurements))
        elif isinstance(probe.check, Asked) and probe.during:
            results = run.collected.get(probe.check.source, {}).get("probes", ())
            outcomes = judged(run, places, probe, probe.check, results, measurements.injected)
            if probe.sampled:
                found.append(expectations.sampled(probe, outcomes, measurements))
            elif outcomes:
                found.append(expectations.repeated(probe, outcomes))
            elif not run.facts.aborted and not run.cut_short:
                found.append(expectations.answered(probe, probe.check, None, probe.at, Context(places)))
    return found + _asked(run, "after")


def judged(
    run: Run, places: Places, probe: Probe, check: Asked, results: Sequence[Mapping[str, Any]], before: float | None
) -> list[dict[str, Any]]:
    """Give the outcome of each answer to a probe among a target's results, in the order of time.

    What a read-back has to find was acknowledged `before` that instant.
    """
    known = context(run, places, probe, before)
    own = sorted((result for result in results if result["id"] == probe.id), key=lambda result: float(result["at"]))
    return [
        expectations.answered(probe, check, result, _since(run, check.source, result["at"]), known) for result in own
    ]


def _asked(run: Run, phase: Phase) -> list[dict[str, Any]]:
    """What the engine itself asked, at the controller's time."""
    t0 = run.t0
    return [
        {**outcome, "at": None if t0 is None else round(outcome["at"] - t0, 3)}
        for outcome in run.outcomes
        if outcome["phase"] == phase
    ]


def _stream(direction: Direction, injected: float | None, first_end: float) -> dict[str, Any]:
    longest = statistics.silence(direction, injected) if injected is not None else None
    sent = len(direction.packets)
    hit = None if injected is None else statistics.silence(direction, injected, first_end)
    back = None if hit is None else hit.until
    recovered = None if injected is None or back is None else max(0.0, back - injected)
    return {
        "name": direction.name,
        "from": direction.source,
        "to": direction.to,
        "rate": direction.rate,
        "sent": sent,
        "received": sent - direction.lost,
        "loss_percent": round(100.0 * direction.lost / sent, 3) if sent else None,
        "outage_ms": None if longest is None else round(1000 * longest.seconds, 1),
        "recovered_s": None if recovered is None else round(recovered, 3),
        "series": statistics.series(direction),
    }


def _measured(
    fault: Mapping[str, Any], directions: Sequence[Direction], windows: Windows, places: Places
) -> dict[str, Any]:
    """What a fault did to the traffic that suffered most from it."""
    start, end = fault["injected"], fault["undone"]
    if start is None or not directions:
        return {}
    window = [(start, end if end is not None else windows["run"][0][1])]
    site = places.nodes[fault["target"]].get("site")
    leaving = [
        direction for direction in directions if places.nodes[direction.source].get("site") == site
    ] or directions
    if fault["kind"] == "loss":
        direction = max(leaving, key=lambda one: statistics.loss_percent(one, window) or 0.0)
        share, sent = statistics.loss_percent(direction, window), statistics.count(direction, window)
        text = "no packet was sent" if share is None else f"{share:.1f} % of {sent} packets lost, {_way(direction)}"
        return {"loss_percent": share if share is None else round(share, 2), "text": text}
    direction = max(
        leaving, key=lambda one: (statistics.silence(one, start).seconds, statistics.loss_percent(one, window) or 0.0)
    )
    longest = statistics.silence(direction, start)
    base, then = statistics.latency_ms(direction, windows["before"]), statistics.latency_ms(direction, window)
    share = statistics.loss_percent(direction, window) or 0.0
    words = [f"{1000 * longest.seconds:.0f} ms of silence" if longest.seconds else "no silence", f"{share:.2g} % lost"]
    if base is not None and then is not None:
        words.append(f"delay {then - base:+.1f} ms against before")
    return {
        "outage_ms": round(1000 * longest.seconds, 1),
        "loss_percent": round(share, 2),
        "text": f"{', '.join(words)}, {_way(direction)}",
    }


def _way(direction: Direction) -> str:
    return f"{direction.source} to {direction.to}"


def _timing(run: Run, faults: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    timed = [fault for fault in faults if not fault["when"]]
    skews = [abs(fault["injected"] - fault["at"]) for fault in timed if fault["injected"] is not None]
    skews += [
        abs(fault["undone"] - fault["at"] - fault["for"])
        for fault in timed
        if fault["undone"] is not None and fault["undone_by"] == "program"
    ]
    return {
        "arm_ms": _milliseconds(run.arm_s),
        "skew_ms": _milliseconds(max(skews, default=None)),
        "restore_ms": _restore_ms(run, faults),
    }


def _restore_ms(run: Run, faults: Sequence[Mapping[str, Any]]) -> float | None:
    """As the targets saw it; else as the engine did, which looks later and seldomer."""
    touched = {fault["target"] for fault in faults if fault["injected"] is not None}
    taken = {
        target: event["took"]
        for target, answer in run.collected.items()
        for event in answer.get("events", ())
        if event["event"] == "restored" and "took" in event
    }
    if touched and touched <= taken.keys():
        return _milliseconds(max(taken[target] for target in touched))
    undone = [fault["undone"] for fault in faults if fault["undone"] is not None]
    if run.restored_at is None or run.t0 is None or not undone:
        return None
    return _milliseconds(max(0.0, run.restored_at - run.t0 - max(undone)))


def _events(run: Run) -> list[dict[str, Any]]:
    return sorted(_all_events(run), key=lambda event: float(event["t"]))


def _all_events(run: Run) -> Iterator[dict[str, Any]]:
    if run.t0 is None:
        return
    if run.aborted_at is not None:
        yield {
            "t": round(run.aborted_at - run.t0, 3),
            "target": "controller",
            "event": "aborted",
            "fault": None,
            "detail": run.abort_reason,
        }
    for target, answer in run.collected.items():
        for event in answer.get("events", ()):
            yield {
                "t": _since(run, target, event["at"]),
                "target": target,
                "event": event["event"],
                "fault": event.get("fault"),
                "detail": event.get("detail", ""),
            }


def _milliseconds(seconds: float | None) -> float | None:
    return None if seconds is None else round(1000 * seconds, 2)
