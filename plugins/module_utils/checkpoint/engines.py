# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The libraries that work on whole images; only the agent's own environment has them."""

from __future__ import annotations

try:
    import numpy as np
    import xxhash
    import zstandard
except ImportError:
    np = xxhash = zstandard = None  # type: ignore[assignment]

__all__ = ["np", "xxhash", "zstandard"]
