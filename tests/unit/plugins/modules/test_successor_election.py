# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ansible_collections.okiagari.testbed.plugins.module_utils.errors import OkiagariError
from ansible_collections.okiagari.testbed.plugins.modules import successor_election
from ansible_collections.okiagari.testbed.tests.unit.plugins.module_utils.agent.test_succession import Agents, Clock
from ansible_collections.okiagari.testbed.tests.unit.plugins.modules.run_module import run_module

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pytest


def test_the_module(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    main, agents = successor_election.main, Agents(takes=2)
    monkeypatch.setattr(successor_election, "ask", agents)
    monkeypatch.setattr(successor_election, "Clock", Clock)
    shown = run_module(main, capsys, service="db")
    assert (shown["changed"], shown["holder"]) == (False, "a")
    assert (shown["election"], shown["silent"]) == ({"elected": "b"}, {"c": "no answer"})
    would = run_module(main, capsys, check=True, service="db", to="b", forbidden=["a"])
    assert (would["changed"], would["holder"], agents.holder) == (True, "b", "a")
    done = run_module(main, capsys, service="db", to="b", forbidden=["a"])
    assert (done["changed"], done["holder"], done["diff"]) == (True, "b", would["diff"])
    assert not run_module(main, capsys, service="db", to="b", forbidden=["a"])["changed"]
    assert "forbidden; allow it first" in run_module(main, capsys, service="db", to="a")["msg"]


def test_no_agent(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def ask(_request: dict[str, Any]) -> Iterator[dict[str, Any]]:
        raise OkiagariError("this host's agent can't be reached")

    monkeypatch.setattr(successor_election, "ask", ask)
    assert run_module(successor_election.main, capsys, service="db")["msg"] == "this host's agent can't be reached"
