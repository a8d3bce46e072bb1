# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What changed between two images, page by page, in few bytes (P1.2): whole arrays at a time, by numpy.

An image is a guest's memory or a disk: a whole number of pages of 4 KiB. A changed page travels as one of four kinds:
it is zero; it is a copy of another page, which didn't change; it is the old page but for some words, of which the XOR
travels; or it is itself. XORs and whole pages are compressed by zstd, those of a block together.

A block holds up to `BLOCK` changed pages, so that memory is bounded. No block needs what another one changes: they are
made and applied in any order, to the old image itself.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from ..errors import BadValue
from .engines import np, xxhash, zstandard

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    Pages: TypeAlias = NDArray[np.uint64]
    Numbers: TypeAlias = NDArray[np.unsignedinteger[Any] | np.signedinteger[Any]]

PAGE = 4096
BLOCK = 2048
_WORDS = PAGE // 8
_STEP = 1024
# A page with more changed words than this is sent whole: XOR of random bytes compresses no better than they do.
_MOST_XORED = _WORDS // 2
_LEVEL = 1
_HEADER = struct.Struct("<4I2Q")


def pages_of(image: Any) -> Pages:
    """See a buffer, such as a mapped file, as an array of pages; raise `BadValue` if they aren't whole."""
    if len(image) % PAGE:
        raise BadValue(f"an image of {len(image)} bytes is not a whole number of pages of {PAGE} bytes")
    words = np.frombuffer(image, dtype=np.uint64) if len(image) else np.zeros(0, np.uint64)
    return words.reshape(-1, _WORDS)


def changed(old: Pages, new: Pages) -> Numbers:
    """Number the pages of `new` that differ from those of `old`, which has as many."""
    found = [
        np.flatnonzero((old[start : start + _STEP] != new[start : start + _STEP]).any(axis=1)) + start
        for start in range(0, len(new), _STEP)
    ]
    return np.concatenate(found) if found else np.zeros(0, np.uint32)


class Index:
    """Where which page stands in an image, by a hash: for pages that were copied.

    It holds no page; what it says is to be compared with the page itself. Zero pages aren't in it.
    """

    def __init__(self, image: Pages) -> None:
        self._places: dict[int, int] = {}
        for start in range(0, len(image), _STEP):
            step = image[start : start + _STEP]
            self.note(step, np.flatnonzero(step.any(axis=1)), start)

    def note(self, image: Pages, numbers: Any, start: int = 0) -> None:
        """Take in these pages of `image`, whose first page is number `start`."""
        for number in numbers.tolist():
            self._places[_hash(image[number])] = start + number

    def sources(self, image: Pages, content: Pages, stays: NDArray[np.bool_]) -> NDArray[np.int64]:
        """Say for each page where in `image` it stands, and will go on to stand; or -1."""
        found = np.array([self._places.get(_hash(page), -1) for page in content], np.int64)
        found[~stays[found]] = -1
        some = np.flatnonzero(found >= 0)
        found[some[(image[found[some]] != content[some]).any(axis=1)]] = -1
        return found


@dataclass(frozen=True)
class Counts:
    """How many pages of a block are of which kind."""

    zero: int
    copied: int
    xored: int
    whole: int


def blocks(old: Pages, new: Pages, index: Index | None = None) -> Iterator[bytes]:
    """Give the difference of two images as blocks; `index` is that of `old`."""
    if len(old) != len(new):
        raise BadValue(f"an image of {len(new)} pages can't be told from one of {len(old)}: ship it as a first one")
    numbers = changed(old, new)
    stays = np.ones(len(new), bool)
    stays[numbers] = False
    for start in range(0, len(numbers), BLOCK):
        some = numbers[start : start + BLOCK]
        sources = index.sources(old, new[some], stays) if index else None
        yield block(some, old[some], new[some], sources)


def block(numbers: Numbers, before: Pages | None, now: Pages, sources: NDArray[np.int64] | None = None) -> bytes:
    """Give a block by which these pages, at most `BLOCK`, become what they are now.

    `before` is what they were: without it none travels as XOR. `sources` says where a page stands that doesn't change
    and is the same, or -1.
    """
    filled = now.any(axis=1)
    here = filled if sources is None else filled & (sources < 0)
    zero, copied = numbers[~filled], numbers[filled & ~here]
    sources = np.zeros(0, np.int64) if sources is None else sources[filled & ~here]
    numbers, now = numbers[here], now[here]
    difference = now if before is None else now ^ before[here]
    few = np.count_nonzero(difference, axis=1) <= (_MOST_XORED if before is not None else -1)
    xored, whole = numbers[few], numbers[~few]
    payloads = [_compressed(difference[few]), _compressed(now[~few])]
    header = _HEADER.pack(len(zero), len(copied), len(xored), len(whole), *map(len, payloads))
    tables = [table.astype("<u4").tobytes() for table in (zero, copied, sources, xored, whole)]
    return b"".join([header, *tables, *payloads])


@dataclass(frozen=True)
class Block:
    """A block that was read: which pages it changes, and into what."""

    counts: Counts
    zero: Numbers
    copied: Numbers
    sources: Numbers
    xored: Numbers
    whole: Numbers
    difference: Pages
    content: Pages

    @property
    def numbers(self) -> Numbers:
        """The pages that it changes."""
        return np.concatenate([self.zero, self.copied, self.xored, self.whole])


def read(said: bytes, pages: int) -> Block:
    """Read a block for an image of so many pages; raise `BadValue` for whatever isn't one, and touch nothing."""
    try:
        *counts, xored_bytes, whole_bytes = _HEADER.unpack_from(said)
    except struct.error:
        raise BadValue("is no block of pages: it is too short") from None
    zero, copied, xored, whole = counts
    lengths = [zero, copied, copied, xored, whole]
    if sum(counts) > BLOCK or len(said) != _HEADER.size + 4 * sum(lengths) + xored_bytes + whole_bytes:
        raise BadValue("is no block of pages: its parts don't make up its length")
    tables, position = [], _HEADER.size
    for length in lengths:
        tables.append(np.frombuffer(said, "<u4", length, position))
        position += 4 * length
    if any(len(table) and int(table.max()) >= pages for table in tables):
        raise BadValue(f"is no block of an image of {pages} pages: it names pages beyond them")
    numbers = np.concatenate([tables[0], tables[1], tables[3], tables[4]])
    if len(np.unique(numbers)) != len(numbers):
        raise BadValue("is no block of pages: it names a page twice")
    difference = _restored(said[position : position + xored_bytes], xored)
    content = _restored(said[position + xored_bytes :], whole)
    if np.isin(tables[2], numbers).any():
        raise BadValue("is no block of pages: it copies a page that it changes")
    return Block(Counts(zero, copied, xored, whole), *tables, difference, content)  # type: ignore[call-arg]


def outcome(image: Pages, block: Block) -> Pages:
    """Give what becomes of the pages `block.numbers` of the old image, in that order."""
    zero = np.zeros((len(block.zero), _WORDS), np.uint64)
    return np.concatenate([zero, image[block.sources], image[block.xored] ^ block.difference, block.content])


def kept(image: Pages, numbers: Numbers) -> bytes:
    """Give a block that makes these pages what they are in this image, whatever they have become. At most `BLOCK`."""
    return block(numbers, None, image[numbers])


def whole(image: Pages) -> Iterator[bytes]:
    """Give blocks that make an image what it is where it was all zeros."""
    for start in range(0, len(image), BLOCK):
        filled = start + np.flatnonzero(image[start : start + BLOCK].any(axis=1))
        if len(filled):
            yield kept(image, filled)


def _hash(page: Any) -> int:
    return int(xxhash.xxh3_64_intdigest(page))


def _compressed(content: Any) -> bytes:
    return zstandard.ZstdCompressor(level=_LEVEL).compress(content.tobytes()) if len(content) else b""


def _restored(said: bytes, pages: int) -> Pages:
    size = pages * PAGE
    if not size:
        if said:
            raise BadValue("is no block of pages: it has content for none")
        return np.zeros((0, _WORDS), np.uint64)
    try:
        # Asked first: what a frame says of itself is allocated before it is looked at.
        if (found := zstandard.frame_content_size(said)) != size:
            raise BadValue(f"is no block of pages: {found} bytes of content for {pages} pages")
        content = zstandard.ZstdDecompressor().decompress(said)
    except zstandard.ZstdError as error:
        raise BadValue(f"is no block of pages: {error}") from error
    return np.frombuffer(content, np.uint64).reshape(-1, _WORDS)
