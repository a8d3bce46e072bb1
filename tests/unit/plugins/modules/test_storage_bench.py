# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module over a host whose fio is in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ansible_collections.okiagari.testbed.plugins.modules import storage_bench
from ansible_collections.okiagari.testbed.tests.unit.plugins.module_utils.storage.test_bench import Host
from ansible_collections.okiagari.testbed.tests.unit.plugins.modules.run_module import run_module

if TYPE_CHECKING:
    import pytest


def test_the_module(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    host = Host()
    monkeypatch.setattr(
        "ansible.module_utils.basic.AnsibleModule.run_command", lambda module, argv, **options: tuple(host.run(argv))
    )
    said = run_module(storage_bench.main, capsys, folder="/shared", size="64mib", patterns=["write", "read"])
    assert (said["changed"], [row["pattern"] for row in said["rows"]]) == (False, ["write", "read"])
    host.calls.clear()
    assert run_module(storage_bench.main, capsys, check=True, folder="/shared")["rows"] == []
    assert host.calls == []
    assert "did you mean write?" in run_module(storage_bench.main, capsys, folder="/x", patterns=["writ"])["msg"]
