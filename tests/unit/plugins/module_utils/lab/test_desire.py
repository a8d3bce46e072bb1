# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every cell of the table what is x what shall be."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from ansible_collections.okiagari.testbed.plugins.module_utils.errors import OkiagariError
from ansible_collections.okiagari.testbed.plugins.module_utils.lab import NodePlan, desire, plan_lab
from ansible_collections.okiagari.testbed.plugins.module_utils.lab.desire import NodeDesire
from ansible_collections.okiagari.testbed.plugins.module_utils.lab.lab import Lab
from ansible_collections.okiagari.testbed.plugins.module_utils.lab.uml import Uml
from ansible_collections.okiagari.testbed.plugins.module_utils.reconcile import Outcome, reconcile
from ansible_collections.okiagari.testbed.plugins.module_utils.topology import loads

if TYPE_CHECKING:
    from ansible_collections.okiagari.testbed.plugins.module_utils.lab.provider import Provider

TESTBED = "plugin: okiagari.testbed.testbed\nname: t\nsites: {a: {number: 1}}\n"
NODE = plan_lab(loads(TESTBED).to_dict()).node("a-r1")
IMAGE = Path("/cache/1f2e")
MOVES = ("start", "stop", "kill", "freeze", "thaw")


class FakeLab(Lab):
    """A lab with one node that obeys at once and notes what was asked of it."""

    def __init__(self, directory: Path, state: str, **record: str) -> None:
        super().__init__(directory)
        self.state, self.done = state, list[str]()
        self.record: dict[str, str | None] = {
            "fingerprint": NODE.fingerprint,
            "image": IMAGE.name,
            "provider": "uml",
            **record,
        }
        self.space.kill_node = lambda node: self._do("kill", "stopped")  # type: ignore[method-assign]

    def node_state(self, name: str) -> dict[str, Any]:
        record = dict.fromkeys(self.record) if self.state == "absent" else self.record
        return {"state": self.state, **record}

    def start(self, node: NodePlan, provider: Provider) -> None:
        self._do(f"start {provider.name}", "starting")

    def stop(self, name: str, timeout: float) -> None:
        self._do("stop", "stopped")

    def pause(self, name: str, stop: bool) -> None:
        self._do("freeze" if stop else "thaw", "paused" if stop else "running")

    def wait_ready(self, name: str, timeout: float) -> None:
        self._do(f"wait {timeout:.0f}", "running")

    def _do(self, what: str, state: str) -> bool:
        self.done.append(what)
        self.state = state
        return True


@pytest.fixture(autouse=True)
def only_uml(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(desire, "providers", lambda image, wanted: [Uml(image)])


def bring(
    lab: FakeLab,
    state: str,
    check: bool = False,
    provider: str = "auto",
    image: Path | None = IMAGE,
    timeout: float = 9,
) -> Outcome:
    wish = NodeDesire(lab, NODE, state, provider, image, timeout)
    return reconcile("present", check, read=wish.read, want=wish.want, create=wish.act, keep=wish.wait, remove=dict)


@pytest.mark.parametrize(
    ("stands", "wanted", "done", "changed"),
    [
        ("absent", "started", ["start uml", "wait 9"], True),
        ("stopped", "started", ["start uml", "wait 9"], True),
        ("starting", "started", ["wait 9"], False),
        ("running", "started", ["wait 9"], False),
        ("paused", "started", ["thaw", "wait 9"], True),
        ("stopping", "started", ["stop", "start uml", "wait 9"], True),
        ("absent", "stopped", [], False),
        ("stopped", "stopped", [], False),
        ("starting", "stopped", ["thaw", "stop"], True),
        ("running", "stopped", ["thaw", "stop"], True),
        ("paused", "stopped", ["thaw", "stop"], True),
        ("stopping", "stopped", ["thaw", "stop"], True),
        ("absent", "killed", [], False),
        ("stopped", "killed", [], False),
        ("starting", "killed", ["kill"], True),
        ("running", "killed", ["kill"], True),
        ("paused", "killed", ["kill"], True),
        ("stopping", "killed", ["kill"], True),
        ("starting", "paused", ["freeze"], True),
        ("running", "paused", ["freeze"], True),
        ("paused", "paused", [], False),
    ],
)
def test_table(tmp_path: Path, stands: str, wanted: str, done: list[str], changed: bool) -> None:
    lab = FakeLab(tmp_path, stands)
    would = bring(lab, wanted, check=True)
    assert (would.changed, lab.state, lab.done) == (changed, stands, [])
    assert bring(lab, wanted) == would
    assert lab.done == done
    lab.done.clear()
    again = bring(lab, wanted)
    assert not again.changed
    assert not {move.split()[0] for move in lab.done} & set(MOVES)


@pytest.mark.parametrize("stands", ["absent", "stopped"])
def test_only_a_running_node_can_be_frozen(tmp_path: Path, stands: str) -> None:
    for check in (True, False):
        with pytest.raises(OkiagariError, match=f"a-r1 is {stands}: only a running node can be paused"):
            bring(FakeLab(tmp_path, stands), "paused", check)


@pytest.mark.parametrize("stands", ["stopped", "starting", "running", "paused"])
@pytest.mark.parametrize(
    ("record", "provider", "message"),
    [
        ({"fingerprint": "older"}, "auto", "a-r1 was made from an older description of the testbed"),
        ({"image": "older"}, "auto", "a-r1 was made from an older node image"),
        ({}, "qemu", "a-r1 was made for uml, not for qemu"),
    ],
)
def test_a_node_that_must_be_made_again_is_not_started(
    tmp_path: Path, stands: str, record: dict[str, str], provider: str, message: str
) -> None:
    lab = FakeLab(tmp_path, stands, **record)
    with pytest.raises(OkiagariError, match=f"{message}: run playbooks/lab_down.yml, then lab_up.yml"):
        bring(lab, "started", provider=provider)
    assert lab.done == []
    assert bring(lab, "killed", provider=provider).after == {"state": "stopped"}


def test_a_started_node_is_not_waited_for_without_a_timeout(tmp_path: Path) -> None:
    lab = FakeLab(tmp_path, "absent")
    assert bring(lab, "started", timeout=0).after == {"state": "running"}
    assert lab.done == ["start uml"]


def test_stopping_needs_no_image(tmp_path: Path) -> None:
    lab = FakeLab(tmp_path, "running")
    assert bring(lab, "stopped", image=None).after == {"state": "stopped"}


def test_the_plan_is_what_a_fingerprint_is_of() -> None:
    assert replace(NODE, memory_mb=1).fingerprint != NODE.fingerprint
