# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that were captured with a tree, compared with what is there now, and brought back."""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import OkiagariError
from .digest import digest

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

Entry = dict[str, Any]


def differences(entries: Sequence[Entry], paths: Iterable[str], folder: Path) -> dict[str, str]:
    """Say what would become of which path if the files of an epoch's `folder` were brought back.

    It is `made` if it is missing, `replaced` if it is something else now, and `removed` if it wasn't there then.
    """
    found = {}
    for entry in entries:
        path = Path(entry["path"])
        if not os.path.lexists(path):
            found[entry["path"]] = "made"
        elif not _same(entry, path, folder):
            found[entry["path"]] = "replaced"
    known = {entry["path"] for entry in entries}
    for path in (child for top in paths for child in _below(Path(top))):
        if str(path) not in known:
            found[str(path)] = "removed"
    return found


def bring_back(entries: Sequence[Entry], become: Mapping[str, str], folder: Path) -> None:
    """Make the files what they were, each at once; raise `OkiagariError` if that fails midway."""
    try:
        for path in sorted((path for path, what in become.items() if what == "removed"), reverse=True):
            _remove(Path(path))
        for entry in entries:
            if become.get(entry["path"]):
                _make(entry, Path(entry["path"]), folder)
        for entry in reversed(entries):
            _dress(entry, Path(entry["path"]))
    except OSError as error:
        raise OkiagariError(f"{error.filename}: {error.strerror}; nothing was restored but some files") from error


def _same(entry: Entry, path: Path, folder: Path) -> bool:
    there = path.lstat()
    if entry["kind"] == "directory":
        return stat.S_ISDIR(there.st_mode)
    if entry["kind"] == "link":
        return stat.S_ISLNK(there.st_mode) and str(path.readlink()) == entry["target"]
    copy = folder / entry["copy"]
    same = stat.S_ISREG(there.st_mode) and there.st_size == copy.stat().st_size
    return same and digest(path) == digest(copy)


def _below(top: Path) -> Iterable[Path]:
    if not top.is_dir() or top.is_symlink():
        return []
    kinds = (stat.S_ISREG, stat.S_ISLNK, stat.S_ISDIR)
    return [path for path in top.rglob("*") if any(kind(path.lstat().st_mode) for kind in kinds)]


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        with contextlib.suppress(OSError):  # what CRIU makes again is in it still
            path.rmdir()
    else:
        path.unlink(missing_ok=True)


def _make(entry: Entry, path: Path, folder: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if entry["kind"] == "directory":
        if path.is_symlink() or (path.exists() and not path.is_dir()):
            path.unlink()
        path.mkdir(mode=0o700, exist_ok=True)
        return
    if path.is_dir() and not path.is_symlink():
        path.rmdir()
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    if entry["kind"] == "link":
        temporary.symlink_to(entry["target"])
    else:
        made = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        with os.fdopen(made, "wb") as file, (folder / entry["copy"]).open("rb") as copy:
            shutil.copyfileobj(copy, file)
            file.flush()
            os.fsync(made)
    temporary.replace(path)


def _dress(entry: Entry, path: Path) -> None:
    os.chown(path, entry["uid"], entry["gid"], follow_symlinks=False)
    if entry["kind"] != "link":
        path.chmod(entry["mode"])
        for name, value in entry["attributes"].items():
            os.setxattr(path, name, bytes.fromhex(value))
    os.utime(path, ns=(entry["mtime_ns"], entry["mtime_ns"]), follow_symlinks=False)
