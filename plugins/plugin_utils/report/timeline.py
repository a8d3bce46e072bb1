# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The faults as bars and the events and probes as marks, one lane each, on the page's time axis."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .faults import circuit_of, name_of, parameters
from .reading import Report, entries, number, text
from .svg import Element, element, group, markup, title
from .timebase import Axis, fault_windows
from .wording import instant, plain

if TYPE_CHECKING:
    from collections.abc import Sequence

_HEIGHT = 28
_SHAPES = {"injected": "down", "undone": "up", "restored": "check", "failed": "cross", "error": "cross"}
_PATHS = {
    "down": "M-6-5H6L0 6Z",
    "up": "M-6 5H6L0-6Z",
    "check": "M-6 0-2 5 6-5",
    "cross": "M-5-5 5 5M5-5-5 5",
    "ok": "M0-5.5a5.5 5.5 0 1 0 .01 0Z",
    "other": "M0-6 6 0 0 6-6 0Z",
}


@dataclass(frozen=True)
class Lane:
    """One row of the time panel: what it shows, on what, and the drawing."""

    label: str
    note: str
    svg: str
    kind: str = "marks"


def fault_lanes(report: Report, axis: Axis) -> list[Lane]:
    """One bar a fault, from injection to undoing; a fault that never came is an outline where it was planned."""
    lanes = []
    for fault in entries(report.get("faults")):
        where = text(fault.get("target"))
        detail = (
            text(circuit_of(report, fault))
            or text(parameters(fault).get("interface"))
            or text(parameters(fault).get("prefix"))
        )
        words, span = _bar(fault, axis)
        label = f"{name_of(fault)} on {where}: {words}"
        lanes.append(
            Lane(
                name_of(fault),
                " \u00b7 ".join(part for part in (where, detail) if part),
                canvas(report, axis, _HEIGHT, label, [span]),
                "bar",
            )
        )
    return lanes


def _bar(fault: dict[str, Any], axis: Axis) -> tuple[str, Element]:
    start, end = number(fault.get("injected")), number(fault.get("undone"))
    if start is None:
        at = number(fault.get("at")) or 0.0
        until = at + (number(fault.get("for")) or 0.0)
        words = (
            f"waited from {instant(at)} on: {text(fault['when'])}" if fault.get("when") else f"planned at {instant(at)}"
        )
        return f"{words}, not injected", _span(axis, at, until, "planned", "not injected")
    if end is None:
        return f"injected {instant(start)}, no undoing known", _span(
            axis, start, axis.last, "open", f"from {instant(start)}, not undone"
        )
    by = f" by the {fault['undone_by']}" if fault.get("undone_by") else ""
    return f"injected {instant(start)}, undone {instant(end)}{by}", _span(
        axis, start, end, "closed", f"{instant(start)} \u2192 {instant(end)}"
    )


def _span(axis: Axis, start: float, end: float, kind: str, words: str) -> Element:
    share = axis.share(end) - axis.share(start)
    box = element(
        "rect",
        {"x": axis.percent(start), "y": 4, "width": f"{max(share * 100, 0.3):.3f}%", "height": _HEIGHT - 8, "rx": 4},
    )
    inside = share > 0.3
    late = axis.share(end) > 0.7
    at = {True: ("50%", "middle"), False: (axis.percent(start), "end") if late else (axis.percent(end), "start")}[
        inside
    ]
    x = f"{(axis.share(start) + axis.share(end)) * 50:.3f}%" if inside else at[0]
    shift = 0 if inside else (-6 if late else 6)
    label = element(
        "text",
        {"class": "inside" if inside else "beside", "x": x, "dx": shift, "y": _HEIGHT / 2 + 4, "text-anchor": at[1]},
        words,
    )
    return group(f"fault-bar {kind}", title(words), box, label)


def event_lanes(report: Report, axis: Axis) -> list[Lane]:
    """The drill's events, the agents' and probes, a lane each; those outside the axis stand only in their tables."""
    lanes = _marks(report, axis, "Events", "events", "target") + _marks(report, axis, "Agents", "log", "host")
    probes = [
        (at, item)
        for item in entries(report.get("probes"))
        if (at := number(item.get("at"))) is not None and axis.covers(at)
    ]
    if probes:
        marks = [
            _mark(
                axis,
                at,
                "ok" if probe.get("ok") else "cross",
                "probe ok" if probe.get("ok") else "probe failed",
                f"{instant(at)}: {text(probe.get('name'))}: {text(probe.get('detail'))}",
            )
            for at, probe in probes
        ]
        well = sum(1 for _at, probe in probes if probe.get("ok"))
        lanes.append(
            Lane(
                "Probes",
                f"{well} of {len(probes)} ok",
                canvas(report, axis, _HEIGHT, f"{well} of {len(probes)} probes ok", marks),
            )
        )
    return lanes


def _marks(report: Report, axis: Axis, label: str, key: str, place: str) -> list[Lane]:
    """One lane for the events under a key of the report; none if it has none."""
    events = [
        (at, item) for item in entries(report.get(key)) if (at := number(item.get("t"))) is not None and axis.covers(at)
    ]
    if not events:
        return []
    marks = []
    for at, event in events:
        name = text(event.get("event"), "event")
        words = f"{instant(at)}: {text(event.get(place))} {plain(name)} {text(event.get('detail'))}".strip()
        marks.append(_mark(axis, at, _SHAPES.get(name, "other"), f"event {name}", words))
    kinds = ", ".join(dict.fromkeys(plain(event.get("event")) for _at, event in events))
    return [Lane(label, kinds, canvas(report, axis, _HEIGHT, f"{len(events)} events: {kinds}", marks))]


def _mark(axis: Axis, at: float, shape: str, kind: str, words: str) -> Element:
    place = element(
        "svg", {"x": axis.percent(at), "y": _HEIGHT // 2, "class": "place"}, element("path", {"d": _PATHS[shape]})
    )
    return element("g", {"class": f"{kind} {shape}"}, title(words), place)


def canvas(
    report: Report,
    axis: Axis,
    height: int,
    label: str,
    content: Sequence[Element],
    outages: Sequence[tuple[float, float]] = (),
) -> str:
    """An empty lane with the grid, the shaded fault windows and the outages, and the content on top."""
    ground = [
        element(
            "rect",
            {"class": "window", "x": axis.percent(start), "y": 0, "height": height, "width": _width(axis, start, end)},
        )
        for start, end in fault_windows(report, axis)
    ]
    ground += [
        element("line", {"class": "grid", "x1": axis.percent(at), "x2": axis.percent(at), "y1": 0, "y2": height})
        for at in axis.ticks()
    ]
    ground += [
        element(
            "rect",
            {"class": "outage", "x": axis.percent(start), "y": 0, "height": height, "width": _width(axis, start, end)},
        )
        for start, end in outages
    ]
    return markup(
        element(
            "svg",
            {"class": "lane", "width": "100%", "height": height, "role": "img", "aria-label": label},
            title(label),
            *ground,
            *content,
        )
    )


def scale(axis: Axis) -> str:
    """The axis itself, with round seconds."""
    words = [
        element("text", {"x": axis.percent(at), "y": 13, "text-anchor": "middle"}, f"{at:g}".replace("-", "\u2212"))
        for at in axis.ticks()
    ]
    label = f"Seconds since T0, from {axis.first:g} to {axis.last:g}"
    return markup(
        element("svg", {"class": "scale", "width": "100%", "height": 18, "role": "img", "aria-label": label}, *words)
    )


def _width(axis: Axis, start: float, end: float) -> str:
    return f"{max((axis.share(end) - axis.share(start)) * 100, 0.25):.3f}%"
