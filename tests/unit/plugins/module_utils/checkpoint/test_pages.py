# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from ansible_collections.okiagari.testbed.plugins.module_utils.checkpoint import pages
from ansible_collections.okiagari.testbed.plugins.module_utils.checkpoint.pages import (
    BLOCK,
    PAGE,
    Counts,
    Index,
    blocks,
    changed,
    kept,
    outcome,
    pages_of,
    read,
)  # fmt: skip
from ansible_collections.okiagari.testbed.plugins.module_utils.errors import BadValue
from hypothesis import given
from hypothesis import strategies as st

FEW = 12


def image(*content: bytes) -> Any:
    """Make an image of a page each, whose beginning is given."""
    return pages_of(bytearray(b"".join(each.ljust(PAGE, b"\0") for each in content)))


def noise(seed: int, number: int = 1) -> Any:
    return pages_of(bytearray(np.random.default_rng(seed).bytes(number * PAGE)))


def apply(image: Any, block: pages.Block) -> None:
    image[block.numbers] = outcome(image, block)


def shipped(old: Any, new: Any, index: Index | None = None) -> tuple[Any, list[pages.Block]]:
    """Give what comes of the old image when the difference is applied, and the blocks of it."""
    found = [read(said, len(old)) for said in blocks(old, new, index)]
    copy = old.copy()
    for block in found:
        apply(copy, block)
    return copy, found


def test_each_kind_of_page() -> None:
    old = np.concatenate([image(b"zero me", b"one word", b"", b"same"), noise(1), noise(2)])
    new = old.copy()
    new[0] = 0
    new[1, 7] = 99
    new[2] = old[4]
    new[5] = noise(3)[0]
    result, found = shipped(old, new, Index(old))
    assert (result == new).all()
    assert [block.counts for block in found] == [Counts(zero=1, copied=1, xored=1, whole=1)]
    assert sorted(found[0].numbers.tolist()) == changed(old, new).tolist() == [0, 1, 2, 5]


def test_what_did_not_change_is_nothing() -> None:
    old = noise(1, 5)
    assert list(blocks(old, old.copy(), Index(old))) == []


def test_a_changed_word_costs_a_few_bytes_not_a_page() -> None:
    old = noise(1, 100)
    new = old.copy()
    new[:, 3] += 1
    assert sum(map(len, blocks(old, new))) < 100 * 40


def test_the_first_difference_is_from_zeros_and_leaves_out_what_is_zero() -> None:
    new = np.concatenate([np.zeros((500, 512), np.uint64), noise(1, 3)])
    result, found = shipped(np.zeros_like(new), new)
    assert (result == new).all()
    assert [block.counts for block in found] == [Counts(0, 0, 0, 3)]


def test_a_copy_of_a_page_that_changes_itself_is_not_relied_on() -> None:
    old = noise(1, 2)
    new = np.concatenate([noise(2), old[:1]])
    result, found = shipped(old, new, Index(old))
    assert (result == new).all()
    assert found[0].counts.copied == 0


def test_pages_with_the_same_hash_are_still_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "_hash", lambda _page: 1)
    old = noise(1, 3)
    new = old.copy()
    new[1] = noise(5)[0]
    result, found = shipped(old, new, Index(old))
    assert (result == new).all()
    assert found[0].counts.copied == 0


def test_more_than_a_block_of_changes() -> None:
    old = noise(1, 2 * BLOCK + 1)
    new = noise(2, 2 * BLOCK + 1)
    result, found = shipped(old, new)
    assert (result == new).all()
    assert [sum(vars(block.counts).values()) for block in found] == [BLOCK, BLOCK, 1]


@given(st.data())
def test_any_image_comes_of_any_other_and_the_blocks_in_any_order(data: st.DataObject) -> None:
    kinds = [np.zeros((1, 512), np.uint64), noise(1), noise(2), noise(3)]
    words = st.lists(st.tuples(st.integers(0, FEW - 1), st.integers(0, 511), st.integers(0, 2**64 - 1)), max_size=20)

    def drawn() -> Any:
        made = np.concatenate(
            [kinds[kind] for kind in data.draw(st.lists(st.integers(0, 3), min_size=FEW, max_size=FEW))]
        )
        for page, word, value in data.draw(words):
            made[page, word] = value
        return made

    old, new = drawn(), drawn()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pages, "BLOCK", 3)
        found = [read(said, FEW) for said in blocks(old, new, Index(old))]
    for block in data.draw(st.permutations(found)):
        apply(old, block)
    assert (old == new).all()


def test_images_of_different_sizes_are_refused() -> None:
    with pytest.raises(BadValue, match="3 pages can't be told from one of 2: ship it as a first one"):
        list(blocks(noise(1, 2), noise(1, 3)))
    with pytest.raises(BadValue, match="100 bytes is not a whole number of pages"):
        pages_of(bytes(100))


@given(st.data())
def test_a_damaged_block_is_refused_and_nothing_else_happens(data: st.DataObject) -> None:
    old = np.concatenate([noise(1, 3), np.zeros((1, 512), np.uint64)])
    new = np.concatenate([np.zeros((1, 512), np.uint64), noise(2), old[2:3], old[2:3]])
    new[1, :300] = old[1, :300]
    (said,) = blocks(old, new, Index(old))
    cut = data.draw(st.integers(0, len(said)))
    damaged = bytearray(said[:cut] + data.draw(st.binary(max_size=8)) + said[cut + data.draw(st.integers(0, 8)) :])
    try:
        block = read(bytes(damaged), 4)
    except BadValue:
        return
    apply(old, block)


def test_a_block_for_a_larger_image_is_refused() -> None:
    old = noise(1, 5)
    new = old.copy()
    new[4, 0] += 1
    (said,) = blocks(old, new)
    with pytest.raises(BadValue, match="no block of an image of 4 pages"):
        read(said, 4)


def test_a_block_that_promises_more_than_it_has_room_for_is_refused_before_it_is_unpacked() -> None:
    import zstandard

    bomb = zstandard.ZstdCompressor().compress(bytes(100 * PAGE))
    said = pages._HEADER.pack(0, 0, 1, 0, len(bomb), 0) + (0).to_bytes(4, "little") + bomb
    with pytest.raises(BadValue, match="409600 bytes of content for 1 pages"):
        read(said, 4)


def test_pages_that_are_kept_come_back_whatever_became_of_them() -> None:
    old = np.concatenate([noise(1, 3), np.zeros((2, 512), np.uint64)])
    said = kept(old, np.array([0, 2, 4], np.uint32))
    new = noise(2, 5)
    for _twice in range(2):
        apply(new, read(said, 5))
    assert (new[[0, 2, 4]] == old[[0, 2, 4]]).all()
    assert (new[[1, 3]] == noise(2, 5)[[1, 3]]).all()
