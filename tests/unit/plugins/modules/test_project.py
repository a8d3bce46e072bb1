# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The registrar's module, from the request to its release."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import pytest
from ansible_collections.okiagari.testbed.plugins.module_utils.topology import loads
from ansible_collections.okiagari.testbed.plugins.modules import project
from ansible_collections.okiagari.testbed.tests.unit.plugins.modules.run_module import run_module

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

TESTBED = loads(
    """
plugin: okiagari.testbed.testbed
name: test
core: {osaka: {number: 1}}
sites: {hiroshima: {number: 1}, kanazawa: {number: 2}}
circuits: [{between: [hiroshima, osaka]}, {between: [kanazawa, osaka]}]
"""
).to_dict()
ROOM = {host: {"vcpus": 2, "memory_mib": 256, "guests": 8} for host in ("hiroshima-kvm1", "kanazawa-kvm1")}
REQUEST = {"project": "exp1", "networks": {"lan": {}}, "machines": {"web": {"count": 2}}}


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Callable[..., dict[str, Any]]:
    def run(**options: Any) -> dict[str, Any]:
        given = {"directory": str(tmp_path / "projects"), "facts": str(tmp_path / "facts"), **options}
        if options.get("state", "present") in ("present", "moved"):
            given = {"testbed": TESTBED, "capacities": ROOM, **given}
        return run_module(project.main, capsys, **given)

    return run


def states(answer: dict[str, Any]) -> dict[str, str]:
    return {machine["name"]: machine["state"] for machine in answer["machines"]}


def test_life(run: Callable[..., dict[str, Any]], tmp_path: Path) -> None:
    would = run(project=REQUEST, check=True)
    assert (would["changed"], (tmp_path / "projects").exists()) == (True, False)
    done = run(project=REQUEST)
    assert (done["changed"], done["serial"], done["releasing"]) == (True, 1, False)
    for key in ("networks", "machines"):
        assert done["project"][key] == would["project"][key]
    assert done["diff"] == {"before": {}, "after": done["project"]}
    assert states(done) == {"exp1-web-1": "present", "exp1-web-2": "present"}
    assert {host: len(asked) for host, asked in done["questions"].items()} == dict.fromkeys(ROOM, 2)
    assert done["records"] == done["active"] == [done["project"]]
    assert not run(project=REQUEST)["changed"]

    would = run(project="exp1", state="absent", check=True)
    assert (would["changed"], would["releasing"]) == (True, True)
    assert run(project="exp1", state="query")["project"] == done["project"]
    leaving = run(project=REQUEST, state="absent")
    assert (leaving["changed"], leaving["releasing"], leaving["active"]) == (True, True, [])
    assert states(leaving) == {"exp1-web-1": "absent", "exp1-web-2": "absent"}
    assert leaving["records"] == [leaving["project"]]
    assert not run(project="exp1", state="absent")["changed"]
    assert "exp1 is being removed" in run(project=REQUEST)["msg"]

    gone = run(project="exp1", state="released")
    assert (gone["changed"], gone["project"], gone["records"], gone["serial"]) == (True, {}, [], 3)
    for state in ("absent", "released"):
        assert not run(project="exp1", state=state)["changed"]


def test_release_gives_back_only_what_was_marked(run: Callable[..., dict[str, Any]]) -> None:
    done = run(project=REQUEST)
    assert not run(project="exp1", state="released")["changed"]
    less = run(project={**REQUEST, "machines": {"web": {"count": 1}}})
    assert less["releasing"]
    assert states(less) == {"exp1-web-1": "present", "exp1-web-2": "absent"}
    after = run(project="exp1", state="released")
    assert list(after["project"]["machines"]) == ["exp1-web-1"]
    assert after["project"]["machines"]["exp1-web-1"] == done["project"]["machines"]["exp1-web-1"]


def test_refusal(run: Callable[..., dict[str, Any]], tmp_path: Path) -> None:
    said = run(project={**REQUEST, "machines": {"web": {"count": 9}}})
    assert said["failed"]
    assert said["msg"].splitlines() == [
        "The request is refused, and nothing was done.",
        "machines.web: there is no room for 5 of 9 new machines",
        "machines.web: hiroshima-kvm1: 0 of 2 vCPUs are free, 1 asked",
        "machines.web: hiroshima-kvm1: 64 of 256 MiB of memory are free, 96 asked",
        "machines.web: kanazawa-kvm1: 0 of 2 vCPUs are free, 1 asked",
        "machines.web: kanazawa-kvm1: 64 of 256 MiB of memory are free, 96 asked",
    ]
    assert "name its file, such as exp1.yml" in run(project="exp1")["msg"]
    assert "must be the name of a project" in run(project={}, state="absent")["msg"]
    assert (
        "networks.lan.sites[0]: the testbed has no site kanasawa; did you mean kanazawa?"
        in run(project={**REQUEST, "networks": {"lan": {"sites": ["kanasawa"]}}})["msg"]
    )
    assert list((tmp_path / "projects").glob("*.json")) == []


def test_a_machine_moves(run: Callable[..., dict[str, Any]]) -> None:
    run(project={**REQUEST, "machines": {"web": {"sites": ["hiroshima"]}}})
    moved = run(state="moved", machine="exp1-web-1", host="kanazawa-kvm1")
    assert (moved["changed"], moved["project"]["machines"]["exp1-web-1"]["host"]) == (True, "kanazawa-kvm1")
    assert not run(state="moved", machine="exp1-web-1", host="kanazawa-kvm1")["changed"]
    full = {**ROOM, "hiroshima-kvm1": {"vcpus": 0}}
    said = run(state="moved", machine="exp1-web-1", host="hiroshima-kvm1", capacities=full)
    assert "hiroshima-kvm1: 0 of 0 vCPUs are free, 1 asked" in said["msg"]


def test_copies_and_an_old_registrar(run: Callable[..., dict[str, Any]], tmp_path: Path) -> None:
    run(project=REQUEST)
    new = run(project={**REQUEST, "contact": "someone@example.org"})
    other = {"directory": str(tmp_path / "other")}
    copy = {"state": "copied", "records": new["records"], "serial": new["serial"], **other}
    assert run(**copy, check=True)["changed"]
    copied = run(**copy)
    assert (copied["changed"], copied["records"]) == (True, new["records"])
    assert copied["diff"]["after"] == {"serial": 2, "projects": ["exp1"]}
    assert not run(**copy)["changed"]
    # A registrar that was put up again from nothing would give everything twice.
    empty = {"directory": str(tmp_path / "empty"), "project": {**REQUEST, "project": "exp2"}}
    assert "a copy elsewhere has seen 2 changes, and these have seen 0" in run(**empty, serial=2)["msg"]
    assert run(project={**REQUEST, "project": "exp2"}, serial=2, **other)["changed"]


def test_query(run: Callable[..., dict[str, Any]], tmp_path: Path) -> None:
    nothing = run(state="query")
    assert (nothing["changed"], nothing["records"], nothing["capacity"]) == (False, [], {})
    assert abs(nothing["time"] - time.time()) < 5
    assert not (tmp_path / "projects").exists()
    (tmp_path / "facts").write_text(json.dumps({"capacity": {"vcpus": 4, "memory_mib": 512, "guests": 8}}))
    assert run(state="query")["capacity"] == {"vcpus": 4, "memory_mib": 512, "guests": 8}
    run(project=REQUEST)
    assert run(state="query", project="exp1")["project"]["name"] == "exp1"


def test_a_damaged_record_stops_everything(run: Callable[..., dict[str, Any]], tmp_path: Path) -> None:
    run(project=REQUEST)
    (tmp_path / "projects" / "exp1.json").write_text("{")
    assert "exp1.json" in run(project={**REQUEST, "project": "exp2"})["msg"]
