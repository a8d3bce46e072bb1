# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Copies files while a tree stands still. CRIU starts this as a program of its own at that instant.

Beside the program is its plan (`.plan`), a JSON list of [source, destination]; beside it is written what each file is
(`.entries`), or why it can't be copied (`.failed`).
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import stat
import sys

_CHUNK = 2**24
_NO_SUPPORT = (errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EBADF, errno.ETXTBSY)


def copy_all(plan: list[list[str]], entries: list[dict[str, object]]) -> None:
    """Copy each source of the plan to its destination, and append to `entries` what was copied."""
    for source, destination in plan:
        _copy(source, destination, entries)


def _copy(source: str, destination: str, entries: list[dict[str, object]]) -> None:
    there = os.lstat(source)
    kind = stat.S_IFMT(there.st_mode)
    entry: dict[str, object] = {
        "path": source, "copy": destination, "mode": stat.S_IMODE(there.st_mode), "uid": there.st_uid,
        "gid": there.st_gid, "mtime_ns": there.st_mtime_ns,
    }  # fmt: skip
    if kind == stat.S_IFDIR:
        entries.append({**entry, "kind": "directory", "attributes": _attributes(source)})
        os.mkdir(destination, 0o700)  # noqa: PTH102 -- starts quickly: pathlib would have to be loaded
        for name in sorted(os.listdir(source)):  # noqa: PTH208
            _copy(f"{source}/{name}", f"{destination}/{name}", entries)
    elif kind == stat.S_IFLNK:
        entries.append({**entry, "kind": "link", "target": os.readlink(source)})  # noqa: PTH115
    elif kind == stat.S_IFREG:
        _content(source, destination)
        entries.append({**entry, "kind": "file", "attributes": _attributes(source)})
    # CRIU brings sockets and pipes back itself, and devices are the host's.


def _content(source: str, destination: str) -> None:
    taken = os.open(source, os.O_RDONLY | os.O_NOFOLLOW)
    made = os.open(destination, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        while _chunk(taken, made):
            pass
    finally:
        os.close(taken)
        os.close(made)


def _chunk(taken: int, made: int) -> int:
    """Copy a chunk, as blocks that both files share where the file system can do that."""
    try:
        return os.copy_file_range(taken, made, _CHUNK)
    except OSError as error:
        if error.errno not in _NO_SUPPORT:
            raise
    data = os.read(taken, _CHUNK)
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(made, rest) :]
    return len(data)


def _attributes(path: str) -> dict[str, str]:
    found = {}
    with contextlib.suppress(OSError):
        for name in os.listxattr(path):
            found[name] = os.getxattr(path, name).hex()
    return found


def main(argv: list[str]) -> int:
    """Do what is planned if this is the instant; say why not, and fail, so that CRIU gives up."""
    if os.environ.get("CRTOOLS_SCRIPT_ACTION") != "post-dump":
        return 0
    entries: list[dict[str, object]] = []
    try:
        with open(f"{argv[0]}.plan") as file:  # noqa: PTH123
            copy_all(json.load(file), entries)
        with open(f"{argv[0]}.entries", "w") as file:  # noqa: PTH123
            json.dump(entries, file)
    except OSError as error:
        with open(f"{argv[0]}.failed", "w") as file:  # noqa: PTH123
            file.write(f"{error.filename}: {error.strerror}")
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv))
