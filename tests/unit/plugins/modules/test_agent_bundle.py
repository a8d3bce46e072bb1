# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ansible_collections.okiagari.testbed.plugins.modules import agent_bundle
from ansible_collections.okiagari.testbed.tests.unit.plugins.modules.run_module import run_module

if TYPE_CHECKING:
    import pytest


def test_the_module(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    calls: list[list[str]] = []

    def run(_module: object, argv: list[str], **_options: object) -> tuple[int, str, str]:
        calls.append(argv)
        Path(argv[argv.index("--target") + 1], "package.py").touch()
        return 0, "", ""

    monkeypatch.setattr("ansible.module_utils.basic.AnsibleModule.run_command", run)
    (tmp_path / "requirements.txt").write_text("httpx\n")
    options = {
        "requirements": str(tmp_path / "requirements.txt"), "python": "3.13", "machine": "x86_64",
        "cache": str(tmp_path / "cache"),
    }  # fmt: skip
    main = agent_bundle.main
    would = run_module(main, capsys, check=True, **options)
    assert (would["changed"], calls, (tmp_path / "cache").exists()) == (True, [], False)
    done = run_module(main, capsys, **options)
    assert (done["changed"], done["path"], done["version"]) == (True, would["path"], would["version"])
    assert Path(done["path"]).exists()
    assert calls[0][1:4] == ["-m", "pip", "install"]
    calls.clear()
    again = run_module(main, capsys, **options)
    assert (again["changed"], again["path"], calls) == (False, done["path"], [])
    refused = run_module(main, capsys, **{**options, "python": "3.9"})
    assert "it needs 3.11 or newer" in refused["msg"]
