# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What writers show, and what a drill says of them."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.okiagari.testbed.plugins.module_utils.drill import expectations, writes
from ansible_collections.okiagari.testbed.plugins.module_utils.drill.check import Context, Measurements
from ansible_collections.okiagari.testbed.plugins.module_utils.drill.compile import programs
from ansible_collections.okiagari.testbed.plugins.module_utils.drill.model import Probe, Range, Writer
from ansible_collections.okiagari.testbed.plugins.module_utils.drill.places import Places
from ansible_collections.okiagari.testbed.plugins.module_utils.drill.plan import plan_text, plans
from ansible_collections.okiagari.testbed.plugins.module_utils.drill.spec import parse
from ansible_collections.okiagari.testbed.plugins.module_utils.drill.statistics import Clock
from ansible_collections.okiagari.testbed.plugins.module_utils.drill.storage_checks import Readback
from ansible_collections.okiagari.testbed.plugins.module_utils.drill.write_checks import WriteCheck
from ansible_collections.okiagari.testbed.plugins.module_utils.errors import BadInput
from ansible_collections.okiagari.testbed.plugins.module_utils.target.writers import key_of

WRITER = Writer("w", "a", "/f", 10.0, 1000)
WINDOWS = {"before": [(0.0, 5.0)], "faults": [(5.0, 15.0)], "after": [(15.0, 20.0)], "run": [(0.0, 20.0)]}
T0, OFFSET = 1000.0, 0.5


def steady(*spans: tuple[float, float]) -> list[float]:
    """Acknowledgements at ten a second within the spans."""
    return [number / 10 for start, end in spans for number in range(round(start * 10), round(end * 10))]


def wrote(acks: list[float], errors: list[Any] | None = None) -> writes.Written:
    result = {
        "id": "w",
        "acks": [[T0 + OFFSET + ack - 0.02, T0 + OFFSET + ack] for ack in acks],
        "errors": [[T0 + OFFSET + 6, T0 + OFFSET + 9, "EIO", 4]] if errors is None else errors,
    }
    [one] = writes.written([WRITER], [result], {"a": Clock(OFFSET)}, T0, 20.0)
    return one


PAUSED = wrote(steady((0, 5), (12, 20)))


def test_rates_and_pause() -> None:
    assert writes.rate(PAUSED, WINDOWS["before"]) == pytest.approx(10)
    assert writes.rate(PAUSED, WINDOWS["faults"]) == pytest.approx(3, abs=0.2)
    assert writes.rate(PAUSED, []) is None
    longest = writes.pause(PAUSED, 5.0)
    assert [longest.seconds, longest.until] == pytest.approx([7.1, 12.0])
    assert writes.pause(wrote(steady((0, 20))), 5.0).seconds == 0
    assert PAUSED.before(5.0) == 50


def test_a_writer_that_never_comes_back() -> None:
    longest = writes.pause(wrote(steady((0, 5))), 5.0)
    assert longest.seconds == pytest.approx(15.1)
    assert longest.until is None


def test_a_pause_after_the_faults_is_not_that_of_the_fault() -> None:
    late = wrote(steady((0, 16), (19, 20)))
    assert writes.pause(late, 5.0, 15.0).seconds == 0
    assert writes.pause(late, 5.0).seconds == pytest.approx(3.1)


def test_the_reports_summary() -> None:
    found = writes.summary(PAUSED, WINDOWS, 5.0)
    assert found["acknowledged"] == 130
    assert found["bytes_per_s"]["before"] == 10000
    assert found["pause_ms"] == pytest.approx(7100)
    assert found["slowest_ms"] == pytest.approx(20)
    assert found["errors"] == [{"from": 6.0, "to": 9.0, "error": "EIO", "times": 4}]
    assert [item["records"] for item in found["series"]] == [10] * 5 + [0] * 7 + [10] * 8


@pytest.mark.parametrize(
    ("check", "phase", "within", "ok", "detail"),
    [
        (WriteCheck("w", rate=Range(None, 5.0)), "continuous", None, True, "3 records/s; 4 times EIO"),
        (
            WriteCheck("w", rate=Range(5.0, None)),
            "continuous",
            None,
            False,
            "3 records/s, expected at least 5 records/s",
        ),
        (WriteCheck("w", max_pause_s=8.0), "continuous", None, True, "longest pause 7.1 s; 4 times EIO"),
        (WriteCheck("w", max_pause_s=2.0), "continuous", None, False, "longest pause 7.1 s, expected at most 2 s"),
        (WriteCheck("w"), "recover_within", 8.0, True, "wrote again after 7 s; 4 times EIO"),
        (WriteCheck("w"), "recover_within", 5.0, False, "wrote again after 7 s, expected within 5 s"),
        (WriteCheck("x"), "recover_within", 5.0, False, "x wrote nothing"),
    ],
)
def test_judging_a_writer(check: WriteCheck, phase: Any, within: float | None, ok: bool, detail: str) -> None:
    outcome = expectations.measured(
        Probe("p", "p", phase, check, None, within), check, Measurements([], [PAUSED], WINDOWS, 5.0)
    )
    assert (outcome["ok"], outcome["detail"]) == (ok, detail)


def test_a_writer_that_wrote_nothing_says_why() -> None:
    check = WriteCheck("w", max_pause_s=1.0)
    outcome = expectations.measured(
        Probe("p", "p", "continuous", check), check, Measurements([], [wrote([])], WINDOWS, 5.0)
    )
    assert (outcome["ok"], outcome["detail"]) == (False, "w wrote nothing: EIO")


@pytest.mark.parametrize(
    ("records", "acknowledged", "ok", "detail"),
    [
        (50, 50, True, "said"),
        (51, 50, True, "said"),
        (48, 50, False, "2 of 50 acknowledged records are lost or wrong, from number 48 on; said"),
        (0, 50, False, "none of the 50 acknowledged records is there; said"),
        (50, None, False, "nothing that was acknowledged is known of; said"),
        (0, 0, False, "nothing that was acknowledged is known of; said"),
    ],
)
def test_judging_a_readback(lab: dict[str, Any], records: int, acknowledged: int | None, ok: bool, detail: str) -> None:
    check = Readback("w", "naist-kvm1", "/f", 1000)
    result = {"ok": True, "value": {"records": records}, "detail": "said"}
    outcome = expectations.answered(
        Probe("p", "p", "after", check), check, result, 1.0, Context(Places(lab), acknowledged)
    )
    assert (outcome["ok"], outcome["detail"]) == (ok, detail)


WITH_WRITERS = {
    "name": "d",
    "hypothesis": "h",
    "writers": [{"name": "w", "node": "hiroshima-kvm1", "path": "/shared/w", "rate": 5, "size": "64kib"}],
    "timeline": [{"at": 5, "for": 10, "fault": "link_down", "circuit": "hiroshima-osaka"}],
    "probes": [
        {"phase": "on_fault", "readback": {"of": "w", "from": "naist-kvm1"}},
        {"phase": "after", "readback": {"of": "w", "from": "naist-kvm1", "path": "/nfs/w"}},
        {"phase": "continuous", "writes": {"of": "w", "rate": "3..", "max_pause": "2s"}},
        {"phase": "recover_within", "within": "20s", "writes": "w"},
    ],
}


def test_a_drill_with_writers(lab: dict[str, Any]) -> None:
    drill = parse(WITH_WRITERS, lab)
    assert drill.writers == (Writer("w", "hiroshima-kvm1", "/shared/w", 5.0, 65536),)
    assert [probe.name for probe in drill.probes] == [
        "what w wrote is read at naist-kvm1",
        "what w wrote is read at naist-kvm1",
        "w writes at least 3 records/s (faults), pauses for at most 2 s",
        "w writes again within 20 s",
    ]
    compiled = programs(drill, "d-1", Places(lab), 0.0, {})
    assert compiled["hiroshima-kvm1"]["writers"] == [
        {"id": "w", "path": "/shared/w", "rate": 5.0, "size": 65536, "from": 0.0, "until": 25.0}
    ]
    [probe] = compiled["naist-kvm1"]["probes"]
    assert (probe["type"], probe["path"], probe["key"], probe["at"]) == (
        "readback",
        "/shared/w",
        key_of("d-1", "w"),
        10.0,
    )
    text = plan_text(drill, plans(drill, lab, Places(lab)))
    assert "+ 0 s to 25 s: 5 records/s of 65536 bytes to /shared/w" in text
    assert "+ 10 s: what w wrote is read at naist-kvm1" in text


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"writers": [{"name": "w", "node": "hiroshima-kvm", "path": "/f"}]}, "did you mean hiroshima-kvm1?"),
        ({"writers": [{"name": "w", "node": "osaka", "path": "f"}]}, "writers[0].path: f is not the absolute path"),
        ({"writers": [{"name": "w", "node": "osaka", "path": "/f", "size": "1gib"}]}, "size: 1gib is not"),
        ({"writers": [{"name": "w", "node": "osaka", "path": "/f", "size": 10}]}, "writers[0].size: 10 is not"),
        ({"writers": [{"name": "w", "node": "osaka", "path": "/f", "rate": 0}]}, "writers[0].rate: 0 is not"),
        (
            {"writers": [{"name": name, "node": "osaka", "path": "/f"} for name in "wv"]},
            "writers: 2 of them write to /f",
        ),
        ({"probes": [{"phase": "after", "readback": {"of": "x", "from": "osaka"}}]}, "there is no writer called x"),
        (
            {"probes": [{"phase": "before", "readback": {"of": "w", "from": "osaka"}}]},
            "reads what was written since T0",
        ),
        ({"probes": [{"phase": "after", "writes": "w"}]}, "is measured over the whole run"),
        ({"probes": [{"phase": "continuous", "writes": "w"}]}, "says nothing that could be wrong"),
        ({"probes": [{"phase": "continuous", "writes": {"of": "w", "rate": "x.."}}]}, "is not a number from 0 to 1000"),
    ],
)
def test_a_drill_with_bad_writers(lab: dict[str, Any], changes: dict[str, Any], problem: str) -> None:
    with pytest.raises(BadInput) as refused:
        parse({**WITH_WRITERS, **changes}, lab)
    assert problem in str(refused.value)
