# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""By which name a state goes: one digest of all pages of its images, kept up page by page.

Digests tell damage and mistakes from what should be there. Nobody is believed for them: packs are signed.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from .engines import np, xxhash
from .pages import PAGE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from .pages import Numbers, Pages

    Table = NDArray[np.uint8]

BYTES = 16
"""Of a page's digest: the table of all is as large as 1/256 of the image."""


def begin(table: Table, image: Pages | None = None) -> None:
    """Fill a table, of `BYTES` for each page: of this image, or of one that is all zeros."""
    table[:] = np.frombuffer(_digest(bytes(PAGE)), np.uint8)
    if image is not None:
        update(table, image, np.flatnonzero(image.any(axis=1)))


def update(table: Table, image: Pages, numbers: Numbers) -> None:
    """Look at these pages of an image again."""
    note(table, numbers, image[numbers])


def note(table: Table, numbers: Numbers, content: Pages) -> None:
    """Take down what these pages are now."""
    said = b"".join(map(_digest, content))
    table[numbers] = np.frombuffer(said, np.uint8).reshape(-1, BYTES)


def root(tables: Mapping[str, Table]) -> str:
    """Give the digest of a state that has images with these tables, by name."""
    lines = [f"{name} {hashlib.sha256(tables[name].data).hexdigest()}\n" for name in sorted(tables)]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _digest(page: Any) -> bytes:
    return xxhash.xxh3_128_digest(page)
