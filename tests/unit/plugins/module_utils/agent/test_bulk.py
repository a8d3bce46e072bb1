# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Blobs from one agent to another, over an overlay that loses answers, mixes their order, and gives wrong ones."""

from __future__ import annotations

import asyncio
import hashlib
import shutil
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest
from ansible_collections.okiagari.testbed.plugins.module_utils.agent import bulk as module
from ansible_collections.okiagari.testbed.plugins.module_utils.agent.blobs import SPARE_BYTES, Blobs, pour
from ansible_collections.okiagari.testbed.plugins.module_utils.agent.bulk import WINDOW, Bulk
from ansible_collections.okiagari.testbed.plugins.module_utils.agent.envelope import Opened
from ansible_collections.okiagari.testbed.plugins.module_utils.agent.overlay import NoAnswer
from ansible_collections.okiagari.testbed.plugins.module_utils.errors import OkiagariError
from hypothesis import given
from hypothesis import strategies as st

from .agents import until

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping, Sequence

    from ansible_collections.okiagari.testbed.plugins.module_utils.agent.overlay import Overlay

CHUNK = 16
FATES = ("", "", "", "lost", "late", "later")


@pytest.fixture(autouse=True, scope="module")
def small() -> Any:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(module, "CHUNK", CHUNK)
        yield


class Peer:
    """The overlay of the receiver, at whose other end is the sender. Each chunk has the next of `fates`."""

    def __init__(self, folder: Path, content: bytes, fates: Sequence[str] = ()) -> None:
        self.name = hashlib.sha256(content).hexdigest()
        self.there, self.here = Blobs(folder / "there"), Blobs(folder / "here")
        for blobs in (self.there, self.here):
            blobs.make_room(0)
        (self.there.folder / self.name).write_bytes(content)
        self.fates, self.offsets = list(fates), list[int]()
        self.coming = self.most = 0
        self.gate = asyncio.Event()
        self.gate.set()
        self._sender = Bulk(self.there, cast("Overlay", None))
        self.receiver = Bulk(self.here, cast("Overlay", self), again_s=0)

    async def ask(self, to: str, op: str, body: Mapping[str, Any], _timeout_s: float) -> Mapping[str, Any]:
        assert (to, op) == ("b", module.OP_SIZE)
        return await self._sender.size(Opened("a", op, body, "1"))

    async def pull(self, to: str, op: str, body: Mapping[str, Any], _timeout_s: float) -> bytes:
        assert (to, op) == ("b", module.OP_CHUNK)
        self.offsets.append(body["offset"])
        self.coming += 1
        self.most = max(self.most, self.coming)
        try:
            fate = self.fates.pop(0) if self.fates else ""
            await self.gate.wait()
            for _turn in range({"late": 5, "later": 50}.get(fate, 0)):
                await asyncio.sleep(0)
            return _of(fate, await self._sender.chunk(Opened("a", op, body, "1")))
        finally:
            self.coming -= 1

    async def fetch(self, most_bytes: int = 10**6, seconds: float = 60.0) -> list[dict[str, Any]]:
        return [said async for said in self.receiver.fetch("b", self.name, most_bytes, seconds)]

    def content(self) -> bytes:
        path = self.here.path(self.name)
        assert path is not None
        assert list(self.here.folder.iterdir()) == [path], "nothing else is left"
        return path.read_bytes()


def _of(fate: str, content: bytes) -> bytes:
    if fate == "lost":
        raise NoAnswer("b can't be reached, or doesn't answer")
    if fate == "refused":
        raise OkiagariError("b: there is no blob")
    if fate == "short":
        return content[:-1]
    return bytes([content[0] ^ 1]) + content[1:] if fate == "wrong" else content


def use(
    content: bytes, fates: Sequence[str], what: Callable[[Peer], Coroutine[Any, Any, None]]
) -> None:  # fmt: skip
    async def run(folder: Path) -> None:
        await what(Peer(folder, content, fates))

    with TemporaryDirectory() as folder:
        asyncio.run(run(Path(folder)))


@given(content=st.binary(max_size=12 * CHUNK), fates=st.lists(st.sampled_from(FATES), max_size=40))
def test_whatever_is_lost_or_late_the_blob_comes_and_few_chunks_at_once(content: bytes, fates: list[str]) -> None:
    async def what(peer: Peer) -> None:
        (*_progress, said) = await peer.fetch()
        assert peer.content() == content
        assert (said["path"], said["bytes"]) == (str(peer.here.path(peer.name)), len(content))
        assert peer.most <= WINDOW
        assert len(peer.offsets) == -(-len(content) // CHUNK) + fates[: len(peer.offsets)].count("lost")
        assert set(peer.offsets) == set(range(0, len(content), CHUNK))

    use(content, fates, what)


@given(
    content=st.binary(min_size=1, max_size=12 * CHUNK),
    fates=st.lists(st.sampled_from(FATES), max_size=12),
    held=st.integers(0, 12 * CHUNK),
)
def test_what_has_come_before_a_cut_is_not_asked_for_again(content: bytes, fates: list[str], held: int) -> None:
    async def what(peer: Peer) -> None:
        peer.fates += ["refused"] * 100
        peer.here.part(peer.name).write_bytes(content[:held])
        before = min(held, len(content))
        with suppress(OkiagariError):
            await peer.fetch()
        if peer.here.path(peer.name) is None:
            left = peer.here.part(peer.name).read_bytes()
            assert content.startswith(left)
            assert len(left) >= before
            before = len(left)
            peer.fates, peer.offsets = [], []
            await peer.fetch()
            assert set(peer.offsets) == set(range(before, len(content), CHUNK))
        assert peer.content() == content

    use(content, fates, what)


@given(
    content=st.binary(min_size=1, max_size=6 * CHUNK), place=st.integers(0, 6 * CHUNK), longer=st.integers(0, 20)
)  # fmt: skip
def test_a_part_that_is_damaged_is_fetched_anew(content: bytes, place: int, longer: int) -> None:
    async def what(peer: Peer) -> None:
        damaged = bytearray(content)
        damaged[place % len(content)] ^= 1
        peer.here.part(peer.name).write_bytes(damaged + bytes(longer))
        await peer.fetch()
        assert peer.content() == content
        assert peer.offsets == list(range(0, len(content), CHUNK))

    use(content, [], what)


@pytest.mark.parametrize("place", range(3))
@pytest.mark.parametrize(
    ("fate", "message"),
    [
        ("wrong", "what b gave isn't .*: its file there is damaged; drop it there"),
        ("short", "b gave 15 bytes of .* where there are 16: its file there is damaged"),
        ("refused", "^b: there is no blob$"),
    ],
)
def test_an_answer_that_is_wrong_makes_no_blob(fate: str, message: str, place: int) -> None:
    async def what(peer: Peer) -> None:
        with pytest.raises(OkiagariError, match=message):
            await peer.fetch()
        assert peer.here.path(peer.name) is None
        assert peer.coming == 0
        assert (fate == "wrong") == (not list(peer.here.folder.iterdir()))

    use(bytes(3 * CHUNK), [""] * place + [fate], what)


def test_a_blob_that_is_not_there_or_too_large_or_does_not_fit_is_not_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    async def what(peer: Peer) -> None:
        with pytest.raises(OkiagariError, match="has 40 bytes at b, and 39 are allowed: raise most_bytes"):
            await peer.fetch(most_bytes=39)
        usage, free = shutil.disk_usage, SPARE_BYTES + 39
        with monkeypatch.context() as patched:
            patched.setattr(shutil, "disk_usage", lambda path: usage(path)._replace(free=free))
            with pytest.raises(OkiagariError, match="40 bytes don't fit"):
                await peer.fetch()
            peer.here.part(peer.name).write_bytes(b"x")
            await peer.fetch()
        peer.there.drop(peer.name)
        peer.here.drop(peer.name)
        with pytest.raises(OkiagariError, match=r"there is no blob .*; offer it there first"):
            await peer.fetch()
        assert list(peer.here.folder.iterdir()) == []

    use(bytes(40), [], what)


@pytest.mark.parametrize("silent", ["size", "chunks"])
def test_a_peer_that_is_silent_until_the_deadline(silent: str) -> None:
    async def what(peer: Peer) -> None:
        async def nothing(*_arguments: Any) -> Any:
            raise NoAnswer("b can't be reached")

        setattr(peer, "ask" if silent == "size" else "pull", nothing)
        of = "unknown many" if silent == "size" else "40"
        with pytest.raises(NoAnswer, match=f"0 of {of} bytes came within 0.05 s from b; b can't be reached; fetch it"):
            await peer.fetch(seconds=0.05)

    use(bytes(40), [], what)


def test_a_disk_that_becomes_full_keeps_what_has_come(monkeypatch: pytest.MonkeyPatch) -> None:
    async def what(peer: Peer) -> None:
        left = [2]

        def fill(reading: Any, writing: Any, sha256: Any) -> int:
            left[0] -= writing is not None
            if left[0] < 0:
                raise OSError(28, "No space left on device")
            return pour(reading, writing, sha256)

        with monkeypatch.context() as patched:
            patched.setattr(module, "pour", fill)
            with pytest.raises(OkiagariError, match=f"{peer.name} can't be kept in .*: No space left on device"):
                await peer.fetch()
        assert peer.here.held(peer.name) == 2 * CHUNK
        peer.offsets.clear()
        await peer.fetch()
        assert peer.offsets == [2 * CHUNK, 3 * CHUNK]
        assert peer.content() == bytes(4 * CHUNK)

    use(bytes(4 * CHUNK), [], what)


def test_a_disk_that_can_not_be_read_is_told_to_whoever_pulls(monkeypatch: pytest.MonkeyPatch) -> None:
    async def what(peer: Peer) -> None:
        def fail(*_arguments: Any) -> bytes:
            raise OSError(5, "Input/output error")

        monkeypatch.setattr(module, "_read", fail)
        with pytest.raises(OkiagariError, match="can't be read: Input/output error"):
            await peer.fetch()

    use(bytes(4 * CHUNK), [], what)


def test_a_blob_is_fetched_once_at_a_time_and_progress_is_given_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    async def what(peer: Peer) -> None:
        monkeypatch.setattr(module, "_PROGRESS_S", 0.001)
        peer.gate.clear()
        answers = peer.receiver.fetch("b", peer.name, 10**6, 60.0)
        while (said := await anext(answers)) != {"received": 0, "of": 40}:
            assert said == {"received": 0, "of": 0}
        with pytest.raises(OkiagariError, match="is being fetched already"):
            await peer.fetch()
        with pytest.raises(OkiagariError, match="is being fetched; end that first"):
            peer.receiver.drop(peer.name)
        await until(lambda: peer.coming)
        await answers.aclose()
        assert peer.coming == 0, "it ends with whoever waits for it"
        peer.gate.set()
        await peer.fetch()
        assert peer.content() == bytes(40)
        peer.offsets.clear()
        (said,) = [said for said in await peer.fetch() if "path" in said]
        assert said["bytes"] == 40
        assert peer.offsets == []

    use(bytes(40), [], what)


def test_a_chunk_that_is_late_is_waited_for_longer_and_one_from_nobody_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    now = [0.0]
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: now[0]))

    async def what(peer: Peer) -> None:
        async def answer(_to: str, _op: str, _body: Any, timeout_s: float) -> bytes:
            waits.append(timeout_s)
            if len(waits) == 8:
                return bytes(CHUNK)
            now[0] += timeout_s if len(waits) > 2 else 0.1
            raise NoAnswer("b didn't answer")

        peer.pull = answer  # type: ignore[method-assign, assignment]
        await peer.fetch()
        assert waits == [5.0, 5.0, 5.0, 10.0, 20.0, 40.0, 40.0, 40.0]

    use(bytes(CHUNK), [], what)
