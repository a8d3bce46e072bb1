# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.okiagari.testbed.plugins.module_utils.errors import OkiagariError
from ansible_collections.okiagari.testbed.plugins.module_utils.processes import frozen_copy
from ansible_collections.okiagari.testbed.plugins.module_utils.processes.digest import changed, program
from ansible_collections.okiagari.testbed.plugins.module_utils.processes.files import bring_back, differences


@pytest.fixture
def there(tmp_path: Path) -> Path:
    folder = tmp_path / "ledger"
    (folder / "deep").mkdir(parents=True)
    (folder / "deep/entries").write_text("one\n")
    (folder / "deep/entries").chmod(0o640)
    (folder / "empty").touch()
    (folder / "link").symlink_to("deep/entries")
    os.mkfifo(folder / "pipe")
    os.utime(folder / "deep/entries", (5, 5))
    return folder


def taken(there: Path, to: Path) -> list[dict[str, Any]]:
    entries: list[dict[str, Any]] = []
    to.mkdir()
    frozen_copy.copy_all([[str(there), str(to / "0")]], entries)
    return [{**entry, "copy": str(Path(entry["copy"]).relative_to(to))} for entry in entries]


def test_files_are_made_again(there: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    entries = taken(there, copy)
    assert [Path(entry["path"]).name for entry in entries] == ["ledger", "deep", "entries", "empty", "link"]
    assert differences(entries, [str(there)], copy) == {}
    (there / "deep/entries").unlink()
    (there / "link").unlink()
    (there / "empty").write_text("no more")
    (there / "later/inside").mkdir(parents=True)
    (there / "later/file").touch()
    become = differences(entries, [str(there)], copy)
    assert become == {
        str(there / "deep/entries"): "made", str(there / "link"): "made", str(there / "empty"): "replaced",
        str(there / "later"): "removed", str(there / "later/file"): "removed", str(there / "later/inside"): "removed",
    }  # fmt: skip
    bring_back(entries, become, copy)
    assert differences(entries, [str(there)], copy) == {}
    assert {path.name for path in there.rglob("*")} == {"deep", "entries", "empty", "link", "pipe"}
    status = (there / "deep/entries").stat()
    assert ((there / "link").read_text(), status.st_mode & 0o777, status.st_mtime) == ("one\n", 0o640, 5)


def test_a_kind_that_is_another_one_by_now(there: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    entries = taken(there, copy)
    (there / "link").unlink()
    (there / "link").mkdir()
    (there / "deep/entries").unlink()
    (there / "deep").rmdir()
    (there / "deep").symlink_to("/nowhere")
    become = differences(entries, [str(there)], copy)
    assert become[str(there / "deep")] == "replaced"
    bring_back(entries, become, copy)
    assert differences(entries, [str(there)], copy) == {}


def test_what_can_not_be_made(there: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    entries = taken(there, copy)
    (there / "empty").unlink()
    (copy / "0/empty").unlink()
    with pytest.raises(OkiagariError, match="No such file or directory; nothing was restored but some files"):
        bring_back(entries, {str(there / "empty"): "made"}, copy)


def test_the_program_at_that_instant(there: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = tmp_path / "copy"
    plan = tmp_path / "copy.plan"
    plan.write_text(json.dumps([[str(there), str(tmp_path / "0")]]))
    monkeypatch.setenv("CRTOOLS_SCRIPT_ACTION", "network-lock")
    assert frozen_copy.main([str(script)]) == 0
    assert not (tmp_path / "0").exists()
    monkeypatch.setenv("CRTOOLS_SCRIPT_ACTION", "post-dump")
    assert frozen_copy.main([str(script)]) == 0
    assert (tmp_path / "0/deep/entries").read_text() == "one\n"
    assert len(json.loads((tmp_path / "copy.entries").read_text())) == 5
    assert frozen_copy.main([str(script)]) == 1
    assert (tmp_path / "copy.failed").read_text() == f"{tmp_path}/0: File exists"


def test_blocks_are_copied_where_they_can_not_be_shared(
    there: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unable(*_arguments: object) -> int:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(os, "copy_file_range", unable)
    taken(there, tmp_path / "copy")
    assert (tmp_path / "copy/0/deep/entries").read_text() == "one\n"


def test_a_program_that_is_another_one(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).write_text(name)
    known = program({"/a", "/b", "/gone"}, tmp_path, {})
    assert sorted(known) == ["/a", "/b"]
    assert changed(known, tmp_path) == []
    trusted = program({"/a"}, tmp_path, {"/a": {**known["/a"], "digest": "as before"}})
    assert trusted["/a"]["digest"] == "as before"
    (tmp_path / "a").write_text("other")
    (tmp_path / "b").unlink()
    assert changed(known, tmp_path) == ["/a", "/b"]
