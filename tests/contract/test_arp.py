# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Asking by ARP on a real bridge without an address, where a machine comes up late."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ansible_collections.okiagari.testbed.tests.contract.conftest import Target

COLLECTIONS = str(Path(__file__).parents[2] / ".collections")
MAC = "02:03:00:64:00:0b"
PROGRAM = """
import json, sys, time
from ansible_collections.okiagari.testbed.plugins.module_utils.project.arp import ask, questions
asked = questions(json.loads(sys.argv[1]))
print("asking", flush=True)
print(json.dumps([question.mac for question in ask(asked, float(sys.argv[2]), time.time)]))
"""


def asking(target: Target, timeout: float, *questions: dict[str, str]) -> subprocess.Popen[str]:
    argv = ["ip", "netns", "exec", target.namespace, sys.executable, "-B", "-c", PROGRAM]
    environment = {**os.environ, "PYTHONPATH": COLLECTIONS}
    process = subprocess.Popen(
        [*argv, json.dumps(questions), str(timeout)], env=environment, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "asking\n"
    return process


def heard(process: subprocess.Popen[str]) -> list[str]:
    said, _errors = process.communicate(timeout=120)
    assert process.returncode == 0
    answer: list[str] = json.loads(said)
    return answer


def test_a_machine_that_comes_up_late(targets: Any) -> None:
    host, machine = targets
    host.sh("ip link add br100 type bridge; ip link set br100 up; ip link set w-a master br100")
    host.sh("ip addr flush dev w-a; ip -6 addr flush dev br100")
    machine.sh(f"ip addr flush dev w-a; ip link set w-a down; ip link set w-a address {MAC}")
    question = {"interface": "br100", "address": "10.240.0.11/24", "mac": MAC}
    process = asking(host, 60, question)
    machine.sh("sleep 1")
    assert process.poll() is None, "nobody has answered yet"
    machine.sh("ip link set w-a up; ip addr add 10.240.0.11/24 dev w-a")
    assert heard(process) == [MAC]
    others = [{**question, "mac": "02:03:00:65:00:0b"}, {**question, "address": "10.240.0.12"}]
    assert heard(asking(host, 1, *others)) == []
    # Nobody has learnt an address that doesn't exist.
    assert "0.0.0.0" not in machine.sh("ip neigh show")
