# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever a capture was at, a domain is put right, by whoever is left to do so. The domain is a file here."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import stat
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
from ansible_collections.okiagari.testbed.plugins.module_utils.domains.care import Care, Watcher, alone
from ansible_collections.okiagari.testbed.plugins.module_utils.domains.definition import Domain
from ansible_collections.okiagari.testbed.plugins.module_utils.domains.passthrough import Passthrough
from ansible_collections.okiagari.testbed.plugins.module_utils.domains.virsh import Virsh
from ansible_collections.okiagari.testbed.plugins.module_utils.errors import OkiagariError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

# What a QEMU has is in a file, which each virsh reads and writes.
_PROGRAM = """\
#!{python} -ISB
import fcntl, json, shlex, sys
def answer(said):
    with open("{state}", "r+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        state = json.load(file)
        found = changed(state, said)
        file.seek(0)
        file.truncate()
        json.dump(state, file)
    return found
def changed(state, said):
    command, given = said["execute"], said.get("arguments", {{}})
    found = {{}}
    if command == "query-version":
        found = {{"qemu": {{"major": 7, "minor": 2}}}}
    elif command == "query-status":
        found = {{"running": state["runs"]}}
    elif command == "query-migrate":
        found = {{"status": state["status"]}}
    elif command == "query-migrate-capabilities":
        found = [{{"capability": name, "state": value}} for name, value in state["capabilities"].items()]
    elif command == "query-migrate-parameters":
        found = {{"max-bandwidth": state["bandwidth"]}}
    elif command == "query-jobs":
        found = [{{"id": name, "status": "concluded"}} for name in state["jobs"]]
    elif command == "query-fdsets":
        found = [{{"fdset-id": number, "fds": [{{"opaque": name}}]}} for number, name in enumerate(state["files"])]
    elif command == "cont":
        state["runs"] = True
    elif command == "migrate_cancel":
        state["status"] = "cancelled"
    elif command == "job-dismiss":
        state["jobs"].remove(given["id"])
    elif command == "blockdev-del" and given["node-name"] in state["nodes"]:
        state["nodes"].remove(given["node-name"])
    elif command == "block-dirty-bitmap-remove" and given["name"] in state["bitmaps"]:
        state["bitmaps"].remove(given["name"])
    elif command == "remove-fd":
        state["files"].pop(given["fdset-id"])
    elif command == "migrate-set-capabilities":
        state["capabilities"].update((each["capability"], each["state"]) for each in given["capabilities"])
    elif command == "migrate-set-parameters":
        state["bandwidth"] = given["max-bandwidth"]
    elif command not in ("job-cancel",):
        return {{"error": {{"desc": "no " + command}}}}
    return {{"return": found}}
for line in sys.stdin:
    words = shlex.split(line)
    print(words[1] if words[0] == "echo" else "\\n" + json.dumps(answer(json.loads(words[-1]))), flush=True)
"""
RIGHT: dict[str, Any] = {
    "runs": True, "status": "cancelled", "capabilities": {"events": True, "background-snapshot": False},
    "bandwidth": 77, "jobs": [], "files": ["serial0"], "nodes": ["libvirt-1-format"], "bitmaps": ["theirs"],
}  # fmt: skip
WRONG: dict[str, Any] = {
    "runs": False, "status": "active", "capabilities": {"events": False, "background-snapshot": True},
    "bandwidth": 0, "jobs": ["okiagari-vda"], "files": ["serial0", "okiagari-vda"],
    "nodes": ["libvirt-1-format", "okiagari-vda"], "bitmaps": ["theirs", "okiagari"],
}  # fmt: skip


class Rig:
    def __init__(self, folder: Path) -> None:
        self._path = folder / "state"
        self._path.touch()
        self.have(RIGHT)
        program = folder / "virsh"
        program.write_text(_PROGRAM.format(python=sys.executable, state=self._path))
        program.chmod(stat.S_IRWXU)

    def have(self, state: dict[str, Any]) -> None:
        with self._path.open("r+") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            file.truncate()
            file.write(json.dumps(state))

    def state(self) -> dict[str, Any]:
        with self._path.open() as file:
            fcntl.flock(file, fcntl.LOCK_SH)
            return dict(json.load(file))

    def care(self) -> Care:
        with Virsh("tally") as virsh:
            return Care.of(Passthrough(virsh), "tally", "", {"vda": "libvirt-1-format"}, self._path.parent)


@pytest.fixture
def rig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Rig]:
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    return Rig(tmp_path)


def test_what_was_changed_is_undone_and_nothing_else(rig: Rig) -> None:
    care = rig.care()
    rig.have(WRONG)
    with Virsh("tally") as virsh:
        monitor = Passthrough(virsh)
        care.let_go_on(monitor, cancel=True)
        assert rig.state() == {**WRONG, "runs": True, "status": "cancelled"}
        for _time in range(2):
            care.undo(monitor)
            assert rig.state() == RIGHT


def fail(rig: Rig, begin: Callable[[Watcher], object] = lambda _watcher: None) -> None:
    """Fail as a capture does."""
    with Watcher(rig.care()) as watcher:
        rig.have(WRONG)
        begin(watcher)
        raise OkiagariError("no room")


def test_a_capture_that_fails_is_put_right_when_it_is_told(rig: Rig) -> None:
    with pytest.raises(OkiagariError, match="no room"):
        fail(rig)
    assert rig.state() == RIGHT


def test_a_capture_that_comes_to_its_end_is_left_to_itself(rig: Rig) -> None:
    with Watcher(rig.care()):
        rig.have(WRONG)
    assert rig.state() == WRONG


@pytest.mark.parametrize("by", [signal.SIGKILL, signal.SIGTERM])
def test_a_capture_that_dies_is_put_right_by_another(rig: Rig, by: signal.Signals) -> None:
    care = rig.care()
    child = os.fork()
    if not child:
        with Watcher(care):
            rig.have(WRONG)
            os.kill(os.getpid(), by)
            os._exit(0)
    os.waitpid(child, 0)
    end = time.monotonic() + 60
    while rig.state() != RIGHT:
        assert time.monotonic() < end, rig.state()
        time.sleep(0.02)


def test_a_pipe_that_nobody_reads_any_more_is_read_on(rig: Rig) -> None:
    """So that a stream comes to its end, which isn't cancelled."""
    source, sink = os.pipe()

    def write() -> None:
        # More than a pipe holds.
        for _time in range(10):
            os.write(sink, bytes(65536))
        rig.have({**WRONG, "status": "completed"})

    def begin(watcher: Watcher) -> None:
        watcher.keep(sink)
        os.close(source)
        writing.start()

    writing = threading.Thread(target=write)
    with pytest.raises(OkiagariError, match="no room"):
        fail(rig, begin)
    writing.join()
    assert rig.state() == {**RIGHT, "status": "completed"}
    os.close(sink)


def test_a_domain_is_captured_once_at_a_time() -> None:
    one, other = (Domain("tally", f"test-{os.getpid()}-{number}", (), "") for number in range(2))
    with (
        alone(one),
        alone(other),
        pytest.raises(OkiagariError, match="tally is being captured already"),
        alone(one),
    ):
        pass
    with alone(one):
        pass
