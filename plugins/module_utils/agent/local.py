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
from contextlib import aclosing, suppress
from typing import TYPE_CHECKING, Any, TypeAlias

from ..errors import OkiagariError
from ..values import from_json, mapping

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Coroutine, Mapping
    from pathlib import Path

Operation: TypeAlias = "Callable[[Mapping[str, Any]], AsyncGenerator[dict[str, Any], None]]"

_LONGEST = 4 * 1024 * 1024


async def serve(path: Path, operation: Operation) -> asyncio.Server:
    """Listen at `path`; `operation` gives the answers to a request, one by one."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.unlink(missing_ok=True)

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            try:
                line = await reader.readline()
                while line:
                    line = await _until_gone(reader, _answer(line, writer, operation))
            except ValueError:
                await _say(writer, {"error": f"a request is longer than {_LONGEST} bytes"})
            finally:
                writer.close()

    server = await asyncio.start_unix_server(connected, str(path), limit=_LONGEST)
    path.chmod(0o600)
    return server


async def _until_gone(reader: asyncio.StreamReader, answer: Coroutine[Any, Any, None]) -> bytes:
    """Give the whole answer, and then the next request; end at once when whoever asks is gone."""
    answering, following = asyncio.ensure_future(answer), asyncio.ensure_future(reader.readline())
    try:
        await asyncio.wait((answering, following), return_when=asyncio.FIRST_COMPLETED)
        if answering.done() or following.exception() or following.result():
            await answering
            return await following
        return b""
    finally:
        answering.cancel()
        following.cancel()
        await asyncio.gather(answering, following, return_exceptions=True)


async def _answer(
    line: bytes,
    writer: asyncio.StreamWriter,
    operation: Operation,
) -> None:
    try:
        async with aclosing(operation(mapping(from_json(line.decode("utf-8", "replace"))))) as answers:
            async for said in answers:
                await _say(writer, said)
    except OkiagariError as error:
        await _say(writer, {"error": str(error)})
    except OSError:
        raise
    except Exception as error:  # noqa: BLE001 - a mistake of this program: whoever asks is told, and can report it
        await _say(writer, {"error": f"the agent has an error: {type(error).__name__}: {error}"})
    else:
        await _say(writer, {"end": True})


async def _say(writer: asyncio.StreamWriter, said: Mapping[str, Any]) -> None:
    writer.write(json.dumps(said).encode() + b"\n")
    await writer.drain()
