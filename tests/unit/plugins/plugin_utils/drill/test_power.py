# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Drills in which nodes of the simulated testbed lose their power, or stand still."""

from __future__ import annotations

from typing import Any

import pytest

DARK = ("kanazawa-kvm1", "kanazawa-r1")


@pytest.fixture
def site_dark() -> dict[str, Any]:
    """A drill that holds: nobody else notices."""
    return {
        "name": "site_dark",
        "hypothesis": "Hiroshima and NAIST don't notice.",
        "expects_isolated": "kanazawa",
        "recover_timeout": "3min",
        "traffic": [{"name": "h-n", "between": ["hiroshima-kvm1", "naist-kvm1"], "rate": 20}],
        "timeline": [{"at": "5s", "for": "30s", "fault": "site_down", "site": "kanazawa"}],
        "probes": [{"phase": "continuous", "traffic": {"of": "h-n", "max_outage": "0s"}}],
    }


def asked_while_silent(simulation: Any) -> list[tuple[str, str]]:
    """Let the simulation note what is asked of nodes while their power is off."""
    found: list[tuple[str, str]] = []

    def on_call(target: str, command: str) -> None:
        t0 = simulation.engine.state.t0
        if target in DARK and t0 is not None and 5 <= simulation.pace.now() - t0 < 35:
            found.append((target, command))

    simulation.testbed.behaviour.on_call = on_call
    return found


def test_a_site_loses_its_power_and_everything_is_as_before(simulate: Any, site_dark: dict[str, Any]) -> None:
    simulation = simulate(site_dark)
    asked = asked_while_silent(simulation)
    report = simulation.engine.run()
    assert report["reason"] is None
    assert (report["verdict"], report["restored"], report["differences"]) == ("held", True, [])
    assert asked == []
    assert {(fault["target"], fault["made_by"], fault["undone_by"]) for fault in report["faults"]} == {
        (node, "lab@localhost", "program") for node in DARK
    }
    assert [fault["injected"] for fault in report["faults"]] == pytest.approx([5, 5], abs=0.01)
    assert {(item["target"], item["path"]) for item in report["during"]} == {
        ("lab@localhost", f"power.{node}") for node in DARK
    }
    assert report["timing"]["restore_ms"] >= 20000
    assert ("recover", "waiting for kanazawa-kvm1, kanazawa-r1 to answer again") in simulation.said


def test_the_time_until_a_machine_is_back_is_measured_where_its_power_comes_from(
    simulate: Any, site_dark: dict[str, Any]
) -> None:
    report = simulate(site_dark).engine.run()
    assert all(fault["measured"]["back_s"] >= 10 for fault in report["faults"])


def test_a_node_that_is_not_back_in_time_is_not_restored(simulate: Any, site_dark: dict[str, Any]) -> None:
    report = simulate(site_dark, boot_s=3600.0).engine.run()
    assert (report["verdict"], report["restored"]) == ("not_restored", False)
    assert "not known whether it is as before: kanazawa-r1: no answer within 5 s" in report["reason"]
    assert not [reason for reason in report["reason"] if "collected" in reason]


def test_an_abort_gives_the_power_back_first_and_waits(simulate: Any, site_dark: dict[str, Any]) -> None:
    site_dark["traffic"].append({"name": "h-k", "between": ["hiroshima-kvm1", "kanazawa-kvm1"], "rate": 20})
    simulation = simulate(site_dark)
    aborts: list[str] = []

    def on_call(target: str, command: str) -> None:
        t0 = simulation.engine.state.t0
        if command == "status" and simulation.pace.now() - t0 > 15:
            simulation.engine.abort("simulated")
        if command == "abort":
            aborts.append(target)

    simulation.testbed.behaviour.on_call = on_call
    report = simulation.engine.run()
    assert (report["verdict"], report["restored"]) == ("aborted", True)
    assert report["reason"] == ["the drill was aborted: simulated"]
    assert {fault["undone_by"] for fault in report["faults"]} == {"abort"}
    assert sorted(aborts[:3]) == ["hiroshima-kvm1", "lab@localhost", "naist-kvm1"]
    assert aborts[3:] == ["kanazawa-kvm1"]


def test_a_runner_that_ended_with_its_power_is_no_failure(simulate: Any, site_dark: dict[str, Any]) -> None:
    """Traffic that nobody asserts anything about may end there."""
    site_dark["traffic"].append({"name": "h-k", "between": ["hiroshima-kvm1", "kanazawa-kvm1"], "rate": 20})
    report = simulate(site_dark).engine.run()
    assert (report["verdict"], report["reason"]) == ("held", None)
    assert {stream["name"] for stream in report["streams"]} == {"h-n"}
