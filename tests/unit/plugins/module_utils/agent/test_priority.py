# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an agent starts has no more of the processors than anybody else."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from ansible_collections.okiagari.testbed.plugins.module_utils.agent.priority import ordinary


@pytest.mark.parametrize(("had", "has"), [(0, 0), (7, 7)])
def test_what_comes_after_others_stays_there(had: int, has: int) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        os.setpriority(os.PRIO_PROCESS, process.pid, had)
        ordinary(process.pid)
        assert os.getpriority(os.PRIO_PROCESS, process.pid) == has


def test_what_comes_before_others_does_not_any_more(monkeypatch: pytest.MonkeyPatch) -> None:
    given: dict[int, int] = {0: -10, 5: -3}
    monkeypatch.setattr(os, "getpriority", lambda _which, process: given[process])
    monkeypatch.setattr(os, "setpriority", lambda _which, process, value: given.update({process: value}))
    ordinary()
    ordinary(5)
    assert given == {0: 0, 5: 0}


def test_one_that_is_gone_needs_nothing() -> None:
    process = subprocess.Popen(["true"])
    process.wait()
    ordinary(process.pid)
