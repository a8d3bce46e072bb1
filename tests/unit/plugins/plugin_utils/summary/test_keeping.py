# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which run folders may go."""

from __future__ import annotations

import json
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.okiagari.testbed.plugins.plugin_utils.summary import outdated, remove
from hypothesis import given
from hypothesis import strategies as st

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


def run(reports: Path, days_ago: int, verdict: str = "held", drill: str = "cut", **more: Any) -> Path:
    folder = reports / drill / f"{NOW - timedelta(days=days_ago):%Y%m%dT%H%M%SZ}"
    folder.mkdir(parents=True)
    report = {"schema": "okiagari.report/1", "drill": drill, "verdict": verdict, **more}
    (folder / "report.json").write_text(json.dumps(report))
    (folder / "report.html").touch()
    return folder


def names(folders: list[Path]) -> set[str]:
    return {folder.name for folder in folders}


def test_the_newest_of_each_drill_are_kept(tmp_path: Path) -> None:
    cut = [run(tmp_path, days) for days in range(5)]
    other = [run(tmp_path, days, drill="other") for days in (8, 9)]
    assert outdated(tmp_path, 2, 0, NOW) == sorted(cut[2:])[::-1]
    assert outdated(tmp_path, 1, 0, NOW)[-1:] == other[1:]


def test_the_last_days_and_the_last_failure_are_kept(tmp_path: Path) -> None:
    verdicts = ["held", "aborted", "held", "not_restored", "failed", "held"]
    folders = [run(tmp_path, days, verdict) for days, verdict in enumerate(verdicts)]
    assert names(outdated(tmp_path, 1, 2.5, NOW)) == names(folders[4:])
    assert names(outdated(tmp_path, 1, 0, NOW)) == names([*folders[1:3], *folders[4:]])


verdicts = st.sampled_from(["held", "failed", "aborted"])


@given(st.dictionaries(st.integers(0, 40), verdicts), st.integers(1, 10), st.integers(0, 40))
def test_what_goes_is_old_and_not_the_last_failure(made: dict[int, str], keep: int, days: int) -> None:
    with tempfile.TemporaryDirectory() as directory:
        folders = {age: run(Path(directory), age, verdict) for age, verdict in made.items()}
        gone = set(outdated(Path(directory), keep, days, NOW))
    kept = {*sorted(made)[:keep], *sorted(age for age, verdict in made.items() if verdict == "failed")[:1]}
    assert gone == {folder for age, folder in folders.items() if age > days and age not in kept}


@pytest.mark.parametrize(
    "spoil",
    [
        lambda folder: (folder / "report.json").unlink(),
        lambda folder: (folder / "report.json").write_text("{"),
        lambda folder: (folder / "report.json").write_text("[]"),
        lambda folder: (folder / "report.json").write_text('{"schema": "somebody.else/1", "drill": "cut"}'),
        lambda folder: (folder / "report.json").write_text('{"schema": "okiagari.report/1", "drill": "other"}'),
        lambda folder: (folder / "notes.txt").touch(),
        lambda folder: (folder / "junit.xml").mkdir(),
        lambda folder: (folder / "junit.xml").symlink_to(folder / "report.html"),
        lambda folder: folder.rename(folder.parent / "20260101"),
        lambda folder: folder.rename(folder.parent / "20269901T000000Z"),
        lambda folder: (folder.rename(folder.parent.parent / "kept"), folder.symlink_to(folder.parent.parent / "kept")),
        lambda folder: (folder.parent.rename(folder.parent.parent.parent / "elsewhere"),
                        folder.parent.symlink_to(folder.parent.parent.parent / "elsewhere")),
    ],
)  # fmt: skip
def test_what_is_not_ours_alone_stays(tmp_path: Path, spoil: Any) -> None:
    (tmp_path / "reports").mkdir()
    run(tmp_path / "reports", 1)
    old = run(tmp_path / "reports", 30)
    assert outdated(tmp_path / "reports", 1, 0, NOW) == [old]
    spoil(old)
    assert outdated(tmp_path / "reports", 1, 0, NOW) == []


def test_other_files_beside_the_drills_are_no_trouble(tmp_path: Path) -> None:
    (tmp_path / "history.jsonl").touch()
    (tmp_path / "storage_bench").mkdir()
    (tmp_path / "storage_bench" / "fio.json").touch()
    assert outdated(tmp_path, 1, 0, NOW) == []


def test_two_runs_of_one_second_are_in_order(tmp_path: Path) -> None:
    first = run(tmp_path, 1)
    later = []
    for number in (2, 10):
        folder = run(tmp_path, 1 + number)
        later.append(folder.rename(first.with_name(f"{first.name}-{number}")))
    assert outdated(tmp_path, 1, 0, NOW) == [later[0], first]


def test_only_a_runs_own_files_are_removed(tmp_path: Path) -> None:
    whole, shared = run(tmp_path, 1), run(tmp_path, 2)
    (shared / "notes.txt").touch()
    for folder in (whole, shared):
        remove(folder)
    assert not whole.exists()
    assert [path.name for path in shared.iterdir()] == ["notes.txt"]
