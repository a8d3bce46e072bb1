# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ansible_collections.okiagari.testbed.plugins.module_utils.errors import OkiagariError
from ansible_collections.okiagari.testbed.plugins.modules import log_query
from ansible_collections.okiagari.testbed.tests.unit.plugins.modules.run_module import run_module

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pytest


class Agent:
    """Gives these rows, and what else comes with them."""

    def __init__(self, rows: int) -> None:
        self.rows = rows
        self.asked: list[tuple[dict[str, Any], float]] = []

    def __call__(self, request: dict[str, Any], timeout_s: float) -> Iterator[dict[str, Any]]:
        self.asked.append((request, timeout_s))
        if request["text"] == "wher":
            raise OkiagariError("position 1: there is wher; did you mean where?")
        yield from ({"row": {"n": number}} for number in range(self.rows))
        yield {"complete_from": 3.0}


def test_rows(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    agent = Agent(3)
    monkeypatch.setattr(log_query, "ask", agent)
    said = run_module(log_query.main, capsys, query="last 3")
    assert (said["changed"], said["rows"], said["whole"]) == (False, [{"n": 0}, {"n": 1}, {"n": 2}], True)
    said = run_module(log_query.main, capsys, check=True, query="last 3", most=2)
    assert (said["rows"], said["whole"]) == ([{"n": 0}, {"n": 1}], False)
    assert agent.asked == [({"op": "query", "text": "last 3"}, 10.0)] * 2
    assert "did you mean where?" in run_module(log_query.main, capsys, query="wher")["msg"]
    assert run_module(log_query.main, capsys, query="last 3", most=-1)["msg"] == "most is -1: say how many rows, from 0"


def test_waiting(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    agent = Agent(1)
    monkeypatch.setattr(log_query, "ask", agent)
    said = run_module(log_query.main, capsys, query="last 1", wait=60)
    assert (said["rows"], said["whole"]) == ([{"n": 0}], True)
    assert agent.asked == [({"op": "wait", "text": "last 1", "seconds": 60.0}, 70.0)]
    agent.rows = 0
    said = run_module(log_query.main, capsys, query="last 1", wait=60)
    assert said["msg"] == "nothing came within 60 s of what was asked for: last 1"
    assert run_module(log_query.main, capsys, query="last 1")["rows"] == []
