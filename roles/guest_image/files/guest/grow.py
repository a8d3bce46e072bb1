# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Let the mounted ext4 file system of a disk fill the disk: `grow.py /dev/vda /sys/class/block/vda/size`."""

from __future__ import annotations

import fcntl
import os
import struct
import sys

EXT4_IOC_RESIZE_FS = 0x40086610

disk, size_file = sys.argv[1:]
with open(size_file) as file:  # noqa: PTH123 -- pathlib takes its time to import
    size = int(file.read()) * 512
root = os.open("/", os.O_RDONLY)
fcntl.ioctl(root, EXT4_IOC_RESIZE_FS, struct.pack("Q", size // os.fstatvfs(root).f_frsize))
