# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether this kernel tells who writes to a page (userfaultfd), without which no guest is captured while it runs."""

from __future__ import annotations

import ctypes
import fcntl
import os
import platform
import struct

_SYSCALLS = {"x86_64": 323, "aarch64": 282}
_UFFDIO_API, _API = 0xC018AA3F, 0xAA
_OF_SHARED_MEMORY = 1 << 12
"""UFFD_FEATURE_WP_HUGETLBFS_SHMEM, since Linux 5.19."""


def of_shared_memory() -> bool:
    """Say whether pages of memory that has a file descriptor can be protected; User-Mode Linux can't."""
    number = _SYSCALLS.get(platform.machine())
    if number is None:
        return False
    descriptor = ctypes.CDLL(None, use_errno=True).syscall(number, os.O_CLOEXEC | os.O_NONBLOCK)
    if descriptor < 0:
        return False
    try:
        said = fcntl.ioctl(descriptor, _UFFDIO_API, struct.pack("QQQ", _API, 0, 0))
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return bool(struct.unpack("QQQ", said)[1] & _OF_SHARED_MEMORY)
