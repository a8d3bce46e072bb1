# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The runners of drills on devices, as real processes."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from ansible_collections.okiagari.testbed.plugins.module_utils.errors import OkiagariError
from ansible_collections.okiagari.testbed.plugins.module_utils.proxy.runners import Runners

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

UNIT = "okiagari-drill-d"
# It writes down what it is told, and then waits for its end.
WAITS = "import pathlib, sys, time; pathlib.Path(sys.argv[1]).write_text(sys.stdin.read()); time.sleep(600)"


@pytest.fixture
def runners(tmp_path: Path) -> Iterator[Runners]:
    made = Runners(tmp_path / "runners", "a secret")
    yield made
    for unit in made.units():
        made.stop(unit)


def command(tmp_path: Path, program: str = WAITS) -> tuple[str, ...]:
    return (sys.executable, "-c", program, str(tmp_path / "told"))


def wait_for(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "it didn't come"
        time.sleep(0.02)


def test_a_runner_is_told_where_nobody_else_reads_it(tmp_path: Path, runners: Runners) -> None:
    runners.start(UNIT, command(tmp_path))
    wait_for(lambda: (tmp_path / "told").exists() and (tmp_path / "told").read_text())
    assert (tmp_path / "told").read_text() == "a secret"
    pid = int((tmp_path / "runners" / UNIT).read_text())
    assert "a secret" not in Path(f"/proc/{pid}/cmdline").read_text()
    assert (tmp_path / "runners" / UNIT).stat().st_mode & 0o777 == 0o600


def test_a_runner_is_there_at_once_and_until_it_is_stopped(tmp_path: Path, runners: Runners) -> None:
    assert (runners.units(), runners.running(UNIT)) == ([], False)
    runners.start(UNIT, command(tmp_path))
    assert (runners.units(), runners.running(UNIT)) == ([UNIT], True)
    with pytest.raises(OkiagariError, match="already running"):
        runners.start(UNIT, command(tmp_path))
    # It is found by whoever looks, not only by who has started it.
    Runners(tmp_path / "runners", "").stop(UNIT)
    assert (runners.units(), runners.running(UNIT)) == ([], False)
    runners.stop(UNIT)


def test_one_that_has_ended_is_gone_though_its_number_stays(tmp_path: Path, runners: Runners) -> None:
    runners.start(UNIT, command(tmp_path, ""))
    wait_for(lambda: not runners.units())
    assert (tmp_path / "runners" / UNIT).read_text()
    runners.start(UNIT, command(tmp_path))
    assert runners.units() == [UNIT]


def test_files_of_long_ago_are_removed(tmp_path: Path, runners: Runners) -> None:
    (tmp_path / "runners").mkdir()
    old, young = tmp_path / "runners/okiagari-drill-old", tmp_path / "runners/okiagari-drill-young"
    for path in (old, young):
        path.write_text("1")
    os.utime(old, (1, 1))
    runners.start(UNIT, command(tmp_path))
    assert sorted((tmp_path / "runners").iterdir()) == [tmp_path / "runners" / UNIT, young]


def test_no_lease_is_kept_here(runners: Runners) -> None:
    assert runners.available()
    runners.disarm("okiagari-lease-x")
    with pytest.raises(OkiagariError, match="a device keeps its leases itself"):
        runners.arm("okiagari-lease-x", 5, ())
