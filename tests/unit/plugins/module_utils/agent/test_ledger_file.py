# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from ansible_collections.okiagari.testbed.plugins.module_utils.agent.ledger_file import LedgerFile
from ansible_collections.okiagari.testbed.plugins.module_utils.authority.ledger import LOST, Ledger, Taken
from ansible_collections.okiagari.testbed.plugins.module_utils.checksum import sealed

if TYPE_CHECKING:
    from pathlib import Path


def test_it_outlives_the_agent(tmp_path: Path) -> None:
    ledger = Ledger(4, 2, owed=True, digest="d" * 64, size=9, merged={"c": Taken(3, "e" * 64)})
    LedgerFile(tmp_path, "db").write(ledger)
    for service, known in (("db", ledger), ("web", Ledger())):
        file = LedgerFile(tmp_path, service)
        assert (file.read(), file.damage) == (known, "")


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff\xfe", b"[", b'{"term": 1}', b"[" * 100_000])
def test_where_it_can_not_be_read_everything_is_owed(tmp_path: Path, content: bytes) -> None:
    for said in (content, sealed(content)):
        (tmp_path / "db.merges.json").write_bytes(said)
        file = LedgerFile(tmp_path, "db")
        assert file.read() == LOST
        assert file.damage.startswith(str(tmp_path / "db.merges.json"))
    assert LOST.owed


def test_a_file_that_can_not_be_opened_is_said(tmp_path: Path) -> None:
    (tmp_path / "db.merges.json").mkdir()
    file = LedgerFile(tmp_path, "db")
    assert file.read() == LOST
    assert "can't be read" in file.damage
