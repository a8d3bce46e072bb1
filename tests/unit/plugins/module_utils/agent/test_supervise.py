# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The supervisor's process, with real services."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from ansible_collections.okiagari.testbed.plugins.module_utils.agent import instance
from ansible_collections.okiagari.testbed.plugins.module_utils.agent.supervise import boottime
from ansible_collections.okiagari.testbed.plugins.module_utils.errors import OkiagariError

from .agents import wait_for
from .supervisors import OBEDIENT, OBEYS, SERVICE, STUBBORN, Connection, Supervisor, alive

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture
def supervise(tmp_path: Path) -> Iterator[Callable[..., Supervisor]]:
    started = []

    def start(script: str = OBEDIENT, *command: str, user: str = "") -> Supervisor:
        argv = command or (sys.executable, "-IBS", "-c", script, str(tmp_path / "notes"))
        started.append(Supervisor(tmp_path, argv, user, obeys=script is OBEYS))
        return started[-1]

    yield start
    for each in started:
        each.end()


def test_it_starts_what_it_is_told_and_says_what_runs(supervise: Callable[..., Supervisor]) -> None:
    supervisor = supervise()
    agent, other = supervisor.connect(), supervisor.connect()
    assert agent.held() == {"held": None, "running": False}
    assert other.held() == {"held": None, "running": False}
    deadline = agent.start(7)
    said = agent.said()
    assert other.said() == said
    (pid,) = supervisor.running()
    assert said == {"event": "started", "token": 7, "pid": pid}
    held = {"lease": 5, "token": 7, "term": 2, "deadline": deadline}
    assert agent.held() == {"held": held, "running": True}
    assert supervisor.notes.read_text() == f"{pid} 7\n"
    agent.send("stop")
    assert agent.said() == other.said() == {"event": "stopped", "token": 7}
    assert not alive(pid)
    assert supervisor.run.stat().st_mode & 0o777 == 0o700
    assert (supervisor.run / "supervisor-db.sock").stat().st_mode & 0o777 == 0o600


def test_an_agent_that_comes_anew_hears_what_runs(supervise: Callable[..., Supervisor]) -> None:
    supervisor = supervise()
    agent = supervisor.connect()
    deadline = agent.start(7)
    agent.said()
    agent.close()
    again = supervisor.connect()
    assert again.held()["held"]["deadline"] == deadline
    again.send("feed", token=7, deadline=deadline + 1)
    again.send("feed", token=6, deadline=deadline + 9)
    assert again.held()["held"]["deadline"] == deadline + 1


@pytest.mark.parametrize("script", [OBEDIENT, STUBBORN])
def test_nobody_feeds_and_the_service_dies_at_its_deadline(supervise: Callable[..., Supervisor], script: str) -> None:
    supervisor = supervise(script)
    agent = supervisor.connect()
    deadline = agent.start(7, 3.0)
    agent.said()
    (pid,) = supervisor.running()
    if script is STUBBORN:
        agent.send("stop")
        assert agent.held() == {"held": None, "running": True}
        assert alive(pid)
    assert agent.said() == {"event": "stopped", "token": 7}
    assert boottime() >= deadline
    assert not alive(pid)
    assert agent.held() == {"held": None, "running": False}


def test_a_service_that_is_fed_lives_on(supervise: Callable[..., Supervisor]) -> None:
    supervisor = supervise()
    agent = supervisor.connect()
    first = agent.start(7, 3.0)
    assert agent.said()["event"] == "started"
    while boottime() < first + 0.5:
        agent.send("feed", token=7, deadline=boottime() + 30)
        assert agent.held()["running"]


def test_a_service_whose_first_process_ends_takes_the_others_with_it(supervise: Callable[..., Supervisor]) -> None:
    supervisor = supervise(SERVICE.format("os.fork() and os._exit(0)"))
    agent = supervisor.connect()
    agent.start(7)
    assert agent.said()["event"] == "started"
    assert agent.said() == {"event": "stopped", "token": 7}
    notes = supervisor.notes
    pids = [int(line.split()[0]) for line in notes.read_text().splitlines()] if notes.exists() else []
    assert not any(map(alive, pids))


def test_what_is_prepared_serves_when_it_is_told_to(supervise: Callable[..., Supervisor]) -> None:
    supervisor = supervise(OBEYS)
    agent = supervisor.connect()
    (pid,) = supervisor.standing_by()
    assert agent.held() == {"held": None, "running": False}
    agent.send("prepare", token=7, term=2)
    assert agent.held() == {"held": None, "running": True}
    assert not supervisor.notes.exists()
    agent.start(7)
    assert agent.said() == {"event": "started", "token": 7, "pid": pid}
    assert supervisor.running() == [pid]
    assert supervisor.notes.read_text() == f'{pid} {{"term": 2}}\n'
    agent.send("stop")
    assert agent.said() == {"event": "stopped", "token": 7}
    # The next one stands by.
    assert alive(supervisor.standing_by(2)[1])


def test_what_stands_by_is_started_as_a_whole_where_nothing_was_prepared(supervise: Callable[..., Supervisor]) -> None:
    supervisor = supervise(OBEYS)
    agent = supervisor.connect()
    (pid,) = supervisor.standing_by()
    agent.start(7)
    assert agent.said() == {"event": "started", "token": 7, "pid": pid}
    assert supervisor.running() == [pid]
    supervisor.end()
    assert not alive(pid)


def test_what_is_prepared_for_nothing_is_killed_and_nobody_hears_of_it(supervise: Callable[..., Supervisor]) -> None:
    supervisor = supervise(OBEYS)
    agent = supervisor.connect()
    agent.send("prepare", token=7, term=2)
    assert agent.held()["running"]
    agent.send("stop")
    wait_for(lambda: not agent.held()["running"])
    assert not supervisor.notes.exists()
    # For another start, what was prepared has to go first.
    agent.send("prepare", token=8, term=2)
    assert agent.held()["running"]
    agent.start(9)
    assert agent.said() == {"event": "stopped", "token": 9}
    wait_for(lambda: not agent.held()["running"])
    agent.start(9)
    assert agent.said()["event"] == "started"
    assert supervisor.running()


def test_what_stood_by_and_died_is_started_anew_when_it_is_wanted(supervise: Callable[..., Supervisor]) -> None:
    supervisor = supervise(OBEYS)
    agent = supervisor.connect()
    (pid,) = supervisor.standing_by()
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: not alive(pid))
    agent.start(7)
    assert agent.said()["event"] == "started"
    assert supervisor.running() == supervisor.standing_by(2)[1:]


def test_what_stands_by_ends_with_its_supervisor(supervise: Callable[..., Supervisor]) -> None:
    supervisor = supervise(OBEYS)
    (pid,) = supervisor.standing_by()
    supervisor.end()
    assert not alive(pid)


@pytest.mark.parametrize("command", [("/no/such/program",), ("/",), ("/etc/passwd",)])
def test_a_service_that_can_not_be_started(supervise: Callable[..., Supervisor], command: tuple[str, ...]) -> None:
    supervisor = supervise("", *command)
    agent = supervisor.connect()
    agent.start(7)
    said = agent.said()
    assert (said["event"], said["token"]) == ("stopped", 7)
    assert f"{command[0]} can't be started" in said["why"]
    assert agent.held() == {"held": None, "running": False}


def test_a_service_of_nobody(supervise: Callable[..., Supervisor]) -> None:
    supervisor = supervise(user="no-such-user")
    agent = supervisor.connect()
    agent.start(7)
    assert "no-such-user" in agent.said()["why"]


def test_what_is_older_or_too_late_is_not_started(supervise: Callable[..., Supervisor]) -> None:
    supervisor = supervise()
    agent = supervisor.connect()
    agent.start(7, -1.0)
    assert agent.said() == {"event": "stopped", "token": 7}
    agent.start(8)
    assert agent.said()["event"] == "started"
    agent.start(9)  # one runs: nothing is said
    assert agent.held()["held"]["token"] == 8
    agent.send("stop")
    assert agent.said() == {"event": "stopped", "token": 8}
    for token in (7, 8):
        agent.start(token)
        assert agent.said() == {"event": "stopped", "token": token}
    agent.start(9)
    assert agent.said()["event"] == "started"


GARBAGE = [
    "", "{", "[]", "3", "null", "{}", '{"do": "dance"}', '{"do": ["start"]}', '{"do": "start"}', '{"do": "prepare"}',
    '{"do": "feed", "token": "7", "deadline": 3}', '{"do": "feed", "token": 7, "deadline": 1e999}',
    '{"do": "feed", "token": 7, "deadline": -1}', f'{{"do": "feed", "token": 7, "deadline": 1{"0" * 400}}}', "\x00",
]  # fmt: skip


def test_garbage_is_refused_and_the_service_goes_on(supervise: Callable[..., Supervisor]) -> None:
    supervisor = supervise()
    agent = supervisor.connect()
    agent.start(7)
    assert agent.said()["event"] == "started"
    for line in GARBAGE:
        agent.socket.sendall(line.encode() + b"\n")
        assert list(agent.said()) == ["error"], line
    assert agent.held()["running"]


def send_without_end(connection: Connection, said: bytes) -> None:
    while True:
        connection.socket.sendall(said)


def test_whoever_sends_without_end_or_does_not_read_is_dropped(supervise: Callable[..., Supervisor]) -> None:
    supervisor = supervise()
    agent, flood, deaf = supervisor.connect(), supervisor.connect(), supervisor.connect()
    agent.start(7)
    assert agent.said()["event"] == "started"
    flood.said()
    for sender, said in ((flood, b"x" * 65_536), (deaf, b'{"do": "held"}\n' * 1000)):
        with pytest.raises(OSError, match=r"reset|[Bb]roken"):
            send_without_end(sender, said)
    assert agent.held()["running"]


@pytest.mark.parametrize("script", [OBEDIENT, STUBBORN])
def test_its_end_is_the_service_s_end(supervise: Callable[..., Supervisor], script: str) -> None:
    supervisor = supervise(script)
    supervisor.connect().start(7)
    (pid,) = supervisor.running()
    assert supervisor.end() == 0
    assert not alive(pid)


def test_the_service_does_not_outlive_a_supervisor_that_is_killed(supervise: Callable[..., Supervisor]) -> None:
    supervisor = supervise()
    supervisor.connect().start(7)
    (pid,) = supervisor.running()
    assert supervisor.end(signal.SIGKILL) == -signal.SIGKILL
    wait_for(lambda: not alive(pid))
    shutil.rmtree(supervisor.run)
    supervisor.begin()
    assert supervisor.connect().held() == {"held": None, "running": False}


class ControlGroups:
    """A tree of files like /sys/fs/cgroup."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, own: str) -> None:
        self.root, own_file = folder / "cgroup", folder / "own"
        (self.root / "unit").mkdir(parents=True)
        (self.root / "cgroup.procs").touch()
        own_file.write_text(own)
        monkeypatch.setattr(instance, "_CGROUPS", self.root)
        monkeypatch.setattr(instance, "_OWN_CGROUP", own_file)


@pytest.mark.parametrize("own", ["0::/unit\n", "1:name=systemd:/x\n0::/unit/supervisor\n"])
def test_its_control_groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, own: str) -> None:
    groups = ControlGroups(tmp_path, monkeypatch, own)
    group = instance.own_cgroup("service")
    assert group == groups.root / "unit" / "service"
    assert group.is_dir()
    assert int((groups.root / "unit" / "supervisor" / "cgroup.procs").read_text()) > 0
    assert instance.own_cgroup("service") == group


def test_no_control_groups_is_one_clear_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    groups = ControlGroups(tmp_path, monkeypatch, "1:name=systemd:/x\n")
    with pytest.raises(OkiagariError, match="version 2 are not in use here"):
        instance.own_cgroup("service")
    (tmp_path / "own").write_text("0::/not/there\n")
    with pytest.raises(OkiagariError, match=r"no control group can be made .* Delegate=yes"):
        instance.own_cgroup("service")
    (groups.root / "cgroup.procs").unlink()
    with pytest.raises(OkiagariError, match="version 2 are not in use here"):
        instance.own_cgroup("service")


def test_a_service_enters_its_control_group_before_its_first_step(tmp_path: Path) -> None:
    group = tmp_path / "service"
    group.mkdir()
    for name in ("cgroup.procs", "cgroup.kill"):
        (group / name).touch()
    (group / "cgroup.events").write_text("populated 1\n")
    note = tmp_path / "note"
    running = instance.Instance(["cp", str(group / "cgroup.procs"), str(note)], {}, cgroup=group)
    # What the kernel takes for the writer itself, as in version 1.
    wait_for(lambda: note.exists() and note.read_text() == "0")
    wait_for(lambda: running._process.poll() is not None)
    assert not running.dead()
    assert (group / "cgroup.kill").read_text() == "1"
    (group / "cgroup.events").write_text("populated 0\n")
    assert running.dead()


def test_a_group_that_is_not_there_is_no_start(tmp_path: Path) -> None:
    with pytest.raises(subprocess.SubprocessError):
        instance.Instance(["true"], {}, cgroup=tmp_path / "missing")


def test_the_requests_are_of_one_line(supervise: Callable[..., Supervisor]) -> None:
    agent = supervise().connect()
    both: list[dict[str, Any]] = [{"do": "held"}, {"do": "held"}]
    agent.socket.sendall("\n".join(map(json.dumps, both)).encode())
    assert agent.said() == {"held": None, "running": False}
    agent.socket.sendall(b"\n")
    assert agent.said() == {"held": None, "running": False}
