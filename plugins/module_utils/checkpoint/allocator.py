# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Memory that was used for one step of a capture is there for the next one.

glibc gives arrays of a few MiB back to the kernel as soon as they aren't used, and has each page anew: half of
the time that pages are compared in, on a kernel where a page fault is expensive (User-Mode Linux).
"""

from __future__ import annotations

import ctypes

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
_LARGEST = 32 * 1024 * 1024


def keep_memory() -> None:
    """Have this process keep memory that it has used for arrays; where the C library can't, all is as before."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt:
        mallopt(_MMAP_THRESHOLD, _LARGEST)
        mallopt(_TRIM_THRESHOLD, 4 * _LARGEST)
