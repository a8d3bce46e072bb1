# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a file has is found, and nothing else is read; memory is taken before it is needed."""

from __future__ import annotations

import mmap
import os
from pathlib import Path

import numpy as np
import pytest
from ansible_collections.okiagari.testbed.plugins.module_utils.checkpoint import sparse
from ansible_collections.okiagari.testbed.plugins.module_utils.checkpoint.capture import room
from hypothesis import given
from hypothesis import strategies as st

PAGE = 4096


@given(written=st.sets(st.integers(0, 699), max_size=12), size=st.integers(1, 700))
def test_what_a_file_has_is_read(tmp_path_factory: pytest.TempPathFactory, written: set[int], size: int) -> None:
    path = tmp_path_factory.mktemp("file") / "image"
    with path.open("w+b") as file:
        file.truncate(size * PAGE)
        for number in written:
            if number < size:
                os.pwrite(file.fileno(), bytes([1 + number % 255]) * PAGE, number * PAGE)
        read = np.zeros((size, 512), np.uint64)
        for first, content in sparse.filled(file.fileno(), size * PAGE):
            read[first : first + len(content)] = content
    assert read.tobytes() == path.read_bytes()


def test_blocks_that_are_smaller_than_pages_are_whole_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    places = iter([1024, 5120, 9216, 10240, 16384])
    monkeypatch.setattr(sparse.os, "lseek", lambda *_asked: next(places))
    assert list(sparse.extents(0, 16384)) == [(0, 8192), (8192, 12288)]


@pytest.mark.parametrize("aligned", [True, False])
def test_memory_is_taken_and_what_was_there_stays(aligned: bool) -> None:
    def resident() -> int:
        return int(Path("/proc/self/statm").read_text().split()[1]) * mmap.PAGESIZE

    words = room(64 * 1024 * 1024 + PAGE).reshape(-1)
    image = (words[:-512] if aligned else words[1:-511]).reshape(-1, 512)
    image[17] = 17
    before = resident()
    sparse.have_room(image, 0, 8192)
    assert resident() - before > 30 * 1024 * 1024
    assert int(image.sum()) == 17 * 512
