# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The proxy's settings and unit, as the role writes them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar

ROLE = Path(__file__).parents[4] / "roles" / "agent"

DB: dict[str, Any] = {"command": ["x"], "proxy": {"port": 7080, "to": "{address}:7000"}}


def files(services: dict[str, Any]) -> list[dict[str, str]]:
    """Give the settings that the host a gets: by Ansible itself, which finds the filter."""
    said = {
        "agent_services": services, "agent_members": ["a", "b"],
        "agent_address_of": {"a": "192.0.2.1", "b": "192.0.2.2"},
    }  # fmt: skip
    argv = [
        str(Path(sys.executable).with_name("ansible")), "a", "-i", "a,", "-c", "local", "-m", "debug",
        "-a", "msg={{ agent_proxy_files }}", "-e", f"@{ROLE}/vars/main.yml", "-e", json.dumps(said),
    ]  # fmt: skip
    environment = {**os.environ, "ANSIBLE_CALLBACK_RESULT_FORMAT": "json", "ANSIBLE_NOCOLOR": "1"}
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=True, env=environment)
    found: list[dict[str, str]] = json.loads(done.stdout[done.stdout.index("{") :])["msg"]
    return found


def test_a_candidate_gets_settings_that_haproxy_alone_reads() -> None:
    [file] = files({"db": DB})
    assert (file["path"], file["group"], file["mode"]) == ("/etc/okiagari/proxy/haproxy.cfg", "haproxy", "0640")
    assert "    server b 192.0.2.2:7000 disabled\n" in file["content"]


def test_others_get_none_so_that_former_ones_go_away() -> None:
    assert files({"db": DB | {"candidates": ["b"]}, "web": {"command": ["x"]}}) == []


def test_systemd_understands_the_unit(tmp_path: Path) -> None:
    loader = DataLoader()
    variables = loader.load_from_file(str(ROLE / "vars/main.yml"), trusted_as_template=True)
    [unit] = Templar(loader, variables).template(variables["agent_proxy_unit"])
    assert unit["path"] == "/etc/systemd/system/okiagari-proxy.service"
    assert "-f /etc/okiagari/proxy/haproxy.cfg" in unit["content"]
    assert "User=haproxy" in unit["content"]
    path = tmp_path / "okiagari-proxy.service"
    # HAProxy isn't installed here, and isn't what this is about.
    path.write_text(unit["content"].replace("/usr/sbin/haproxy", shutil.which("true") or ""))
    argv = ["systemd-analyze", "verify", "--man=no", path]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert "okiagari-proxy.service" not in done.stderr
