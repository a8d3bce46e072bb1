# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from ansible_collections.okiagari.testbed.plugins.module_utils.agent import vote_file
from ansible_collections.okiagari.testbed.plugins.module_utils.agent.vote_file import VoteFile
from ansible_collections.okiagari.testbed.plugins.module_utils.authority.record import Record

if TYPE_CHECKING:
    from pathlib import Path


class Crashed(Exception):  # noqa: N818
    """The host lost its power."""


def test_both_copies_have_it(tmp_path: Path) -> None:
    file = VoteFile(tmp_path, "db")
    assert file.begin()
    file.write(Record(4, "b"))
    copies = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert sorted(copies) == ["db.votes.a", "db.votes.b"]
    assert copies["db.votes.a"] == copies["db.votes.b"]
    reading = VoteFile(tmp_path, "db").read()
    assert (reading.record, reading.said) == (Record(4, "b"), ())


@pytest.mark.parametrize("copy", ["a", "b"])
@pytest.mark.parametrize("damage", [b"", b"{", None])
def test_one_copy_is_enough(tmp_path: Path, copy: str, damage: bytes | None) -> None:
    file = VoteFile(tmp_path, "db")
    file.write(Record(4, "b"))
    path = tmp_path / f"db.votes.{copy}"
    path.unlink()
    if damage is not None:
        path.write_bytes(damage)
    reading = file.read()
    assert reading.record == Record(4, "b")
    assert reading.repair
    assert path.name in reading.said[0]


def test_a_copy_that_can_not_be_read_is_a_damaged_one(tmp_path: Path) -> None:
    file = VoteFile(tmp_path, "db")
    file.write(Record(4, "b"))
    (tmp_path / "db.votes.a").unlink()
    (tmp_path / "db.votes.a").mkdir()
    assert "db.votes.a is damaged" in file.read().said[0]


@pytest.mark.parametrize("lives", [0, 1])
def test_a_crash_leaves_the_old_or_the_new_record(tmp_path: Path, lives: int, monkeypatch: pytest.MonkeyPatch) -> None:
    file = VoteFile(tmp_path, "db")
    file.write(Record(4, "b"))
    whole, left = vote_file.write_safely, [lives]

    def dying(path: Path, content: bytes) -> None:
        if not left[0]:
            raise Crashed
        left[0] -= 1
        whole(path, content)

    monkeypatch.setattr(vote_file, "write_safely", dying)
    with pytest.raises(Crashed):
        file.write(Record(5, "c"))
    reading = VoteFile(tmp_path, "db").read()
    assert reading.record == (Record(5, "c") if lives else Record(4, "b"))
    assert reading.repair is bool(lives)


def test_the_first_record_is_written_once_whatever_became_of_it(tmp_path: Path) -> None:
    file = VoteFile(tmp_path / "state", "db")
    assert file.read().record is None
    assert file.begin()
    assert file.read().record == Record()
    file.write(Record(4, "b"))
    assert not file.begin()
    (tmp_path / "state/db.votes.b").unlink()
    (tmp_path / "state/db.votes.a").write_bytes(b"damaged")
    assert not file.begin()
    assert file.read().record is None
    assert VoteFile(tmp_path / "state", "web").begin()
