# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The agent's local socket: how modules and people of this host reach it.

Only its owner may open it. One line of JSON asks; each answer is a line, and the last one has `end` or `error`:

    {"op": "query", "text": "where source = agent | last 3"}
    {"row": {"time": ..., "values": {...}}}
    {"end": true}
"""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from ..errors import OkiagariError
from ..values import from_json, mapping

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping
    from pathlib import Path

_LONGEST = 4 * 1024 * 1024


async def serve(path: Path, operation: Callable[[Mapping[str, Any]], AsyncIterator[dict[str, Any]]]) -> asyncio.Server:
    """Listen at `path`; `operation` gives the answers to a request, one by one."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.unlink(missing_ok=True)

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            try:
                while line := await reader.readline():
                    await _answer(line, writer, operation)
            except ValueError:
                await _say(writer, {"error": f"a request is longer than {_LONGEST} bytes"})
            finally:
                writer.close()

    server = await asyncio.start_unix_server(connected, str(path), limit=_LONGEST)
    path.chmod(0o600)
    return server


async def _answer(
    line: bytes,
    writer: asyncio.StreamWriter,
    operation: Callable[[Mapping[str, Any]], AsyncIterator[dict[str, Any]]],
) -> None:
    try:
        async for said in operation(mapping(from_json(line.decode("utf-8", "replace")))):
            await _say(writer, said)
    except OkiagariError as error:
        await _say(writer, {"error": str(error)})
    else:
        await _say(writer, {"end": True})


async def _say(writer: asyncio.StreamWriter, said: Mapping[str, Any]) -> None:
    writer.write(json.dumps(said).encode() + b"\n")
    await writer.drain()
