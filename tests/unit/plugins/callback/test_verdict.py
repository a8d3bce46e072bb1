# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.okiagari.testbed.plugins.callback.verdict import block

ROOT = Path(__file__).parents[4]

# Stands in for the drill: a plugin of the same name, whose results are given in the task.
ACTION = """
import time
from pathlib import Path
from ansible.plugins.action import ActionBase

class ActionModule(ActionBase):
    _requires_connection = False

    def run(self, tmp=None, task_vars=None):
        return {**self._task.args, "failed": self._task.args["failed"] or not self._seen(self._task.args.get("says"))}

    def _seen(self, says):
        if says is None:
            return True
        self._display.display(says)
        end = time.monotonic() + 10
        while says not in Path("out").read_text() and time.monotonic() < end:
            time.sleep(0.1)
        return says in Path("out").read_text()
"""


def result(verdict: str, **more: Any) -> dict[str, Any]:
    return {
        "name": f"drill_{verdict}",
        "verdict": verdict,
        "failed": verdict != "held",
        "outage_ms": 212.0,
        "restored": verdict != "not_restored",
        "reason": None if verdict == "held" else ["it was so"],
        "report": "/r",
        **more,
    }


def play(tmp_path: Path, *tasks: dict[str, Any]) -> tuple[int, str]:
    (tmp_path / "action").mkdir()
    (tmp_path / "action/drill.py").write_text(ACTION)
    (tmp_path / "library").mkdir()
    (tmp_path / "library/drill.py").touch()
    book = [
        {"name": "Drills", "hosts": "localhost", "connection": "local", "gather_facts": False, "tasks": list(tasks)}
    ]
    (tmp_path / "play.yml").write_text(json.dumps(book))
    (tmp_path / "ansible.cfg").write_text(
        f"[defaults]\ncollections_path = {ROOT / '.collections'}\ncallbacks_enabled = okiagari.testbed.verdict\n"
        f"action_plugins = {tmp_path / 'action'}\nlibrary = {tmp_path / 'library'}\nlocal_tmp = {tmp_path / 'tmp'}\n"
        "localhost_warning = false\n[inventory]\ninventory_unparsed_warning = false\n"
    )
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    with (tmp_path / "out").open("w") as out:
        done = subprocess.run(
            [str(Path(sys.executable).parent / "ansible-playbook"), "play.yml"],
            cwd=tmp_path,
            stdout=out,
            check=False,
            env={**environment, "ANSIBLE_CONFIG": str(tmp_path / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1"},
        )
    return done.returncode, (tmp_path / "out").read_text()


def test_what_a_task_says_is_seen_before_it_ends_in_a_log_too(tmp_path: Path) -> None:
    code, _out = play(tmp_path, {"name": "Say", "drill": {**result("held"), "says": "so far"}})
    assert code == 0


def test_the_worst_of_several_drills_decides(tmp_path: Path) -> None:
    tasks = [
        {"name": "Go on", "block": [{"name": verdict, "drill": result(verdict)}], "rescue": [{"meta": "noop"}]}
        for verdict in ("held", "failed", "not_restored", "aborted")
    ]
    code, out = play(tmp_path, *tasks)
    assert code == 3
    assert out.rpartition("PLAY RECAP")[2].partition("\n\n\n")[2] == (
        "DRILL drill_held: HELD\n  outage    212 ms\n  restored  yes\n  report    /r\n"
        "\nDRILL drill_failed: FAILED\n  outage    212 ms\n  restored  yes\n  because   it was so\n  report    /r\n"
        "\nDRILL drill_not_restored: NOT RESTORED\n"
        "  outage    212 ms\n  restored  NO\n  because   it was so\n  report    /r\n"
        "\nDRILL drill_aborted: ABORTED\n  outage    212 ms\n  restored  yes\n  because   it was so\n  report    /r\n"
    )
    assert not list((tmp_path / "tmp").glob("ansible-local-*")), "Ansible's own exit functions did not run"


@pytest.mark.parametrize("how", [{"ignore_errors": True}, {"failed_when": False}])
def test_a_failure_that_the_playbook_ignores_does_not_decide(tmp_path: Path, how: dict[str, Any]) -> None:
    code, out = play(tmp_path, {"name": "Drill", "drill": result("failed"), **how})
    assert code == 0
    assert "DRILL drill_failed: FAILED" in out


def test_without_a_drill_nothing_is_changed(tmp_path: Path) -> None:
    code, out = play(tmp_path, {"name": "Fail", "ansible.builtin.fail": {"msg": "no drill"}})
    assert code == 2
    assert "DRILL" not in out


def test_a_drill_that_held_does_not_hide_another_failure(tmp_path: Path) -> None:
    code, out = play(
        tmp_path,
        {"name": "Drill", "drill": result("held")},
        {"name": "Fail", "ansible.builtin.fail": {"msg": "after it"}},
    )
    assert code == 2
    assert "DRILL drill_held: HELD" in out


@pytest.mark.parametrize(
    ("more", "line"),
    [
        ({"outage_ms": None}, "  outage    not measured"),
        ({"restored": None}, "  restored  not known"),
        ({"report": None}, "  report    none"),
    ],
)
def test_what_is_not_known_is_said_so(more: dict[str, Any], line: str) -> None:
    assert line in block({"drill": "x", **result("infrastructure", **more)}).splitlines()
