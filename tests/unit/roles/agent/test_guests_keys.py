# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which hosts get the key of which guest."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROLE = Path(__file__).parents[4] / "roles" / "agent"
GUEST: dict[str, Any] = {"machine": {"memory": 64}}


def keys(authority: Path, host: str, services: dict[str, Any]) -> dict[str, str]:
    """Give the guests' keys that a host gets, by their paths: by Ansible itself, whose lookups it takes."""
    said = {"agent_services": services, "agent_members": ["a", "b"], "agent_authority": str(authority)}
    argv = [
        str(Path(sys.executable).with_name("ansible")), host, "-i", f"{host},", "-c", "local", "-m", "debug",
        "-a", "msg={{ agent_keys }}", "-e", f"@{ROLE}/vars/main.yml", "-e", json.dumps(said),
    ]  # fmt: skip
    environment = {**os.environ, "ANSIBLE_CALLBACK_RESULT_FORMAT": "json", "ANSIBLE_NOCOLOR": "1"}
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=True, env=environment)
    found = json.loads(done.stdout[done.stdout.index("{") :])["msg"]
    assert all(each["mode"] == "0600" for each in found)
    return {each["path"]: each["content"] for each in found}


@pytest.mark.parametrize(
    ("services", "host", "given"),
    [
        ({}, "a", {}),
        ({"web": {"command": ["x"]}}, "a", {}),
        ({"db": GUEST, "web": {"command": ["x"]}, "log": GUEST}, "b", {"db": "1", "log": "2"}),
        ({"db": GUEST | {"candidates": ["b"]}, "log": GUEST}, "a", {"log": "2"}),
        ({"db": GUEST | {"candidates": ["b"]}}, "a", {}),
    ],
)
def test_who_may_run_a_guest_gets_its_key_and_nobody_else(
    tmp_path: Path, services: dict[str, Any], host: str, given: dict[str, str]
) -> None:
    (tmp_path / "keys").mkdir()
    for name, key in (("db", "1"), ("log", "2")):
        (tmp_path / "keys" / name).write_text(key)
    assert keys(tmp_path, host, services) == {f"/etc/okiagari/agent/keys/{name}": key for name, key in given.items()}
