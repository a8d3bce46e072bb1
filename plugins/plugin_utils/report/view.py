# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From a report to what the page's template shows: every figure already in words, every absent one already named."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import wording
from .budget import limit_of
from .faults import circuit_of, name_of, parameters
from .reading import Report, elapsed, entries, leaves, mapping, number, text
from .verdicts import injected, standing, verdict_of
from .wording import UNKNOWN, several

if TYPE_CHECKING:
    from .plot import Pair

# Whoever else undoes a fault does so early on purpose, and isn't late.
_ON_TIME = (None, "program", "lease")
_PROBE_PHASES = {
    "before": "Before the faults",
    "during": "During the faults",
    "run": "During the faults",
    "recover": "While recovering",
    "after": "After the faults",
}


def tiles(report: Report) -> list[dict[str, Any]]:
    """The three headlines: the outage, whether all is restored, and what was lost (or how precise the faults were)."""
    return [_outage(report), _restored(report), _packets(report) or _precision(report)]


def _tile(
    label: str, value: str, note: str, tone: str, icon: str = "", meter: dict[str, str] | None = None
) -> dict[str, Any]:
    return {"label": label, "value": value, "note": note, "tone": tone, "icon": icon, "meter": meter}


def _outage(report: Report) -> dict[str, Any]:
    length = number(report.get("outage_ms"))
    limit = limit_of(report, "outage")
    if length is None:
        return _tile("Longest outage", "Not measured", "No stream ran through the faults.", "neutral")
    worst = max(entries(report.get("streams")), key=lambda stream: number(stream.get("outage_ms")) or 0.0, default={})
    where = (
        f"{text(worst.get('from'))} \u2192 {text(worst.get('to'))}"
        if worst and length
        else "in every stream and direction"
    )
    if limit is None:
        return _tile("Longest outage", wording.milliseconds(length), where, "neutral")
    kept = length <= limit
    share = min(100.0, length / limit * 100) if limit else 100.0
    meter = {"share": f"{share:.1f}%", "words": f"limit {wording.milliseconds(limit)}"}
    return _tile(
        "Longest outage",
        wording.milliseconds(length),
        where,
        "good" if kept else "bad",
        "check" if kept else "cross",
        meter,
    )


def _restored(report: Report) -> dict[str, Any]:
    differences = entries(report.get("differences"))
    targets = {text(item.get("target")) for item in differences}
    state = report.get("restored")
    if state is True:
        spent = number(mapping(report.get("timing")).get("restore_ms"))
        note = f"{several(len(mapping(report.get('targets'))), 'target')} as before"
        return _tile(
            "Restored",
            "Everything",
            note + (f", {wording.milliseconds(spent)} after the last undo" if spent is not None else ""),
            "good",
            "check",
        )
    if state is False:
        note = f"{several(len(differences), 'difference')} on {several(len(targets), 'target')}" if differences else ""
        left = standing(report)
        note = note or (f"{several(len(left), 'fault')} may still stand" if left else "See the reasons above.")
        return _tile("Restored", "No", note, "bad", "alert")
    if verdict_of(report).name in ("infrastructure", "nothing_tested") and not injected(report):
        return _tile("Restored", "Not needed", "No fault is known to have been injected.", "neutral")
    return _tile("Restored", "Not known", "The state after the drill could not be compared.", "caution", "alert")


def _packets(report: Report) -> dict[str, Any] | None:
    streams = [
        s for s in entries(report.get("streams")) if number(s.get("sent")) and number(s.get("received")) is not None
    ]
    if not streams:
        return None
    sent = sum(number(s.get("sent")) or 0 for s in streams)
    lost = sent - sum(number(s.get("received")) or 0 for s in streams)
    note = f"{wording.count(lost)} of {wording.count(sent)}, in {several(len(streams), 'direction')} of traffic"
    return _tile("Packets lost", wording.percent(lost / sent * 100), note, "neutral")


def _precision(report: Report) -> dict[str, Any]:
    timing = mapping(report.get("timing"))
    skew, arm = number(timing.get("skew_ms")), number(timing.get("arm_ms"))
    if skew is None:
        note = f"Armed in {wording.milliseconds(arm)}." if arm is not None else "No fault was injected."
        return _tile("Precision of the faults", UNKNOWN, note, "neutral")
    note = "largest miss of any injection or undo" + (
        f"; armed in {wording.milliseconds(arm)}" if arm is not None else ""
    )
    return _tile("Precision of the faults", wording.milliseconds(skew), note, "neutral")


def receipts(report: Report) -> list[dict[str, Any]]:
    """Asked, installed, measured; and both instants beside what was asked of them."""
    rows = []
    for fault in entries(report.get("faults")):
        at, length = number(fault.get("at")), number(fault.get("for"))
        began, undone = number(fault.get("injected")), number(fault.get("undone"))
        end = None if at is None or length is None or fault.get("undone_by") not in _ON_TIME else at + length
        state = text(fault.get("state"), "undone" if undone is not None else "not known")
        good = state == "undone" and not fault.get("error")
        planned = began is None and not fault.get("error")
        rows.append(
            {
                "name": name_of(fault),
                "id": text(fault.get("id")),
                "target": text(fault.get("target"), UNKNOWN),
                "circuit": text(circuit_of(report, fault)),
                "asked": _listed(parameters(fault)),
                "installed": _listed(fault.get("installed")),
                "measured": _listed(fault.get("measured")),
                "injected": wording.instant(began),
                "injected_late": wording.lateness(at, began),
                "undone": wording.instant(undone),
                "undone_late": wording.lateness(end, undone),
                "undone_by": text(fault.get("undone_by")),
                "state": "not injected" if planned else state,
                "error": text(fault.get("error")),
                "tone": "good" if good else "neutral" if planned else "bad",
            }
        )
    return rows


def _listed(value: Any) -> list[tuple[str, str]]:
    """Name and value lines; a `text` stands first and without its name."""
    if not isinstance(value, dict):
        return [("", text(value))] if value is not None and text(value) else []
    lines = [("", text(value["text"]))] if value.get("text") else []
    return lines + [_line(key, item) for key, item in value.items() if key != "text"]


def _line(key: str, item: Any) -> tuple[str, str]:
    """A key that names its unit gives it to the figure: outage_ms 212 becomes outage 212 ms."""
    if number(item) is not None:
        if key.endswith("_ms"):
            return wording.plain(key.removesuffix("_ms")), wording.milliseconds(item)
        if key.endswith("_percent"):
            return wording.plain(key.removesuffix("_percent")), wording.percent(item)
        if key == "percent":
            return "share", wording.percent(item)
    return wording.plain(key), text(item, UNKNOWN)


def writers(report: Report) -> list[dict[str, Any]]:
    """Each writer with what was acknowledged, how fast before, under and after the faults, and its longest pause."""
    rows = []
    for writer in entries(report.get("writers")):
        speeds = mapping(writer.get("bytes_per_s"))
        length = number(writer.get("pause_ms"))
        errors = [
            f"{text(item.get('times'))} \u00d7 {text(item.get('error'))}" for item in entries(writer.get("errors"))
        ]
        rows.append(
            {
                "name": text(writer.get("name")),
                "node": text(writer.get("node")),
                "path": text(writer.get("path")),
                "acknowledged": wording.count(number(writer.get("acknowledged")) or 0),
                "size": wording.size(writer.get("size")),
                "speeds": [wording.size(speeds.get(name), "/s") for name in ("before", "faults", "after")],
                "pause": "none" if length == 0 else wording.milliseconds(length),
                "errors": errors,
            }
        )
    return rows


def probe_phases(report: Report) -> list[dict[str, Any]]:
    """The probes by phase, in the order in which the phases first appear."""
    grouped: dict[str, list[dict[str, Any]]] = {}
    for probe in entries(report.get("probes")):
        ok = probe.get("ok")
        row = {
            "name": text(probe.get("name"), "probe"),
            "detail": text(probe.get("detail")),
            "at": wording.instant(probe.get("at")),
            "state": "not run" if ok is None else "ok" if ok else "failed",
            "tone": "neutral" if ok is None else "good" if ok else "bad",
            "icon": "empty" if ok is None else "check" if ok else "cross",
        }
        grouped.setdefault(text(probe.get("phase"), "run"), []).append(row)
    return [
        {"title": _PROBE_PHASES.get(name, wording.plain(name).capitalize()), "probes": rows}
        for name, rows in grouped.items()
    ]


def changes(items: Any) -> list[dict[str, str]]:
    """Rows of a comparison."""
    return [
        {
            "target": text(item.get("target"), UNKNOWN),
            "path": text(item.get("path")),
            "before": text(item.get("before"), "absent"),
            "after": text(item.get("after"), "absent"),
        }
        for item in entries(items)
    ]


def compared(report: Report) -> str:
    """How much the comparison covered: 8 targets, 412 items; empty if nothing was compared."""
    snapshots = mapping(report.get("snapshots"))
    before, after = mapping(snapshots.get("before")), mapping(snapshots.get("after"))
    both = [target for target in before if target in after]
    if both:
        items = sum(leaves(before[target]) for target in both)
        return f"{several(len(both), 'target')}, {several(items, 'item')} compared"
    return ""


def phases(report: Report) -> list[dict[str, Any]]:
    """Each phase with its length, and its share of the longest one for a bar."""
    lengths = [(phase, elapsed(phase.get("started"), phase.get("ended"))) for phase in entries(report.get("phases"))]
    longest = max((length for _phase, length in lengths if length), default=0.0)
    rows = []
    for phase, length in lengths:
        outcome = text(phase.get("outcome"), "not known")
        good, skipped = outcome == "ok", outcome in ("skipped", "not known")
        rows.append(
            {
                "name": wording.plain(phase.get("name")),
                "outcome": outcome,
                "detail": text(phase.get("detail")),
                "took": wording.seconds(length),
                "share": f"{(length or 0.0) / longest * 100:.1f}%" if longest else "0",
                "tone": "good" if good else "neutral" if skipped else "bad",
                "icon": "check" if good else "empty" if skipped else "cross",
            }
        )
    return rows


def targets(report: Report) -> list[dict[str, Any]]:
    """Each target, whether it was reached, and how far its clock was off."""
    rows = []
    nodes = mapping(mapping(report.get("testbed")).get("nodes"))
    for name, value in mapping(report.get("targets")).items():
        seen = mapping(value)
        reached = seen.get("reached")
        offset, doubt = number(seen.get("clock_offset_ms")), number(seen.get("clock_uncertainty_ms"))
        rows.append(
            {
                "name": name,
                "kind": wording.plain(mapping(nodes.get(name)).get("kind")),
                "state": "not known" if reached is None else "reached" if reached else "not reached",
                "tone": "neutral" if reached is None else "good" if reached else "bad",
                "icon": "empty" if reached is None else "check" if reached else "cross",
                "offset": wording.lateness(0.0, None if offset is None else offset / 1000) or UNKNOWN,
                "doubt": f"\u00b1{wording.milliseconds(doubt)}" if doubt is not None else "",
            }
        )
    return rows


def events(report: Report) -> list[dict[str, str]]:
    """Every event, the agents' too, in order of time."""
    found = [*entries(report.get("events")), *entries(report.get("log"))]
    return [
        {
            "at": wording.instant(event.get("t")),
            "target": text(event.get("target")) or text(event.get("host")),
            "event": wording.plain(event.get("event")),
            "detail": ": ".join(filter(None, (text(event.get("source")), text(event.get("detail")))))
            or text(event.get("fault")),
        }
        for event in sorted(found, key=lambda event: number(event.get("t")) or 0.0)
    ]


def readout(pairs: list[Pair]) -> list[dict[str, list[float | None]]]:
    """The points under the pointer, in the order of the page's lanes of loss."""
    return [direction.data for pair in pairs for direction in pair.directions]
