# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The blobs that this host holds for all agents: files that never change, each with its SHA-256 as name."""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
import shutil
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from ..errors import BadValue, OkiagariError, shown
from ..target.system import sync_names

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path
    from typing import BinaryIO

_Given = TypeVar("_Given")

SPARE_BYTES = 64 * 1024 * 1024
"""What is left free on the disk: a host whose disk is full can't be elected."""
_PIECE = 1024 * 1024
_DIGEST = re.compile("[0-9a-f]{64}")


class Hash(Protocol):
    """A digest that grows."""

    def update(self, content: bytes, /) -> None:
        """Take these bytes too."""


def digest(value: object) -> str:
    """Give a blob's name."""
    if not isinstance(value, str) or not _DIGEST.fullmatch(value):
        raise BadValue(f"{shown(value)} is not a SHA-256 in 64 hexadecimal digits, as offer gives it")
    return value


async def beside(what: Callable[..., _Given], *arguments: Any) -> _Given:
    """Run what takes its time on a disk beside the event loop.

    It has ended when this ends, also for whoever is cancelled: who closes a file isn't overtaken by a write to it.
    """
    work = asyncio.ensure_future(asyncio.to_thread(what, *arguments))
    try:
        return await asyncio.shield(work)
    except asyncio.CancelledError:
        await asyncio.gather(work, return_exceptions=True)
        raise


class Blobs:
    """The blobs in the folder `folder`. What is only there in part is in `part` files, which nobody is given."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._taking = asyncio.Lock()

    def path(self, name: str) -> Path | None:
        """Give a whole blob's file, None if it isn't here."""
        path = self.folder / digest(name)
        return path if path.is_file() else None

    def part(self, name: str) -> Path:
        """Give the file that a blob's bytes go to, in their order, until it is whole: `keep` makes a blob of it."""
        return self.folder / f".{digest(name)}.part"

    def held(self, name: str) -> int:
        """Give the size of what there is of a blob in part."""
        with suppress(FileNotFoundError):
            return self.part(name).stat().st_size
        return 0

    def make_room(self, size: int) -> None:
        """Make the folder; raise `OkiagariError` where so many bytes more would fill its disk."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        free = shutil.disk_usage(self.folder).free
        if free < size + SPARE_BYTES:
            raise OkiagariError(
                f"{size} bytes don't fit into {self.folder}: {free} are free, and {SPARE_BYTES} have to stay so; "
                "free some space"
            )

    def keep(self, part: Path, name: str) -> Path:
        """Make a blob of a file with this digest, all of which is on the disk."""
        path = self.folder / name
        part.replace(path)
        sync_names(self.folder)
        return path

    async def take(self, source: Path, said: dict[str, int]) -> str:
        """Copy a file and give the blob's name; in `said`, there is how many bytes are `received`, `of` how many."""
        if not source.is_file():
            raise BadValue(f"there is no file {source}")
        said["of"] = source.stat().st_size
        self.make_room(said["of"])
        part, sha256 = self.folder / ".taken.part", hashlib.sha256()
        async with self._taking:
            try:
                with source.open("rb") as reading, private(part, os.O_TRUNC) as writing:
                    while count := await beside(pour, reading, writing, sha256):
                        said["received"] += count
                    await beside(os.fsync, writing.fileno())
                await beside(self.keep, part, sha256.hexdigest())
            finally:
                part.unlink(missing_ok=True)
        return sha256.hexdigest()

    def drop(self, name: str) -> None:
        """Remove a blob, or what there is of it; raise `BadValue` if there is nothing."""
        gone = False
        for path in (self.folder / digest(name), self.part(name)):
            with suppress(FileNotFoundError):
                path.unlink()
                gone = True
        if not gone:
            raise BadValue(f"there is no blob {name} here")


@asynccontextmanager
async def on_disk(what: str) -> AsyncIterator[None]:
    """Tell people what a disk didn't do."""
    try:
        yield
    except OSError as error:
        raise OkiagariError(f"{what}: {error.strerror or error}") from error


def private(path: Path, flags: int = 0) -> BinaryIO:
    """Open a file for reading and writing that nobody else may read, without a buffer."""
    return os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | flags, 0o600), "r+b", buffering=0)


def pour(reading: BinaryIO, writing: BinaryIO | None, sha256: Hash) -> int:
    """Move a piece of one file to another, and into its digest; give how many bytes there were."""
    piece = reading.read(_PIECE)
    sha256.update(piece)
    left = memoryview(piece)
    while writing and left:
        left = left[writing.write(left) :]
    return len(piece)
