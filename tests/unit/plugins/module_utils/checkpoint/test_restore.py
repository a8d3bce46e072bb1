# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Copies of images in memory; that QEMU goes on from them is for the contract tests to show."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from ansible_collections.okiagari.testbed.plugins.module_utils.checkpoint import restore, write_protection
from hypothesis import given
from hypothesis import strategies as st

PAGE = 4096


@given(filled=st.sets(st.integers(0, 39)), pages=st.integers(1, 40))
def test_a_copy_is_the_image_and_has_room_for_its_data_only(
    tmp_path_factory: pytest.TempPathFactory, filled: set[int], pages: int
) -> None:
    image = tmp_path_factory.mktemp("image") / "ram"
    with image.open("wb") as file:
        file.truncate(pages * PAGE)
        for number in filled:
            if number < pages:
                file.seek(number * PAGE)
                file.write(bytes([number + 1]) * PAGE)
    copy = restore.copied(image)
    try:
        assert os.pread(copy, 41 * PAGE, 0) == image.read_bytes()
        assert os.fstat(copy).st_blocks <= max(image.stat().st_blocks, 0)
        os.pwrite(copy, b"changed", 0)
    finally:
        os.close(copy)
    assert b"changed" not in image.read_bytes()


def test_an_image_that_is_not_there_leaves_nothing_open(tmp_path: Path) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    with pytest.raises(FileNotFoundError):
        restore.copied(tmp_path / "ram")
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_a_machine_of_another_kind_has_no_write_protection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.machine", lambda: "riscv64")
    assert write_protection.of_shared_memory() is False


def test_qemu_is_given_the_image_itself_or_its_copy(tmp_path: Path) -> None:
    assert f"mem-path={tmp_path},share=off" in restore.arguments(tmp_path, 4096)[1]
    assert "mem-path=/proc/self/fd/7,share=on" in restore.arguments(7, 4096)[1]
