# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The libraries of a target's Python that work on whole images; an agent brings its own, this module doesn't."""

from __future__ import annotations

import importlib.util
import sys

_PACKAGES = {
    "numpy": "python3-numpy", "xxhash": "python3-xxhash", "zstandard": "python3-zstandard",
    "cryptography": "python3-cryptography",
}  # fmt: skip


def missing() -> str:
    """Give which are missing, and what to install; empty for none."""
    lacks = [package for module, package in _PACKAGES.items() if importlib.util.find_spec(module) is None]
    return f"{sys.executable} lacks libraries: apt install {' '.join(lacks)}" if lacks else ""
