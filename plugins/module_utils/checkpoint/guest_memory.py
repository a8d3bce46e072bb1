# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A guest's memory: a file without a name, which QEMU has as the guest's memory, and whoever captures it reads.

Its pages can be protected where the kernel can, which those of a file on a disk can't be. Or it is memory that somebody
else gave the guest, and QEMU has it alone.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Self

from ..errors import OkiagariError
from .pages import PAGE
from .sparse import extents, filled, have_room

if TYPE_CHECKING:
    from pathlib import Path

    from .mirror import Mirror

NAME = "pc.ram"
"""What QEMU calls the memory of a PC."""


@dataclass(frozen=True)
class ForeignMemory:
    """Memory of `size` bytes that QEMU calls `name`, and nobody else reads."""

    size: int
    name: str = NAME

    shared: ClassVar[bool] = False

    def make_room(self, _mirror: Mirror) -> None:
        """Take none: nobody knows what the guest has used."""

    def compare(self, _mirror: Mirror) -> None:
        """Refuse: it comes by the stream alone."""
        raise OkiagariError(f"{self.name} can't be read but from QEMU's stream")


class GuestMemory:
    """Memory of `size` bytes, a whole number of pages, all zeros. A context manager, which closes its `file`.

    What was written to it only takes room, until it is to `have_all`.
    """

    name = NAME
    shared = True

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
            for begin, end in extents(file.fileno(), self.size):
                start = begin
                os.lseek(self.file, start, os.SEEK_SET)
                while start < end and (sent := os.sendfile(self.file, file.fileno(), start, end - start)):
                    start += sent

    def have_all(self) -> None:
        """Take room for all of it, now; what was written stays. Raises `OSError` if there isn't so much."""
        os.posix_fallocate(self.file, 0, self.size)

    def make_room(self, mirror: Mirror) -> None:
        """Have a mirror take room for what this has, so that it isn't waited for while the guest stands still."""
        for start, end in extents(self.file, self.size):
            have_room(mirror.image, start // PAGE, end // PAGE)

    def compare(self, mirror: Mirror) -> None:
        """Give to `mirror` whatever differs there; the guest is to stand still meanwhile."""
        done = 0
        for first, content in filled(self.file, self.size):
            mirror.look_for_zeros(done, first)
            mirror.look(first, content)
            done = first + len(content)
        mirror.look_for_zeros(done, self.size // PAGE)
