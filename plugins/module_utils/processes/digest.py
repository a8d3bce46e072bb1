# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files told apart by their content."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path


def digest(path: Path) -> str:
    """Give the SHA-256 of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def program(paths: Iterable[str], root: Path, known: Mapping[str, Any]) -> dict[str, Any]:
    """Give what a program's files are. Those that `known` describes and nobody has touched since aren't read again."""
    found = {}
    for path in sorted(paths):
        try:
            there = (root / path.lstrip("/")).stat()
        except OSError:
            continue
        same = [there.st_dev, there.st_ino, there.st_size, there.st_mtime_ns, there.st_ctime_ns]
        before = known.get(path) or {}
        content = before["digest"] if before.get("same") == same else digest(root / path.lstrip("/"))
        found[path] = {"digest": content, "same": same}
    return found


def changed(known: Mapping[str, Any], root: Path) -> list[str]:
    """Give those of a program's files that are gone, or are something else by now."""
    now = program(known, root, known)
    return [path for path, file in known.items() if now.get(path, {}).get("digest") != file["digest"]]
