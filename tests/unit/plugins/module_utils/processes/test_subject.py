# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest
from ansible_collections.okiagari.testbed.plugins.module_utils.errors import OkiagariError
from ansible_collections.okiagari.testbed.plugins.module_utils.processes.request import Request
from ansible_collections.okiagari.testbed.plugins.module_utils.processes.subject import Subject, subject
from ansible_collections.okiagari.testbed.plugins.module_utils.processes.tree import Processes
from ansible_collections.okiagari.testbed.tests.unit.plugins.module_utils.processes.simulated_criu import (
    ROOT,
    Host,
    SimulatedCriu,
)

if TYPE_CHECKING:
    from pathlib import Path


def look(folder: Path, pid: int | None = 100, unit: str | None = None, **process: Any) -> Subject:
    host, criu = Host(folder), SimulatedCriu()
    criu.main_pids = {"ledger.service": 100}
    host.add(100, **process)
    host.add(101, parent=100)
    return subject(criu, Processes(folder), Request("captured", pid=pid, unit=unit))


def test_a_tree_by_its_pid_or_its_unit(tmp_path: Path) -> None:
    for number, found in enumerate((look(tmp_path / "a"), look(tmp_path / "b", None, "ledger.service"))):
        assert ([process.pid for process in found.tree], found.inner, found.enter) == ([100, 101], 100, ())
        assert not found.job, number


def test_a_tree_of_another_session_is_a_job(tmp_path: Path) -> None:
    assert look(tmp_path, session=50).job


def test_a_restored_tree_is_entered(tmp_path: Path) -> None:
    other = {"mnt": "mnt:[2]", "pid": "pid:[2]", "net": "net:[2]", "time": "time:[2]"}
    own_proc = ROOT + "99 25 0:9 / /proc rw - proc proc rw\n"
    found = look(tmp_path, other=other, inner=7, mounts=own_proc)
    assert (found.enter, found.inner) == (("mnt", "net", "pid"), 7)


@pytest.mark.parametrize(
    ("process", "said"),
    [
        ({"state": "Z"}, "there is no process 100"),
        ({"opened": {"0": "/dev/pts/1"}}, "process 100 (ledger) uses the terminal /dev/pts/1"),
        ({"other": {"user": "user:[2]"}}, "a namespace of its own for users"),
        ({"other": {"ipc": "ipc:[2]"}}, "a namespace of its own for System V IPC"),
        ({"other": {"mnt": "mnt:[2]"}, "mounts": ROOT + "9 24 0:7 / /tmp rw - tmpfs t rw\n"}, "other file systems"),
        ({"other": {"pid": "pid:[2]"}, "inner": 1}, "is the first one of a container"),
    ],
)
def test_what_can_not_be_captured_is_refused(tmp_path: Path, process: dict[str, Any], said: str) -> None:
    with pytest.raises(OkiagariError) as refused:
        look(tmp_path, **process)
    assert said in str(refused.value)


def test_what_there_is_not(tmp_path: Path) -> None:
    with pytest.raises(OkiagariError, match="there is no process 7"):
        look(tmp_path / "a", 7)
    with pytest.raises(OkiagariError, match=r"the unit x.service has no main process: is it running\?"):
        look(tmp_path / "b", None, "x.service")
    (tmp_path / "c").mkdir()
    host = Host(tmp_path / "c")
    host.add(100)
    (tmp_path / "c/100/exe").unlink()
    with pytest.raises(OkiagariError, match="belongs to the kernel"):
        subject(SimulatedCriu(), Processes(tmp_path / "c"), Request("captured", pid=100))
    host.add(os.getpid(), parent=200)
    host.add(200)
    with pytest.raises(OkiagariError, match="it would stop itself"):
        subject(SimulatedCriu(), Processes(tmp_path / "c"), Request("captured", pid=200))
