# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING

from ansible_collections.okiagari.testbed.plugins.module_utils.processes.tree import Outlet, Processes
from ansible_collections.okiagari.testbed.tests.unit.plugins.module_utils.processes.simulated_criu import Host

if TYPE_CHECKING:
    from pathlib import Path

MAPS = """\
00400000-00500000 r-xp 00000000 08:01 11 /usr/bin/ledger
00500000-00600000 rw-p 00100000 08:01 11 /usr/bin/ledger
7f0000000000-7f0000001000 r--p 00000000 08:01 12 /usr/lib/a\\040b.so
7f0000001000-7f0000002000 rw-s 00000000 08:01 13 /var/lib/ledger/shared
7f0000002000-7f0000003000 r-xp 00000000 08:01 14 /usr/lib/old.so (deleted)
7f0000003000-7f0000004000 rw-p 00000000 00:00 0
7ffd00000000-7ffd00001000 r-xp 00000000 00:00 0 [vdso]
"""


def test_a_tree_has_its_parents_first(tmp_path: Path) -> None:
    host, processes = Host(tmp_path), Processes(tmp_path)
    host.add(100, name="a (b) c")
    host.add(90, parent=101)
    host.add(101, parent=100)
    host.add(102, parent=1)
    assert [process.pid for process in processes.tree(100)] == [100, 101, 90]
    assert processes.tree(100)[0].name == "a (b) c"
    assert (processes.tree(7), processes.process(7)) == ([], None)


def test_a_process_is_told_from_a_later_one(tmp_path: Path) -> None:
    host, processes = Host(tmp_path), Processes(tmp_path)
    host.add(100, started=5)
    host.add(101, started=5, state="Z")
    assert [processes.runs(*each) for each in ((100, 5), (100, 6), (101, 5), (102, 5))] == [True, False, False, False]


def test_what_a_process_has_mapped_and_open(tmp_path: Path) -> None:
    host, processes = Host(tmp_path), Processes(tmp_path)
    host.add(100, maps=MAPS, inner=7, opened={"0": "/dev/null", "5": "/dev/pts/3"})
    assert processes.program_files(100) == {"/usr/bin/ledger", "/usr/lib/a b.so"}
    assert (processes.inner_pid(100), processes.terminal(100), processes.terminal(9)) == (7, "/dev/pts/3", "")
    assert processes.view(100) == {("8:1", "/", "/")}
    assert (processes.has_program(100), processes.has_program(9), processes.program_files(9)) == (True, False, set())


def test_what_leads_out_of_a_tree(tmp_path: Path) -> None:
    host, processes = Host(tmp_path), Processes(tmp_path)
    host.add(100, opened={"0": "pipe:[1]<", "1": "socket:[2]", "2": "socket:[2]", "3": "pipe:[3]>"})
    host.add(101, parent=100, opened={"0": "pipe:[4]<", "1": "pipe:[4]>"})
    (tmp_path / "100/net/unix").write_text(
        "Num RefCount Protocol Flags Type St Inode Path\n0: 3 0 0 0001 03 2\n0: 3 0 0 0002 01 9 /dev/log\n"
    )
    assert processes.outlets(100, processes.tree(100)) == [Outlet("pipe:[1]", False), Outlet("socket:[2]", True)]
    assert processes.outlets(101, processes.tree(101)) == []


def test_this_very_process() -> None:
    processes, pid = Processes(), os.getpid()
    found = processes.process(pid)
    assert found is not None
    assert (found.parent, found.session, found.alive) == (os.getppid(), os.getsid(0), True)
    assert processes.runs(pid, found.started)
    assert pid in {process.pid for process in processes.tree(os.getppid())}
    assert processes.namespaces("self") == processes.namespaces(pid)
    assert any("python" in path for path in processes.program_files(pid))
    one, two = socket.socketpair()
    with one, two:
        assert str(os.fstat(one.fileno()).st_ino) in processes._stream_sockets(pid)
