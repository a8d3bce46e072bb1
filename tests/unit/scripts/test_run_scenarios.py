# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A scenario in which nothing ran must not pass: molecule itself would let it."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import run_scenarios

ROOT = Path(__file__).parents[3]
ASSERT = "  tasks: [{name: Is it so?, ansible.builtin.assert: {that: true}}]\n"
NEVER = "  tasks: [{name: Is it so?, ansible.builtin.assert: {that: true}, when: false}]\n"


def play(hosts: str = "all", tasks: str = ASSERT) -> str:
    return f"---\n- name: A play\n  hosts: {hosts}\n  gather_facts: false\n{tasks}"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    shutil.copytree(ROOT / ".config", tmp_path / ".config")
    shutil.copy(ROOT / "ansible.cfg", tmp_path)
    (tmp_path / "inventory/lab").mkdir(parents=True)
    (tmp_path / "inventory/lab/hosts.yml").write_text("all: {hosts: {here: {ansible_connection: local}}}\n")
    return tmp_path


def molecule(project: Path, **playbooks: str) -> subprocess.CompletedProcess[str]:
    folder = project / "scenarios" / "trial"
    folder.mkdir(parents=True)
    (folder / "molecule.yml").write_text("---\n{}\n")
    for name, content in playbooks.items():
        (folder / f"{name}.yml").write_text(content)
    command = [sys.executable, run_scenarios.__file__, "trial"]
    return subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)


def test_a_scenario_that_works_passes(project: Path) -> None:
    result = molecule(project, converge=play(), verify=play())
    assert (result.returncode, result.stdout.splitlines()[-1]) == (0, "scenario trial: passed"), result.stderr


@pytest.mark.parametrize(
    ("verify", "reason"),
    [
        pytest.param(play(tasks=""), "no task ran in: verify", id="no task"),
        pytest.param(play(tasks=NEVER), "no task ran in: verify", id="every task skipped"),
        pytest.param(play(hosts="mistyped"), "molecule left with 1", id="no host"),
    ],
)
def test_a_scenario_that_does_nothing_fails(project: Path, verify: str, reason: str) -> None:
    result = molecule(project, converge=play(), verify=verify)
    assert (result.returncode, result.stdout.splitlines()[-1]) == (1, f"scenario trial: {reason}"), result.stderr


def test_a_missing_playbook_fails(project: Path) -> None:
    result = molecule(project, converge=play())
    assert (result.returncode, result.stdout.splitlines()[-1]) == (1, "scenario trial: no task ran in: verify")


def test_an_unknown_scenario_is_named(project: Path) -> None:
    (project / "scenarios").mkdir()
    command = [sys.executable, run_scenarios.__file__, "tiral"]
    result = subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert "no such scenario: tiral" in result.stderr
