# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The process beside the agent that keeps this host's replicas: it has the libraries and the memory that this takes."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from ..errors import OkiagariError
from ..values import from_json, mapping
from .priority import ordinary

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_LONGEST = 1024 * 1024


class Keeper:
    """The process of `command`, started when it is first asked, and anew after it has ended."""

    def __init__(self, command: Sequence[str]) -> None:
        self._command = tuple(command)
        self._process: asyncio.subprocess.Process | None = None
        self._turn = asyncio.Lock()

    async def ask(self, do: str, service: str, path: str = "") -> Mapping[str, Any]:
        """Give the answer to a request, as `checkpoint.keep` describes them; raise `OkiagariError` if there is none."""
        request = {"do": do, "service": service, **({"path": path} if path else {})}
        async with self._turn:
            try:
                said = await self._asked(json.dumps(request).encode() + b"\n")
            except BaseException as error:
                # What was asked may still be answered: the next one would take that for its own.
                await self.close()
                if isinstance(error, OSError):
                    raise OkiagariError(f"the keeper of replicas can't be asked: {error}") from error
                raise
        if "error" in said:
            raise OkiagariError(str(said["error"]))
        return said

    async def close(self) -> None:
        """End the process; a replica that it was changing is mended when it is next opened."""
        process, self._process = self._process, None
        if process and process.returncode is None:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    async def _asked(self, line: bytes) -> Mapping[str, Any]:
        if self._process is None or self._process.returncode is not None:
            pipe = asyncio.subprocess.PIPE
            self._process = await asyncio.create_subprocess_exec(
                *self._command, stdin=pipe, stdout=pipe, limit=_LONGEST
            )
            ordinary(self._process.pid)
        reading, writing = self._process.stdout, self._process.stdin
        if reading is None or writing is None:
            raise OkiagariError("the keeper of replicas has no pipes")
        writing.write(line)
        await writing.drain()
        answer = await reading.readline()
        if not answer.endswith(b"\n"):
            raise OkiagariError("the keeper of replicas ended; its words are in the journal")
        return mapping(from_json(answer.decode("utf-8", "replace")))
