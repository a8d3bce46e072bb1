# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files and memory that take room only where there is something.

They are read, and memory is taken, many pages at a time: each page that is mapped by being touched costs User-Mode
Linux as much as a hundred that are read.
"""

from __future__ import annotations

import ctypes
import errno
import os
from typing import TYPE_CHECKING

from .pages import PAGE, pages_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .pages import Pages

_STEP = 1024 * 1024
_POPULATE_WRITE = 23
"""MADV_POPULATE_WRITE, since Linux 5.14."""
_madvise = ctypes.CDLL(None).madvise
_madvise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)


def extents(file: int, size: int) -> Iterator[tuple[int, int]]:
    """Give where an open file of `size` bytes, whole pages, has something: from and to which byte, whole pages too."""
    end = 0
    while (start := _next(file, end, os.SEEK_DATA, size)) < size:
        # The blocks of some file systems are smaller than pages.
        end = -(-_next(file, start, os.SEEK_HOLE, size) // PAGE) * PAGE
        yield start // PAGE * PAGE, end


def filled(file: int, size: int) -> Iterator[tuple[int, Pages]]:
    """Give what an open file of whole pages has: the number of the first page, and some pages, good until the next."""
    step = memoryview(bytearray(_STEP))
    for start, end in extents(file, size):
        for place in range(start, end, _STEP):
            some = step[: min(_STEP, end - place)]
            os.preadv(file, [some], place)
            yield place // PAGE, pages_of(some)


def have_room(image: Pages, first: int, end: int) -> None:
    """Take memory for the pages from `first` up to `end` of an image in memory; what they are stays."""
    part = image[first:end]
    if _madvise(part.ctypes.data, part.nbytes, _POPULATE_WRITE):
        first_words = part[:, :1]
        first_words |= 0


def _next(file: int, place: int, whence: int, size: int) -> int:
    """Give where the next data, or the next hole, of a file begins; its size if there is none."""
    try:
        return os.lseek(file, place, whence)
    except OSError as error:
        if error.errno != errno.ENXIO:
            raise
        return size
