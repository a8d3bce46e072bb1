# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A program of the user's: run for a limited time, at an ordinary priority, only the beginning of its output kept."""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from ..runner import Completed

if TYPE_CHECKING:
    from collections.abc import Sequence

_POLL_S = 0.05
_CHUNK = 65536


def execute(argv: Sequence[str], timeout: float, limit: int) -> Completed:
    """Run `argv` without a shell; `out` holds the first `limit` bytes of all that it says.

    Whatever it started is ended with it. As with a `Runner`, 127 means that it can't be run, and 124 that it took
    longer than `timeout` seconds.
    """
    try:
        process = subprocess.Popen(
            list(argv), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            start_new_session=True, env={**os.environ, "LC_ALL": "C"},
        )  # fmt: skip
    except (OSError, ValueError) as error:
        return Completed(127, "", f"{argv[0]}: {getattr(error, 'strerror', None) or error}")
    with suppress(OSError):
        # It isn't as urgent as the runner that it was started by.
        os.sched_setscheduler(process.pid, os.SCHED_OTHER, os.sched_param(0))
    try:
        said = _read(process, time.monotonic() + timeout, limit)
        over = process.poll() is None
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        code = process.wait()
        if process.stdout:
            process.stdout.close()
    if over:
        return Completed(124, said, f"{argv[0]}: not done within {timeout:g} s")
    return Completed(code, said, "")


def _read(process: subprocess.Popen[bytes], until: float, limit: int) -> str:
    """Read until the process has ended and said all, or it is time."""
    kept = bytearray()
    stream = process.stdout
    if stream is None:
        return ""
    os.set_blocking(stream.fileno(), False)
    with selectors.DefaultSelector() as selector:
        selector.register(stream, selectors.EVENT_READ)
        while time.monotonic() < until:
            ended = process.poll() is not None
            if selector.select(0 if ended else _POLL_S):
                chunk = os.read(stream.fileno(), _CHUNK)
                kept += chunk[: limit - len(kept)]
                if chunk:
                    continue
                selector.unregister(stream)
                with suppress(subprocess.TimeoutExpired):
                    process.wait(max(0.0, until - time.monotonic()))
                break
            if ended:
                break
    return kept.decode("utf-8", "replace")
