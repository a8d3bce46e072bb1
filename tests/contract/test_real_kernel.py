# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The fault back-end against a real kernel."""

from __future__ import annotations

import time
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest
from ansible_collections.okiagari.testbed.tests.lab.waiting import wait_for

if TYPE_CHECKING:
    from pathlib import Path


def fault(kind: str, lease: float = 30.0, **params: Any) -> dict[str, Any]:
    return {"id": f"test-{kind}", "kind": kind, "target": "r1", "params": params, "lease_s": lease}


FAULTS = [
    fault("link_down", interface="w-a"),
    fault("route_override", prefix="10.2.0.0/24", via="10.254.0.2"),
    fault("route_override", prefix="10.55.0.0/16", via="10.254.1.2"),
    fault("route_override", prefix="2001:db8:55::/48", via="2001:db8:b::2"),
    fault("route_blackhole", prefix="10.2.0.0/24"),
    fault("route_blackhole", prefix="10.2.0.1/32"),
    fault("route_blackhole", prefix="0.0.0.0/0"),
    fault("route_blackhole", prefix="2001:db8:99::/48"),
    fault("route_blackhole", prefix="::/0"),
]


@pytest.mark.parametrize("asked", FAULTS, ids=lambda asked: f"{asked['kind']}-{next(iter(asked['params'].values()))}")
def test_injects_and_restores_everything(targets: Any, asked: dict[str, Any]) -> None:
    one, _two = targets
    before = one.ok("snapshot")
    receipt = one.ok("inject", asked)
    assert receipt["state"] == "injected"
    during = one.ok("snapshot")
    assert {key for key in before if before[key] != during[key]} - {"okiagari"}
    again = one.ok("inject", asked)
    assert again["injected_at"] == receipt["injected_at"]
    assert again["lease_ends_at"] > receipt["lease_ends_at"]
    [over] = one.ok("undo", {"ids": [asked["id"]]})["receipts"]
    assert (over["state"], over["undone_by"], over["error"]) == ("undone", "module", None)
    assert one.ok("snapshot") == before
    assert one.ok("undo", {"ids": [asked["id"]]})["receipts"] == [over]
    assert one.ok("heal") == {"found": [], "healed": [], "left": []}


@pytest.mark.parametrize("asked", FAULTS[:2] + FAULTS[4:5], ids=lambda asked: asked["kind"])
def test_lease_ends_a_fault_by_itself(targets: Any, asked: dict[str, Any]) -> None:
    one, _two = targets
    before = one.ok("snapshot")
    one.ok("inject", {**asked, "lease_s": 1.0})
    assert one.ok("snapshot") != before
    time.sleep(2.0)
    assert one.ok("snapshot") == before
    [receipt] = one.ok("undo", {"ids": [asked["id"]]})["receipts"]
    assert receipt["undone_by"] == "lease"


def test_renewed_lease_outlives_the_first(targets: Any) -> None:
    one, _two = targets
    one.ok("inject", fault("link_down", lease=1.0, interface="w-a"))
    one.ok("inject", fault("link_down", lease=30.0, interface="w-a"))
    time.sleep(1.5)
    assert one.ok("snapshot")["links"]["w-a"]["admin"] == "down"
    assert one.ok("heal")["left"] == []


@pytest.mark.parametrize("asked", FAULTS, ids=lambda asked: f"{asked['kind']}-{next(iter(asked['params'].values()))}")
def test_heal_without_journal(targets: Any, asked: dict[str, Any]) -> None:
    one, _two = targets
    before = one.ok("snapshot")
    one.ok("inject", asked)
    listed = one.ok("heal", {"check": True})
    assert listed["found"]
    assert listed["left"] == listed["found"]
    assert not listed["healed"]
    if asked["kind"].startswith("route"):
        (one.folder / "state" / "journal" / f"{asked['id']}.json").unlink()
    assert one.ok("heal")["left"] == []
    assert one.ok("snapshot") == before


def test_unreadable_record_is_set_aside(targets: Any) -> None:
    one, _two = targets
    one.ok("inject", FAULTS[4])
    record = one.folder / "state" / "journal" / "test-route_blackhole.json"
    record.write_text("{")
    assert "heal_all" in one.call("inject", FAULTS[0])["error"]
    assert one.ok("heal")["left"] == []
    assert record.with_name(f"{record.name}.unreadable").exists()


@pytest.mark.parametrize(
    ("setup", "asked", "reason"),
    [
        ("ip link set w-a down", fault("link_down", interface="w-a"), "already down, and not by Okiagari"),
        ("true", fault("link_down", interface="w-aa"), "did you mean w-a"),
        ("ip route add 10.2.0.0/24 via 10.254.1.2", FAULTS[1], "foreign route '10.2.0.0/24 via 10.254.1.2"),
        ("ip -6 route add 2001:db8:55::/48 via 2001:db8:b::2 metric 1", FAULTS[3], "foreign route"),
        ("true", fault("route_override", prefix="10.2.0.0/24", via="10.77.0.1"), "not on a link"),
        ("true", fault("route_override", prefix="10.2.0.0/24", via="10.254.0.1"), "not on a link"),
        ("true", fault("route_override", prefix="10.2.0.0/24", via="2001:db8:a::2"), "same address family"),
    ],
)
def test_refuses_and_leaves_untouched(targets: Any, setup: str, asked: dict[str, Any], reason: str) -> None:
    one, _two = targets
    one.sh(setup)
    before = one.ok("snapshot")
    assert reason in one.call("inject", asked)["error"]
    assert one.ok("snapshot") == before
    assert one.ok("heal")["found"] == []


def test_routes_of_a_daemon_that_uses_our_number_are_not_ours(targets: Any) -> None:
    one, _two = targets
    one.sh(
        "ip route add 10.44.0.0/16 via 10.254.0.2 proto 187 metric 20;"
        "ip -6 route add 2001:db8:44::/48 dev w-a proto 187 metric 20"
    )
    before = one.ok("snapshot")
    assert one.ok("heal") == {"found": [], "healed": [], "left": []}
    assert one.ok("snapshot") == before


def test_drill_runs_without_a_controller(targets: Any) -> None:
    one, two = targets
    before = one.ok("snapshot")
    t0 = one.ok("hello")["time"] + 3.0
    stream = {"id": "one-two", "port": 18700, "rate": 100, "from": 0.0, "until": 3.0}
    program = {
        "drill": "cut-1", "t0": t0, "ends": 3.0,
        "faults": [
            {"id": "cut-1-a", "kind": "link_down", "params": {"interface": "w-a"}, "at": 1.0, "for": 1.0},
            {"id": "cut-1-b", "kind": "route_override", "params": {"prefix": "10.2.0.0/24", "via": "10.254.1.2"},
             "at": 1.2, "for": 1.0},
        ],
        "streams": [{**stream, "local": "10.254.0.1", "peer": "10.254.0.2"}],
        "probes": [{"id": "p", "at": 0.5, "type": "ping", "to": "10.254.0.2", "count": 3, "interval": 0.05},
                   {"id": "q", "at": 1.6, "type": "route", "prefix": "10.2.0.0/24"},
                   {"id": "r", "at": 0.1, "every": 0.4, "until": 2.8, "type": "route", "prefix": "10.2.0.0/24"}],
        "before": before,
    }  # fmt: skip
    other = {
        "drill": "cut-1",
        "t0": t0,
        "ends": 3.0,
        "streams": [{**stream, "local": "10.254.0.2", "peer": "10.254.0.1"}],
    }
    assert one.ok("arm", program)["armed"]
    assert two.ok("arm", other)["armed"]
    armed = one.ok("status", {"drill": "cut-1"})
    assert armed["running"]
    assert {receipt["state"] for receipt in armed["faults"]} == {"armed"}
    assert len([unit for unit in one.ok("heal", {"check": True})["found"] if unit["what"] == "lease"]) == 2
    wait_for("the drill has run", lambda: not one.ok("status", {"drill": "cut-1"})["running"])
    told = one.ok("status", {"drill": "cut-1", "probes": ["p", "q"]})["probes"]
    assert [probe["id"] for probe in told] == ["p", "q"]
    result = one.ok("collect", {"drill": "cut-1"})
    events = [(event["event"], event["fault"]) for event in result["events"]]
    assert events == [
        ("started", None), ("injected", "cut-1-a"), ("injected", "cut-1-b"), ("undone", "cut-1-a"),
        ("undone", "cut-1-b"), ("restored", None), ("ended", None),
    ]  # fmt: skip
    instants = [(receipt["injected_at"] - t0, receipt["undone_at"] - t0) for receipt in result["faults"]]
    # Never early; how late is for the benchmarks to say, which have the machine for themselves.
    for (injected, undone), (at, until) in zip(instants, ((1.0, 2.0), (1.2, 2.2)), strict=True):
        assert at <= injected < undone
        assert undone >= until
    assert {receipt["undone_by"] for receipt in result["faults"]} == {"program"}
    assert {probe["id"]: probe["ok"] for probe in result["probes"]} == {"p": True, "q": True, "r": True}
    again = [probe for probe in result["probes"] if probe["id"] == "r"]
    assert 1 < len(again) <= 7
    assert all(probe["at"] >= t0 + 0.1 + 0.4 * number for number, probe in enumerate(again))
    assert {tuple(probe["value"]["via"]) for probe in again} >= {("10.254.1.2",)}
    assert next(probe for probe in result["probes"] if probe["id"] == "q")["value"]["via"] == ["10.254.1.2"]
    [mine], [theirs] = result["streams"], two.ok("collect", {"drill": "cut-1"})["streams"]
    assert mine["sent"][1:] == [0.01, 300]
    assert theirs["sent"][1:] == [0.01, 300]
    assert 0 < len(theirs["received"]) <= 210
    # Either end knows the epoch's clock a little differently; the way is shorter than that.
    assert all(arrived - sent > -0.001 for _sequence, sent, arrived in theirs["received"])
    # What goes the other way waits in the neighbour's ARP queue while the link is down, and may still arrive.
    arrivals = [arrived for _sequence, _sent, arrived in mine["received"]]
    assert max(later - earlier for earlier, later in pairwise(arrivals)) > 0.9
    assert not one.ok("status", {"drill": "cut-1"})["running"]
    assert one.ok("heal") == {"found": [], "healed": [], "left": []}
    assert one.ok("snapshot") == before


def waiting(name: str, to: str, lasts: float, within: float, **event: Any) -> dict[str, Any]:
    when = {**event, "within": within}
    return {"id": name, "kind": "route_blackhole", "params": {"prefix": to}, "at": 0.0, "for": lasts, "when": when}


def test_faults_come_with_their_events(targets: Any, tmp_path: Path) -> None:
    one, _two = targets
    before = one.ok("snapshot")
    log = tmp_path / "log"
    log.write_text("ready 0\n")
    override = {"prefix": "10.2.0.0/24", "via": "10.254.0.2"}
    faults = [
        {"id": "cause", "kind": "route_override", "params": override, "at": 1.0, "for": 30.0},
        waiting("effect", "2001:db8:98::/48", 1.0, 30.0, type="route", prefix="10.2.0.0/24", via=["10.254.0.2"]),
        waiting("logged", "2001:db8:97::/48", 1.0, 30.0, type="log", file=str(log), matches=r"ready [1-9]"),
        waiting("never", "10.77.0.0/16", 1.0, 1.0, type="log", file=str(log), matches="done"),
    ]
    one.ok("arm", {"drill": "d", "t0": one.ok("hello")["time"] + 5.0, "ends": 40.0, "faults": faults})

    def state() -> dict[str, str]:
        return {receipt["id"]: receipt["state"] for receipt in one.ok("status", {"drill": "d"})["faults"]}

    wait_for("the effect follows its cause", lambda: state()["effect"] == "undone")
    assert state() == {"cause": "injected", "effect": "undone", "logged": "armed", "never": "failed"}
    with log.open("a") as file:
        file.write("ready 1\n")
    wait_for("what was logged has its effect", lambda: state()["logged"] == "undone")
    collected = one.ok("collect", {"drill": "d"})
    receipts = {receipt["id"]: receipt for receipt in collected["faults"]}
    assert receipts["cause"]["injected_at"] <= receipts["effect"]["injected_at"] < receipts["logged"]["injected_at"]
    assert receipts["never"]["error"] == "not injected: its event did not come within 1 s"
    assert {event["fault"]: event["detail"] for event in collected["events"] if event["event"] == "seen"} == {
        "effect": "the route to 10.2.0.0/24 leads to 10.254.0.2", "logged": "logged: ready 1",
    }  # fmt: skip
    one.ok("abort", {"drill": "d"})
    assert one.ok("snapshot") == before
    assert one.ok("heal") == {"found": [], "healed": [], "left": []}


def test_the_lease_of_a_fault_that_came_early_ends_early(targets: Any) -> None:
    one, _two = targets
    before = one.ok("snapshot")
    early = waiting("early", "10.77.0.0/16", 5.0, 600.0, type="route", prefix="10.2.0.0/24", via=["10.254.1.2"])
    t0 = one.ok("hello")["time"] + 5.0
    one.ok("arm", {"drill": "d", "t0": t0, "ends": 700.0, "faults": [early]})

    def lease() -> float:
        return float(one.ok("status", {"drill": "d"})["faults"][0]["lease_ends_at"]) - t0

    assert lease() > 600
    wait_for("its lease is shortened", lambda: lease() < 60)
    assert one.ok("snapshot") != before
    one.sh(f"kill -9 $(cat {one.folder}/run/units/okiagari-drill-d)")
    wait_for("the lease has ended", lambda: one.ok("snapshot") == before)
    assert one.ok("status", {"drill": "d"})["faults"][0]["undone_by"] == "lease"


def test_abort_ends_a_drill_now(targets: Any) -> None:
    one, _two = targets
    before = one.ok("snapshot")
    t0 = one.ok("hello")["time"] + 2.0
    cut = {"id": "a", "kind": "link_down", "params": {"interface": "w-a"}, "at": 0.0, "for": 60.0}
    later = {"id": "b", "kind": "route_blackhole", "params": {"prefix": "10.2.0.0/24"}, "at": 30.0, "for": 5.0}
    stream = {
        "id": "s",
        "local": "10.254.0.1",
        "peer": "10.254.0.2",
        "port": 18700,
        "rate": 50,
        "from": 0.0,
        "until": 60.0,
    }
    one.ok("arm", {"drill": "d", "t0": t0, "ends": 60.0, "faults": [cut, later], "streams": [stream]})
    wait_for("the link is down", lambda: one.ok("snapshot")["links"]["w-a"]["admin"] == "down")
    wait_for("it is in the journal", lambda: one.ok("status", {"drill": "d"})["events"] >= 2)
    receipts = one.ok("abort", {"drill": "d"})["faults"]
    assert [(receipt["state"], receipt["undone_by"]) for receipt in receipts] == [("undone", "abort")] * 2
    assert {receipt["id"]: receipt["injected_at"] is None for receipt in receipts} == {"a": False, "b": True}
    assert one.ok("snapshot") == before
    assert one.ok("collect", {"drill": "d"})["streams"][0]["sent"][2] > 0
    assert one.ok("heal")["found"] == []


def test_dead_runner_leaves_nothing(targets: Any) -> None:
    one, _two = targets
    before = one.ok("snapshot")
    cut = {"id": "a", "kind": "link_down", "params": {"interface": "w-a"}, "at": 0.0, "for": 5.0}
    one.ok("arm", {"drill": "d", "t0": one.ok("hello")["time"] + 2.0, "ends": 60.0, "faults": [cut]})
    wait_for("the link is down", lambda: one.ok("snapshot")["links"]["w-a"]["admin"] == "down")
    one.sh(f"kill -9 $(cat {one.folder}/run/units/okiagari-drill-d)")
    wait_for("the lease has ended", lambda: one.ok("snapshot") == before)
    assert one.ok("status", {"drill": "d"})["faults"][0]["undone_by"] == "lease"


def test_arm_tells_all_problems_and_arms_nothing(targets: Any) -> None:
    one, _two = targets
    program = {
        "drill": "d", "t0": one.ok("hello")["time"] + 5, "ends": 9,
        "faults": [
            {"id": "a", "at": 0, "for": 1, "kind": "link_down", "params": {"interface": "nix"}},
            {"id": "b", "at": 0, "for": 1, "kind": "route_override",
             "params": {"prefix": "10.2.0.0/24", "via": "10.77.0.1"}},
            {"id": "c", "at": 0, "for": 1, "kind": "route_blackhole", "params": {"prefix": "10.3.0.0/24"}},
        ],
    }  # fmt: skip
    error = one.call("arm", program)["error"]
    assert "no interface nix" in error
    assert "not on a link" in error
    assert one.ok("heal")["found"] == []


def test_path_probe_names_the_routers(targets: Any) -> None:
    one, _two = targets
    [result] = one.ok("probe", {"probes": [{"id": "x", "type": "path", "to": "10.2.0.1"}]})["results"]
    assert result["ok"]
    assert result["value"] == {"hops": ["10.2.0.1"]}
    [missing] = one.ok("probe", {"probes": [{"id": "x", "type": "path", "to": "10.99.0.1"}]})["results"]
    assert not missing["ok"]
    [ping] = one.ok("probe", {"probes": [{"id": "x", "type": "ping", "to": "2001:db8:a::2", "count": 2}]})["results"]
    assert ping["ok"]
    assert ping["value"]["received"] == 2
