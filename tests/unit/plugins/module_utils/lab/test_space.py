# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Real processes that live for a moment; a made-up `/proc` where namespaces come in."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from ansible_collections.okiagari.testbed.plugins.module_utils.errors import OkiagariError
from ansible_collections.okiagari.testbed.plugins.module_utils.lab.space import MARK, NODE_MARK, LabSpace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

OWN = "net:[1]"
LAB = "net:[2]"


@pytest.fixture
def space(tmp_path: Path) -> Iterator[LabSpace]:
    space = LabSpace(tmp_path / "lab")
    space.directory.mkdir()
    yield space
    space.destroy()


def spawn(space: LabSpace, node: str, *argv: str) -> int:
    """Start a process, and give its id when it can be seen."""
    before = space.processes()
    space.spawn(argv or ["sleep", "60"], node, space.directory / "log", enter=False)
    wait_for(lambda: bool(set(space.processes()) - set(before)))
    (process,) = set(space.processes()) - set(before)
    return process


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_processes_are_found_by_their_mark(space: LabSpace, tmp_path: Path) -> None:
    other = LabSpace(tmp_path / "lab2")
    other.directory.mkdir()
    mine, neighbour = spawn(space, "a"), spawn(other, "a")
    try:
        second = spawn(space, "b")
        assert space.processes() == {mine: "a", second: "b"}
        assert space.node_processes("a") == [mine]
        assert other.processes() == {neighbour: "a"}
    finally:
        other.destroy()
    assert space.processes() == {mine: "a", second: "b"}


def test_a_process_that_executes_another_program_is_seen_all_the_time(space: LabSpace, tmp_path: Path) -> None:
    restless = tmp_path / "restless"
    restless.write_text('#!/bin/sh\nexec "$0"\n')
    restless.chmod(0o700)
    spawn(space, "a", str(restless))
    assert all(space.node_processes("a") for _look in range(100))


def test_processes_without_environment_are_waited_for_together(
    space: LabSpace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A lab's kernels have hundreds of them."""
    bare = [subprocess.Popen(["sleep", "60"], env={}) for _number in range(20)]
    try:
        wait_for(lambda: all(Path(f"/proc/{each.pid}/cmdline").read_bytes().startswith(b"sleep") for each in bare))
        waits: list[float] = []
        monkeypatch.setattr(time, "sleep", waits.append)
        assert space.processes() == {}
        assert 0 < len(waits) < 20
    finally:
        for each in bare:
            each.kill()
            each.wait()


def test_children_carry_the_mark_too(space: LabSpace) -> None:
    space.spawn(["sh", "-c", "sleep 60 & wait"], "a", space.directory / "log", enter=False)
    wait_for(lambda: len(space.node_processes("a")) == 2)
    assert space.kill_node("a")
    assert space.node_processes("a") == []


def test_a_power_cut_hits_one_node(space: LabSpace) -> None:
    spawn(space, "a")
    b = spawn(space, "b")
    assert space.kill_node("a")
    assert space.processes() == {b: "b"}
    assert not space.kill_node("a")


def test_destroy_leaves_nothing(space: LabSpace) -> None:
    spawn(space, "a")
    assert space.destroy()
    assert space.processes() == {}
    assert not space.directory.exists()
    assert not space.destroy()


def test_destroy_bears_others_who_tidy_up(space: LabSpace) -> None:
    """An ssh connection that breaks takes its socket away, maybe just before it would be removed."""
    socket_like = [space.directory / f"s{number}" for number in range(2000)]
    for path in socket_like:
        path.touch()
    script = (
        "import os, sys\nfor entry in os.scandir(sys.argv[1]): os.path.exists(entry.path) and os.unlink(entry.path)"
    )
    with subprocess.Popen([sys.executable, "-c", script, space.directory], stderr=subprocess.DEVNULL):
        assert space.destroy()
    assert not space.directory.exists()


def test_destroy_says_what_it_cannot_remove(space: LabSpace, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    with monkeypatch.context() as patch:
        patch.setattr("shutil.rmtree", refuse)
        patch.setattr(time, "monotonic", iter(range(0, 1000, 3)).__next__)
        with pytest.raises(OkiagariError, match=r"lab can't be removed: .*Permission denied"):
            space.destroy()


def test_a_process_stands_alone_and_writes_to_the_end_of_its_log(space: LabSpace) -> None:
    log = space.directory / "log"
    log.write_text("before\n")
    process = spawn(space, "a", "sh", "-c", f"echo ${NODE_MARK}; read line || echo oops >&2; exec sleep 60")
    wait_for(lambda: log.read_text() == "before\na\noops\n")
    assert os.getsid(process) == process
    status = Path(f"/proc/{process}/status").read_text()
    assert f"PPid:\t{os.getpid()}\n" not in status
    space.spawn(["sh", "-c", "echo $EXTRA"], "a", log, enter=False, extra={"EXTRA": "more"})
    wait_for(lambda: log.read_text().endswith("oops\nmore\n"))


class Proc:
    """A made-up `/proc`. Process 1 is the reader."""

    def __init__(self, path: Path, lab: Path) -> None:
        self._path, self._lab = path, lab
        self.add(1, None, OWN)
        (path / "self").symlink_to("1")
        (path / "uptime").touch()

    def add(self, pid: int, node: str | None, namespace: str | None) -> None:
        entry = self._path / str(pid)
        (entry / "ns").mkdir(parents=True)
        if namespace:
            (entry / "ns" / "net").symlink_to(namespace)
        mark = f"{MARK}={self._lab}\0{NODE_MARK}={node}\0" if node else ""
        (entry / "environ").write_bytes(f"PATH=/bin\0{mark}BROKEN\0".encode() + b"\xff=\xff\0")


@pytest.fixture
def proc(tmp_path: Path) -> Proc:
    (tmp_path / "proc").mkdir()
    return Proc(tmp_path / "proc", tmp_path / "lab")


@pytest.mark.parametrize(
    ("processes", "anchor", "keeper"),
    [
        ([], None, None),
        # On its way into the namespace, or gone: its namespace can't be read.
        ([(7, "keeper", OWN), (8, "a", None)], None, None),
        ([(7, "a", LAB), (8, "keeper", LAB)], 8, 8),
        ([(7, "keeper", OWN), (9, "b", LAB), (8, "a", LAB)], 8, None),
        ([(7, None, LAB)], None, None),
    ],
)
def test_the_way_in(
    tmp_path: Path,
    proc: Proc,
    processes: list[tuple[int, str | None, str | None]],
    anchor: int | None,
    keeper: int | None,
) -> None:
    for process in processes:
        proc.add(*process)
    space = LabSpace(tmp_path / "lab", tmp_path / "proc")
    assert (space.anchor(), space.keeper()) == (anchor, keeper)


@pytest.mark.parametrize(("user", "flags"), [(0, ["--net"]), (1000, ["--net", "--user", "--preserve-credentials"])])
def test_entering(tmp_path: Path, proc: Proc, monkeypatch: pytest.MonkeyPatch, user: int, flags: list[str]) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: user)
    space = LabSpace(tmp_path / "lab", tmp_path / "proc")
    with pytest.raises(OkiagariError, match=r"the lab in .*/lab is not up: run playbooks/lab_up.yml"):
        space.enter(["ip", "link"])
    proc.add(8, "keeper", LAB)
    assert space.enter(["ip", "link"]) == ["nsenter", "--target", "8", *flags, "--", "ip", "link"]
    assert space.enter(["ip", "link"], 9)[2] == "9"


@pytest.mark.parametrize(
    ("user", "hint"), [(0, "a container without CAP_SYS_ADMIN"), (1000, "user.max_user_namespaces > 0")]
)
def test_a_machine_without_namespaces_is_told_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, user: int, hint: str
) -> None:
    unshare = tmp_path / "unshare"
    unshare.write_text("#!/bin/sh\necho 'unshare: unshare failed: Operation not permitted' >&2\nexit 1\n")
    unshare.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr(os, "geteuid", lambda: user)
    with pytest.raises(OkiagariError, match="unshare failed: Operation not permitted") as caught:
        LabSpace(tmp_path / "lab").create()
    assert hint in str(caught.value)
