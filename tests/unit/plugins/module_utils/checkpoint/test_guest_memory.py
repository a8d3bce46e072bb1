# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A guest's memory as a file; that QEMU runs on it is for the contract tests to show."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from ansible_collections.okiagari.testbed.plugins.module_utils.checkpoint.capture import room
from ansible_collections.okiagari.testbed.plugins.module_utils.checkpoint.guest_memory import GuestMemory
from ansible_collections.okiagari.testbed.plugins.module_utils.checkpoint.mirror import Mirror
from hypothesis import given
from hypothesis import strategies as st

PAGE = 4096


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@given(filled=st.sets(st.integers(0, 39)), pages=st.integers(1, 40))
def test_it_is_filled_from_an_image_and_has_room_for_its_data_only(
    tmp_path_factory: pytest.TempPathFactory, filled: set[int], pages: int
) -> None:
    image = tmp_path_factory.mktemp("image") / "ram"
    with image.open("wb") as file:
        file.truncate(pages * PAGE)
        for number in filled:
            if number < pages:
                file.seek(number * PAGE)
                file.write(bytes([number + 1]) * PAGE)
    with GuestMemory(pages * PAGE) as memory:
        memory.fill(image)
        assert os.pread(memory.file, 41 * PAGE, 0) == image.read_bytes()
        assert os.fstat(memory.file).st_blocks <= image.stat().st_blocks
        os.pwrite(memory.file, b"changed", 0)
    assert b"changed" not in image.read_bytes()


@given(
    before=st.dictionaries(st.integers(0, 699), st.integers(1, 255), max_size=20),
    after=st.dictionaries(st.integers(0, 699), st.integers(0, 255), max_size=20),
    holes=st.sets(st.integers(0, 699), max_size=5),
)
def test_whatever_differs_is_given_to_a_mirror(before: dict[int, int], after: dict[int, int], holes: set[int]) -> None:
    with GuestMemory(700 * PAGE) as memory:
        mirror = Mirror(room(memory.size))
        for number, byte in before.items():
            mirror.image[number] = np.full(512, byte)
            os.pwrite(memory.file, np.full(512, byte, np.uint64).tobytes(), number * PAGE)
        for number, byte in after.items():
            os.pwrite(memory.file, np.full(512, byte, np.uint64).tobytes(), number * PAGE)
        for number in holes:
            # A guest gives pages back, by a balloon for example.
            os.pwrite(memory.file, bytes(PAGE), number * PAGE)
        found: list[bytes] = []
        mirror.begin(found.append, later=True)
        memory.compare(mirror)
        assert found == []
        mirror.end()
        now = {**before, **after, **dict.fromkeys(holes, 0)}
        assert [int(page[0]) for page in mirror.image] == [now.get(number, 0) for number in range(700)]
        assert bool(found) == any(now.get(number, 0) != before.get(number, 0) for number in range(700))


def test_a_mirror_has_room_for_what_there_is_and_is_as_it_was() -> None:
    def resident() -> int:
        return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE

    with GuestMemory(20000 * PAGE) as memory:
        os.pwrite(memory.file, b"something" * PAGE * 1000, 0)
        mirror = Mirror(room(memory.size))
        mirror.image[17] = 17
        before = resident()
        memory.make_room(mirror)
        assert 30 * 1024 * 1024 < resident() - before < 50 * 1024 * 1024
        assert int(mirror.image.sum()) == 17 * 512


def test_a_page_that_was_given_back_is_zero() -> None:
    with GuestMemory(8 * PAGE) as memory:
        mirror = Mirror(room(memory.size))
        mirror.image[:] = 7
        memory.compare(mirror)
        assert not mirror.image.any()


def test_an_image_that_is_not_there_leaves_nothing_open(tmp_path: Path) -> None:
    before = open_files()
    with pytest.raises(FileNotFoundError), GuestMemory(PAGE) as memory:
        memory.fill(tmp_path / "ram")
    with pytest.raises(OSError, match="Invalid argument"):
        GuestMemory(-PAGE)
    assert open_files() == before


def test_qemu_is_given_the_file_itself() -> None:
    with GuestMemory(PAGE) as memory:
        assert f"mem-path=/proc/self/fd/{memory.file},share=on" in memory.arguments()[1]
