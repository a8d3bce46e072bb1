# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bulk data between agents: whoever wants a blob pulls it from a peer, chunk by chunk.

Every other message waits behind what is already on its way on a slow link, whatever its priority. So the receiver has
few chunks on their way at once, and fewer where they get lost.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import time
from collections import deque
from contextlib import aclosing
from io import BytesIO
from typing import TYPE_CHECKING, Any, TypeVar

from ..errors import OkiagariError
from ..values import whole
from .blobs import beside, digest, on_disk, pour, private
from .overlay import NoAnswer

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Mapping
    from pathlib import Path
    from typing import BinaryIO

    from .blobs import Blobs, Hash
    from .envelope import Opened
    from .overlay import Overlay

_Given = TypeVar("_Given")

CHUNK = 256 * 1024
WINDOW = 4
"""How many chunks of a transfer are on their way at once, at most."""
OP_SIZE = "bulk.size"
OP_CHUNK = "bulk.chunk"
_FAR = 2**62
_PATIENCE_S = 5.0
_LONGEST_S = 40.0
_PROGRESS_S = 1.0


class Bulk:
    """Bulk data at one agent: gives what it holds, and fetches what it doesn't."""

    def __init__(self, blobs: Blobs, overlay: Overlay, again_s: float = 0.5) -> None:
        self._blobs, self._overlay, self._again_s = blobs, overlay, again_s
        self._coming: set[str] = set()

    async def size(self, opened: Opened) -> Mapping[str, Any]:
        """Answer how large a blob is."""
        return {"bytes": await self._look(opened, lambda path: path.stat().st_size)}

    async def chunk(self, opened: Opened) -> bytes:
        """Answer with a blob's bytes from an offset on."""
        offset = whole(0, _FAR)(opened.body.get("offset"))
        return await self._look(opened, lambda path: _read(path, offset))

    def offer(self, source: Path) -> AsyncGenerator[dict[str, Any], None]:
        """Take a local file among the blobs: its progress, and at last the blob's name and size."""
        said = {"received": 0, "of": 0}

        async def take() -> dict[str, Any]:
            async with on_disk(f"{source} can't be taken into {self._blobs.folder}"):
                name = await self._blobs.take(source, said)
                return {"digest": name, "bytes": said["received"]}

        return _watched(take, lambda: dict(said))

    def fetch(self, peer: str, name: str, most_bytes: int, seconds: float) -> AsyncGenerator[dict[str, Any], None]:
        """Have a blob here that `peer` holds: its progress, and at last its file, from where others can pull it too.

        What has come before an error, or before nobody waits any more, stays: the next fetch goes on from there.
        """
        transfer = Transfer(self._blobs, self._overlay, peer, name, self._again_s)

        async def run() -> dict[str, Any]:
            begun = time.monotonic()
            if name in self._coming:
                raise OkiagariError(f"{name} is being fetched already; wait for that")
            self._coming.add(name)
            try:
                async with on_disk(f"{name} can't be kept in {self._blobs.folder}"):
                    path = self._blobs.path(name) or await transfer.run(most_bytes, seconds)
                    took_s = round(time.monotonic() - begun, 3)
                    return {"path": str(path), "bytes": path.stat().st_size, "seconds": took_s}
            finally:
                self._coming.discard(name)

        return _watched(run, lambda: {"received": transfer.received, "of": transfer.size})

    def path(self, name: str) -> Path | None:
        """Give a blob's file, None where it isn't whole here."""
        return self._blobs.path(name)

    def drop(self, name: str) -> None:
        """Remove a blob from this host; raise `OkiagariError` while it comes."""
        if name in self._coming:
            raise OkiagariError(f"{name} is being fetched; end that first")
        self._blobs.drop(name)

    async def _look(self, opened: Opened, what: Callable[[Path], _Given]) -> _Given:
        name = digest(opened.body.get("digest"))
        path = self._blobs.path(name)
        if path is None:
            raise OkiagariError(f"there is no blob {name}; offer it there first")
        async with on_disk(f"{path} can't be read"):
            return await beside(what, path)


class Transfer:
    """One blob on its way from `peer`; no more than `WINDOW` chunks of it are in memory."""

    def __init__(self, blobs: Blobs, overlay: Overlay, peer: str, name: str, again_s: float) -> None:
        self.received = self.size = 0
        self._blobs, self._overlay, self._peer, self._name, self._again_s = blobs, overlay, peer, name, again_s
        self._window = WINDOW
        self._resumed = False
        self._silence = ""

    async def run(self, most_bytes: int, seconds: float) -> Path:
        """Fetch it within so many seconds, and give its file."""
        try:
            async with asyncio.timeout(seconds):
                return await self._run(most_bytes)
        except TimeoutError:
            raise NoAnswer(
                f"of {self._name}, {self.received} of {self.size or 'unknown many'} bytes came within {seconds:g} s "
                f"from {self._peer}{self._silence}; fetch it again to go on from there"
            ) from None

    async def _run(self, most_bytes: int) -> Path:
        asked = {"digest": self._name}
        said = await self._answered(lambda patience_s: self._overlay.ask(self._peer, OP_SIZE, asked, patience_s))
        self.size = whole(0, _FAR)(said.get("bytes"))
        if self.size > most_bytes:
            raise OkiagariError(
                f"{self._name} has {self.size} bytes at {self._peer}, and {most_bytes} are allowed: raise most_bytes"
            )
        self._blobs.make_room(self.size - self._blobs.held(self._name))
        part = self._blobs.part(self._name)
        with private(part) as file:
            while not await self._receive(file):
                if not self._resumed:
                    part.unlink()
                    raise OkiagariError(
                        f"what {self._peer} gave isn't {self._name}: its file there is damaged; drop it there"
                    )
        return await beside(self._blobs.keep, part, self._name)

    async def _receive(self, file: BinaryIO) -> bool:
        """Get what is missing and put it on the disk; nothing is left of what has another digest.

        If some of that was here before, another try is worth it: a host that lost its power may have lost a part of it.
        """
        sha256 = hashlib.sha256()
        self.received = await self._begin(file, sha256)
        self._resumed = self.received > 0
        coming: deque[asyncio.Task[bytes]] = deque()
        try:
            for offset in range(self.received, self.size, CHUNK):
                coming.append(asyncio.ensure_future(self._chunk(offset)))
                while len(coming) >= self._window:
                    await self._take(file, sha256, await coming.popleft())
            while coming:
                await self._take(file, sha256, await coming.popleft())
        finally:
            for task in coming:
                task.cancel()
            await asyncio.gather(*coming, return_exceptions=True)
        await beside(os.fsync, file.fileno())
        if sha256.hexdigest() == self._name:
            return True
        file.truncate(0)
        return False

    async def _begin(self, file: BinaryIO, sha256: Hash) -> int:
        """Go to the end of what is here, and give its size."""
        if os.fstat(file.fileno()).st_size > self.size:
            file.truncate(0)
        file.seek(0)
        while await beside(pour, file, None, sha256):
            pass
        return file.tell()

    async def _take(self, file: BinaryIO, sha256: Hash, content: bytes) -> None:
        await beside(pour, BytesIO(content), file, sha256)
        self.received += len(content)
        self._window = min(WINDOW, self._window + 1)

    async def _chunk(self, offset: int) -> bytes:
        asked, size = {"digest": self._name, "offset": offset}, min(CHUNK, self.size - offset)
        content = await self._answered(lambda patience_s: self._overlay.pull(self._peer, OP_CHUNK, asked, patience_s))
        if len(content) != size:
            raise OkiagariError(
                f"{self._peer} gave {len(content)} bytes of {self._name} where there are {size}: "
                "its file there is damaged; drop it there"
            )
        return content

    async def _answered(self, ask: Callable[[float], Awaitable[_Given]]) -> _Given:
        """Ask until there is an answer, more patiently where none came in time, and for fewer chunks at once."""
        patience_s = _PATIENCE_S
        while True:
            begun = time.monotonic()
            try:
                return await ask(patience_s)
            except NoAnswer as error:
                self._silence = f"; {error}"
            self._window = max(1, self._window // 2)
            if time.monotonic() - begun >= patience_s:
                patience_s = min(2 * patience_s, _LONGEST_S)
            await asyncio.sleep(self._again_s)


async def last(steps: AsyncGenerator[dict[str, Any], None]) -> dict[str, Any]:
    """Wait for the end of some work that tells its progress, and give what it says at last."""
    said: dict[str, Any] = {}
    async with aclosing(steps):
        async for said in steps:  # noqa: B007
            pass
    return said


async def _watched(
    work: Callable[[], Coroutine[Any, Any, dict[str, Any]]], progress: Callable[[], dict[str, Any]]
) -> AsyncGenerator[dict[str, Any], None]:
    """Give the progress of some work once a second, and its result. It ends with whoever waits for it."""
    task = asyncio.ensure_future(work())
    try:
        while not (await asyncio.wait([task], timeout=_PROGRESS_S))[0]:
            yield progress()
        yield task.result()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def _read(path: Path, offset: int) -> bytes:
    with path.open("rb") as file:
        file.seek(offset)
        return file.read(CHUNK)
