# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The action and the module behind it, run by Ansible itself."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.okiagari.testbed.plugins.module_utils.topology import loads

TESTBED = loads(
    """
plugin: okiagari.testbed.testbed
name: test
core: {osaka: {number: 1}}
sites: {hiroshima: {number: 1}, kanazawa: {number: 2}}
circuits: [{between: [hiroshima, osaka]}, {between: [kanazawa, osaka]}]
"""
).to_dict()
ROOM = {host: {"vcpus": 2, "memory_mib": 256, "guests": 8} for host in ("hiroshima-kvm1", "kanazawa-kvm1")}
REQUEST = """\
project: exp1
networks:
  lan: {sites: all}
machines:
  web: {count: 2, sites: [hiroshima, kanazawa]}
"""


class Desk:
    """A registrar on this machine, asked by the program `ansible`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._environment = {
            **os.environ, "ANSIBLE_LOCAL_TEMP": str(path / "tmp"), "ANSIBLE_REMOTE_TMP": str(path / "tmp"),
            "ANSIBLE_NOCOLOR": "1", "ANSIBLE_LOAD_CALLBACK_PLUGINS": "1", "ANSIBLE_CONFIG": str(path / "ansible.cfg"),
            "ANSIBLE_STDOUT_CALLBACK": "ansible.builtin.oneline", "ANSIBLE_PYTHON_INTERPRETER": sys.executable,
            "ANSIBLE_COLLECTIONS_PATH": str(Path(__file__).parents[4] / ".collections"),
        }  # fmt: skip
        (path / "ansible.cfg").touch()
        (path / "vars.json").write_text(json.dumps({"testbed": TESTBED}))

    def ask(self, **options: Any) -> dict[str, Any]:
        given = {"directory": str(self.path / "projects"), **options}
        if options.get("state", "present") == "present":
            given["capacities"] = ROOM
        program = Path(sys.executable).with_name("ansible")
        argv = [str(program), "localhost", "-e", f"@{self.path}/vars.json"]
        argv += ["-m", "okiagari.testbed.project", "-a", json.dumps(given)]
        done = subprocess.run(
            argv,
            env=self._environment,
            cwd=self.path,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
            stdin=subprocess.DEVNULL,
        )
        answer: dict[str, Any] = json.loads(done.stdout[done.stdout.index("{") :])
        return {**answer, "failed": done.returncode != 0}


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def test_a_file(desk: Desk) -> None:
    (desk.path / "exp1.yml").write_text(REQUEST)
    done = desk.ask(project="exp1.yml")
    assert (done["changed"], done["project"]["name"]) == (True, "exp1")
    assert [machine["host"] for machine in done["machines"]] == list(ROOM)
    # A file that says something else by now still says whose it is.
    (desk.path / "exp1.yml").write_text(REQUEST.replace("kanazawa", "kanasawa"))
    assert desk.ask(project="exp1.yml", state="absent")["changed"]


def test_a_mistake_is_told_with_its_line(desk: Desk) -> None:
    (desk.path / "exp1.yml").write_text(REQUEST.replace("kanazawa", "kanasawa").replace("count", "cuont"))
    said = desk.ask(project="exp1.yml")
    assert said["failed"]
    assert said["msg"].splitlines() == [
        "The request is refused, and nothing was done.",
        (
            "exp1.yml:5: machines.web.cuont: unknown key, not one of count, sites, vcpus, memory, disk, networks, "
            "template; did you mean count?"
        ),
        "exp1.yml:5: machines.web.sites[1]: the testbed has no site kanasawa; did you mean kanazawa?",
    ]
    assert not (desk.path / "projects").exists()


def test_no_file(desk: Desk) -> None:
    assert "./no.yml: cannot be read: No such file or directory" in desk.ask(project="./no.yml")["msg"]
