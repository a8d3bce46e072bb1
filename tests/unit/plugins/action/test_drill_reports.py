# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""okiagari.testbed.drill_reports, as the playbook runs it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[4]


@pytest.fixture
def reports(tmp_path: Path) -> Path:
    """Reports of three runs of one drill."""
    folder = tmp_path / "reports"
    runs = ["20260101T000000Z", "20260102T000000Z", "20260103T000000Z"]
    for name in runs:
        (folder / "cut" / name).mkdir(parents=True)
        report = {"schema": "okiagari.report/1", "drill": "cut", "verdict": "held"}
        (folder / "cut" / name / "report.json").write_text(json.dumps(report))
    lines = [{"drill": "cut", "started": f"{run[:4]}-01-{run[6:8]}T00:00:00Z", "verdict": "held"} for run in runs]
    (folder / "history.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


@pytest.fixture
def play(tmp_path: Path) -> Callable[..., str]:
    """Run the playbook with variables, and give what it says."""

    def run(*options: str, fails: bool = False, **variables: object) -> str:
        done = subprocess.run(
            [
                str(Path(sys.executable).with_name("ansible-playbook")),
                "-i", "localhost,", "-e", json.dumps(variables), *options, str(ROOT / "playbooks" / "reports.yml"),
            ],
            cwd=tmp_path,
            env={**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1"},
            capture_output=True,
            text=True,
            check=False,
        )  # fmt: skip
        assert bool(done.returncode) is fails, done.stdout + done.stderr
        return done.stdout + done.stderr

    return run


def changed(said: str) -> bool:
    return re.search(r"changed=([0-9]+)", said)[1] != "0"  # type: ignore[index]


def left(reports: Path) -> list[str]:
    return sorted(path.name for path in (reports / "cut").iterdir())


def test_check_mode_lists_what_goes_and_a_second_run_changes_nothing(reports: Path, play: Callable[..., str]) -> None:
    planned = play("--check", "--diff", reports=str(reports), keep_runs=1)
    assert left(reports) == ["20260101T000000Z", "20260102T000000Z", "20260103T000000Z"]
    assert not (reports / "index.html").exists()
    done = play("--diff", reports=str(reports), keep_runs=1)
    assert left(reports) == ["20260103T000000Z"]
    for said in (planned, done):
        assert changed(said)
        assert "cut/20260101T000000Z" in said
        assert "-    index.html: stale" in said
    assert "Disaster drills" in (reports / "index.html").read_text()
    assert not changed(play(reports=str(reports), keep_runs=1))


def test_nothing_goes_unasked(reports: Path, play: Callable[..., str]) -> None:
    assert changed(play(reports=str(reports)))
    assert len(left(reports)) == 3


def test_what_is_wrong_is_told_at_once(reports: Path, play: Callable[..., str]) -> None:
    said = play(reports=str(reports), keep_runs=0, keep_days=-1, fails=True)
    assert "keep_runs: 0 is less than 1" in said
    assert "keep_days: -1 is less than 0" in said
    assert "there are no reports" in play(reports=str(reports / "none"), fails=True)
    assert "Traceback" not in said
