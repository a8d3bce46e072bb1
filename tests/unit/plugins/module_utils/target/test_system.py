# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Real processes, as a target starts them."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

from ansible_collections.okiagari.testbed.plugins.module_utils.runner import Completed
from ansible_collections.okiagari.testbed.plugins.module_utils.target import system
from ansible_collections.okiagari.testbed.plugins.module_utils.target.system import WaitingProcess

if TYPE_CHECKING:
    from pathlib import Path

EACH_LINE = 'while read -r line; do echo "$line" >>"$0"; done'


def test_for_a_while_all_else_goes_first() -> None:
    code = f"""
import os, sys
sys.path[:0] = {sys.path!r}
from {system.__name__} import be_punctual, ordinarily
be_punctual()
before = os.sched_getscheduler(0), os.sched_getparam(0)
with ordinarily():
    within = os.sched_getscheduler(0)
print(within == os.SCHED_OTHER, (os.sched_getscheduler(0), os.sched_getparam(0)) == before)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "True"]


def test_a_started_command_does_nothing_before_it_is_told(tmp_path: Path) -> None:
    done = tmp_path / "done"
    waiting = WaitingProcess(("sh", "-c", EACH_LINE, str(done)))
    assert not done.exists()
    assert waiting.tell("one\ntwo\n") == Completed(0, "", "")
    assert done.read_text() == "one\ntwo\n"


def test_how_it_ended_is_told() -> None:
    assert WaitingProcess(("sh", "-c", "cat; echo why >&2; exit 3")).tell("all") == Completed(3, "all", "why\n")
    assert WaitingProcess(("sh", "-c", "exec sleep 60")).tell("", timeout=0.1).rc == 124


def test_it_ends_with_whoever_started_it_and_has_done_nothing(tmp_path: Path) -> None:
    done = tmp_path / "done"
    script = f'{EACH_LINE}; echo end >>"$0"'
    killed = f"""
import os, signal, sys
sys.path[:0] = {sys.path!r}
from {system.__name__} import WaitingProcess
waiting = WaitingProcess(("sh", "-c", {script!r}, {str(done)!r}))
os.kill(os.getpid(), signal.SIGKILL)
"""
    assert subprocess.run([sys.executable, "-c", killed], check=False).returncode == -signal.SIGKILL
    until = time.monotonic() + 30
    # The shell makes the file before it writes.
    while not (done.exists() and done.read_text()) and time.monotonic() < until:
        time.sleep(0.01)
    assert done.read_text() == "end\n"
