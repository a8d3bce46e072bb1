# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A guest goes on from a captured state (P1.9): its memory is there already, and its devices are loaded.

QEMU is started with `ARGUMENTS` beside those with which the guest was captured, and `load` gives it the devices. Then
it stands still, with everything as it was: whoever holds the service lets it go on, and nobody else.
"""

from __future__ import annotations

import os
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from ..errors import OkiagariError
from .stream import has_no_memory

if TYPE_CHECKING:
    from .monitor import Monitor

ARGUMENTS = ("-incoming", "defer", "-S")
_FD = "okiagari"
_POLL_S = 0.002


def load(monitor: Monitor, devices: bytes, timeout_s: float = 30.0) -> None:
    """Give the devices' state to a QEMU that waits for it; then the guest is whole, and stands still.

    Raises `OkiagariError` if QEMU doesn't take it; it has ended then.
    """
    said = [{"capability": "x-ignore-shared", "state": has_no_memory(devices)}]
    monitor.execute("migrate-set-capabilities", capabilities=said)
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


def _write(sink: int, said: bytes) -> None:
    with suppress(BrokenPipeError), os.fdopen(sink, "wb") as file:
        file.write(said)
