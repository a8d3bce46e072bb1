# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host holds as blobs: whole files only, each under its own digest."""

from __future__ import annotations

import asyncio
import hashlib
import shutil
import threading
from typing import TYPE_CHECKING, Any

import pytest
from ansible_collections.okiagari.testbed.plugins.module_utils.agent import blobs as module
from ansible_collections.okiagari.testbed.plugins.module_utils.agent.blobs import Blobs, beside, digest, on_disk
from ansible_collections.okiagari.testbed.plugins.module_utils.errors import BadValue, OkiagariError

from .agents import until

if TYPE_CHECKING:
    from pathlib import Path

NAME = hashlib.sha256(b"pack").hexdigest()


def take(folder: Path, source: Path) -> tuple[Blobs, str, dict[str, int]]:
    async def run() -> tuple[Blobs, str, dict[str, int]]:
        blobs, said = Blobs(folder / "blobs"), {"received": 0, "of": 0}
        return blobs, await blobs.take(source, said), said

    return asyncio.run(run())


@pytest.mark.parametrize("content", [b"", b"pack", bytes(3 * 1024 * 1024 + 5)], ids=len)
def test_a_file_is_taken_under_its_digest(tmp_path: Path, content: bytes) -> None:
    source = tmp_path / "file"
    source.write_bytes(content)
    blobs, name, said = take(tmp_path, source)
    assert name == hashlib.sha256(content).hexdigest()
    assert said == {"received": len(content), "of": len(content)}
    path = blobs.path(name)
    assert path is not None
    assert path.read_bytes() == content
    assert (path.stat().st_mode & 0o777, blobs.folder.stat().st_mode & 0o777) == (0o600, 0o700)
    assert list(blobs.folder.iterdir()) == [path]
    assert take(tmp_path, source)[1] == name


def test_files_that_are_taken_at_once_do_not_mix(tmp_path: Path) -> None:
    contents = [bytes([number]) * 2_000_000 for number in range(4)]
    for number, content in enumerate(contents):
        (tmp_path / str(number)).write_bytes(content)

    async def run() -> list[str]:
        blobs = Blobs(tmp_path / "blobs")
        said = [{"received": 0, "of": 0} for _each in contents]
        return await asyncio.gather(*(blobs.take(tmp_path / str(n), said[n]) for n in range(len(contents))))

    names = asyncio.run(run())
    assert [(tmp_path / "blobs" / name).read_bytes() for name in names] == contents


def test_what_can_not_be_taken_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BadValue, match="there is no file"):
        take(tmp_path, tmp_path)
    source = tmp_path / "file"
    source.write_bytes(b"pack")

    def full(*_arguments: Any) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(module, "pour", full)
        with pytest.raises(OSError, match="No space"):
            take(tmp_path, source)
    usage = shutil.disk_usage
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(path)._replace(free=module.SPARE_BYTES + 3))
    with pytest.raises(OkiagariError, match=r"4 bytes don't fit into .*; free some space"):
        take(tmp_path, source)
    assert list((tmp_path / "blobs").iterdir()) == []


def test_only_what_is_whole_is_given(tmp_path: Path) -> None:
    source = tmp_path / "file"
    source.write_bytes(b"pack")
    blobs = Blobs(tmp_path / "blobs")
    blobs.make_room(0)
    blobs.part(NAME).write_bytes(b"pa")
    assert (blobs.path(NAME), blobs.held(NAME)) == (None, 2)
    take(tmp_path, source)
    assert blobs.path(NAME) == tmp_path / "blobs" / NAME
    blobs.drop(NAME)
    assert (blobs.path(NAME), blobs.held(NAME)) == (None, 0)
    with pytest.raises(BadValue, match="no blob"):
        blobs.drop(NAME)


@pytest.mark.parametrize("value", [None, 3, "", "ab", NAME.upper(), f"{NAME}\n", f"../{NAME}", NAME[:-1] + "g"])
def test_what_is_no_digest_is_no_file_either(tmp_path: Path, value: object) -> None:
    with pytest.raises(BadValue, match="is not a SHA-256"):
        digest(value)


def test_whoever_is_cancelled_waits_for_the_disk() -> None:
    go, ended = threading.Event(), threading.Event()

    def work() -> None:
        go.wait(60)
        ended.set()

    async def run() -> None:
        task = asyncio.ensure_future(beside(work))
        await asyncio.sleep(0)
        task.cancel()
        await until(lambda: not task.done())
        go.set()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert ended.is_set()

    asyncio.run(run())


def test_a_disk_that_fails_is_one_sentence() -> None:
    async def run() -> None:
        async with on_disk("x can't be read"):
            raise OSError(5, "Input/output error")

    with pytest.raises(OkiagariError, match=r"^x can't be read: Input/output error$"):
        asyncio.run(run())
