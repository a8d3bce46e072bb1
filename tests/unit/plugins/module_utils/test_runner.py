# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import selectors
import time
from typing import Any

import pytest
from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.testing import patch_module_args
from ansible_collections.okiagari.testbed.plugins.module_utils.runner import (
    CommandFailed,
    Completed,
    ModuleRunner,
    json_output,
    output,
)


class Module:
    def __init__(self, result: tuple[int, str, str] | OSError) -> None:
        self._result = result

    def run_command(self, argv: list[str], **_options: object) -> tuple[int, str, str]:
        if isinstance(self._result, OSError):
            raise self._result
        return self._result


def test_output_and_errors() -> None:
    assert output(ModuleRunner(Module((0, "out", ""))), ["x"]) == "out"
    assert json_output(ModuleRunner(Module((0, " ", ""))), ["x"]) == []
    assert json_output(ModuleRunner(Module((0, '[{"a": 1}]', ""))), ["x"]) == [{"a": 1}]
    with pytest.raises(CommandFailed, match="x y: its output is not JSON"):
        json_output(ModuleRunner(Module((0, "{", ""))), ["x", "y"])
    with pytest.raises(CommandFailed, match=r"x y: why it failed$"):
        output(ModuleRunner(Module((2, "", "\n why it failed\nmore"))), ["x", "y"])
    with pytest.raises(CommandFailed, match="x: failed with exit code 3"):
        output(ModuleRunner(Module((3, "", ""))), ["x"])


def test_missing_program_is_127() -> None:
    done = ModuleRunner(Module(FileNotFoundError(2, "No such file or directory"))).run(["vtysh"])
    assert done == Completed(127, "", "vtysh: No such file or directory")


def test_what_comes_in_an_unlucky_moment_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """Between the look for output, in vain, and the look whether it has ended, the process says something and ends."""
    silences: list[list[Any]] = [[]]

    class Busy(selectors.PollSelector):
        def select(self, timeout: float | None = None) -> Any:
            if silences:
                time.sleep(0.5)
                return silences.pop()
            return super().select(timeout)

    with patch_module_args({}):
        runner = ModuleRunner(AnsibleModule({}))
    monkeypatch.setattr(selectors, "PollSelector", Busy)
    assert runner.run(["sh", "-c", "echo out; echo err >&2; exit 3"]) == Completed(3, "out\n", "err\n")
    assert runner.run(["cat"], input="in") == Completed(0, "in\n", "")
    # What goes on behind an ended process isn't waited for.
    began = time.monotonic()
    assert runner.run(["sh", "-c", "sleep 30 & echo out"]).out == "out\n"
    assert time.monotonic() - began < 10


def test_nothing_is_waited_for_when_all_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each such wait would be a second."""
    waits: list[int] = []

    class Watched(selectors.PollSelector):
        def select(self, timeout: float | None = None) -> Any:
            if not waits:
                time.sleep(0.3)
            waits.append(len(self.get_map()))
            return super().select(timeout)

    with patch_module_args({}):
        runner = ModuleRunner(AnsibleModule({}))
    monkeypatch.setattr(selectors, "PollSelector", Watched)
    assert runner.run(["true"]) == Completed(0, "", "")
    assert runner.run(["echo", "out"]) == Completed(0, "out\n", "")
    assert 0 not in waits
