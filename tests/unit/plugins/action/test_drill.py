# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The action plugin, the engine's process and the callback together, as a user runs them."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.okiagari.testbed.plugins.plugin_utils.drill.history import user


def test_a_drill_that_holds(project: Any) -> None:
    project.drill["budget"] = {"outage": "1s"}
    code, out = project.run()
    assert code == 0, out
    assert "DRILL short_cut: HELD" in out
    assert "fault on: link_down at hiroshima-kanazawa, for 1 s" in out
    report = project.report()
    assert (report["verdict"], report["restored"]) == ("held", True)
    assert Path(project.path / "reports/latest/report.html").exists()
    [line] = (project.path / "reports/history.jsonl").read_text().splitlines()
    assert json.loads(line) == {
        "drill": "short_cut", "run": report["run"], "user": user(), "host": socket.gethostname(),
        "sites": ["hiroshima", "kanazawa"], "started": report["started"], "ended": report["ended"],
        "verdict": "held", "armed": True, "title": "Short cut", "summary": report["summary"], "testbed": "lab",
        "report": f"short_cut/{report['run']}", "budget": {"outage": 1000.0}, "measured": {
            "outage": report["outage_ms"], "restored": report["timing"]["restore_ms"],
            "arm": report["timing"]["arm_ms"], "skew": report["timing"]["skew_ms"],
        },
    }  # fmt: skip
    summary = (project.path / "reports/index.html").read_text()
    assert "All hold" in summary
    assert f'href="short_cut/{report["run"]}/report.html"' in summary


def test_an_abort_before_has_its_own_exit_code(project: Any) -> None:
    (project.path / "targets/hiroshima-kvm1/unanswered").touch()
    code, out = project.run()
    assert code == 2, out
    assert project.report()["verdict"] == "aborted"
    assert not list(project.path.glob("targets/*/program.json"))


def test_nothing_tested_has_its_own_exit_code(project: Any) -> None:
    project.drill["timeline"] = []
    code, out = project.run()
    assert code == 5, out
    assert "DRILL short_cut: NOTHING TESTED" in out


def test_an_ignored_drill_does_not_decide(project: Any) -> None:
    project.drill["timeline"] = []
    code, out = project.run(ignore_errors=True)
    assert code == 0, out
    assert "DRILL short_cut: NOTHING TESTED" in out


DARK = {"at": "1s", "for": "1s", "fault": "power_cut", "node": "otemachi"}


def test_what_gives_a_node_its_power_is_known_by_the_inventory(project: Any) -> None:
    project.drill["timeline"] = [DARK]
    project.powered({"lab": str(project.path / "lab")})
    code, out = project.run("--check")
    assert code == 0, out
    assert '+++ lab@localhost\n+ 1 s for 1 s: power_cut {"machine": "otemachi"}' in out


@pytest.mark.parametrize(
    ("power", "message"),
    [
        (None, "nothing is known that could cut the power of otemachi: it has no variable okiagari_power"),
        ("lab", "okiagari_power isn't of the form {lab: DIRECTORY}"),
        ({"lab": "labs/lab"}, "okiagari_power isn't of the form {lab: DIRECTORY}"),
        ({"bmc": "10.0.0.1"}, "okiagari_power isn't of the form {lab: DIRECTORY}"),
    ],
)
def test_without_it_no_power_is_cut(project: Any, power: object, message: str) -> None:
    project.drill["timeline"] = [DARK]
    project.powered(power)
    code, out = project.run()
    assert code == 2, out
    assert message in out.replace("\n", " ")


def test_a_lab_that_is_not_up_is_told_before_anything_is_armed(project: Any) -> None:
    project.drill["timeline"] = [DARK]
    project.powered({"lab": str(project.path / "lab")})
    code, out = project.run()
    assert code == 4, out
    assert f"lab@localhost: there is no lab in {project.path / 'lab'}" in project.report()["reason"][0]
    assert not (project.path / "lab").exists()
    assert not list(project.path.glob("targets/*/program.json"))


XR = {"os": "iosxr", "user": "ops", "port": 1, "ports": {"w-hiroshima-r1": "HundredGigE0/0/0/1"}}


def test_a_device_is_known_by_the_inventory(project: Any) -> None:
    project.is_device("kanazawa-r1", okiagari_device=XR)
    code, out = project.run("--check")
    assert code == 0, out
    assert '+++ kanazawa-r1\n+ 1 s for 1 s: link_down {"interface": "HundredGigE0/0/0/1"}' in out


def test_what_a_device_can_not_have_is_told_in_check_mode_too(project: Any) -> None:
    project.testbed["nodes"]["kanazawa-r1"]["platform"] = "vyos"
    project.is_device("kanazawa-r1", vyos={"ports": {"w-hiroshima-r1": "eth1"}})
    project.drill["timeline"] = [
        {"at": 1, "for": 5, "fault": "link_down", "circuit": "hiroshima-kanazawa"},
        {"at": 3, "for": 5, "fault": "route_blackhole", "node": "kanazawa-r1", "to": "10.9.0.0/16"},
        {"at": 30, "for": 5, "fault": "mtu", "mtu": 1400, "node": "kanazawa-r1", "interface": "w-hiroshima-r1"},
    ]
    code, out = project.run("--check")
    assert code == 2, out
    assert "kanazawa-r1 is a device, which can take back one change at a time" in out
    assert "kanazawa-r1 is a device (vyos), and can't have mtu: it lacks the capability 'mtu'" in out
    project.is_device("kanazawa-r1", okiagari_device={**XR, "os": "iosx"})
    code, out = project.run("--check")
    assert code == 2, out
    assert "okiagari_device.os of kanazawa-r1: iosx is not one of" in out


def test_a_device_that_does_not_answer_is_told_before_anything_is_armed(
    project: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OKIAGARI_STATE", str(project.path / "state"))
    project.is_device("kanazawa-r1", okiagari_device=XR)
    code, out = project.run()
    assert code == 4, out
    assert "kanazawa-r1: " in project.report()["reason"][0]
    assert not list(project.path.glob("targets/*/program.json"))


def test_check_mode_contacts_nobody(project: Any) -> None:
    code, out = project.run("--check")
    assert code == 0, out
    assert "+++ hiroshima-r1" in out
    assert "+ 1 s for 1 s: link_down" in out
    assert "  link_down w-kanazawa-r1             ██████████  1 to 2" in out
    assert not list(project.path.glob("targets/*/run"))
    assert not (project.path / "reports").exists()


def test_the_variable_drill_seed_goes_before_the_drills_own(project: Any) -> None:
    circuits = ["hiroshima-kanazawa", "hiroshima-osaka"]
    project.drill["timeline"][0]["circuit"] = {"one_of": circuits}
    project.drill["seed"] = 3
    for options, seed in (((), 3), (("-e", "drill_seed=7"), 7)):
        code, out = project.run("--check", *options)
        assert code == 0, out
        assert f"chosen with the seed {seed} (-e drill_seed={seed} chooses the same)" in out
    code, out = project.run("--check", "-e", "drill_seed=seven")
    assert code == 2, out
    assert "seed: seven is not a whole number from 0 to 999999999" in out


def test_every_mistake_is_told_at_once(project: Any) -> None:
    project.drill["timeline"][0]["circuit"] = "hiroshima-kanzawa"
    project.drill["hypotesis"] = project.drill.pop("hypothesis")
    code, out = project.run()
    assert code == 2, out
    assert "did you mean hiroshima-kanazawa?" in out
    assert "did you mean hypothesis?" in out
    assert not (project.path / "reports").exists()


def test_a_drill_that_may_not_run_is_aborted_before_anybody_is_contacted(project: Any) -> None:
    ask = {"windows": [], "blackouts": [{"first": "2000-01-01", "last": "2998-12-31"}], "consent": "ask"}
    project.testbed["sites"]["kanazawa"]["drills"] = ask
    project.write_inventory()
    code, planned = project.run("--check")
    assert code == 0, planned
    code, out = project.run()
    assert code == 2, out
    for told in ("2000-01-01 to 2998-12-31 is a blackout of kanazawa", "kanazawa must approve: add"):
        assert told in planned
        assert told in str(project.report()["reason"])
    assert str(project.path / "consent/kanazawa.yml") in str(project.report()["reason"])
    assert not list(project.path.glob("targets/*/run"))


def test_only_a_refused_drill_leaves_with_the_code_for_that(project: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OKIAGARI_REFUSED_EXIT_CODE", "75")
    (project.path / "targets/hiroshima-kvm1/unanswered").touch()
    assert project.run()[0] == 2
    (project.path / "reports/STOP").touch()
    code, out = project.run()
    assert code == 75, out


def test_there_is_a_pause_between_drills_and_a_killed_one_counts(project: Any) -> None:
    project.testbed["drills"]["pause_s"] = 600.0
    project.write_inventory()
    (project.path / "reports").mkdir()
    ended = datetime.now(UTC)
    now = ended.isoformat()
    (project.path / "reports/.lock").write_text(json.dumps({"drill": "killed", "since": now, "until": now}))
    for _again in range(2):
        # What was refused moved nothing, and so doesn't put the next one off.
        code, out = project.run()
        assert code == 2, out
        assert f"the drill before it ended at {ended:%a %Y-%m-%d %H}:" in out
    runs = [json.loads(line) for line in (project.path / "reports/history.jsonl").read_text().splitlines()]
    assert [(run["drill"], run["verdict"], run["armed"]) for run in runs] == [
        ("killed", None, True),
        ("short_cut", "aborted", False),
        ("short_cut", "aborted", False),
    ]
    _code, out = project.run("--check")
    assert "not now: drills.pause: the drill before it ended at" in out


def test_a_site_approves(project: Any) -> None:
    project.testbed["sites"]["kanazawa"]["drills"]["consent"] = "ask"
    project.write_inventory()
    (project.path / "consent").mkdir()
    (project.path / "consent/kanazawa.yml").write_text("- {drill: short_cut, by: A. Person, untill: 2998-12-31}\n")
    code, out = project.run()
    assert code == 2, out
    assert "did you mean until?" in out
    assert not (project.path / "reports").exists()
    (project.path / "consent/kanazawa.yml").write_text("- {drill: short_cut, by: A. Person, until: 2998-12-31}\n")
    assert project.run()[0] == 0


def wait_for(condition: Any, seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.1)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_the_death_of_ansible_aborts_the_drill(project: Any, number: signal.Signals) -> None:
    project.drill["timeline"][0]["for"] = "60s"
    playbook = project.start()
    try:
        wait_for((project.path / "targets/hiroshima-r1/program.json").exists)
        time.sleep(4)
        os.kill(playbook.pid, number)
        wait_for((project.path / "reports/latest").exists, 20)
    finally:
        playbook.kill()
        playbook.communicate()
    report = project.report()
    assert (report["verdict"], report["restored"]) == ("aborted", True)
    assert report["reason"][0] == "the drill was aborted: Ansible has gone away"
    assert {fault["undone_by"] for fault in report["faults"]} == {"abort"}


def test_the_file_stop_ends_the_drill_and_keeps_others_from_starting(project: Any) -> None:
    project.drill["timeline"][0]["for"] = "60s"
    playbook = project.start()
    wait_for((project.path / "targets/hiroshima-r1/program.json").exists)
    (project.path / "reports/STOP").touch()
    out, _err = playbook.communicate(timeout=40)
    assert playbook.returncode == 2, out
    assert "because   the drill was aborted: stopped by reports/STOP" in out
    assert {fault["state"] for fault in project.report()["faults"]} == {"undone"}
    asked = {path.parent.name for path in project.path.glob("targets/*/program.json")}
    assert {path.parent.name for path in project.path.glob("targets/*/aborted")} == asked
    code, out = project.run()
    assert code == 2, out
    assert "because   reports/STOP: no drill starts while this file is there: remove it" in out
    _code, out = project.run("--check")
    assert "not now: reports/STOP" in out


def test_a_signal_to_the_engine_aborts_the_drill(project: Any) -> None:
    project.drill["timeline"][0]["for"] = "60s"
    playbook = project.start()
    wait_for((project.path / "targets/hiroshima-r1/program.json").exists)
    lock = (project.path / "reports/.lock").read_text()
    second = subprocess.run(
        ["ansible-playbook", "drill.yml"],
        cwd=project.path,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "ANSIBLE_CONFIG": str(project.path / "ansible.cfg")},
    )
    assert second.returncode == 4
    assert "another drill is running on this testbed: short_cut, since" in second.stdout
    pid = int(lock.partition('"pid": ')[2].partition(",")[0])
    os.kill(pid, signal.SIGTERM)
    out, _err = playbook.communicate(timeout=30)
    assert playbook.returncode == 2, out
    assert "because   the drill was aborted: SIGTERM to the engine" in out
