# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module over a bridge that is asked for the first address only."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from ansible_collections.okiagari.testbed.plugins.modules import arp_wait
from ansible_collections.okiagari.testbed.tests.unit.plugins.modules.run_module import run_module

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

QUESTIONS = [
    {"interface": "br100", "address": f"10.240.0.{host}/24", "mac": f"02:03:00:64:00:{host:02x}"} for host in (11, 12)
]


def test_who_answered_and_who_did_not(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def ask(asked: list[Any], timeout: float, clock: Callable[[], float]) -> dict[Any, float]:
        assert timeout == 3
        return {asked[0]: clock() + 2}

    monkeypatch.setattr(arp_wait, "ask", ask)
    said = run_module(arp_wait.main, capsys, questions=QUESTIONS, timeout=3, since=time.time() - 10)
    assert not said["changed"]
    assert 11.9 < said["answers"][0].pop("after") < 14
    assert said["answers"] == [{"interface": "br100", "address": "10.240.0.11", "mac": "02:03:00:64:00:0b"}]
    assert said["missing"] == [{"interface": "br100", "address": "10.240.0.12", "mac": "02:03:00:64:00:0c"}]


def test_no_such_bridge(capsys: pytest.CaptureFixture[str]) -> None:
    none = [{**QUESTIONS[0], "interface": "okiagari-none"}]
    assert "okiagari-none: can't be asked" in run_module(arp_wait.main, capsys, questions=none)["msg"]
    wrong = [{**QUESTIONS[0], "mac": "mac"}]
    assert "questions[0]" in run_module(arp_wait.main, capsys, questions=wrong)["msg"]
