# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What surrounds the engine: the lock, the report's directory, and reports of runs that went in any way."""

from __future__ import annotations

import json
import multiprocessing
import os
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pytest
from ansible_collections.okiagari.testbed.plugins.plugin_utils.drill.__main__ import _directory, _killed
from ansible_collections.okiagari.testbed.plugins.plugin_utils.drill.lock import BusyError, Lock
from ansible_collections.okiagari.testbed.plugins.plugin_utils.report import write_reports

if TYPE_CHECKING:
    from pathlib import Path

SINCE, UNTIL = "2026-11-21T12:00:00.000Z", "2026-11-21T12:02:00.000Z"
HOLDER = {"drill": "circuit_cut", "since": SINCE, "until": UNTIL, "who": "aperson@ctl1, process 42", "pid": 42}


def test_the_second_is_told_who_holds_the_lock(tmp_path: Path) -> None:
    told = rf"circuit_cut, since {SINCE}, until {UNTIL} at the latest \(aperson@ctl1, process 42\); wait for its end"
    lock = Lock(tmp_path / "reports/.lock", HOLDER)
    with pytest.raises(BusyError, match=told):
        Lock(tmp_path / "reports/.lock", {"drill": "other"})
    lock.release()
    Lock(tmp_path / "reports/.lock", HOLDER).release()


def test_a_lock_that_says_nothing(tmp_path: Path) -> None:
    lock = Lock(tmp_path / ".lock", HOLDER)
    for said in ("", "{", "[]", "{}"):
        (tmp_path / ".lock").write_text(said)
        with pytest.raises(BusyError, match="on this testbed: its holder is not known; wait"):
            Lock(tmp_path / ".lock", {})
    lock.release()
    assert Lock(tmp_path / ".lock", HOLDER).left == {}


def _take_and_die(path: Path) -> None:
    Lock(path, HOLDER)
    os._exit(9)


def test_a_dead_holder_holds_nothing(tmp_path: Path) -> None:
    process = multiprocessing.get_context("fork").Process(target=_take_and_die, args=(tmp_path / ".lock",))
    process.start()
    process.join()
    lock = Lock(tmp_path / ".lock", HOLDER)
    assert lock.left == HOLDER
    lock.release()


@pytest.mark.parametrize(("seconds", "ended"), [(60, "2026-11-21T12:01:00.000Z"), (600, UNTIL)])
def test_a_killed_run_ended_when_it_would_have_at_the_latest(seconds: float, ended: str) -> None:
    said = {**HOLDER, "run": "r", "user": "aperson", "host": "ctl1", "sites": ["kanazawa"]}
    now = datetime.fromisoformat(SINCE).timestamp() + seconds
    assert _killed(said, now) == {
        "drill": "circuit_cut", "run": "r", "user": "aperson", "host": "ctl1", "sites": ["kanazawa"],
        "started": SINCE, "ended": ended, "verdict": None, "armed": True,
    }  # fmt: skip


def test_two_runs_in_one_second_have_two_directories(tmp_path: Path) -> None:
    assert [_directory(tmp_path, "20261121T120000Z").name for _run in range(3)] == [
        "20261121T120000Z",
        "20261121T120000Z-2",
        "20261121T120000Z-3",
    ]


@pytest.mark.parametrize(
    "misbehaviour",
    [
        {},
        {"outage_s": 1.5},
        {"scarred": True},
        {"unanswered": {"probe-1"}},
        {"unreachable": {"osaka"}},
        {"refuses_to_arm": {"kanazawa-r1"}},
        {"fails_to_inject": {"circuit_cut-1-hiroshima-r1"}},
    ],
)
def test_every_run_gives_all_three_files(
    simulate: Any, circuit_cut: dict[str, Any], tmp_path: Path, misbehaviour: dict[str, Any]
) -> None:
    report = simulate(circuit_cut, **misbehaviour).engine.run()
    write_reports(report, tmp_path)
    assert json.loads((tmp_path / "report.json").read_text()) == json.loads(json.dumps(report))
    assert report["verdict"].replace("_", " ") in (tmp_path / "report.html").read_text().lower() or misbehaviour
    assert (tmp_path / "junit.xml").stat().st_size
