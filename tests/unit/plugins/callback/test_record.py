# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real playbook, recorded by a listener that stands in for the agent."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from ansible_collections.okiagari.testbed.plugins.callback import record as module
from ansible_collections.okiagari.testbed.plugins.callback.record import Recorder
from ansible_collections.okiagari.testbed.plugins.module_utils.agent.client import Away, Connection
from ansible_collections.okiagari.testbed.tests.unit.plugins.module_utils.agent.agents import Listener

ROOT = Path(__file__).parents[4]
TASKS = [
    {"name": "Nothing", "command": "true", "changed_when": False},
    {"name": "Something", "command": "true"},
    {"name": "Secret", "command": "echo swordfish", "no_log": True},
    {"name": "Ignored", "command": "false", "ignore_errors": True},
    {"name": "Secret too", "fail": {"msg": "swordfish"}, "no_log": True, "ignore_errors": True},
    {"name": "Left out", "command": "true", "when": False},
    {"name": "Wrong", "fail": {"msg": "it was so"}},
]


def play(folder: Path, run: Path) -> tuple[int, str]:
    book = [{"name": "Work", "hosts": "localhost", "connection": "local", "gather_facts": False, "tasks": TASKS}]
    (folder / "play.yml").write_text(json.dumps(book))
    (folder / "ansible.cfg").write_text(
        f"[defaults]\ncollections_path = {ROOT / '.collections'}\ncallbacks_enabled = okiagari.testbed.record\n"
        f"local_tmp = {folder / 'tmp'}\nlocalhost_warning = false\n[inventory]\ninventory_unparsed_warning = false\n"
    )
    done = subprocess.run(
        [str(Path(sys.executable).parent / "ansible-playbook"), "play.yml"], cwd=folder, check=False,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        env={**os.environ, "ANSIBLE_CONFIG": "ansible.cfg", "ANSIBLE_NOCOLOR": "1", "OKIAGARI_AGENT_RUN": str(run)},
    )  # fmt: skip
    return done.returncode, done.stdout


def test_a_run_is_in_the_log_with_one_trace_and_without_secrets(tmp_path: Path) -> None:
    agent = Listener(tmp_path / "run")
    with agent.there():
        code, out = play(tmp_path, agent.run)
    assert code == 2
    events = list(agent.told.values())
    (trace,) = {event["trace"] for event in events}
    assert f"RECORDED as trace {trace}" in out
    assert {event["source"] for event in events} == {"ansible"}
    assert [event["time"] for event in events] == sorted(event["time"] for event in events)
    assert [event["values"]["event"] for event in events if event["important"]] == [
        "playbook_started", "task_failed", "playbook_ended",
    ]  # fmt: skip
    first, second, *tasks, last = agent.values()
    assert (first["playbook"], first["check"], second) == ("play.yml", False, {"event": "play_started", "play": "Work"})
    assert [(task["task"], task["event"]) for task in tasks] == [
        ("Something", "task_changed"), ("Secret", "task_changed"), ("Ignored", "task_ignored"),
        ("Secret too", "task_ignored"), ("Wrong", "task_failed"),
    ]  # fmt: skip
    assert all(task["target"] == "localhost" and task["ms"] > 0 for task in tasks)
    assert (tasks[2]["rc"], tasks[4]["message"]) == (1, "it was so")
    for secret in (tasks[1], tasks[3]):
        assert secret.keys() == {"event", "target", "task", "action", "ms"}
    assert "swordfish" not in json.dumps(events)
    assert (last["changed"], last["failures"], last["ignored"], last["failed_hosts"]) == (3, 1, 2, ["localhost"])


def test_without_an_agent_there_is_one_warning_and_all_else_is_as_ever(tmp_path: Path) -> None:
    code, out = play(tmp_path, tmp_path / "run")
    assert code == 2
    assert " ".join(out.split()).count("this run is not recorded") == 1
    assert "RECORDED" not in out


class Rig:
    """A recorder whose agent can be away."""

    def __init__(self, agent: Listener) -> None:
        self.warnings: list[str] = []
        self.away = False
        self.tried = 0
        self._agent = agent
        self.recorder = Recorder(self._connect, "t", self.warnings.append)

    def _connect(self) -> Connection:
        self.tried += 1
        if self.away:
            raise Away("gone")
        return Connection(self._agent.run)

    def restarted(self) -> None:
        self.recorder._disconnect()


def numbers(agent: Listener) -> list[int]:
    return [values["n"] for values in agent.values()]


def test_an_agent_that_is_started_anew_by_the_playbook_itself_gets_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_BATCH", 2)
    agent = Listener(tmp_path / "run")
    rig = Rig(agent)
    with agent.there():
        rig.recorder.add({"n": 1})
        rig.recorder.tell()
        rig.restarted()
        rig.away = True
        for number in (2, 3, 4):
            rig.recorder.add({"n": number})
            rig.recorder.tell()
        assert rig.tried == 2
        rig.away = False
        rig.recorder.tell(last=True)
    assert numbers(agent) == [1, 2, 3, 4]
    assert rig.warnings == []


@pytest.mark.parametrize(("kept", "lost"), [(10, 3), (2, 3)])
def test_what_is_lost_in_the_end_is_said_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kept: int, lost: int
) -> None:
    monkeypatch.setattr(module, "_MOST", kept)
    agent = Listener(tmp_path / "run")
    rig = Rig(agent)
    with agent.there():
        rig.recorder.add({"n": 1})
        rig.recorder.tell()
    rig.restarted()
    rig.away = True
    for number in range(3):
        rig.recorder.add({"n": number})
        rig.recorder.tell()
    rig.recorder.tell(last=True)
    rig.recorder.tell(last=True)
    assert rig.warnings == [f"{lost} events of this run are not recorded"]


def test_an_agent_that_refuses_ends_the_record_and_not_the_run(tmp_path: Path) -> None:
    agent = Listener(tmp_path / "run")
    agent.refuse = "no"
    rig = Rig(agent)
    with agent.there():
        rig.recorder.add({"message": "no"})
        rig.recorder.tell()
        rig.recorder.add({"n": 1})
        rig.recorder.tell(last=True)
    assert agent.values() == []
    assert rig.warnings == ["this run is not recorded any further: event 1: no"]
