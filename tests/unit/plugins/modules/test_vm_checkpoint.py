# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from ansible_collections.okiagari.testbed.plugins.module_utils.errors import OkiagariError
from ansible_collections.okiagari.testbed.plugins.modules import vm_checkpoint
from ansible_collections.okiagari.testbed.tests.unit.plugins.modules.run_module import run_module

if TYPE_CHECKING:
    from collections.abc import Iterator

FIGURES = {"captured": 1000.0, "pause_ms": 8.0, "bytes": 20_000, "hosts": ["a", "b"], "domains": ["A", "B"]}


class Agents:
    """All agents as one: who holds `db`, and the epochs of it that are committed."""

    def __init__(self) -> None:
        self.holder: str | None = "a"
        self.epoch = 4
        self.asked: list[dict[str, Any]] = []

    def __call__(self, request: dict[str, Any]) -> Iterator[dict[str, Any]]:
        self.asked.append(request)
        if request["service"] != "db":
            raise OkiagariError("there is no service dbb; did you mean db?")
        state = {"term": 2, "epoch": self.epoch, "root": f"r{self.epoch}"}
        if request["op"] == "states":
            committed = {**state, "captured": 990.0, "age_s": 10.0} if self.epoch else None
            yield {"holder": self.holder, "committed": committed, "replicas": {}, "have": ["b"], "silent": {}}
            return
        assert request["op"] == "checkpoint"
        yield {"waiting_s": 5}
        if request["seconds"] < 1:
            raise OkiagariError(f"no state of db that was captured since is committed within {request['seconds']:g} s")
        self.epoch += 1
        yield {"holder": self.holder, **state, "epoch": self.epoch, **FIGURES}


@pytest.fixture
def agents(monkeypatch: pytest.MonkeyPatch) -> Agents:
    made = Agents()
    monkeypatch.setattr(vm_checkpoint, "ask", made)
    return made


def test_a_state_is_committed_each_time(agents: Agents, capsys: pytest.CaptureFixture[str]) -> None:
    for epoch in (5, 6):
        said = run_module(vm_checkpoint.main, capsys, service="db", timeout=20)
        assert said["changed"]
        assert said["checkpoint"] == {"holder": "a", "term": 2, "epoch": epoch, "root": "r" + str(epoch - 1), **FIGURES}
        assert (said["committed"]["epoch"], said["committed"]["age_s"], said["have"]) == (epoch, 10.0, ["b"])
        assert (said["diff"]["before"]["epoch"], said["diff"]["after"]["epoch"]) == (epoch - 1, epoch)
    assert [each for each in agents.asked if each["op"] == "checkpoint"] == [
        {"op": "checkpoint", "service": "db", "seconds": 20.0}
    ] * 2


def test_a_query_and_check_mode_only_look(agents: Agents, capsys: pytest.CaptureFixture[str]) -> None:
    shown = run_module(vm_checkpoint.main, capsys, service="db", state="query")
    assert (shown["changed"], shown["holder"], shown["committed"]["epoch"]) == (False, "a", 4)
    assert "checkpoint" not in shown
    would = run_module(vm_checkpoint.main, capsys, check=True, service="db")
    assert (would["changed"], would["committed"]["epoch"]) == (True, 4)
    assert would["diff"] == {
        "before": {"term": 2, "epoch": 4, "root": "r4"}, "after": {"epoch": "the next one after 4"},
    }  # fmt: skip
    agents.epoch = 0
    assert run_module(vm_checkpoint.main, capsys, service="db", state="query")["committed"] is None
    would = run_module(vm_checkpoint.main, capsys, check=True, service="db")
    assert would["diff"] == {"before": {}, "after": {"epoch": "the first one"}}
    assert {each["op"] for each in agents.asked} == {"states"}


def test_what_can_not_be_done_is_told(agents: Agents, capsys: pytest.CaptureFixture[str]) -> None:
    assert "did you mean db?" in run_module(vm_checkpoint.main, capsys, service="dbb")["msg"]
    said = run_module(vm_checkpoint.main, capsys, service="db", timeout=0.5)
    assert said["msg"] == "no state of db that was captured since is committed within 0.5 s"
    agents.holder = None
    for check in (False, True):
        assert "nobody holds db now" in run_module(vm_checkpoint.main, capsys, check=check, service="db")["msg"]
    assert run_module(vm_checkpoint.main, capsys, service="db", state="query")["holder"] is None
