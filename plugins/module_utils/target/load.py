# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a load does, until its unit is stopped: it calculates, holds memory, writes to a disk, or takes the room on one.

It says when it has begun and how far it is. What it holds has no name, so nothing is left of it when it ends.
"""

from __future__ import annotations

import contextlib
import errno
import json
import mmap
import os
import socket
import time
from collections.abc import Callable, Mapping
from typing import Any

# Takes the figures so far. With the first of them the load has begun.
Tell = Callable[[Mapping[str, Any]], object]

_MIB = 2**20
_PAGE = 4096
_CHUNK = 64 * _MIB
_PERIOD_S = 0.05
_EVERY_S = 1.0
_STEPS = (2**40, 2**30, 2**24, 2**20, 2**16, 2**12)


def carry(load: Mapping[str, Any], tell: Tell, sleep: Callable[[float], None] = time.sleep) -> None:
    """Do what `load` says, for ever; only an error ends it. Raises `OSError`."""
    if load["kind"] == "cpu":
        calculate(load["workers"], load["percent"] / 100, tell, sleep)
    elif load["kind"] == "memory":
        hold(load["mib"] * _MIB, tell, sleep)
    elif load["kind"] == "disk":
        write(load["path"], load["mib"] * _MIB, tell, sleep)
    else:
        fill(load["path"], load["leave_mib"] * _MIB, tell, sleep)


def calculate(workers: int, share: float, tell: Tell, sleep: Callable[[float], None]) -> None:
    """Keep `workers` processes busy for this share of the time."""
    for _worker in range(workers - 1):
        if os.fork() == 0:
            break
    else:
        tell({})
    while True:
        until = time.monotonic() + _PERIOD_S * share
        while time.monotonic() < until:
            pass
        if share < 1:
            sleep(_PERIOD_S * (1 - share))


def hold(size: int, tell: Tell, sleep: Callable[[float], None]) -> None:
    """Hold `size` bytes of memory, each page of them written to."""
    memory = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    tell({"held_mib": 0})
    for begin in range(0, size, _CHUNK):
        end = min(begin + _CHUNK, size)
        memory[begin:end:_PAGE] = b"\1" * len(range(begin, end, _PAGE))
        tell({"held_mib": end // _MIB})
    while True:
        sleep(_EVERY_S)


def write(path: str, size: int, tell: Tell, sleep: Callable[[float], None]) -> None:
    """Write over and over a file of `size` bytes in the directory, and force each block to the disk."""
    file = _nameless(path)
    os.posix_fallocate(file, 0, size)
    block, written, failures, told = os.urandom(_MIB), 0, 0, 0.0
    while True:
        if (now := time.monotonic()) >= told + _EVERY_S or not told:
            tell({"written_mib": written // _MIB, "failures": failures})
            told = now
        try:
            os.pwrite(file, block, written % size)
            os.fsync(file)
            written += _MIB
        except OSError:
            failures += 1
            sleep(_PERIOD_S)


def fill(path: str, leave: int, tell: Tell, sleep: Callable[[float], None]) -> None:
    """Take all the room there is but `leave` bytes, also what is set free later."""
    file, end = _nameless(path), 0
    while True:
        for step in _STEPS:
            while _free(path) - leave >= step and _grown(file, end, step):
                end += step
        tell({"taken_mib": end // _MIB, "free_mib": _free(path) // _MIB})
        sleep(_EVERY_S)


def notify(figures: Mapping[str, Any]) -> None:
    """Tell systemd that the unit has begun, and show the figures as its status."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if address:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as to, contextlib.suppress(OSError):
            to.sendto(f"READY=1\nSTATUS={json.dumps(figures)}".encode(), address.replace("@", "\0", 1))


def _nameless(path: str) -> int:
    return os.open(path, os.O_RDWR | os.O_TMPFILE, 0o600)


def _free(path: str) -> int:
    """What root could still use, which is more than what others can."""
    found = os.statvfs(path)
    return found.f_bfree * found.f_frsize


def _grown(file: int, end: int, step: int) -> bool:
    """Say whether the file has `step` bytes more; some of what counts as free can't be had by anybody."""
    try:
        os.posix_fallocate(file, end, step)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            return False
        raise
    return True
