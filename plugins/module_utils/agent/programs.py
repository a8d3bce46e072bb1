# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs that an agent runs, each in a session of its own, which ends as a whole with whoever waits for it."""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any

from .priority import ordinary

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@asynccontextmanager
async def program(*argv: str, **options: Any) -> AsyncIterator[asyncio.subprocess.Process]:
    """Start a program; in the end it is killed with all its children, and reaped. Raises `OSError` if it can't be."""
    starting = asyncio.ensure_future(asyncio.create_subprocess_exec(*argv, start_new_session=True, **options))
    try:
        process = await asyncio.shield(starting)
        ordinary(process.pid)
        yield process
    finally:
        # Who gives up while it starts would leave its children behind.
        process = await starting
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
        # Whoever left the group may hold the pipe's other end for ever.
        process._transport.close()  # type: ignore[attr-defined]
