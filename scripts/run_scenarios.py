# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs the molecule scenarios, and fails those in which no task was carried out.

molecule is content with a playbook that matches no host or has no task. Here Ansible's own JUnit record of each run
is read: the converge and the verify playbook must each have carried out at least one task.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from xml.etree.ElementTree import parse

PLAYBOOKS = ("converge", "verify")


def tasks_done(record: Path, playbook: str) -> int:
    """How many tasks of `playbook` ran on some host, by the JUnit files in `record`; a skipped one didn't."""
    return sum(
        case.find("skipped") is None
        for file in record.glob(f"{playbook}-*.xml")
        for case in parse(file).iter("testcase")  # noqa: S314 - Ansible wrote it a moment ago
    )


def run(project: Path, scenario: str) -> str | None:
    """Run one scenario; the reason why it failed, or None."""
    record = project / "build" / "molecule" / scenario
    shutil.rmtree(record, ignore_errors=True)
    environment = os.environ | {
        "ANSIBLE_CALLBACKS_ENABLED": "ansible.builtin.junit,okiagari.testbed.verdict",
        "JUNIT_INCLUDE_SETUP_TASKS_IN_REPORT": "false",
        "JUNIT_OUTPUT_DIR": str(record),
        "MOLECULE_GLOB": "scenarios/*/molecule.yml",
    }
    command = ["molecule", "--base-config", ".config/molecule/config.yml", "test", "--scenario-name", scenario]
    status = subprocess.run(command, cwd=project, env=environment, check=False).returncode
    if status:
        return f"molecule left with {status}"
    idle = [playbook for playbook in PLAYBOOKS if not tasks_done(record, playbook)]
    return f"no task ran in: {', '.join(idle)}" if idle else None


def main(asked: list[str]) -> int:
    project = Path.cwd()
    scenarios = sorted(path.parent.name for path in project.glob("scenarios/*/molecule.yml"))
    if unknown := sorted(set(asked) - set(scenarios)):
        sys.exit(f"run_scenarios: no such scenario: {', '.join(unknown)}; there are: {', '.join(scenarios)}")
    if not scenarios:
        sys.exit("run_scenarios: there is none")
    failed = 0
    for scenario in asked or scenarios:
        reason = run(project, scenario)
        failed += reason is not None
        print(f"scenario {scenario}: {reason or 'passed'}", flush=True)
    return min(failed, 1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
