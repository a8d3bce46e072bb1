# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The modules over a simulated kernel: create, repeat, check mode, absent."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from ansible.module_utils.testing import patch_module_args
from ansible_collections.okiagari.testbed.plugins.module_utils.fault.model import parse_fault
from ansible_collections.okiagari.testbed.plugins.module_utils.target import edge
from ansible_collections.okiagari.testbed.plugins.modules import drill_stop, heal, link_fault, node_fault, route_fault
from ansible_collections.okiagari.testbed.tests.unit.plugins.module_utils.fault.simulated_kernel import SimulatedTarget

if TYPE_CHECKING:
    from pathlib import Path


class Modules:
    def __init__(self, target: SimulatedTarget, capsys: pytest.CaptureFixture[str]) -> None:
        self.target = target
        self._capsys = capsys

    def __call__(self, module: Any, *, check: bool = False, **options: Any) -> dict[str, Any]:
        with patch_module_args({**options, "_ansible_check_mode": check}), pytest.raises(SystemExit):
            module.main()
        result: dict[str, Any] = json.loads(self._capsys.readouterr().out)
        return result


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Modules:
    monkeypatch.setenv("OKIAGARI_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("OKIAGARI_RUN", str(tmp_path / "run"))
    target = SimulatedTarget(tmp_path)
    monkeypatch.setattr(edge, "keeper_of", lambda *_arguments: target.keeper)
    return Modules(target, capsys)


CASES: list[tuple[Any, dict[str, Any]]] = [
    (link_fault, {"fault": "down", "interface": "w-a"}),
    (link_fault, {"fault": "loss", "interface": "w-b", "percent": "30%"}),
    (route_fault, {"fault": "override", "prefix": "10.2.0.0/16", "via": "10.254.0.0"}),
    (route_fault, {"fault": "blackhole", "prefix": "10.2.0.0/16"}),
    (route_fault, {"fault": "unreachable", "prefix": "10.2.0.0/16"}),
    (route_fault, {"fault": "prohibit", "prefix": "10.2.0.0/16"}),
    (route_fault, {"fault": "bgp_shutdown", "neighbor": "10.254.0.0"}),
    (route_fault, {"fault": "bfd_off", "neighbor": "10.254.0.0", "vrf": "storage"}),
    (route_fault, {"fault": "local_preference", "neighbor": "10.254.1.2", "preference": 50}),
    (route_fault, {"fault": "metric", "neighbor": "10.254.1.2", "metric": 200}),
    (route_fault, {"fault": "as_path", "neighbor": "10.254.1.2", "prepend": 3}),
    (route_fault, {"fault": "prefix_withdrawn", "prefix": "10.1.0.0/24"}),
    (node_fault, {"fault": "cpu_pressure", "workers": 2}),
    (node_fault, {"fault": "memory_pressure", "take": "500mib"}),
    (node_fault, {"fault": "disk_full", "path": "/srv/"}),
    (node_fault, {"fault": "disk_slow", "path": "/srv", "delay": "50ms"}),
    (node_fault, {"fault": "disk_failing", "path": "/srv"}),
    (node_fault, {"fault": "clock_step", "by": "5min"}),
    (node_fault, {"fault": "service_stop", "service": "web"}),
    (node_fault, {"fault": "service_freeze", "service": "web"}),
    (link_fault, {"fault": "mtu", "interface": "w-b", "mtu": 1400}),
    (link_fault, {"fault": "delay", "interface": "w-b", "delay": "50ms", "jitter": "5ms", "distribution": "pareto"}),
    (link_fault, {"fault": "loss", "interface": "w-a", "gemodel": ["1%", "10%"], "seed": 42}),
    (link_fault, {"fault": "reorder", "interface": "w-a", "percent": 5, "delay": "10ms", "gap": 3}),
    (
        link_fault,
        {
            "fault": "impairment",
            "interface": "w-a",
            "loss": "1%",
            "delay": {"delay": "20ms"},
            "rate": "10mbit",
            "duplicate": {"percent": 1, "correlation": 5},
            "only": {"s_tag": 101, "c_tag": 100, "to": "10.2.0.0/24"},
        },
    ),
]


@pytest.mark.parametrize(
    ("module", "options"), CASES, ids=lambda value: value.get("fault") if isinstance(value, dict) else ""
)
def test_life_of_a_fault(run: Modules, module: Any, options: dict[str, Any]) -> None:
    before = run.target.kernel.state()
    would = run(module, check=True, **options, lease="20s")
    assert (would["changed"], run.target.kernel.state(), run.target.timers.armed) == (True, before, {})
    assert would["fault"]["injected_at"] is None
    done = run(module, **options, lease="20s")
    assert (done["changed"], done["diff"], done["fault"]["state"]) == (True, would["diff"], "injected")
    assert done["diff"]["before"] == {}
    assert run.target.kernel.state() != before
    again = run(module, **options, lease="30s")
    assert (again["changed"], again["fault"]["injected_at"]) == (False, done["fault"]["injected_at"])
    absent = {
        key: value
        for key, value in options.items()
        if key in ("fault", "interface", "prefix", "neighbor", "vrf", "path", "service")
    }
    would = run(module, check=True, **absent, state="absent")
    assert would["changed"]
    assert run.target.kernel.state() != before
    over = run(module, **absent, state="absent")
    assert (over["changed"], over["fault"]["state"], over["fault"]["undone_by"]) == (True, "undone", "module")
    assert run.target.kernel.state() == before
    assert not run(module, **absent, state="absent")["changed"]


@pytest.mark.parametrize(
    ("module", "options", "message"),
    [
        (link_fault, {"fault": "down", "interface": "w-aa", "lease": 5}, "did you mean w-a?"),
        (
            link_fault,
            {"fault": "down", "interface": "w-a"},
            "state is present but all of the following are missing: lease",
        ),
        (link_fault, {"fault": "loss", "interface": "w-a", "lease": 5}, "loss needs the parameter percent"),
        (link_fault, {"fault": "down", "interface": "w-a", "lease": 5, "percent": "5%"}, "unknown key percent"),
        (link_fault, {"fault": "mtu", "interface": "w-a", "lease": 5, "mtu": 1500}, "is 1500 already: ask for less"),
        (
            link_fault,
            {"fault": "mtu", "interface": "w-a", "lease": 5, "mtu": 1000},
            "the kernel drops below an MTU of 1280",
        ),
        (
            link_fault,
            {"fault": "loss", "interface": "w-a", "percent": 5, "lease": 5, "direction": "both"},
            "'netem_ingress'",
        ),
        (
            node_fault,
            {"fault": "memory_pressure", "lease": 5, "take": "940mib"},
            "of 1000 MiB that are available 64 have",
        ),
        (node_fault, {"fault": "disk_full", "lease": 5, "path": "/nope"}, "there is no directory /nope on this target"),
        (node_fault, {"fault": "service_stop", "lease": 5, "service": "wep"}, "did you mean web.service?"),
        (
            route_fault,
            {"fault": "override", "prefix": "10.2.0.0/16", "lease": 5},
            "via is missing",
        ),
        (
            route_fault,
            {"fault": "blackhole", "prefix": "10.66.0.0/16", "lease": 5},
            "the foreign route 'blackhole 10.66.0.0/16",
        ),
    ],
)
@pytest.mark.parametrize("check", [False, True])
def test_refusals(run: Modules, module: Any, options: dict[str, Any], message: str, check: bool) -> None:
    before = run.target.kernel.state()
    result = run(module, check=check, **options)
    assert result["failed"]
    assert message in result["msg"]
    assert run.target.kernel.state() == before


def test_heal(run: Modules) -> None:
    before = run.target.kernel.state()
    assert run(heal)["changed"] is False
    for module, options in CASES[:3]:
        run(module, **options, lease="20s")
    listed = run(heal, check=True)
    assert listed["changed"]
    assert listed["left"] == listed["found"]
    assert run.target.kernel.state() != before
    healed = run(heal)
    assert healed["changed"]
    assert healed["found"] == listed["found"]
    assert not healed["left"]
    assert run.target.kernel.state() == before
    assert run(heal) == {**healed, "changed": False, "found": [], "healed": [], "diff": {"before": {}, "after": {}}}


def test_heal_lets_go_of_a_claim(run: Modules) -> None:
    run.target.keeper.claim("d", "a@ctl1", 60.0)
    assert run(heal, check=True)["diff"] == {"before": {"d": "has the target (a@ctl1)"}, "after": {}}
    assert run(heal)["changed"]
    assert not run(heal)["changed"]


def drill_of(run: Modules) -> None:
    fault = parse_fault({"id": "a", "kind": "link_down", "params": {"interface": "w-a"}, "lease_s": 20, "target": "t"})
    run.target.keeper.arm("d", [(fault, 20.0)])
    run.target.timers.start("okiagari-drill-d", ())
    run.target.keeper.prepare("a")
    run.target.keeper.strike(["a"])


def test_drill_stop(run: Modules) -> None:
    before = run.target.kernel.state()
    assert run(drill_stop) == {**run(drill_stop, check=True), "changed": False, "drills": []}
    drill_of(run)
    would = run(drill_stop, check=True)
    assert (would["changed"], would["drills"]) == (True, ["d"])
    assert run.target.kernel.state() != before
    done = run(drill_stop, by="A. Person")
    assert (done["changed"], done["drills"], done["diff"]) == (True, ["d"], would["diff"])
    assert run.target.kernel.state() == before
    assert run.target.timers.units() == []
    assert run.target.store.stopped("d") == "A. Person"
    assert not run(drill_stop)["changed"]


def test_drill_stop_fails_if_something_is_left(run: Modules) -> None:
    drill_of(run)
    run.target.kernel.broken = lambda argv: argv[:3] == ("ip", "link", "set")
    assert "still there: d; run the heal_all playbook" in run(drill_stop)["msg"]
    assert "okiagari-drill-d" not in run.target.timers.units()


def test_heal_fails_if_something_is_left(run: Modules) -> None:
    run(link_fault, fault="loss", interface="w-a", percent=5, lease=5)
    run.target.kernel.broken = lambda argv: argv[:3] == ("tc", "qdisc", "del")
    result = run(heal)
    assert result["failed"]
    assert "still there after healing" in result["msg"]


@pytest.mark.parametrize("module", [heal, drill_stop])
def test_a_lab_that_is_not_there_is_told_and_not_made(run: Modules, module: Any, tmp_path: Path) -> None:
    lab = tmp_path / "lab"
    assert run(module, lab=str(lab))["msg"] == f"there is no lab in {lab}: run playbooks/lab_up.yml"
    assert not lab.exists()


def test_of_a_lab_its_power_is_healed_and_not_this_machine(run: Modules, tmp_path: Path) -> None:
    (tmp_path / "lab" / "nodes").mkdir(parents=True)
    run(link_fault, fault="down", interface="w-a", lease="20s")
    assert run(heal, lab=str(tmp_path / "lab"))["found"] == []
    assert len(run(heal)["healed"]) == 2
