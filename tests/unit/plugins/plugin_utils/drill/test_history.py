# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The record of who ran what."""

from __future__ import annotations

import getpass
import json
import os
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from ansible_collections.okiagari.testbed.plugins.plugin_utils.drill.history import append, last_end, user

if TYPE_CHECKING:
    from pathlib import Path


def run(ended: str, **more: Any) -> dict[str, Any]:
    return {"drill": "circuit_cut", "ended": f"2026-11-21T{ended}.000Z", "armed": True, **more}


def test_runs_are_kept_in_order_and_the_latest_end_counts(tmp_path: Path) -> None:
    assert last_end(tmp_path) is None
    runs = [run("12:00:00"), run("14:00:00", armed=False), run("11:00:00")]
    for each in runs:
        append(tmp_path, each)
    assert [json.loads(line) for line in (tmp_path / "history.jsonl").read_text().splitlines()] == runs
    assert last_end(tmp_path) == datetime(2026, 11, 21, 12, tzinfo=UTC)


def test_half_a_line_spoils_no_other(tmp_path: Path) -> None:
    append(tmp_path, run("12:00:00"))
    with (tmp_path / "history.jsonl").open("ab") as file:
        file.write(b'{"drill": "circ\xff')
    append(tmp_path, run("13:00:00"))
    assert last_end(tmp_path) == datetime(2026, 11, 21, 13, tzinfo=UTC)


@pytest.mark.parametrize("line", ["{}", "[]", "1", '{"armed": true, "ended": null}', '{"armed": true, "ended": "2026"}',
                                  '{"armed": true, "ended": "2027-01-01T00:00:00"}'])  # fmt: skip
def test_what_is_no_run_is_passed_over(tmp_path: Path, line: str) -> None:
    append(tmp_path, run("12:00:00"))
    with (tmp_path / "history.jsonl").open("a") as file:
        file.write(f"{line}\n")
    assert last_end(tmp_path) == datetime(2026, 11, 21, 12, tzinfo=UTC)


def test_a_run_is_on_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[str] = []

    def fsync(descriptor: int) -> None:
        synced.append(os.pread(descriptor, 1000, 0).decode())

    monkeypatch.setattr(os, "fsync", fsync)
    append(tmp_path, run("12:00:00"))
    assert synced == [json.dumps(run("12:00:00")) + "\n"]


def test_who_runs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SUDO_USER", raising=False)
    assert user() == getpass.getuser()
    monkeypatch.setenv("SUDO_USER", "aperson")
    assert user() == "aperson"
    monkeypatch.delenv("SUDO_USER")

    def nobody() -> str:
        raise KeyError("no such uid")

    monkeypatch.setattr(getpass, "getuser", nobody)
    assert user() == f"user {os.getuid()}"
