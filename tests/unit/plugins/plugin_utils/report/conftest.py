# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reports as the drill would write them: one for each verdict, on a small lab of three sites and two exchanges."""

from __future__ import annotations

import copy
import math
import random
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

Report = dict[str, Any]

SITES = {
    "hiroshima": (1, "Hiroshima University", [34.40, 132.71]),
    "kanazawa": (2, "Kanazawa University", [36.54, 136.71]),
    "naist": (3, "NAIST", [34.73, 135.73]),
}
CORE = {"osaka": [34.69, 135.50], "otemachi": [35.69, 139.77]}
CIRCUITS = {
    "hiroshima-kanazawa": ("hiroshima-r1", "kanazawa-r1", 8.0),
    "hiroshima-osaka": ("hiroshima-r1", "osaka", 4.0),
    "kanazawa-osaka": ("kanazawa-r1", "osaka", 5.0),
    "kanazawa-otemachi": ("kanazawa-r1", "otemachi", 6.0),
    "naist-osaka": ("naist-r1", "osaka", 1.0),
    "naist-otemachi": ("naist-r1", "otemachi", 7.0),
    "osaka-otemachi": ("osaka", "otemachi", 6.0),
}


def lab() -> dict[str, Any]:
    """The resolved testbed, as far as a drawing needs it."""
    nodes: dict[str, Any] = {}
    for name, (number, _title, position) in SITES.items():
        nodes[f"{name}-r1"] = {
            "kind": "router",
            "role": "site",
            "site": name,
            "number": number,
            "position": position,
            "loopback": f"10.255.0.{number}",
            "interfaces": [{"name": "lan0", "kind": "lan", "address": f"10.{number}.0.1/24"}],
        }
        nodes[f"{name}-kvm1"] = {
            "kind": "kvm_host",
            "role": "site",
            "site": name,
            "number": 32 + number,
            "loopback": None,
            "interfaces": [{"name": "lan0", "kind": "lan", "address": f"10.{number}.0.11/24"}],
        }
    for index, (name, position) in enumerate(CORE.items()):
        nodes[name] = {
            "kind": "router",
            "role": "core",
            "site": None,
            "number": 101 + index,
            "position": position,
            "loopback": f"10.255.0.{101 + index}",
            "interfaces": [],
        }
    circuits = {}
    for index, (name, (a, b, delay)) in enumerate(CIRCUITS.items()):
        circuits[name] = {
            "a": a,
            "b": b,
            "a_interface": f"w-{b}",
            "b_interface": f"w-{a}",
            "prefix": f"10.254.0.{2 * index}/31",
            "delay_ms": delay,
            "rate_bps": 1_000_000_000,
        }
        nodes[a]["interfaces"].append(
            {"name": f"w-{b}", "kind": "wan", "circuit": name, "address": f"10.254.0.{2 * index}/31"}
        )
        nodes[b]["interfaces"].append(
            {"name": f"w-{a}", "kind": "wan", "circuit": name, "address": f"10.254.0.{2 * index + 1}/31"}
        )
    sites = {
        name: {"number": n, "title": title, "position": at, "nodes": [f"{name}-r1", f"{name}-kvm1"]}
        for name, (n, title, at) in SITES.items()
    }
    return {"schema": 1, "name": "lab", "sites": sites, "nodes": nodes, "circuits": circuits}


def series(
    length: float, base: float, cut: tuple[float, float, float] | None, detour: float, seed: int
) -> list[dict[str, Any]]:
    """Bins of 100 ms; during the cut (start, outage, end) all is lost first, then the latency is the detour's."""
    chance = random.Random(seed)
    made = []
    for index in range(round(length * 10)):
        at = index / 10
        lost, latency = 0.0, base
        if cut and cut[0] - 1e-6 <= at < cut[2]:
            gone = min(max(cut[0] + cut[1] - at, 0.0), 0.1) * 1000
            lost, latency = round(gone, 1), detour
        middle = None if lost >= 99.9 else round(latency + chance.random() * 0.3 + 0.1 * math.sin(at), 2)
        made.append(
            {
                "t": at,
                "loss_percent": lost,
                "latency_ms": middle,
                "latency_max_ms": None if middle is None else round(middle + chance.random() * 0.9, 2),
            }
        )
    return made


def stream(start: str, end: str, outage: float, made: list[dict[str, Any]]) -> dict[str, Any]:
    sent = len(made) * 10
    lost = round(sum(point["loss_percent"] for point in made) / 10)
    found = {
        "name": f"{start}-{end}",
        "from": start,
        "to": end,
        "rate": 100,
        "sent": sent,
        "received": sent - lost,
        "loss_percent": round(lost / sent * 100, 2),
        "outage_ms": outage,
        "recovered_s": outage / 1000 if outage else None,
        "series": made,
    }
    if outage:
        found["outage_at"] = 5.004
    return found


def held_report() -> Report:
    targets = [
        "hiroshima-r1",
        "kanazawa-r1",
        "naist-r1",
        "osaka",
        "otemachi",
        "hiroshima-kvm1",
        "kanazawa-kvm1",
        "naist-kvm1",
    ]
    snapshot = {
        target: {
            "links": {
                "lo": {"admin": "up", "mtu": 65536},
                "lan0": {"admin": "up", "oper": "up", "mtu": 1500, "addresses": ["10.1.0.1/24"]},
            },
            "routes": [f"10.{n}.0.0/24 via 10.254.0.{n}" for n in range(1, 12)],
            "bgp": {f"10.254.0.{n}": {"state": "up", "received": 9} for n in range(4)},
        }
        for target in targets
    }
    asked = {"interface": "w-kanazawa-r1"}
    return {
        "schema": "okiagari.report/1",
        "drill": "circuit_cut",
        "title": "The direct circuit Hiroshima\u2013Kanazawa is cut",
        "run": "20261121T120000Z",
        "hypothesis": "Traffic between Hiroshima and Kanazawa is back within 1 s over another path, "
        "no other site notices, and everything is as before afterwards.",
        "verdict": "held",
        "exit_code": 0,
        "summary": "Held: the longest outage was 212 ms; everything is as before.",
        "reason": None,
        "restored": True,
        "outage_ms": 212.0,
        "budget": {"outage": {"limit_ms": 1000.0, "measured_ms": 212.0, "ok": True}},
        "started": "2026-11-21T11:59:48.100Z",
        "ended": "2026-11-21T12:00:48.900Z",
        "t0": "2026-11-21T12:00:00.250Z",
        "t0_epoch": 1795262400.25,
        "testbed": lab(),
        "targets": {
            t: {"reached": True, "clock_offset_ms": round(0.4 * i - 1.3, 2), "clock_uncertainty_ms": 1.2}
            for i, t in enumerate(targets)
        },
        "timing": {"arm_ms": 900.0, "skew_ms": 3.1, "restore_ms": 640.0},
        "faults": [
            {
                "id": "circuit_cut-1-hiroshima-r1",
                "kind": "link_down",
                "target": "hiroshima-r1",
                "circuit": "hiroshima-kanazawa",
                "at": 5.0,
                "for": 20.0,
                "asked": asked,
                "installed": {"interface": "w-kanazawa-r1", "admin": "down"},
                "measured": {"text": "100 % loss for 0.21 s, then over another path", "outage_ms": 212.0},
                "injected": 5.002,
                "undone": 25.001,
                "undone_by": "program",
                "state": "undone",
                "error": None,
            },
            {
                "id": "circuit_cut-1-kanazawa-r1",
                "kind": "link_down",
                "target": "kanazawa-r1",
                "circuit": "hiroshima-kanazawa",
                "at": 5.0,
                "for": 20.0,
                "asked": {"interface": "w-hiroshima-r1"},
                "installed": {"interface": "w-hiroshima-r1", "admin": "down"},
                "measured": {"text": "100 % loss for 0.20 s, then over another path", "outage_ms": 204.0},
                "injected": 5.003,
                "undone": 25.003,
                "undone_by": "program",
                "state": "undone",
                "error": None,
            },
        ],
        "probes": [
            {
                "name": "Hiroshima reaches Kanazawa",
                "phase": "before",
                "ok": True,
                "detail": "5 of 5 answers, 16.4 ms",
                "at": -1.2,
                "value": {"sent": 5, "received": 5},
            },
            {
                "name": "The direct circuit is in use",
                "phase": "before",
                "ok": True,
                "detail": "10.1.0.1, 10.254.0.1, 10.2.0.11",
                "at": -0.8,
                "value": {"hops": ["10.1.0.1", "10.254.0.1", "10.2.0.11"]},
            },
            {
                "name": "Hiroshima reaches Kanazawa",
                "phase": "during",
                "ok": True,
                "detail": "5 of 5 answers, 19.1 ms",
                "at": 8.0,
                "value": {"sent": 5, "received": 5},
            },
            {
                "name": "Another path is in use",
                "phase": "during",
                "ok": True,
                "detail": "10.1.0.1, 10.254.0.3, 10.254.0.4, 10.2.0.11",
                "at": 10.0,
                "value": {"hops": ["10.1.0.1", "10.254.0.3", "10.254.0.4", "10.2.0.11"]},
            },
            {
                "name": "Hiroshima reaches Kanazawa",
                "phase": "after",
                "ok": True,
                "detail": "5 of 5 answers, 16.5 ms",
                "at": 39.6,
                "value": {"sent": 5, "received": 5},
            },
        ],
        "streams": [
            stream("hiroshima-kvm1", "kanazawa-kvm1", 212.0, series(38, 8.1, (5.0, 0.212, 25.4), 9.3, 1)),
            stream("kanazawa-kvm1", "hiroshima-kvm1", 204.0, series(38, 8.0, (5.0, 0.204, 25.4), 9.6, 2)),
            stream("naist-kvm1", "kanazawa-kvm1", 0.0, series(38, 6.1, None, 0.0, 3)),
            stream("kanazawa-kvm1", "naist-kvm1", 0.0, series(38, 6.2, None, 0.0, 4)),
        ],
        "phases": [
            {
                "name": name,
                "started": f"2026-11-21T{start}Z",
                "ended": f"2026-11-21T{end}Z",
                "outcome": "ok",
                "detail": "",
            }
            for name, start, end in (
                ("check", "11:59:48.100", "11:59:48.160"),
                ("gather", "11:59:48.160", "11:59:50.900"),
                ("before", "11:59:50.900", "11:59:58.000"),
                ("arm", "11:59:58.000", "11:59:58.900"),
                ("run", "11:59:58.900", "12:00:38.300"),
                ("recover", "12:00:38.300", "12:00:39.000"),
                ("after", "12:00:39.000", "12:00:45.200"),
                ("compare", "12:00:45.200", "12:00:48.300"),
                ("report", "12:00:48.300", "12:00:48.900"),
            )
        ],
        "events": [
            {"t": 0.0, "target": "hiroshima-r1", "event": "started", "fault": None, "detail": "program of 2 faults"},
            {
                "t": 5.002,
                "target": "hiroshima-r1",
                "event": "injected",
                "fault": "circuit_cut-1-hiroshima-r1",
                "detail": "w-kanazawa-r1 down",
            },
            {
                "t": 5.003,
                "target": "kanazawa-r1",
                "event": "injected",
                "fault": "circuit_cut-1-kanazawa-r1",
                "detail": "w-hiroshima-r1 down",
            },
            {
                "t": 25.001,
                "target": "hiroshima-r1",
                "event": "undone",
                "fault": "circuit_cut-1-hiroshima-r1",
                "detail": "w-kanazawa-r1 up",
            },
            {
                "t": 25.003,
                "target": "kanazawa-r1",
                "event": "undone",
                "fault": "circuit_cut-1-kanazawa-r1",
                "detail": "w-hiroshima-r1 up",
            },
            {
                "t": 25.643,
                "target": "kanazawa-r1",
                "event": "restored",
                "fault": None,
                "detail": "state equals the one before",
            },
        ],
        "differences": [],
        "during": [
            {"target": "kanazawa-r1", "path": "bfd.10.254.0.0", "before": "up", "after": "down"},
            {"target": "hiroshima-r1", "path": "links.w-kanazawa-r1.admin", "before": "up", "after": "down"},
        ],
        "snapshots": {"before": snapshot, "after": copy.deepcopy(snapshot)},
        "versions": {"okiagari.testbed": "0.1.0", "ansible-core": "2.19.3", "python": "3.11.9"},
    }


def failed_report() -> Report:
    """One-way loss that nothing routed around."""
    report = held_report()
    report.update(
        drill="silent_loss",
        title="Osaka\u2013Kanazawa loses 30 % in one direction",
        verdict="failed",
        exit_code=1,
        outage_ms=3410.0,
        summary="Failed: the longest outage was 3.41 s, and 1 s was allowed.",
        reason=[
            "The stream hiroshima-kvm1 to kanazawa-kvm1 was silent for 3.41 s; at most 1 s was allowed.",
            "The probe 'Loss stays below 1 %' failed during the fault.",
        ],
    )
    report["faults"] = [
        {
            "id": "silent_loss-1",
            "kind": "loss",
            "target": "osaka",
            "circuit": "kanazawa-osaka",
            "at": 5.0,
            "for": 20.0,
            "asked": {"interface": "w-kanazawa-r1", "percent": 30.0},
            "installed": {"interface": "w-kanazawa-r1", "percent": 30.0},
            "measured": {"text": "29.6 % loss, osaka to kanazawa-r1", "loss_percent": 29.6},
            "injected": 5.004,
            "undone": 25.002,
            "undone_by": "program",
            "state": "undone",
            "error": None,
        }
    ]
    report["probes"][2].update(name="Loss stays below 1 %", ok=False, detail="3 of 5 answers, 40 % lost")
    report["streams"][0] = stream(
        "hiroshima-kvm1", "kanazawa-kvm1", 3410.0, series(38, 8.1, (5.0, 3.41, 25.0), 11.4, 1)
    )
    return report


def not_restored_report() -> Report:
    report = held_report()
    report.update(
        verdict="not_restored",
        exit_code=3,
        restored=False,
        summary="Not restored: 2 items on 1 target differ from before.",
        reason=["osaka has lost two routes."],
        differences=[
            {
                "target": "osaka",
                "path": "routes",
                "before": "10.2.0.0/16 via 10.254.0.4 dev w-kanazawa-r1 proto bgp",
                "after": None,
            },
            {"target": "osaka", "path": "bgp.10.254.0.4.state", "before": "Established", "after": "Active"},
        ],
    )
    return report


def aborted_report() -> Report:
    """Stopped by a signal while the fault was on: no state after, no streams collected."""
    report = held_report()
    report.update(
        verdict="aborted",
        exit_code=2,
        restored=None,
        outage_ms=None,
        summary="Aborted: the playbook was interrupted 8 s after T0.",
        reason=["ansible-playbook was ended by SIGINT; every fault was undone at once."],
        streams=[],
        differences=None,
        during=None,
        snapshots={"before": report["snapshots"]["before"]},
        timing={"arm_ms": 900.0, "skew_ms": None, "restore_ms": None},
    )
    for fault in report["faults"]:
        fault.update(undone=8.214, undone_by="abort", measured=None)
    report["probes"] = report["probes"][:3]
    report["events"] = [
        *report["events"][:3],
        {"t": 8.214, "target": "hiroshima-r1", "event": "undone", "fault": None, "detail": "abort"},
    ]
    report["phases"] = [
        *report["phases"][:4],
        {
            "name": "run",
            "started": "2026-11-21T11:59:58.900Z",
            "ended": "2026-11-21T12:00:08.500Z",
            "outcome": "aborted",
            "detail": "SIGINT",
        },
    ]
    return report


def infrastructure_report() -> Report:
    """A target wasn't reached: nothing but the first two phases exists."""
    report = held_report()
    kept = {
        key: report[key]
        for key in ("schema", "drill", "title", "run", "hypothesis", "started", "testbed", "targets", "versions")
    }
    kept["targets"] = {name: dict(seen) for name, seen in kept["targets"].items()}
    kept["targets"]["osaka"] = {"reached": False, "clock_offset_ms": None, "clock_uncertainty_ms": None}
    kept.update(
        verdict="infrastructure",
        exit_code=4,
        restored=None,
        outage_ms=None,
        ended="2026-11-21T11:59:58.400Z",
        summary="Couldn't run: one target could not be reached, so nothing was injected.",
        reason=["osaka: ssh: connect to host 172.31.0.101 port 22: No route to host"],
        phases=[
            report["phases"][0],
            {**report["phases"][1], "outcome": "failed", "detail": "1 of 8 targets not reached"},
        ],
        faults=[
            {
                "id": "circuit_cut-1-hiroshima-r1",
                "kind": "link_down",
                "target": "hiroshima-r1",
                "circuit": "hiroshima-kanazawa",
                "at": 5.0,
                "for": 20.0,
                "asked": {"interface": "w-kanazawa-r1"},
                "state": "armed",
                "injected": None,
                "undone": None,
            }
        ],
    )
    return kept


def nothing_tested_report() -> Report:
    return {
        "schema": "okiagari.report/1",
        "drill": "empty",
        "title": "A drill without a probe",
        "run": "20261121T130000Z",
        "hypothesis": None,
        "verdict": "nothing_tested",
        "exit_code": 5,
        "summary": None,
        "reason": "The drill has neither a probe nor a stream.",
        "restored": None,
        "outage_ms": None,
        "started": "2026-11-21T13:00:00Z",
        "ended": "2026-11-21T13:00:01Z",
        "faults": [],
        "probes": [],
        "streams": [],
    }


SAMPLES: dict[str, Callable[[], Report]] = {
    "held": held_report,
    "failed": failed_report,
    "aborted": aborted_report,
    "not_restored": not_restored_report,
    "infrastructure": infrastructure_report,
    "nothing_tested": nothing_tested_report,
}


@pytest.fixture(params=list(SAMPLES))
def any_report(request: pytest.FixtureRequest) -> Report:
    """Each verdict's report in turn."""
    return SAMPLES[request.param]()


@pytest.fixture
def samples() -> dict[str, Callable[[], Report]]:
    """Builders of the reports by verdict."""
    return SAMPLES


@pytest.fixture
def held() -> Report:
    return held_report()


@pytest.fixture
def bins() -> Callable[..., list[dict[str, Any]]]:
    """A builder of a stream's series."""
    return series
