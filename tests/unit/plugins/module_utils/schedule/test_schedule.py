# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Drills that run unattended: what is refused, and units that systemd understands."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.okiagari.testbed.plugins.filter.schedule_units import schedule_units
from ansible_collections.okiagari.testbed.plugins.module_utils.errors import BadInput
from ansible_collections.okiagari.testbed.plugins.module_utils.schedule import files, read
from hypothesis import given
from hypothesis import strategies as st

CUT = {"name": "circuit_cut", "playbook": "scenarios/circuit_cut/drill.yml", "at": "Sat 02:00"}
SETTINGS: dict[str, Any] = {
    "project": "/srv/testbed",
    "user": "drills",
    "command": sys.executable,
    "reports": "reports",
    "keep_runs": 50,
    "keep_days": 90,
    "on_failure": "",
}
UNITS = "/etc/systemd/system"
SERVICE = f"{UNITS}/okiagari-schedule@.service"
KEYS = "name, playbook, at, random_delay, timeout"
printable = st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=20)


def contents(drills: list[dict[str, Any]], **settings: Any) -> dict[str, str]:
    return {file["path"]: file["content"] for file in files(read(drills, {**SETTINGS, **settings}))}


def problems(drills: Any, **settings: Any) -> list[str]:
    with pytest.raises(BadInput) as refused:
        read(drills, {**SETTINGS, **settings})
    return [str(problem) for problem in refused.value.problems]


def test_a_drill_is_a_timer_and_a_drop_in() -> None:
    found = contents([{**CUT, "random_delay": "10min", "timeout": "1h"}, {**CUT, "name": "other"}])
    assert set(found) == {
        SERVICE,
        f"{UNITS}/okiagari-schedule-circuit_cut.timer",
        f"{UNITS}/okiagari-schedule@circuit_cut.service.d/drill.conf",
        f"{UNITS}/okiagari-schedule-other.timer",
        f"{UNITS}/okiagari-schedule@other.service.d/drill.conf",
        "/srv/testbed/reports/schedule.json",
    }
    timer = found[f"{UNITS}/okiagari-schedule-circuit_cut.timer"].splitlines()
    for line in ("OnCalendar=Sat 02:00", "RandomizedDelaySec=600", "Persistent=true",
                 "Unit=okiagari-schedule@circuit_cut.service"):  # fmt: skip
        assert line in timer
    drop_in = found[f"{UNITS}/okiagari-schedule@circuit_cut.service.d/drill.conf"]
    assert drop_in == '[Service]\nEnvironment=DRILL_TIMEOUT=3600 "DRILL_PLAYBOOK=scenarios/circuit_cut/drill.yml"\n'
    assert json.loads(found["/srv/testbed/reports/schedule.json"])[0] == {"name": "circuit_cut", "at": "Sat 02:00"}


def test_no_drills_no_files() -> None:
    units = schedule_units([], SETTINGS)
    assert (units["files"], units["timers"], units["instants"]) == ([], [], [])
    assert "/srv/testbed/reports/schedule.json" in units["prune"]


def test_the_hook_is_there_only_if_it_is_asked_for() -> None:
    hook = f"{UNITS}/okiagari-schedule-failed@.service"
    assert hook not in contents([CUT])
    assert "OnFailure" not in contents([CUT])[SERVICE]
    found = contents([CUT], on_failure='mail -s "$DRILL: 100% broken" ops')
    assert "OnFailure=okiagari-schedule-failed@%i.service" in found[SERVICE]
    assert 'ExecStart=/bin/sh -c "mail -s \\"$$DRILL: 100%% broken\\" ops"' in found[hook]


def test_everything_that_is_wrong_is_told() -> None:
    drills = [
        {**CUT, "name": "Circuit cut"},
        {**CUT, "playbok": "x.yml", "timeout": "0s"},
        {**CUT, "at": "-x", "random_delay": "soon"},
        {"name": "other"},
        5,
    ]
    assert problems(drills, user="no body", keep_runs=0) == [
        "drills[0].name: is not a name: up to 40 of a-z, 0-9, _ and -, and it starts with a letter or digit",
        f"drills[1].playbok: there is no such key here, only {KEYS}; did you mean playbook?",
        "drills[1].timeout: 0s is less than a second",
        "drills[2].at: -x can't be the argument of a command",
        "drills[2].random_delay: soon is not a duration such as 20s",
        "drills[3].playbook: is missing",
        "drills[3].at: is missing",
        "drills[4]: is not a mapping",
        "drills[4].name: is missing",
        "drills[4].playbook: is missing",
        "drills[4].at: is missing",
        "user: no body is not the name of a user",
        "keep_runs: 0 is not a whole number from 1 to 1000000",
    ]
    assert problems([CUT, CUT]) == ["drills: 2 of them are called circuit_cut"]
    assert problems("daily") == ["drills: daily is not a list"]
    assert problems([], project="testbed")[0].startswith("project: testbed is not the absolute path")
    with pytest.raises(AnsibleFilterError, match=r"nothing was done\.\nuser: is missing"):
        schedule_units([], {**SETTINGS, "user": None})


def systemd_says(folder: Path, *units: str) -> str:
    """Have this machine's systemd read units of the folder, and give what it has against them."""
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", "--generators=no", *(str(folder / unit) for unit in units)],
        env={**os.environ, "SYSTEMD_UNIT_PATH": f"{folder}:/usr/lib/systemd/system"},
        capture_output=True,
        text=True,
        check=False,
    )
    return f"{done.stderr}{done.returncode or ''}"


@pytest.fixture
def installed(tmp_path: Path) -> Any:
    def install(drills: list[dict[str, Any]], **settings: Any) -> Path:
        for path, content in contents(drills, **settings).items():
            file = tmp_path / Path(path).relative_to(UNITS) if path.startswith(UNITS) else tmp_path / Path(path).name
            file.parent.mkdir(exist_ok=True)
            file.write_text(content)
        return tmp_path

    return install


def test_systemd_understands_the_units(installed: Any) -> None:
    folder = installed(
        [{**CUT, "playbook": 'a "quoted" 100% $odd.yml'}], project="/srv/test bed's", on_failure="echo $DRILL | mail %u"
    )
    units = ["okiagari-schedule-circuit_cut.timer", "okiagari-schedule@circuit_cut.service",
             "okiagari-schedule-failed@circuit_cut.service"]  # fmt: skip
    assert systemd_says(folder, *units) == ""
    (folder / units[0]).write_text((folder / units[0]).read_text().replace("Sat", "Saturnday"))
    assert "Saturnday" in systemd_says(folder, units[0])


@given(printable, printable)
def test_what_is_given_stands_in_one_line(playbook: str, hook: str) -> None:
    try:
        found = contents([{**CUT, "playbook": playbook}], on_failure=f"x{hook}")
    except BadInput:
        return
    plain = contents([CUT], on_failure="x")
    assert {path: len(text.splitlines()) for path, text in found.items()} == {
        path: len(text.splitlines()) for path, text in plain.items()
    }
