# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from ansible_collections.okiagari.testbed.plugins.module_utils.agent.rules_file import RulesFile
from ansible_collections.okiagari.testbed.plugins.module_utils.checksum import sealed
from ansible_collections.okiagari.testbed.plugins.module_utils.election import Rules

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("rules", [Rules(), Rules(3, frozenset("ab"), frozenset("c"), frozenset("a"))])
def test_rules_outlive_the_agent(tmp_path: Path, rules: Rules) -> None:
    RulesFile(tmp_path, "db").write(rules)
    for service, known in (("db", rules), ("web", Rules())):
        file = RulesFile(tmp_path, service)
        assert (file.read(), file.damage) == (known, "")


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff\xfe", b"[", b'{"revision": 1}', b"[" * 100_000])
def test_rules_that_can_not_be_read_are_none(tmp_path: Path, content: bytes) -> None:
    for said in (content, sealed(content)):
        (tmp_path / "db.rules.json").write_bytes(said)
        file = RulesFile(tmp_path, "db")
        assert file.read() == Rules()
        assert file.damage.startswith(str(tmp_path / "db.rules.json"))


def test_a_bit_that_flipped_makes_no_other_rule(tmp_path: Path) -> None:
    file = RulesFile(tmp_path, "db")
    file.write(Rules(3, None, frozenset("b"), frozenset("a")))
    path = tmp_path / "db.rules.json"
    path.write_bytes(path.read_bytes().replace(b'"b"', b'"c"'))
    assert file.read() == Rules()
    assert file.damage == f"{path} is damaged: its checksum is not that of its content"


def test_a_file_that_can_not_be_opened_is_said(tmp_path: Path) -> None:
    (tmp_path / "db.rules.json").mkdir()
    file = RulesFile(tmp_path, "db")
    assert file.read() == Rules()
    assert "can't be read" in file.damage
