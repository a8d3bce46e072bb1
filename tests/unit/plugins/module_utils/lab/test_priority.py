# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which nodes come first, on machines that allow more and less."""

from __future__ import annotations

import os
import subprocess
from typing import Any

import pytest
from ansible_collections.okiagari.testbed.plugins.module_utils.lab.priority import _NICE as NICE
from ansible_collections.okiagari.testbed.plugins.module_utils.lab.priority import urgently

REAL_TIME = ["chrt", "--rr", "1", "taskset", "--cpu-list"]


@pytest.fixture(params=["allowed", "refused", "without chrt"])
def machine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    def run(argv: list[str], **_options: Any) -> subprocess.CompletedProcess[bytes]:
        assert argv[:5] + argv[6:] == [*REAL_TIME, "true"]
        if request.param == "without chrt":
            raise FileNotFoundError(argv[0])
        return subprocess.CompletedProcess(argv, request.param == "refused")

    monkeypatch.setattr(subprocess, "run", run)
    return str(request.param)


@pytest.mark.parametrize(("user", "otherwise"), [(0, list(NICE)), (1000, [])])
def test_a_router_comes_before_everything_where_that_is_allowed(
    machine: str, user: int, otherwise: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: user)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: {4, 2, 7})
    routers = [urgently("router", number) for number in (100, 101, 102, 103)]
    assert routers == [[*REAL_TIME, each] if machine == "allowed" else otherwise for each in ("4", "7", "2", "4")]
    assert urgently("kvm_host", 100) == otherwise


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may come before others")
def test_a_host_comes_before_other_sessions_too() -> None:
    done = subprocess.run(
        [*NICE, "sh", "-c", 'nice; cat /proc/self/autogroup || echo "none nice -10"; echo "$0 $1"', "a b", "c"],
        start_new_session=True, capture_output=True, text=True, check=True,
    )  # fmt: skip
    own, session, words = done.stdout.splitlines()
    assert (own, words) == ("-10", "a b c")
    assert session.split()[1:] == ["nice", "-10"]
