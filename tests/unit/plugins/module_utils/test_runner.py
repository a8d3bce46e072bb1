# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
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
