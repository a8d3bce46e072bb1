# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A fault's task that would strike the controller by mistake, as a user runs it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.okiagari.testbed.plugins.plugin_utils.fault_task import strikes_here

ROOT = Path(__file__).parents[4]
DOWN = "fault=down interface=okiagari-none lease=20s"


@pytest.mark.parametrize(
    ("arguments", "strikes"),
    [
        ({"fault": "down"}, True),
        ({"fault": "down", "state": "present", "on_controller": "no"}, True),
        ({"fault": "down", "device": {}}, True),
        ({"fault": "down", "device": {"os": "vyos"}}, False),
        ({"fault": "down", "on_controller": True}, False),
        ({"fault": "down", "on_controller": "yes"}, False),
        ({"fault": "down", "state": "absent"}, False),
    ],
)
def test_what_strikes_where_it_runs(arguments: dict[str, Any], strikes: bool) -> None:
    assert strikes_here(arguments) is strikes


@pytest.mark.parametrize(
    ("module", "options", "refused"),
    [
        ("link_fault", DOWN, True),
        ("link_fault", f"{DOWN} on_controller=true", False),
        ("route_fault", "fault=blackhole prefix=10.255.255.0/24 lease=20s", True),
        ("node_fault", "fault=service_stop service=okiagari-none lease=20s", True),
    ],
)
def test_a_task_with_the_connection_local_is_refused(tmp_path: Path, module: str, options: str, refused: bool) -> None:
    """Check mode is refused too, and is what keeps this test from striking."""
    config = tmp_path / "ansible.cfg"
    config.write_text(f"[defaults]\ncollections_path = {ROOT / '.collections'}\nlocal_tmp = {tmp_path / 'tmp'}\n")
    asked = ("-m", f"okiagari.testbed.{module}", "-a", options, "-e", f"ansible_python_interpreter={sys.executable}")
    done = subprocess.run(
        [Path(sys.executable).parent / "ansible", "localhost", "--check", *asked],
        capture_output=True,
        text=True,
        check=False,
        env={
            **os.environ,
            "ANSIBLE_CONFIG": str(config),
            "OKIAGARI_STATE": str(tmp_path),
            "OKIAGARI_RUN": str(tmp_path),
        },
    )
    assert done.returncode == 2, done.stderr
    assert ("would strike the controller itself" in done.stdout) is refused, done.stdout
