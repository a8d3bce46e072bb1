# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The fault modules and the playbooks as people call them, on the routers of the lab."""

from __future__ import annotations

import json
import os
import re
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
from ansible_collections.okiagari.testbed.tests.lab.default_lab import PROJECT, DefaultLab
from ansible_collections.okiagari.testbed.tests.lab.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.lab

ROUTER = "hiroshima-r1"
MODULES = {
    "okiagari.testbed.link_fault": {"fault": "loss", "interface": "w-kanazawa-r1", "percent": "40%", "lease": "60s"},
    "okiagari.testbed.node_fault": {"fault": "cpu_pressure", "workers": "1", "percent": "10%", "lease": "60s"},
    "okiagari.testbed.route_fault": {"fault": "blackhole", "prefix": "10.3.0.0/24", "lease": "60s"},
}
IN_CI = ("okiagari.testbed.link_fault",)


@pytest.fixture(scope="module")
def lab() -> DefaultLab:
    return DefaultLab()


@pytest.fixture(autouse=True)
def routed(lab: DefaultLab) -> Iterator[None]:
    wait_for("the lab is routed", lab.routed, 90)
    yield
    assert lab.program(ROUTER, "heal", {"check": True})["left"] == []


def run_module(module: str, *options: str, **arguments: str) -> dict[str, Any]:
    """Run one module on the router and give its result; with `--diff`, the text of the diff is its `shown`."""
    done = subprocess.run(
        ["ansible", ROUTER, "-m", module, "-a", json.dumps(arguments), *options],
        cwd=PROJECT,
        env={**os.environ, "ANSIBLE_CALLBACK_RESULT_FORMAT": "json"},
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    shown, found, answer = done.stdout.partition("=> {")
    assert found, done.stdout + done.stderr
    result: dict[str, Any] = json.JSONDecoder().raw_decode("{" + answer)[0]
    return {**result, "shown": shown}


def play(path: str, *options: str) -> dict[str, dict[str, int]]:
    """Run a playbook that must succeed and give each host's figures of the recap."""
    done = subprocess.run(
        ["ansible-playbook", path, *options], cwd=PROJECT, capture_output=True, text=True, timeout=400, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    recap = re.findall(r"^(\S+) +: (.*)$", done.stdout, re.MULTILINE)
    return {host: {key: int(value) for key, value in re.findall(r"(\w+)=(\d+)", figures)} for host, figures in recap}


@pytest.mark.parametrize(
    "module", [pytest.param(name, marks=() if name in IN_CI else pytest.mark.soak) for name in MODULES]
)
def test_a_fault_is_planned_injected_repeated_and_undone(module: str) -> None:
    arguments = MODULES[module]
    planned = run_module(module, "--check", "--diff", **arguments)
    assert planned["changed"]
    assert "+++ after" in planned["shown"]
    assert run_module(module, **arguments)["fault"]["state"] == "injected"
    assert not run_module(module, **arguments)["changed"]
    assert run_module(module, **arguments, state="absent")["changed"]
    assert not run_module(module, **arguments, state="absent")["changed"]


@pytest.mark.soak
def test_heal_all_finds_what_stands_and_then_nothing() -> None:
    for module, arguments in MODULES.items():
        assert run_module(module, **arguments)["changed"]
    assert play("playbooks/heal_all.yml")[ROUTER]["changed"] == 1
    assert not any(figures["changed"] for figures in play("playbooks/heal_all.yml").values())


def test_a_mistake_is_one_clear_error() -> None:
    failed = run_module("okiagari.testbed.link_fault", fault="loss", interface="w-kanazawa", percent="40%", lease="60s")
    assert "FAILED!" in failed["shown"]
    assert "w-kanazawa-r1" in failed["msg"]
    assert "Traceback" not in failed["msg"]


def test_the_site_playbook_changes_nothing_the_second_time() -> None:
    figures = play("playbooks/site.yml")
    assert len(figures) == 8
    assert not any(host["changed"] or host["failed"] or host["unreachable"] for host in figures.values()), figures


@pytest.mark.soak
def test_the_check_mode_of_the_site_playbook_agrees() -> None:
    assert not any(host["changed"] for host in play("playbooks/site.yml", "--check").values())


def test_the_lab_playbook_changes_nothing_the_second_time() -> None:
    assert not any(host["changed"] for host in play("playbooks/lab_up.yml").values())
