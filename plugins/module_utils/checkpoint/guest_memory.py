# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A guest's memory: a file without a name, which QEMU has as the guest's memory, and whoever captures it reads.

Its pages can be protected where the kernel can, which those of a file on a disk can't be.
"""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING, Self

from .pages import PAGE, pages_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from .mirror import Mirror

NAME = "pc.ram"
"""What QEMU calls the memory of a PC."""
_STEP = 1024 * 1024


class GuestMemory:
    """Memory of `size` bytes, a whole number of pages, all zeros. A context manager, which closes its `file`.

    What was written to it only takes room.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self.file = os.memfd_create(NAME)
        try:
            os.ftruncate(self.file, size)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def close(self) -> None:
        os.close(self.file)

    def arguments(self) -> list[str]:
        """Give the arguments of a QEMU that inherits the file."""
        backend = f"memory-backend-file,id={NAME},size={self.size},mem-path=/proc/self/fd/{self.file},share=on"
        return ["-object", backend]

    def fill(self, image: Path) -> None:
        """Copy what an image of this size has."""
        with image.open("rb") as file:
            end = 0
            while (start := _next(file.fileno(), end, os.SEEK_DATA, self.size)) < self.size:
                end = _next(file.fileno(), start, os.SEEK_HOLE, self.size)
                os.lseek(self.file, start, os.SEEK_SET)
                while start < end and (sent := os.sendfile(self.file, file.fileno(), start, end - start)):
                    start += sent

    def make_room(self, mirror: Mirror) -> None:
        """Have a mirror take room for what this has, so that it isn't waited for while the guest stands still."""
        for start, end in self._data():
            first_words = mirror.image[start // PAGE : end // PAGE, :1]
            first_words |= 0

    def compare(self, mirror: Mirror) -> None:
        """Give to `mirror` whatever differs there; the guest is to stand still meanwhile."""
        # Read, not mapped: each page that is mapped costs User-Mode Linux as much as a hundred that are read.
        step = memoryview(bytearray(_STEP))
        done = 0
        for start, end in self._data():
            mirror.look_for_zeros(done // PAGE, start // PAGE)
            for place in range(start, end, _STEP):
                some = step[: min(_STEP, end - place)]
                os.preadv(self.file, [some], place)
                mirror.look(place // PAGE, pages_of(some))
            done = end
        mirror.look_for_zeros(done // PAGE, self.size // PAGE)

    def _data(self) -> Iterator[tuple[int, int]]:
        """Give where there is something, from and to which byte."""
        end = 0
        while (start := _next(self.file, end, os.SEEK_DATA, self.size)) < self.size:
            end = _next(self.file, start, os.SEEK_HOLE, self.size)
            yield start, end


def _next(file: int, place: int, whence: int, size: int) -> int:
    """Give where the next data, or the next hole, of a file begins; its size if there is none."""
    try:
        return os.lseek(file, place, whence)
    except OSError as error:
        if error.errno != errno.ENXIO:
            raise
        return size
