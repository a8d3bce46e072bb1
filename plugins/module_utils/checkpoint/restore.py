# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A guest goes on from a captured state, at once (P1.9): its memory is mapped from the image and read where it is used.

A guest that is to be captured while it runs needs memory whose pages can be protected, which those of a file on a disk
can't be: then the image is `copied`.

QEMU is started with `arguments` beside those with which the guest was captured, and `load` gives it the devices. Then
it stands still, with everything as it was: whoever holds the service lets it go on, and nobody else.
"""

from __future__ import annotations

import errno
import os
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from ..errors import OkiagariError

if TYPE_CHECKING:
    from pathlib import Path

    from .monitor import Monitor

_FD = "okiagari"
_POLL_S = 0.002


def arguments(image: Path | int, size: int, name: str = "pc.ram") -> list[str]:
    """Give the arguments of QEMU by which its memory is the image, which stays as it is: pages are copied on write.

    A descriptor of a copy, which QEMU has to inherit, becomes the guest's memory itself.
    """
    of_whom = f"/proc/self/fd/{image},share=on" if isinstance(image, int) else f"{image},share=off"
    return ["-object", f"memory-backend-file,id={name},size={size},mem-path={of_whom}", "-incoming", "defer", "-S"]


def copied(image: Path) -> int:
    """Give the descriptor of a copy of the image in memory, with room for what isn't zero only; close it."""
    copy = os.memfd_create(image.name)
    try:
        with image.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            os.ftruncate(copy, size)
            end = 0
            while (start := _next(file.fileno(), end, os.SEEK_DATA, size)) < size:
                end = _next(file.fileno(), start, os.SEEK_HOLE, size)
                os.lseek(copy, start, os.SEEK_SET)
                while start < end and (sent := os.sendfile(copy, file.fileno(), start, end - start)):
                    start += sent
    except BaseException:
        os.close(copy)
        raise
    return copy


def load(monitor: Monitor, devices: bytes, timeout_s: float = 30.0) -> None:
    """Give the devices' state to a QEMU that waits for it; then the guest is whole, and stands still.

    Raises `OkiagariError` if QEMU doesn't take it; it has ended then.
    """
    source, sink = os.pipe()
    try:
        monitor.execute("getfd", fd=source, fdname=_FD)
    except BaseException:
        os.close(sink)
        raise
    finally:
        os.close(source)
    writing = threading.Thread(target=_write, args=(sink, devices), daemon=True)
    writing.start()
    monitor.execute("migrate-incoming", uri=f"fd:{_FD}")
    end = time.monotonic() + timeout_s
    while monitor.execute("query-status")["status"] == "inmigrate":
        if time.monotonic() > end:
            raise OkiagariError(f"QEMU has not taken the devices' state within {timeout_s:g} s")
        time.sleep(_POLL_S)
    writing.join(timeout_s)


def _next(file: int, place: int, whence: int, size: int) -> int:
    """Give where the next data, or the next hole, of a file begins; its size if there is none."""
    try:
        return os.lseek(file, place, whence)
    except OSError as error:
        if error.errno != errno.ENXIO:
            raise
        return size


def _write(sink: int, said: bytes) -> None:
    with suppress(BrokenPipeError), os.fdopen(sink, "wb") as file:
        file.write(said)
