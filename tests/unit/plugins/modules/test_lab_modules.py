# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The modules of the lab over a lab that only notes what it is told."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from ansible_collections.okiagari.testbed.plugins.module_utils.errors import OkiagariError
from ansible_collections.okiagari.testbed.plugins.module_utils.lab import LabPlan, NodePlan, desire
from ansible_collections.okiagari.testbed.plugins.module_utils.lab.lab import Lab
from ansible_collections.okiagari.testbed.plugins.module_utils.lab.uml import Uml
from ansible_collections.okiagari.testbed.plugins.module_utils.topology import loads
from ansible_collections.okiagari.testbed.plugins.modules import lab_info, lab_network, lab_node
from ansible_collections.okiagari.testbed.tests.unit.plugins.modules.run_module import run_module

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from ansible_collections.okiagari.testbed.plugins.module_utils.lab.provider import Provider

TESTBED = loads("plugin: okiagari.testbed.testbed\nname: t\nsites: {a: {number: 1}}\n").to_dict()
IMAGE = "/cache/1f2e"


class FakeLab(Lab):
    """A lab that obeys at once. There is one of it, whatever object looks at it."""

    links: set[str]
    records: dict[str, dict[str, Any]]

    def missing_network(self, plan: LabPlan) -> list[str]:
        return [link for link in plan.bridges if link not in self.links]

    def make_network(self, plan: LabPlan) -> None:
        self.links.update(plan.bridges)

    def remains(self) -> dict[str, Any]:
        return {"processes": ["keeper"]} if self.links else {}

    def nodes(self) -> list[str]:
        return sorted(self.records)

    def node_state(self, name: str) -> dict[str, Any]:
        return self.records.get(name) or {"state": "absent", **dict.fromkeys(("provider", "fingerprint", "image"))}

    def start(self, node: NodePlan, provider: Provider) -> None:
        facts = {"provider": provider.name, "fingerprint": node.fingerprint, "image": provider.image.name}
        self.records[node.name] = {"state": "starting", **facts}

    def wait_ready(self, name: str, timeout: float) -> None:
        self.records[name]["state"] = "running"

    def stop(self, name: str, timeout: float) -> None:
        self.records[name]["state"] = "stopped"

    def pause(self, name: str, stop: bool) -> None:
        self.records[name]["state"] = "paused" if stop else "running"


@pytest.fixture(autouse=True)
def lab(monkeypatch: pytest.MonkeyPatch) -> type[FakeLab]:
    monkeypatch.setattr(FakeLab, "links", set(), raising=False)
    monkeypatch.setattr(FakeLab, "records", {}, raising=False)
    for module in (lab_info, lab_network, lab_node):
        monkeypatch.setattr(module, "Lab", FakeLab)
    space = "ansible_collections.okiagari.testbed.plugins.module_utils.lab.space.LabSpace"
    monkeypatch.setattr(f"{space}.destroy", lambda space: FakeLab.links.clear())
    monkeypatch.setattr(f"{space}.kill_node", lambda space, name: FakeLab.records[name].update(state="stopped"))
    monkeypatch.setattr(f"{space}.anchor", lambda space: 7 if FakeLab.links else None)
    monkeypatch.setattr(f"{space}.processes", lambda space: {7: "keeper"} if FakeLab.links else {})
    monkeypatch.setattr(desire, "providers", lambda image, wanted: [Uml(image)])
    monkeypatch.setattr(Uml, "missing", lambda uml: [])
    return FakeLab


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., dict[str, Any]]:
    def run(module: Any, check: bool = False, **options: Any) -> dict[str, Any]:
        return run_module(module.main, capsys, check, directory=str(tmp_path / "lab"), **options)

    return run


def test_life_of_the_network(run: Callable[..., dict[str, Any]], lab: type[FakeLab]) -> None:
    would = run(lab_network, check=True, testbed=TESTBED)
    assert (would["changed"], would["missing"], lab.links) == (True, ["mgmt", "b-a-lan", "b-a-trunk"], set())
    done = run(lab_network, testbed=TESTBED)
    assert (done["changed"], done["diff"], lab.links) == (True, would["diff"], {"mgmt", "b-a-lan", "b-a-trunk"})
    again = run(lab_network, testbed=TESTBED)
    assert (again["changed"], again["missing"]) == (False, [])
    assert run(lab_network, check=True, state="absent")["changed"]
    assert lab.links
    assert run(lab_network, state="absent")["diff"] == {"before": {"processes": ["keeper"]}, "after": {}}
    assert not lab.links
    assert not run(lab_network, state="absent")["changed"]


def test_a_network_needs_a_testbed(run: Callable[..., dict[str, Any]]) -> None:
    assert "state is present but all of the following are missing: testbed" in run(lab_network)["msg"]


def test_life_of_a_node(run: Callable[..., dict[str, Any]], lab: type[FakeLab]) -> None:
    node = {"testbed": TESTBED, "name": "a-r1"}
    assert run(lab_node, check=True, **node, image=IMAGE)["changed"]
    assert lab.records == {}
    for state, image, becomes in [
        ("started", {"image": IMAGE}, "running"),
        ("paused", {}, "paused"),
        ("started", {"image": IMAGE}, "running"),
        ("stopped", {}, "stopped"),
        ("started", {"image": IMAGE}, "running"),
        ("killed", {}, "stopped"),
    ]:
        would = run(lab_node, check=True, **node, **image, state=state)
        done = run(lab_node, **node, **image, state=state)
        assert (done["changed"], done["diff"], done["node"]["state"]) == (True, would["diff"], becomes)
        assert not run(lab_node, **node, **image, state=state)["changed"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"name": "a-r1"}, "state is started but all of the following are missing: image"),
        ({"name": "a-r2", "image": IMAGE}, "the testbed has no node a-r2; it has a-kvm1, a-r1"),
        ({"name": "a-r1", "state": "paused"}, "a-r1 is absent: only a running node can be paused"),
        ({"name": "a-r1", "image": IMAGE, "provider": "qemu"}, "this machine can't run the lab"),
    ],
)
def test_a_node_that_can_not_be(run: Callable[..., dict[str, Any]], options: dict[str, Any], message: str) -> None:
    answer = run(lab_node, testbed=TESTBED, **options)
    assert answer["failed"]
    assert message in answer["msg"]


def test_info(run: Callable[..., dict[str, Any]]) -> None:
    answer = run(lab_info)
    assert (answer["changed"], answer["up"], answer["nodes"], answer["processes"]) == (False, False, {}, {})
    run(lab_network, testbed=TESTBED)
    run(lab_node, testbed=TESTBED, name="a-r1", image=IMAGE)
    answer = run(lab_info)
    assert (answer["changed"], answer["up"], answer["processes"]) == (False, True, {"7": "keeper"})
    assert answer["nodes"]["a-r1"]["state"] == "running"


def test_an_error_is_a_sentence(run: Callable[..., dict[str, Any]], monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(lab: Lab, plan: LabPlan) -> None:
        raise OkiagariError("no access to /dev/net/tun")

    monkeypatch.setattr(FakeLab, "make_network", refuse)
    assert run(lab_network, testbed=TESTBED)["msg"] == "no access to /dev/net/tun"
