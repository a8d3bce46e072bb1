# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When a guest is captured and shipped, with a capturer and an agent that are in memory."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from ansible_collections.okiagari.testbed.plugins.module_utils.agent import vm as module
from ansible_collections.okiagari.testbed.plugins.module_utils.errors import OkiagariError

if TYPE_CHECKING:
    from pathlib import Path


class Rig:
    """A guest's program: `done` is what it does, `answers` what its agent answers to each pack, in turn."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, rounds: int, *answers: str) -> None:
        self.folder, self.rounds, self.answers = folder, rounds, list(answers)
        self.done: list[str] = []
        self.process = SimpleNamespace(returncode=None, poll=lambda: self.process.returncode)
        self.words = "no memory"
        monkeypatch.setattr(module, "_told", self.told)

    def capture(self, file: Any, *, last: bool) -> Any:
        self.done.append("last" if last else "capture")
        file.write(b"pack")
        return SimpleNamespace(epoch=len(self.done)), SimpleNamespace(pause_ms=1.0, total_ms=2.0)

    def told(self, _config: object, _service: object, op: str, path: str) -> None:
        self.done.append(op)
        answer = self.answers.pop(0) if self.answers else ""
        if answer:
            raise OkiagariError(answer)

    def is_set(self) -> bool:
        return self.rounds <= 0

    def wait(self, _seconds: float) -> bool:
        self.rounds -= 1
        return self.is_set()

    def run(self) -> list[str]:
        module._capture(None, None, SimpleNamespace(period_s=0.0), self, self, self.folder, self)  # type: ignore[arg-type]
        return self.done


def test_a_last_state_is_shipped_when_the_service_is_to_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert Rig(tmp_path, monkeypatch, 2).run() == ["capture", "ship", "capture", "ship", "last", "ship"]
    assert Rig(tmp_path, monkeypatch, 0).run() == ["last", "ship"]
    assert list(tmp_path.iterdir()) == []


def test_what_could_not_be_shipped_goes_before_all_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done = Rig(tmp_path, monkeypatch, 2, "nobody is there").run()
    assert done == ["capture", "ship", "ship", "capture", "ship", "last", "ship"]
    # Nobody could take what follows it.
    assert Rig(tmp_path, monkeypatch, 1, "nobody is there", "still nobody").run() == ["capture", "ship", "ship"]


def test_a_guest_that_has_ended_is_told_with_its_last_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rig = Rig(tmp_path, monkeypatch, 3)
    rig.process.returncode = 1
    with pytest.raises(OkiagariError, match="QEMU has ended with 1: no memory"):
        rig.run()
