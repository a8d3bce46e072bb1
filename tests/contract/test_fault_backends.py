# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One contract for all fault back-ends: the same fault has the same name, lease, receipt and undo on each."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from ansible_collections.okiagari.testbed.plugins.module_utils.errors import OkiagariError
from ansible_collections.okiagari.testbed.plugins.module_utils.fault.journal import Record
from ansible_collections.okiagari.testbed.plugins.module_utils.fault.model import Fault
from ansible_collections.okiagari.testbed.plugins.modules import heal, link_fault
from ansible_collections.okiagari.testbed.tests.unit.plugins.modules.run_module import run_module

sys.path.insert(0, str(Path(__file__).parent))

from fault_rigs import PASSWORD, DeviceRig, LinuxRig, NetconfRig, Rig, VyosRig, XeRig, XrRig, wait_for_state

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

RIGS: dict[str, type[Rig]] = {"linux": LinuxRig, "vyos": VyosRig, "netconf": NetconfRig, "ios": XeRig, "iosxr": XrRig}
RECEIPT = set(Record(Fault("any", "link_down", {}, 1.0), "", "", 1).receipt())


@pytest.fixture
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[str], Any]]:
    made: list[Rig] = []

    def new(name: str) -> Any:
        if name == "linux":
            made.append(LinuxRig(request.getfixturevalue("targets")[0]))
        else:
            made.append(RIGS[name](tmp_path))  # type: ignore[call-arg]
        return made[-1]

    yield new
    for rig in made:
        rig.stop()


@pytest.fixture(params=RIGS)
def rig(request: pytest.FixtureRequest, make: Callable[[str], Rig]) -> Rig:
    return make(request.param)


FAULTS = [(name, asked) for name, kind in RIGS.items() for asked in kind.faults]


@pytest.mark.parametrize(
    ("name", "asked"), FAULTS, ids=[f"{name}-{asked['kind']}-{number}" for number, (name, asked) in enumerate(FAULTS)]
)
def test_a_fault_stands_and_is_undone_exactly(make: Callable[[str], Rig], name: str, asked: dict[str, Any]) -> None:
    rig = make(name)
    before = rig.state()
    receipt = rig.inject(asked)
    assert set(receipt) == RECEIPT
    assert (receipt["id"], receipt["kind"], receipt["state"]) == (asked["id"], asked["kind"], "injected")
    assert receipt["error"] is None
    assert receipt["installed"] != receipt["before"]
    assert receipt["lease_ends_at"] >= receipt["armed_at"] + asked["lease_s"]
    during = rig.state()
    assert during != before
    assert rig.inject(asked)["injected_at"] == receipt["injected_at"]
    assert rig.state() == during
    over = rig.undo(asked["id"])
    assert set(over) == RECEIPT
    assert (over["state"], over["undone_by"], over["error"]) == ("undone", "module", None)
    assert rig.state() == before
    assert rig.undo(asked["id"]) == over
    assert rig.heal() == {"found": [], "healed": [], "left": []}


def test_a_lease_ends_with_nobody_there(rig: Rig) -> None:
    before = rig.state()
    asked = {**rig.faults[0], "lease_s": rig.lease_s}
    receipt = rig.inject(asked)
    assert receipt["installed"] != receipt["before"]
    wait_for_state(rig, before)
    over = rig.undo(asked["id"])
    assert (over["state"], over["undone_by"]) == ("undone", "lease")
    assert over["undone_at"] >= over["armed_at"] + rig.lease_s


def test_what_is_foreign_is_refused_and_untouched(rig: Rig) -> None:
    rig.take()
    before = rig.state()
    asked, message = rig.foreign
    with pytest.raises(OkiagariError, match=message):
        rig.inject(asked)
    assert rig.state() == before
    assert rig.heal()["found"] == []


def test_what_is_beyond_a_back_end_is_named(rig: Rig) -> None:
    before = rig.state()
    asked, message = rig.beyond
    with pytest.raises(OkiagariError, match=message):
        rig.inject(asked)
    assert rig.state() == before


def test_an_unknown_interface_is_told_with_the_nearest(rig: Rig) -> None:
    known = rig.faults[0]["params"]["interface"]
    with pytest.raises(OkiagariError, match=f"did you mean {known}"):
        rig.inject({**rig.faults[0], "params": {"interface": f"{known}9"}})


def test_a_refused_change_is_an_error_and_leaves_nothing(rig: Rig) -> None:
    before = rig.state()
    message = rig.refuse()
    with pytest.raises(OkiagariError, match=message):
        rig.inject(rig.faults[0])
    assert rig.state() == before
    assert rig.undo(rig.faults[0]["id"])["state"] == "failed"


def test_other_parameters_under_the_same_id_are_refused(rig: Rig) -> None:
    asked = rig.faults[-1]
    rig.inject(asked)
    during = rig.state()
    with pytest.raises(OkiagariError, match="stands with other parameters"):
        rig.inject({**rig.faults[0], "id": asked["id"]})
    assert rig.state() == during


def test_heal_ends_what_stands(rig: Rig) -> None:
    before = rig.state()
    rig.inject(rig.faults[0])
    report = rig.heal()
    assert rig.faults[0]["id"] in {each["name"] for each in report["healed"]}
    assert report["left"] == []
    assert rig.state() == before


@pytest.mark.parametrize("name", [name for name, kind in RIGS.items() if issubclass(kind, DeviceRig)])
def test_the_modules_reach_a_device(
    make: Callable[[str], DeviceRig],
    name: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rig = make(name)
    monkeypatch.setenv("OKIAGARI_STATE", str(tmp_path / "state"))
    device = {**rig.options(), "os": name}
    before = rig.state()
    cut = {"fault": "down", "interface": rig.faults[0]["params"]["interface"], "device": device}

    would = run_module(link_fault.main, capsys, check=True, lease="1h", **cut)
    assert (would["changed"], rig.state()) == (True, before)
    done = run_module(link_fault.main, capsys, lease="1h", **cut)
    assert (done["changed"], done["diff"], done["fault"]["target"]) == (True, would["diff"], "127.0.0.1")
    assert PASSWORD not in json.dumps(done)
    during = rig.state()
    assert during != before
    assert not run_module(link_fault.main, capsys, lease="1h", **cut)["changed"]
    assert run_module(heal.main, capsys, check=True, device=device)["left"]
    assert rig.state() == during
    over = run_module(link_fault.main, capsys, state="absent", **cut)
    assert (over["changed"], over["fault"]["undone_by"]) == (True, "module")
    assert rig.state() == before
    assert not run_module(link_fault.main, capsys, state="absent", **cut)["changed"]
    assert not run_module(heal.main, capsys, device=device)["changed"]
    wrong = run_module(link_fault.main, capsys, lease="1h", **{**cut, "device": {**device, "password": "no"}})
    assert "refuses the login" in wrong["msg"]
