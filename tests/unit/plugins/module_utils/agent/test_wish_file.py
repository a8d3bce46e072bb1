# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from ansible_collections.okiagari.testbed.plugins.module_utils.agent.wish_file import NOBODY, WishFile
from ansible_collections.okiagari.testbed.plugins.module_utils.errors import OkiagariError

if TYPE_CHECKING:
    from pathlib import Path


def test_a_wish_stays_until_there_is_another(tmp_path: Path) -> None:
    wish = WishFile(tmp_path / "run", "db")
    assert wish.read(5.0) == NOBODY
    wish.write(4.000000001)
    assert WishFile(tmp_path / "run", "db").read(5.0) == 4.000000001
    wish.write(4.5)
    assert wish.read(5.0) == 4.5


def test_what_is_of_another_boot_or_no_instant_is_nobody_s(tmp_path: Path) -> None:
    wish = WishFile(tmp_path, "db")
    wish.write(6.0)
    assert wish.read(5.0) == NOBODY
    (tmp_path / "wish-db").write_bytes(b"\xff")
    assert wish.read(5.0) == NOBODY


def test_a_wish_that_can_not_be_noted_is_told(tmp_path: Path) -> None:
    (tmp_path / "run").write_text("no folder")
    with pytest.raises(OkiagariError, match=r"the guest can't be told that it is to be captured: .*run"):
        WishFile(tmp_path / "run", "db").write(1.0)
