# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a client's record proves of a guest that has gone on elsewhere; and what it doesn't let pass."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

CLIENT = Path(__file__).parents[3] / "scenarios" / "ledger" / "client.py"
SPEC = importlib.util.spec_from_file_location("ledger_client", CLIENT)
assert SPEC
assert SPEC.loader
client: Any = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(client)


def record(*runs: tuple[float, int, int]) -> list[tuple[float, float, int]]:
    """Give the notes of runs: from when on, which counts, ten a second."""
    return [
        (began + each / 10, began + each / 10 + 0.05, first + each)
        for began, first, count in runs
        for each in range(count)
    ]


def test_what_was_done_since_the_capture_may_be_lost() -> None:
    said = client.judge(record((0, 1, 100), (18, 81, 50)), [(15.0, 7.9)])
    assert said == {"answers": 150, "outage_s": 8.1, "lost": 20, "lost_s": 1.9, "wrong": []}


def test_a_guest_may_move_again_and_nothing_is_lost_by_a_planned_move() -> None:
    notes = record((0, 1, 100), (18, 81, 50), (25, 131, 20), (31, 140, 20))
    said = client.judge(notes, [(15.0, 7.9), (24.0, 22.95), (30.0, 25.9)])
    assert (said["lost"], said["wrong"]) == (31, [])


def test_what_was_lost_once_is_not_lost_again() -> None:
    """The guest moves twice at short notice, and the second time goes on from what it had counted again."""
    said = client.judge(record((0, 1, 100), (18, 81, 5), (22, 84, 20)), [(15.0, 7.9), (20.0, 18.1)])
    assert (said["lost"], said["wrong"]) == (22, [])


def test_a_guest_that_never_moved_proves_nothing() -> None:
    for moves in ([], [(-15.0, -20.0)]):
        assert "has not moved" in " ".join(client.judge(record((0, 1, 100)), moves)["wrong"])


@pytest.mark.parametrize(
    ("notes", "wrong"),
    [
        (record((0, 1, 100), (18, 61, 50)), "18 counts are lost that were answered before 7.900"),
        (record((0, 1, 100), (18, 81, 50), (23, 100, 20)), "the count fell at 23.050, and the guest had not moved"),
        (record((0, 1, 50), (5, 50, 50), (18, 81, 50)), "the count fell at 5.050, and the guest had not moved"),
        (record((0, 1, 1)), "next to nothing was answered"),
    ],
    ids=["committed counts are lost", "two guests count", "a count comes twice", "no answers"],
)
def test_what_must_not_be_is_found(notes: list[Any], wrong: str) -> None:
    assert wrong in " ".join(client.judge(notes, [(15.0, 7.9)])["wrong"])


def test_it_leaves_with_1_if_something_is_wrong(tmp_path: Path) -> None:
    for first, status in ((81, 0), (61, 1)):
        notes = record((0, 1, 100), (18, first, 9))
        (tmp_path / "record").write_text("".join(f"{asked:.3f} {done:.3f} {number}\n" for asked, done, number in notes))
        argv = [sys.executable, str(CLIENT), "judge", str(tmp_path / "record"), "[[15.0, 7.9]]"]
        done = subprocess.run(argv, check=False, capture_output=True, text=True)
        assert done.returncode == status
        assert bool(json.loads(done.stdout)["wrong"]) == bool(status)
