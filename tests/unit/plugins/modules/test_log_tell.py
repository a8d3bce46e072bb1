# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ansible_collections.okiagari.testbed.plugins.module_utils.errors import OkiagariError
from ansible_collections.okiagari.testbed.plugins.modules import log_tell
from ansible_collections.okiagari.testbed.tests.unit.plugins.modules.run_module import run_module

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pytest


def test_an_event_is_told_once_and_in_check_mode_never(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[dict[str, Any]] = []

    def ask(request: dict[str, Any]) -> Iterator[dict[str, Any]]:
        asked.append(request)
        yield {"id": "a/1:7"}

    monkeypatch.setattr(log_tell, "ask", ask)
    event = {"source": "maintenance", "values": {"event": "begun", "minutes": 30}, "trace": "t1", "important": True}
    assert run_module(log_tell.main, capsys, check=True, **event)["changed"]
    assert asked == []
    said = run_module(log_tell.main, capsys, **event)
    assert (said["changed"], said["id"]) == (True, "a/1:7")
    assert asked == [{"op": "tell", **event}]


def test_what_can_not_be_told_is_an_error(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def away(_request: dict[str, Any]) -> Any:
        raise OkiagariError("this host's agent can't be reached")

    monkeypatch.setattr(log_tell, "ask", away)
    assert "can't be reached" in run_module(log_tell.main, capsys, source="x")["msg"]
    for check in (False, True):
        said = run_module(log_tell.main, capsys, check=check, source="x", trace="a b")
        assert (said["failed"], "an event.trace is a b" in said["msg"]) == (True, True)
