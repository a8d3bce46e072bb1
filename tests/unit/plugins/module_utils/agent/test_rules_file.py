# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from ansible_collections.okiagari.testbed.plugins.module_utils.agent.rules_file import RulesFile
from ansible_collections.okiagari.testbed.plugins.module_utils.election import Rules

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("rules", [Rules(), Rules(3, frozenset("ab"), frozenset("c"), frozenset("a"))])
def test_rules_outlive_the_agent(tmp_path: Path, rules: Rules) -> None:
    RulesFile(tmp_path, "db").write(rules)
    assert RulesFile(tmp_path, "db").read() == rules
    assert RulesFile(tmp_path, "web").read() == Rules()


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff\xfe", b"[", b'{"revision": 1}', b"[" * 100_000])
def test_rules_that_can_not_be_read_are_none(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "db.rules.json").write_bytes(content)
    assert RulesFile(tmp_path, "db").read() == Rules()
