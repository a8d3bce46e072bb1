# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from ansible_collections.okiagari.testbed.plugins.module_utils.agent.shelf import KEPT, Held, Shelf, held
from ansible_collections.okiagari.testbed.plugins.module_utils.errors import BadValue

if TYPE_CHECKING:
    from pathlib import Path


def pack(epoch: int, parent: str | None = None, term: int = 1) -> Held:
    """Give the pack that leads to the state of this epoch, by default from the one before."""
    before = f"{term}.{epoch - 1}" if epoch > 1 else ""
    return Held(f"{term}{epoch:063}", term, epoch, before if parent is None else parent, f"{term}.{epoch}")


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return Shelf(tmp_path / "machines" / "shelf.json")


def test_it_knows_the_way_from_one_state_to_another_also_after_a_restart(shelf: Shelf, tmp_path: Path) -> None:
    for epoch in range(1, 5):
        assert shelf.add(pack(epoch)) == []
    shelf.add(pack(1, parent="1.3", term=2))
    for each in (shelf, Shelf(tmp_path / "machines" / "shelf.json")):
        assert each.way(["1.2", "1.1"], "2.1") == [pack(3), pack(1, parent="1.3", term=2)]
        assert each.way([], "1.2") == [pack(1), pack(2)]
        assert each.way(["2.1"], "2.1") == []
        assert each.way(["1.1"], "unknown") == []


def test_the_oldest_make_room(shelf: Shelf) -> None:
    gone = [each for epoch in range(1, KEPT + 3) for each in shelf.add(pack(epoch))]
    assert gone == [pack(1), pack(2)]
    assert shelf.way(["1.1"], "1.5") == []
    assert len(shelf.way(["1.2"], "1.5")) == 3


def test_one_that_comes_twice_is_one(shelf: Shelf) -> None:
    for _time in range(KEPT + 1):
        assert shelf.add(pack(1)) == []
    assert shelf.way([], "1.1") == [pack(1)]


def test_a_circle_has_no_end(shelf: Shelf) -> None:
    shelf.add(pack(1, parent="1.2"))
    shelf.add(pack(2))
    assert shelf.way(["other"], "1.2") == []


@pytest.mark.parametrize("content", [b"", b"{}", b"[{}]", b"\xff", b'[{"digest": 1}]'])
def test_a_damaged_list_is_none(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "shelf.json").write_bytes(content)
    shelf = Shelf(tmp_path / "shelf.json")
    assert shelf.way([], "1.1") == []
    shelf.add(pack(1))
    assert Shelf(tmp_path / "shelf.json").way([], "1.1") == [pack(1)]


def test_what_is_no_pack() -> None:
    assert held(pack(1).to_dict() | {"more": 1}) == pack(1)
    with pytest.raises(BadValue, match="a pack"):
        held({"digest": "x"})
