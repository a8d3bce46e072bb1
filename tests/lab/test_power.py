# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Nodes without power and frozen nodes, as faults: they are back by themselves, whoever dies."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
from ansible_collections.okiagari.testbed.tests.lab.small_lab import PROJECT
from ansible_collections.okiagari.testbed.tests.lab.waiting import wait_for

if TYPE_CHECKING:
    from pathlib import Path

    from ansible_collections.okiagari.testbed.tests.lab.small_lab import SmallLab

pytestmark = [pytest.mark.lab, pytest.mark.soak]

DARK = str(PROJECT / "tests" / "lab" / "drills" / "dark.yml")
FAULTS = {"power_cut": "stopped", "pause": "paused", "reboot": "stopped"}


def arguments(fault: str, lasts: str, reports: Path) -> list[str]:
    given = {"dark_fault": fault, "dark_for": lasts, "dark_reports": str(reports)}
    return [word for name, value in given.items() for word in ("-e", f"{name}={value}")]


def units(lab: SmallLab) -> list[str]:
    """Give the leases and runners that are at work for the lab."""
    return [name for name in lab.lab.space.processes().values() if name.startswith("okiagari-")]


@pytest.mark.parametrize("fault", FAULTS)
def test_a_drill_silences_a_node_and_waits_until_it_is_back(running_lab: SmallLab, fault: str, tmp_path: Path) -> None:
    boot = running_lab.say("x", "cat /proc/sys/kernel/random/boot_id")
    running_lab.play(DARK, *arguments(fault, "10s", tmp_path / "reports"))
    report: dict[str, Any] = json.loads((tmp_path / "reports/latest/report.json").read_text())
    assert (report["verdict"], report["differences"]) == ("held", [])
    assert [probe["ok"] for probe in report["probes"]] == [True] * 3
    assert report["faults"][0]["made_by"] == "lab@localhost"
    same_boot = running_lab.say("x", "cat /proc/sys/kernel/random/boot_id") == boot
    assert same_boot is (fault == "pause")
    assert units(running_lab) == []


@pytest.mark.parametrize("fault", FAULTS)
def test_a_node_is_back_although_the_controller_was_killed(running_lab: SmallLab, fault: str, tmp_path: Path) -> None:
    reports = tmp_path / "reports"
    controller = subprocess.Popen(
        running_lab.command(DARK, *arguments(fault, "15s", reports)),
        env=running_lab.environment,
        cwd=PROJECT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    wait_for("the fault is on", lambda: running_lab.state("x") == FAULTS[fault], 120)
    os.killpg(controller.pid, signal.SIGKILL)
    controller.wait()
    os.kill(json.loads((reports / ".lock").read_text())["pid"], signal.SIGKILL)
    runners = [pid for pid, owner in running_lab.lab.space.processes().items() if owner.endswith(".service")]
    for pid in runners:
        os.kill(pid, signal.SIGKILL)
    assert runners
    assert running_lab.state("x") == FAULTS[fault]
    wait_for("the node is back", lambda: running_lab.answers("x"), 90)
    wait_for("no lease is left", lambda: not units(running_lab), 30)
    running_lab.play("heal_all")


def test_heal_gives_the_power_back(running_lab: SmallLab) -> None:
    fault = {"id": "cut", "kind": "power_cut", "params": {"machine": "x"}, "lease_s": 600}
    directory = running_lab.lab.directory
    done = running_lab.program("inject", fault)
    assert done["state"] == "injected", done
    assert running_lab.state("x") == "stopped"
    assert "power_cut on power:x" in running_lab.play("heal_all", "--check", fails=True)
    assert running_lab.state("x") == "stopped"
    running_lab.play("heal_all")
    assert running_lab.answers("x")
    assert units(running_lab) == []
    assert (directory / "power" / "journal" / "cut.json").is_file()
