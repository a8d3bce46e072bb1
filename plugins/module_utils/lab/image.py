# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The node image: where it is cached, and when a recipe makes a new one."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


def recipe_hash(recipe: Path, options: Mapping[str, str]) -> str:
    """Hash a recipe's folder (names, modes, contents) and its options: 16 hex digits, the image's name.

    What Python compiles beside a recipe's programs is no part of it.
    """
    digest = hashlib.sha256()
    for path in sorted(recipe.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            executable = os.access(path, os.X_OK)
            digest.update(f"{path.relative_to(recipe)} {executable} ".encode())
            digest.update(hashlib.sha256(path.read_bytes()).digest())
    for name, value in sorted(options.items()):
        digest.update(f"{name}={value}\n".encode())
    return digest.hexdigest()[:16]


def cache_directory(environment: Mapping[str, str]) -> Path:
    """Give the folder of cached images: `$OKIAGARI_CACHE`, else the user's cache folder (XDG)."""
    base = environment.get("OKIAGARI_CACHE")
    if base:
        return Path(base) / "images"
    home = environment.get("XDG_CACHE_HOME") or str(Path(environment.get("HOME", "/root")) / ".cache")
    return Path(home) / "okiagari" / "images"
