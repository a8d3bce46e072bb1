# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""report.html: one page that needs nothing but itself."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path
from typing import Any

from . import topology_svg, view, wording
from .budget import budget_rows
from .plot import stream_pairs
from .reading import Report, elapsed, entries, mapping, number, scrubbed, sentences, text
from .timebase import axis_of
from .timeline import event_lanes, fault_lanes, scale
from .verdicts import next_steps, reasons_of, summary_of, verdict_of

_HERE = Path(__file__).parent


def render_html(report: Report) -> str:
    """The whole page; equal reports give equal pages."""
    script = (_HERE / "page.js").read_text(encoding="utf-8")
    page: str = template("page.html.j2").render(
        style=style(),
        script=script,
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        **_values(scrubbed(report)),
    )
    return page


def template(name: str, folder: Path = _HERE) -> Any:
    """A page's template; what every page has is at hand for those of other folders too."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    return Environment(
        loader=FileSystemLoader([folder, _HERE]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    ).get_template(name)


def style() -> str:
    """The style of every page."""
    return (_HERE / "page.css").read_text(encoding="utf-8")


def _values(report: Report) -> dict[str, Any]:
    axis = axis_of(report)
    pairs = stream_pairs(report, axis) if axis else []
    timing = mapping(report.get("timing"))
    skew = number(timing.get("skew_ms"))
    return {
        "title": text(report.get("title")) or wording.plain(report.get("drill")) or "Drill",
        "drill": text(report.get("drill")),
        "run": text(report.get("run")),
        "testbed": text(mapping(report.get("testbed")).get("name")),
        "started": wording.wall_clock(report.get("started")),
        "took": wording.seconds(elapsed(report.get("started"), report.get("ended"))),
        "t0": wording.wall_clock(report["t0"]) if report.get("t0") else "",
        "hypothesis": sentences(report.get("hypothesis")),
        "verdict": verdict_of(report),
        "exit_code": text(report.get("exit_code")),
        "summary": summary_of(report),
        "reasons": reasons_of(report),
        "steps": next_steps(report),
        "tiles": view.tiles(report),
        "budget": budget_rows(report),
        "drawings": [
            svg
            for sheet in (topology_svg.WIDE, topology_svg.NARROW)
            if (svg := topology_svg.draw_topology(report, sheet))
        ],
        "axis": axis,
        "scale": scale(axis) if axis else "",
        "fault_lanes": fault_lanes(report, axis) if axis else [],
        "event_lanes": event_lanes(report, axis) if axis else [],
        "pairs": pairs,
        "readout": view.readout(pairs),
        "receipts": view.receipts(report),
        "skew": wording.milliseconds(skew) if skew is not None else "",
        "arm": wording.milliseconds(timing["arm_ms"]) if number(timing.get("arm_ms")) is not None else "",
        "writers": view.writers(report),
        "probe_phases": view.probe_phases(report),
        "probes_ok": sum(1 for probe in entries(report.get("probes")) if probe.get("ok")),
        "probes_all": len(entries(report.get("probes"))),
        "differences": view.changes(report.get("differences")),
        "compared": view.compared(report),
        "restored": report.get("restored"),
        "during": view.changes(report.get("during")),
        "phases": view.phases(report),
        "targets": view.targets(report),
        "events": view.events(report),
        "versions": {text(name): text(value) for name, value in mapping(report.get("versions")).items()},
        "schema": text(report.get("schema")),
    }
