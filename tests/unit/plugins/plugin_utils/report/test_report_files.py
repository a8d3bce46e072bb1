# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files: complete or absent, and the link to the newest."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import pytest
from ansible_collections.okiagari.testbed.plugins.plugin_utils.report import (
    link_latest,
    render_html,
    render_junit,
    write_reports,
)
from ansible_collections.okiagari.testbed.plugins.plugin_utils.report.__main__ import main

if TYPE_CHECKING:
    from pathlib import Path


def test_three_files_and_no_remains(tmp_path: Path, held: dict[str, Any]) -> None:
    run = tmp_path / "circuit_cut" / "20261121T120000Z"
    write_reports(held, run)
    assert sorted(found.name for found in run.iterdir()) == ["junit.xml", "report.html", "report.json"]
    again = json.loads((run / "report.json").read_text(encoding="utf-8"))
    assert again == held
    assert (run / "report.html").read_text(encoding="utf-8") == render_html(again)
    assert (run / "junit.xml").read_text(encoding="utf-8") == render_junit(again)


def test_numbers_and_letters_that_json_has_not(tmp_path: Path) -> None:
    write_reports({"outage_ms": float("nan"), "title": "a\ud800b", "targets": {1: {}}}, tmp_path)
    assert json.loads((tmp_path / "report.json").read_bytes()) == {
        "outage_ms": None,
        "title": "a\ufffdb",
        "targets": {"1": {}},
    }


def test_a_failed_write_leaves_the_old_file(
    tmp_path: Path, held: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    write_reports(held, tmp_path)
    old = (tmp_path / "report.json").read_bytes()

    def full(_handle: int) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="no space"):
        write_reports({**held, "title": "new"}, tmp_path)
    assert (tmp_path / "report.json").read_bytes() == old
    assert sorted(found.name for found in tmp_path.iterdir()) == ["junit.xml", "report.html", "report.json"]


def test_latest_is_relative_and_follows(tmp_path: Path) -> None:
    root = tmp_path / "reports"
    for run in ("one", "two"):
        (root / "drill" / run).mkdir(parents=True)
        link_latest(root, root / "drill" / run)
        assert str((root / "latest").readlink()) == f"drill/{run}"
    assert sorted(found.name for found in root.iterdir()) == ["drill", "latest"]


def test_latest_replaces_a_dangling_link_but_no_directory(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "latest").symlink_to("gone")
    link_latest(tmp_path, tmp_path / "run")
    assert str((tmp_path / "latest").readlink()) == "run"
    (tmp_path / "latest").unlink()
    (tmp_path / "latest").mkdir()
    with pytest.raises(FileExistsError):
        link_latest(tmp_path, tmp_path / "run")


def test_made_again_from_json_alone(tmp_path: Path, held: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    write_reports(held, tmp_path)
    (tmp_path / "report.html").unlink()
    assert main([str(tmp_path)]) == 0
    assert (tmp_path / "report.html").exists()
    assert capsys.readouterr().out.strip().endswith("report.html")


@pytest.mark.parametrize("content", [None, "{", "[]"])
def test_no_report_is_said_in_one_line(tmp_path: Path, content: str | None, capsys: pytest.CaptureFixture[str]) -> None:
    if content is not None:
        (tmp_path / "report.json").write_text(content, encoding="utf-8")
    assert main([str(tmp_path)]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
