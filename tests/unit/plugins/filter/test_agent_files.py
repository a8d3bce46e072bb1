# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.okiagari.testbed.plugins.filter.agent_files import FilterModule
from ansible_collections.okiagari.testbed.plugins.module_utils.topology import load

LAB: dict[str, Any] = load(Path(__file__).parents[4] / "inventory" / "lab" / "testbed.yml").to_dict()
HOSTS = [name for name, node in LAB["nodes"].items() if node["kind"] == "kvm_host"]
FIRST = {LAB["nodes"][name]["site"]: name for name in reversed(HOSTS)}
agent_files = FilterModule().filters()["agent_files"]


def settings(**others: Any) -> dict[str, Any]:
    return {
        "name": HOSTS[0], "hosts": HOSTS, "addresses": dict.fromkeys(HOSTS, "192.0.2.1"), "port": 7447,
        "certificates": dict.fromkeys(HOSTS, "PEM"), "store": ["https://192.0.2.1:2379"],
        "voters": list(FIRST.values())[:3], "services": {"db": {"command": ["/bin/db"]}}, "folder": "/etc/x",
    } | others  # fmt: skip


def test_the_files_of_an_agent() -> None:
    files = {file["path"]: file for file in agent_files(LAB, settings())}
    assert sorted(files) == ["/etc/x/agent.json", "/etc/x/services/db.json"]
    assert {file["mode"] for file in files.values()} == {"0600"}
    said = json.loads(files["/etc/x/agent.json"]["content"])
    assert (said["name"], said["pool_mib"], said["trace"]) == (HOSTS[0], 64, True)
    (other, _service) = agent_files(LAB, settings(pool_mib=256, trace=False))
    assert json.loads(other["content"])["pool_mib"] == 256
    assert json.loads(other["content"])["trace"] is False
    assert json.loads(files["/etc/x/services/db.json"]["content"])["candidates"] == HOSTS


def test_what_is_wrong_is_one_clear_error() -> None:
    services = {"db": {"comand": ["/bin/db"]}, "../db": {"command": ["/bin/db"]}}
    with pytest.raises(AnsibleFilterError, match=r"services are refused, and nothing was done") as refused:
        agent_files(LAB, settings(services=services))
    assert "services.db: has no command: say what is to be run" in str(refused.value)
    assert "services.../db: is no name of a service" in str(refused.value)
