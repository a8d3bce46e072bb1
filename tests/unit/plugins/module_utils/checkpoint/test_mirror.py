# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever differs from a mirror becomes blocks, by which a replica becomes what the mirror is."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from ansible_collections.okiagari.testbed.plugins.module_utils.checkpoint import digests, pages
from ansible_collections.okiagari.testbed.plugins.module_utils.checkpoint.mirror import Mirror
from ansible_collections.okiagari.testbed.tests.unit.plugins.module_utils.checkpoint.conftest import noise
from hypothesis import given
from hypothesis import strategies as st

COUNT = 3 * pages.BLOCK


def empty() -> Any:
    return np.zeros((COUNT, 512), np.uint64)


def tabled(image: Any) -> Any:
    table = np.empty((len(image), digests.BYTES), np.uint8)
    digests.begin(table, image)
    return table


def offer(mirror: Mirror, way: str, first: int, content: Any) -> None:
    if way == "look":
        mirror.look(first, content)
    else:
        mirror.offer(np.arange(first, first + len(content)), content)


@given(
    changes=st.lists(
        st.tuples(st.integers(0, COUNT - 700), st.integers(1, 700), st.sampled_from([0, 1, 2]),
                  st.sampled_from(["offer", "look"])),
        max_size=6,
    ),
    later=st.booleans(),
)  # fmt: skip
def test_a_replica_that_takes_the_blocks_is_as_the_mirror(changes: list[Any], later: bool) -> None:
    mirror, replica = Mirror(empty()), empty()
    for first, count, kind, way in changes:
        found: list[bytes] = []
        content = np.full((count, 512), kind, np.uint64) if kind < 2 else noise(first, count)
        mirror.begin(found.append, later=later)
        offer(mirror, way, first, content)
        mirror.end()
        for said in found:
            block = pages.read(said, COUNT)
            replica[block.numbers] = pages.outcome(replica, block)
        assert (mirror.image[first : first + count] == content).all()
        assert mirror.blocks == len(found)
    assert (replica == mirror.image).all()
    assert (mirror.table == tabled(mirror.image)).all()


@pytest.mark.parametrize("way", ["offer", "look"])
def test_blocks_are_given_as_there_are_some_or_in_the_end(way: str) -> None:
    for later, given_before in ((False, 2), (True, 0)):
        found: list[bytes] = []
        mirror = Mirror(empty())
        mirror.begin(found.append, later=later)
        offer(mirror, way, 0, noise(1, 2 * pages.BLOCK + 100))
        assert len(found) == given_before
        mirror.end()
        assert len(found) == mirror.blocks == 3


@pytest.mark.parametrize("later", [False, True])
def test_zeros_are_found_where_something_was(later: bool) -> None:
    mirror, found = Mirror(empty()), []
    mirror.image[[5, 4000]] = 9
    mirror.begin(found.append, later=later)
    mirror.look_for_zeros(0, 6)
    mirror.offer_zeros(np.arange(3990, 4010))
    mirror.end()
    assert not mirror.image.any()
    assert len(found) == 1
    mirror.begin(found.append)
    mirror.look_for_zeros(0, COUNT)
    mirror.end()
    assert len(found) == 1


def test_what_a_failed_capture_held_is_not_given_by_the_next() -> None:
    mirror, found = Mirror(empty()), []
    mirror.begin(found.append, later=True)
    mirror.look(0, noise(1, 10))
    mirror.begin(found.append, later=True)
    mirror.end()
    assert found == []
