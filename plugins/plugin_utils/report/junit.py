# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""junit.xml: one case per assertion, so that a CI system shows which of them failed, not only that one did.

`failure` is a claim about the testbed that turned out false; `error` is a claim that couldn't be tried.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import dataclass
from typing import Any, Literal

from .budget import budget_rows
from .reading import Report, elapsed, entries, mapping, moment, number, scrubbed, text
from .verdicts import reasons_of, summary_of, verdict_of
from .wording import UNKNOWN, instant, milliseconds

Outcome = Literal["passed", "failure", "error", "skipped"]
_VERDICT_OUTCOMES: dict[str, Outcome] = {"held": "passed", "failed": "failure", "not_restored": "failure"}


@dataclass(frozen=True)
class Case:
    """One assertion; `kind` is the failure's type, `message` one line, `detail` whatever else helps."""

    subject: str
    name: str
    outcome: Outcome
    kind: str = ""
    message: str = ""
    detail: str = ""
    took: float = 0.0


def render_junit(report: Report) -> str:
    """The report as JUnit XML with its declaration."""
    report = scrubbed(report)
    cases = _unique([*_probes(report), *_budget(report), *_faults(report), *_restorations(report), _verdict(report)])
    drill = text(report.get("drill"), "drill")
    began = moment(report.get("started"))
    took = elapsed(report.get("started"), report.get("ended")) or 0.0
    tally = {
        "tests": str(len(cases)),
        "failures": _tally(cases, "failure"),
        "errors": _tally(cases, "error"),
        "skipped": _tally(cases, "skipped"),
        "time": f"{took:.3f}",
    }
    suites = ET.Element(
        "testsuites", {"name": "okiagari", **{key: tally[key] for key in ("tests", "failures", "errors", "time")}}
    )
    suite = ET.SubElement(
        suites,
        "testsuite",
        {
            "name": drill,
            "id": "0",
            "package": "okiagari",
            "hostname": text(mapping(report.get("testbed")).get("name"), "testbed"),
            "timestamp": began.strftime("%Y-%m-%dT%H:%M:%S") if began else "1970-01-01T00:00:00",
            **tally,
        },
    )
    _properties(suite, report)
    for case in cases:
        _write(suite, drill, case)
    ET.indent(suites)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(suites, encoding="unicode") + "\n"


def _tally(cases: list[Case], outcome: Outcome) -> str:
    return str(sum(case.outcome == outcome for case in cases))


def _properties(suite: ET.Element, report: Report) -> None:
    timing = mapping(report.get("timing"))
    known = {
        "run": report.get("run"),
        "title": report.get("title"),
        "hypothesis": report.get("hypothesis"),
        "seed": report.get("seed"),
        "verdict": report.get("verdict"),
        "exit_code": report.get("exit_code"),
        "outage_ms": report.get("outage_ms"),
        "restored": report.get("restored"),
        **{name: timing.get(name) for name in ("arm_ms", "skew_ms", "restore_ms")},
        **{f"version.{name}": value for name, value in mapping(report.get("versions")).items()},
    }
    holder = ET.SubElement(suite, "properties")
    for name, value in known.items():
        if value is not None:
            shown = str(value).lower() if isinstance(value, bool) else str(value)
            ET.SubElement(holder, "property", {"name": name, "value": shown})


def _write(suite: ET.Element, drill: str, case: Case) -> None:
    made = ET.SubElement(
        suite,
        "testcase",
        {"classname": f"{drill}.{case.subject}", "name": case.name, "time": f"{max(case.took, 0.0):.3f}"},
    )
    if case.outcome == "skipped":
        ET.SubElement(made, "skipped", {"message": case.message})
    elif case.outcome != "passed":
        ET.SubElement(made, case.outcome, {"message": case.message, "type": case.kind}).text = (
            case.detail or case.message
        )
    elif case.detail:
        ET.SubElement(made, "system-out").text = case.detail


def _unique(cases: list[Case]) -> list[Case]:
    """Names that repeat get a number: readers of JUnit take equal names for the same case."""
    seen: dict[tuple[str, str], int] = {}
    named = []
    for case in cases:
        key = (case.subject, case.name)
        seen[key] = seen.get(key, 0) + 1
        again = case.name if seen[key] == 1 else f"{case.name} ({seen[key]})"
        named.append(Case(case.subject, again, case.outcome, case.kind, case.message, case.detail, case.took))
    return named


def _probes(report: Report) -> list[Case]:
    cases = []
    for probe in entries(report.get("probes")):
        name = f"{text(probe.get('phase'), 'run')}: {text(probe.get('name'), 'probe')}"
        detail = text(probe.get("detail"))
        if probe.get("ok") is None:
            cases.append(Case("probe", name, "skipped", message=detail or "not run"))
        elif probe["ok"]:
            cases.append(Case("probe", name, "passed", detail=detail))
        else:
            cases.append(Case("probe", name, "failure", "probe", detail or "the probe failed"))
    return cases


def _budget(report: Report) -> list[Case]:
    cases = []
    for row in budget_rows(report):
        name, took = f"{row['title']}: at most {row['limit']}", f"{row['measured']}, at most {row['limit']} allowed"
        if row["ok"] is None:
            cases.append(Case("budget", name, "skipped", message="not measured"))
        elif row["ok"]:
            cases.append(Case("budget", name, "passed", detail=took))
        else:
            cases.append(Case("budget", name, "failure", "budget", took))
    return cases


def _faults(report: Report) -> list[Case]:
    cases = []
    for fault in entries(report.get("faults")):
        name = f"{text(fault.get('id'), 'fault')}: {text(fault.get('kind'))} on {text(fault.get('target'), UNKNOWN)}"
        cases.append(_fault(name, fault))
    return cases


def _fault(name: str, fault: dict[str, Any]) -> Case:
    injected, undone = number(fault.get("injected")), number(fault.get("undone"))
    told = "\n".join(f"{key}: {text(fault[key])}" for key in ("asked", "installed", "measured") if fault.get(key))
    if fault.get("state") == "failed" or fault.get("error"):
        return Case(
            "fault", name, "error", "injection", text(fault.get("error"), "the fault could not be injected"), told
        )
    if injected is None:
        return Case("fault", name, "skipped", message="not injected")
    if undone is None and fault.get("state") != "undone":
        return Case("fault", name, "failure", "not_undone", f"injected at {instant(injected)}, no undoing known", told)
    took = undone - injected if undone is not None else 0.0
    end = f"injected at {instant(injected)}, undone at {instant(undone)} by {text(fault.get('undone_by'), UNKNOWN)}"
    return Case("fault", name, "passed", detail="\n".join(part for part in (end, told) if part), took=took)


def _restorations(report: Report) -> list[Case]:
    differences: dict[str, list[str]] = {}
    for item in entries(report.get("differences")):
        before, after_it = text(item.get("before"), UNKNOWN), text(item.get("after"), UNKNOWN)
        line = f"{text(item.get('path'))}: before {before}, after {after_it}"
        differences.setdefault(text(item.get("target")), []).append(line)
    snapshots = mapping(report.get("snapshots"))
    after = mapping(snapshots.get("after"))
    targets = mapping(report.get("targets"))
    took = (number(mapping(report.get("timing")).get("restore_ms")) or 0.0) / 1000
    cases = []
    for target in [*targets, *(name for name in differences if name not in targets)]:
        name = f"{target} is as before"
        if target in differences:
            lines = differences[target]
            cases.append(
                Case(
                    "restoration", name, "failure", "not_restored", f"{len(lines)} differ: {lines[0]}", "\n".join(lines)
                )
            )
        elif mapping(targets.get(target)).get("reached") is False:
            cases.append(Case("restoration", name, "error", "unreachable", f"{target} was not reached"))
        elif target in after or (report.get("restored") is True and not after):
            cases.append(Case("restoration", name, "passed", took=took))
        else:
            cases.append(
                Case("restoration", name, "skipped", message="not compared: there is no snapshot after the drill")
            )
    return cases


def _verdict(report: Report) -> Case:
    verdict = verdict_of(report)
    name = text(report.get("hypothesis")) or text(report.get("title")) or "the hypothesis holds"
    took = elapsed(report.get("started"), report.get("ended")) or 0.0
    detail = "\n".join([summary_of(report), *reasons_of(report)])
    if number(report.get("outage_ms")) is not None:
        detail += f"\nlongest outage: {milliseconds(report['outage_ms'])}"
    return Case(
        "verdict",
        " ".join(name.split()),
        _VERDICT_OUTCOMES.get(verdict.name, "error"),
        verdict.name,
        summary_of(report),
        detail,
        took,
    )
