# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest
from ansible_collections.okiagari.testbed.plugins.module_utils.errors import OkiagariError
from ansible_collections.okiagari.testbed.plugins.module_utils.processes.epochs import Epochs

if TYPE_CHECKING:
    from pathlib import Path

MANIFEST: dict[str, Any] = {
    "captured": 1.5, "boot": "b", "name": "ledger", "inner": 7, "job": False, "tcp": False, "network": False,
    "unit": "", "pause_ms": 2.5, "count": 1, "processes": [{"pid": 100, "started": 5}], "outlets": [], "program": {},
    "files": [], "paths": [],
}  # fmt: skip


def add(epochs: Epochs, keep: int = 2, **more: Any) -> int:
    with epochs.alone():
        folder = epochs.begin()
        (folder / "images").mkdir()
        (folder / "images/pages-1.img").write_bytes(b"memory")
        (folder / "images/parent").symlink_to("../before")
        return epochs.finish(folder, {**MANIFEST, **more}, keep)


def test_epochs_are_counted_and_the_oldest_removed(tmp_path: Path) -> None:
    epochs = Epochs(tmp_path / "new/epochs")
    assert epochs.numbers() == []
    assert [add(epochs) for _each in range(12)] == list(range(1, 13))
    assert epochs.numbers() == [11, 12]
    assert add(epochs, keep=1) == 13
    assert epochs.numbers() == [13]
    manifest = epochs.whole(13)
    assert (manifest["epoch"], manifest["bytes"], manifest["name"]) == (13, 6, "ledger")
    modes = {path.stat().st_mode & 0o777 for path in epochs.folder.rglob("*") if not path.is_symlink()}
    assert modes == {0o700, 0o600}


def test_what_was_broken_off_is_removed_by_the_next(tmp_path: Path) -> None:
    epochs = Epochs(tmp_path)
    with epochs.alone():
        (epochs.begin() / "images").mkdir()
    assert epochs.numbers() == []
    assert add(epochs) == 1
    assert [path.name for path in sorted(tmp_path.iterdir())] == [".lock", "1"]


def test_any_damage_is_noticed(tmp_path: Path) -> None:
    epochs = Epochs(tmp_path)
    add(epochs)
    for path in (tmp_path / "1/manifest", tmp_path / "1/images/pages-1.img"):
        was = path.read_bytes()
        for at in range(len(was)):
            path.write_bytes(was[:at] + bytes([was[at] ^ 1]) + was[at + 1 :])
            with pytest.raises(OkiagariError, match=r"epoch 1 of .* is damaged"):
                epochs.whole(1)
        path.unlink()
        with pytest.raises(OkiagariError, match=r"epoch 1 of .* is damaged"):
            epochs.whole(1)
        path.write_bytes(was)
    assert epochs.whole(1)
    add(epochs, name=3)
    with pytest.raises(OkiagariError, match=r"is damaged: its manifest.name is 3"):
        epochs.whole(2)


def test_one_at_a_time_in_a_private_directory_of_its_own(tmp_path: Path) -> None:
    epochs = Epochs(tmp_path / "epochs")
    with epochs.alone(), pytest.raises(OkiagariError, match="in use by another"), Epochs(epochs.folder).alone():
        pass
    epochs.folder.chmod(0o750)
    with pytest.raises(OkiagariError, match="may be read by others"), epochs.alone():
        pass
    epochs.folder.chmod(0o700)
    (epochs.folder / "diary").touch()
    with pytest.raises(OkiagariError, match="holds diary, which is no epoch"):
        epochs.numbers()
    with pytest.raises(OkiagariError, match="Not a directory"):
        Epochs(epochs.folder / "diary").numbers()


def test_what_goes_on_is_noted(tmp_path: Path) -> None:
    epochs = Epochs(tmp_path)
    assert epochs.running() == {}
    epochs.note_running(3, "boot", os.getpid(), 5)
    assert epochs.running() == {"epoch": 3, "boot": "boot", "pid": os.getpid(), "started": 5}
    (tmp_path / "running").write_text("[1")
    assert epochs.running() == {}
    epochs.forget_running()
    assert epochs.numbers() == []
