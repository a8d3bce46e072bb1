# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A directory of epochs: 1, 2, 3 and so on, each whole and on the disk before it has its name.

directory/3/manifest    what it is, with the digests of all the rest; says by itself whether it is whole
         /3/images/     what CRIU wrote
         /3/before/     what CRIU wrote while the tree ran on still
         /3/files/      the files of the same instant
         /running       what goes on from here, at this host
         /.lock  /.new-...
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..checksum import sealed, unsealed
from ..errors import BadValue, OkiagariError
from ..target.system import look_whether_private, sync_names, write_safely
from ..values import from_json, mismatch
from .digest import digest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..values import Shape

_NUMBER = re.compile(r"[1-9][0-9]{0,8}")
_MANIFEST = "manifest"
_RUNNING = "running"
_LOCK = ".lock"
_NEW = ".new-"
_FORMAT = 1
_WHOLE: dict[str, Shape] = {
    "format": int, "epoch": int, "captured": (int, float), "boot": str, "name": str, "inner": int, "job": bool,
    "tcp": bool, "network": bool, "unit": str, "pause_ms": (int, float), "bytes": int, "count": int,
    "processes": [{"pid": int, "started": int}], "outlets": [{"key": str, "write": bool}],
    "program": {"*": {"digest": str}}, "files": [{"path": str, "copy": str, "kind": str}], "paths": [str],
    "parts": {"*": str},
}  # fmt: skip
_WORD: dict[str, Shape] = {"epoch": int, "boot": str, "pid": int, "started": int}


class Epochs:
    """The epochs in one directory, which has nothing else in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def numbers(self) -> list[int]:
        """Give the epochs that are there, oldest first; raise `OkiagariError` if the directory isn't one of epochs."""
        names = [path.name for path in self._content()]
        foreign = [name for name in names if not _ours(name)]
        if foreign:
            raise OkiagariError(f"{self.folder} holds {min(foreign)}, which is no epoch: name another directory")
        return sorted(int(name) for name in names if _NUMBER.fullmatch(name))

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Have the directory for oneself, made if need be; raise `OkiagariError` if somebody else has it."""
        self.numbers()
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        look_whether_private(self.folder)
        descriptor = os.open(self.folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                raise OkiagariError(f"{self.folder} is in use by another capture or restore") from error
            yield
        finally:
            os.close(descriptor)

    def begin(self) -> Path:
        """Give a folder for an epoch to come. What captures that were broken off have left is removed.

        The CRIU of one may be at it still, and then notices that there is nothing to write to.
        """
        for path in self._content():
            if path.name.startswith(_NEW):
                shutil.rmtree(path, ignore_errors=True)
        return Path(tempfile.mkdtemp(prefix=_NEW, dir=self.folder))

    def finish(self, folder: Path, manifest: dict[str, Any], keep: int) -> int:
        """Make an epoch of a folder that is whole, and give its number; then remove all but the newest `keep`."""
        numbers = self.numbers()
        number = max(numbers, default=0) + 1
        parts = {str(path.relative_to(folder)): digest(path) for path in sorted(_files(folder))}
        size = sum(path.stat().st_size for path in _files(folder))
        content = {**manifest, "format": _FORMAT, "epoch": number, "bytes": size, "parts": parts}
        _sync(folder)
        write_safely(folder / _MANIFEST, sealed(json.dumps(content).encode()))
        folder.rename(self.folder / str(number))
        sync_names(self.folder)
        for old in [*numbers, number][:-keep]:
            shutil.rmtree(self.folder / str(old))
        return number

    def manifest(self, number: int) -> dict[str, Any]:
        """Give what an epoch is; raise `OkiagariError` if that is damaged. What belongs to it isn't read."""
        path = self.folder / str(number) / _MANIFEST
        try:
            content: dict[str, Any] = from_json(unsealed(path.read_bytes()).decode())
        except OSError as error:
            raise OkiagariError(f"epoch {number} of {self.folder} is damaged: {path}: {error.strerror}") from error
        except (BadValue, UnicodeDecodeError) as error:
            raise OkiagariError(f"epoch {number} of {self.folder} is damaged: its manifest {error}") from error
        if content.get("format") != _FORMAT:
            raise OkiagariError(f"epoch {number} of {self.folder} is of another version of Okiagari")
        if wrong := mismatch(content, _WHOLE, "its manifest"):
            raise OkiagariError(f"epoch {number} of {self.folder} is damaged: {wrong}")
        return content

    def whole(self, number: int) -> dict[str, Any]:
        """Give what an epoch is; raise `OkiagariError` if anything of it is damaged."""
        manifest, folder = self.manifest(number), self.folder / str(number)
        there = {str(path.relative_to(folder)) for path in _files(folder)} - {_MANIFEST}
        for part, content in manifest["parts"].items():
            if part not in there:
                raise OkiagariError(f"epoch {number} of {self.folder} is damaged: {part} is missing")
            if digest(folder / part) != content:
                raise OkiagariError(f"epoch {number} of {self.folder} is damaged: {part} is not what was captured")
        if foreign := there - set(manifest["parts"]):
            raise OkiagariError(f"epoch {number} of {self.folder} is damaged: {min(foreign)} doesn't belong to it")
        return manifest

    def running(self) -> dict[str, Any]:
        """Give what is noted of what goes on from here; empty for nothing."""
        try:
            noted: dict[str, Any] = from_json((self.folder / _RUNNING).read_text(encoding="utf-8"))
        except (OSError, BadValue):
            return {}
        return {} if mismatch(noted, _WORD) else noted

    def note_running(self, epoch: int, boot: str, pid: int, started: int) -> None:
        """Note what goes on from here."""
        noted = {"epoch": epoch, "boot": boot, "pid": pid, "started": started}
        write_safely(self.folder / _RUNNING, json.dumps(noted).encode())

    def forget_running(self) -> None:
        """Note that nothing goes on from here."""
        (self.folder / _RUNNING).unlink(missing_ok=True)

    def _content(self) -> list[Path]:
        try:
            return list(self.folder.iterdir())
        except FileNotFoundError:
            return []
        except OSError as error:
            raise OkiagariError(f"{self.folder}: {error.strerror}") from error


def _ours(name: str) -> bool:
    return bool(_NUMBER.fullmatch(name)) or name in (_LOCK, _RUNNING) or name.startswith((_NEW, f".{_RUNNING}."))


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]


def _sync(folder: Path) -> None:
    """Put a folder on the disk with all that is in it, for nobody else to read."""
    for path in (folder, *folder.rglob("*")):
        if path.is_symlink():
            continue
        path.chmod(0o700 if path.is_dir() else 0o600)
        sync_names(path)
