# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The remotes against a stand-in for ssh, which runs what it is given on this machine and writes down its arguments."""

from __future__ import annotations

import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from ansible_collections.okiagari.testbed.plugins.module_utils.errors import OkiagariError
from ansible_collections.okiagari.testbed.plugins.plugin_utils.drill.fleet import Fleet, Interrupted
from ansible_collections.okiagari.testbed.plugins.plugin_utils.drill.remote import (
    DeviceRemote,
    LocalRemote,
    Program,
    RefusedError,
    SshRemote,
    UnreachableError,
    connect,
)

if TYPE_CHECKING:
    from pathlib import Path

SSH = '#!/bin/sh\nprintf "%s\\n" "$@" >>"$ARGUMENTS"\nfor last; do :; done\nexec sh -c "$last"\n'
ANSWER = "import json, sys; print(json.dumps({'command': sys.argv[1], 'got': json.load(sys.stdin)}))\n"


def program(tmp_path: Path, content: str = ANSWER) -> Program:
    return Program(content.encode(), "okiagari-0123456789ab.pyz", str(tmp_path / "run"))


@pytest.fixture
def arguments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/ssh").write_text(SSH)
    (tmp_path / "bin/ssh").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    monkeypatch.setenv("ARGUMENTS", str(tmp_path / "arguments"))
    return tmp_path / "arguments"


def test_the_program_is_shipped_once(tmp_path: Path) -> None:
    remote = LocalRemote("r1", {}, program(tmp_path))
    assert remote.call("hello", {"a": 1}) == {"command": "hello", "got": {"a": 1}}
    path = tmp_path / "run/okiagari-0123456789ab.pyz"
    assert path.stat().st_mode & 0o777 == 0o600
    first = path.stat().st_ino
    remote.call("hello")
    assert path.stat().st_ino == first
    assert [entry.name for entry in (tmp_path / "run").iterdir()] == [path.name]


def test_the_power_of_a_labs_nodes_is_asked_for_on_this_machine(tmp_path: Path) -> None:
    said = program(tmp_path, "import json, sys; sys.stdin.read(); print(json.dumps({'argv': sys.argv[1:]}))\n")
    lab = tmp_path / "a lab"
    variables = {"okiagari_lab": str(lab), "okiagari_directory": str(lab / "power")}
    remote = connect("lab@localhost", variables, said, tmp_path, 0)
    with pytest.raises(UnreachableError, match="lab@localhost: there is no lab in"):
        remote.call("hello")
    assert not lab.exists()
    lab.mkdir()
    assert remote.call("hello") == {"argv": ["--lab", str(lab), "hello"]}


def test_a_device_is_asked_by_a_program_of_this_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OKIAGARI_STATE", str(tmp_path / "state"))
    device = {"os": "iosxr", "host": "127.0.0.1", "port": 1, "user": "ops", "password": "a secret"}
    remote = DeviceRemote("r1", device, ["link:eth1"])
    assert remote.call("status", {"drill": "d"})["running"] is False
    assert remote.call("claim", {"drill": "d", "who": "a", "seconds": 60})["claimed"]
    assert (tmp_path / "state/devices/127.0.0.1-1/drill.lock").exists()
    with pytest.raises(RefusedError, match=r"r1: .*127\.0\.0\.1"):
        remote.call("snapshot")
    remote._document["watched"] = 5
    with pytest.raises(RefusedError, match=r"device: it\.watched is not a list, but 5"):
        remote.call("status", {"drill": "d"})


def test_the_inventory_decides_how_ssh_is_called(tmp_path: Path, arguments: Path) -> None:
    variables = {
        "ansible_host": "172.31.0.1",
        "ansible_port": 2222,
        "ansible_user": "root",
        "ansible_ssh_private_key_file": "/keys/lab",
        "ansible_ssh_common_args": "-o ProxyCommand='nsenter -n nc %h %p' -o StrictHostKeyChecking=yes",
        "ansible_become": True,
    }
    remote = SshRemote("r1", variables, program(tmp_path), tmp_path / "1")
    assert remote.call("hello")["command"] == "hello"
    said = arguments.read_text().splitlines()
    for pair in (
        ["-o", "BatchMode=yes"],
        ["-o", f"ControlPath={tmp_path / '1'}"],
        ["-p", "2222"],
        ["-l", "root"],
        ["-i", "/keys/lab"],
        ["-o", "ProxyCommand=nsenter -n nc %h %p"],
        ["--", "172.31.0.1"],
    ):
        assert any(said[at : at + 2] == pair for at in range(len(said))), pair
    assert "sudo" not in arguments.read_text()


def test_become_is_sudo_without_a_password(tmp_path: Path, arguments: Path) -> None:
    remote = SshRemote("r1", {"ansible_become": True, "ansible_user": "debian"}, program(tmp_path), tmp_path / "1")
    remote._run("exit 3", b"", 5.0)
    assert "sudo -n -- sh -c 'exit 3'" in arguments.read_text()


@pytest.mark.parametrize(
    ("content", "error", "message"),
    [
        ('import sys; print(\'{"error": "no such drill"}\'); sys.exit(1)', RefusedError, "r1: no such drill"),
        ("import sys; sys.exit('broken')", UnreachableError, "r1: hello ended with 1 and said: broken"),
        ("print('[]')", UnreachableError, "r1: hello ended with 0 and said: []"),
    ],
)
def test_what_a_target_says_wrong(tmp_path: Path, content: str, error: type[Exception], message: str) -> None:
    with pytest.raises(error) as raised:
        LocalRemote("r1", {}, program(tmp_path, content)).call("hello")
    assert str(raised.value) == message


def test_a_target_that_hangs_is_given_up(tmp_path: Path) -> None:
    start = time.monotonic()
    with pytest.raises(UnreachableError, match=r"r1: no answer within 0\.5 s"):
        LocalRemote("r1", {}, program(tmp_path, "import time; time.sleep(30)")).call("hello", timeout=0.5)
    assert time.monotonic() - start < 5


def test_no_call_waits_for_another_and_closing_ends_them(tmp_path: Path) -> None:
    content = f"""
import json, pathlib, sys, time
if sys.argv[1] == "snapshot":
    pathlib.Path({str(tmp_path)!r}, "asked").touch()
    time.sleep(60)
print(json.dumps({{"command": sys.argv[1]}}))
"""
    remote = LocalRemote("r1", {}, program(tmp_path, content))
    remote.call("hello")
    with ThreadPoolExecutor(1) as pool:
        hanging = pool.submit(remote.call, "snapshot", timeout=60.0)
        while not (tmp_path / "asked").exists():
            assert not hanging.done()
        assert remote.call("abort") == {"command": "abort"}
        assert not hanging.done()
        remote.close()
        with pytest.raises(UnreachableError, match="snapshot ended with -9"):
            hanging.result(30)


def test_half_a_program_is_never_left(tmp_path: Path) -> None:
    remote = LocalRemote("r1", {}, program(tmp_path))
    remote._program = Program(b"x", "x.pyz", "/proc/nowhere")
    with pytest.raises(UnreachableError, match="could not be put there"):
        remote.call("hello")


def test_the_clock_of_this_machine(tmp_path: Path) -> None:
    clock = LocalRemote("r1", {}, program(tmp_path)).clock()
    assert abs(clock.offset) <= clock.uncertainty + 0.001
    assert clock.uncertainty < 0.1


def test_a_target_that_does_not_tell_its_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "date").write_text("#!/bin/sh\necho yesterday\n")
    (tmp_path / "date").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with pytest.raises(UnreachableError, match="r1: the target doesn't tell its time"):
        LocalRemote("r1", {}, program(tmp_path)).clock()


def test_connections_the_engine_does_not_know(tmp_path: Path) -> None:
    with pytest.raises(
        OkiagariError, match="r1: a drill reaches its targets by ssh or local, not by the connection docker"
    ):
        connect("r1", {"ansible_connection": "community.docker.docker"}, program(tmp_path), tmp_path, 1)


class Waiting:
    """A target that answers when it is let."""

    def __init__(self, name: str) -> None:
        self.name, self.asked, self.may = name, threading.Event(), threading.Event()

    def call(self, command: str, payload: Any = None, timeout: float = 20.0) -> dict[str, Any]:
        self.asked.set()
        assert self.may.wait(20)
        return {}


def test_a_fleet_is_interrupted_until_it_persists() -> None:
    target = Waiting("r1")
    fleet = Fleet({"r1": target}, 1)  # type: ignore[dict-item]
    with ThreadPoolExecutor(1) as pool:
        interrupted = pool.submit(fleet.call, "snapshot")
        assert target.asked.wait(20)
        fleet.interrupt()
        fleet.interrupt()
        with pytest.raises(Interrupted):
            interrupted.result(20)
        target.asked.clear()
        fleet.persist()
        persistent = pool.submit(fleet.call, "abort")
        assert target.asked.wait(20)
        fleet.interrupt()
        target.may.set()
        assert persistent.result(20).of == {"r1": {}}


def test_what_is_urgent_waits_behind_nobody() -> None:
    """By order of events: each of three targets only answers when all of them have been asked, one at a time or not."""
    targets = {name: Waiting(name) for name in ("r1", "r2", "r3")}
    fleet = Fleet(targets, 1)  # type: ignore[arg-type]
    with ThreadPoolExecutor(1) as pool:
        answers = pool.submit(fleet.call, "abort", urgent=True)
        assert all(target.asked.wait(20) for target in targets.values())
        for target in targets.values():
            target.may.set()
        assert len(answers.result(20).of) == 3


def test_a_fleet_asks_again_only_those_that_failed(tmp_path: Path) -> None:
    class Flaky:
        def __init__(self, name: str, failures: int) -> None:
            self.name, self.failures, self.calls = name, failures, 0

        def call(self, command: str, payload: Any = None, timeout: float = 20.0) -> dict[str, Any]:
            self.calls += 1
            if self.calls <= self.failures:
                raise UnreachableError(f"{self.name}: no answer")
            return {"ok": True}

    remotes = {name: Flaky(name, failures) for name, failures in (("r1", 0), ("r2", 2), ("r3", 9))}
    answers = Fleet(remotes, 3).call("hello", tries=3)  # type: ignore[arg-type]
    assert sorted(answers.of) == ["r1", "r2"]
    assert answers.reasons == ["r3: no answer"]
    assert [remote.calls for remote in remotes.values()] == [1, 3, 3]
