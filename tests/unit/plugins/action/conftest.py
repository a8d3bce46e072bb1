# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A project whose targets are simulated by processes of this machine, and in which ansible-playbook really runs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.okiagari.testbed.plugins.module_utils.topology import load

ROOT = Path(__file__).parents[4]
SIMULATED = Path(__file__).parent / "simulated_target.py"
ENGINE_S = 60


class Project:
    """A directory with ansible.cfg, an inventory and one drill."""

    def __init__(self, path: Path, testbed: dict[str, Any]) -> None:
        self.path = path
        self.drill: dict[str, Any] = {
            "name": "short_cut",
            "hypothesis": "Nobody notices.",
            "watch": "1s",
            "traffic": [{"name": "h-k", "between": ["hiroshima-kvm1", "kanazawa-kvm1"], "rate": 20}],
            "timeline": [{"at": "1s", "for": "1s", "fault": "link_down", "circuit": "hiroshima-kanazawa"}],
            "probes": [
                {"phase": "before", "ping": {"from": "hiroshima-kvm1", "to": "kanazawa-kvm1"}},
                {"phase": "continuous", "traffic": {"of": "h-k", "max_outage": "1s"}},
            ],
        }
        self.testbed = testbed
        self._hosts = {name: self._target(name) for name in testbed["nodes"]}
        self.write_inventory()
        (path / "ansible.cfg").write_text(
            "[defaults]\ninventory = inventory.yml\ncallbacks_enabled = okiagari.testbed.verdict\nforks = 2\n"
            f"collections_path = {ROOT / '.collections'}\nlocal_tmp = {path / 'tmp'}\n"
        )

    def write_inventory(self) -> None:
        variables = {"testbed": self.testbed, "testbed_consent": str(self.path / "consent")}
        inventory = {"all": {"hosts": self._hosts, "vars": variables}}
        (self.path / "inventory.yml").write_text(json.dumps(inventory))

    def powered(self, power: object) -> None:
        """Say in the inventory what gives every node its power."""
        for variables in self._hosts.values():
            variables["okiagari_power"] = power
        self.write_inventory()

    def is_device(self, node: str, **variables: object) -> None:
        """Say in the inventory that a node is a device."""
        self._hosts[node] = {"ansible_host": "127.0.0.1", **variables}
        self.write_inventory()

    def _target(self, name: str) -> dict[str, Any]:
        home = self.path / "targets" / name
        home.mkdir(parents=True)
        (home / "python").write_text(f"#!{sys.executable}\n" + SIMULATED.read_text())
        (home / "python").chmod(0o755)
        return {
            "ansible_connection": "local",
            "ansible_python_interpreter": str(home / "python"),
            "okiagari_directory": str(home / "run"),
        }

    def start(self, *options: str, **task: Any) -> subprocess.Popen[str]:
        tasks = [{"name": "Run the drill", "okiagari.testbed.drill": self.drill, **task}]
        play = {"name": "Drill", "hosts": "localhost", "connection": "local", "gather_facts": False, "tasks": tasks}
        (self.path / "drill.yml").write_text(json.dumps([play]))
        playbook = Path(sys.executable).parent / "ansible-playbook"
        return subprocess.Popen(
            [str(playbook), "drill.yml", *options],
            cwd=self.path,
            env={**os.environ, "ANSIBLE_CONFIG": str(self.path / "ansible.cfg"), "ANSIBLE_FORCE_COLOR": "0"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def run(self, *options: str, **task: Any) -> tuple[int, str]:
        playbook = self.start(*options, **task)
        out, _err = playbook.communicate(timeout=ENGINE_S)
        return playbook.returncode, out

    def report(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.path / "reports/latest/report.json").read_text())
        return found


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path, load(ROOT / "inventory/lab/testbed.yml").to_dict())
