# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A service's hooks: programs that write its state to their output, or read another host's from their input."""

from __future__ import annotations

import asyncio
import os
import pwd
from contextlib import ExitStack
from typing import TYPE_CHECKING

from ..errors import OkiagariError
from .programs import program

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path
    from typing import BinaryIO

HOOK_S = 3600.0
"""After so long a hook is killed."""
_TAIL = 500


class HookFailed(OkiagariError):  # noqa: N818 - it says what happened
    """A hook didn't do what it should; the text has its last words."""


async def run_hook(
    argv: Sequence[str], environment: Mapping[str, str], user: str = "", *,
    reading: Path | None = None, writing: Path | None = None, seconds: float = HOOK_S,
) -> None:  # fmt: skip
    """Run a hook as `user`, with these files for its input and its output; raise `HookFailed`.

    It ends with whoever waits for it, and with this process, however that one ends.
    """
    with ExitStack() as files:
        given = files.enter_context(reading.open("rb")) if reading else asyncio.subprocess.DEVNULL
        taken = asyncio.subprocess.DEVNULL if writing is None else files.enter_context(_private(writing))
        running = program(
            *_as_user(user), *argv, stdin=given, stdout=taken, stderr=asyncio.subprocess.PIPE,
            env={**os.environ, **environment},
        )  # fmt: skip
        async with running as process:
            try:
                async with asyncio.timeout(seconds):
                    words = await _last_words(process)
            except TimeoutError:
                raise HookFailed(f"{argv[0]} has not ended within {seconds:g} s") from None
    if process.returncode:
        raise HookFailed(f"{argv[0]}: {words or 'no word'} (exit status {process.returncode})")


def _private(path: Path) -> BinaryIO:
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb")


def _as_user(user: str) -> list[str]:
    """Give what has to stand before the hook's words. Between fork and exec no Python may run: zenoh has threads."""
    words = ["setpriv", "--pdeathsig", "KILL"]
    if user:
        words += ["--reuid", user, "--regid", str(pwd.getpwnam(user).pw_gid), "--init-groups"]
    return [*words, "--"]


async def _last_words(process: asyncio.subprocess.Process) -> str:
    """Wait for the end, and give what was said last, however much there was."""
    said = b""
    while process.stderr and (more := await process.stderr.read(65_536)):
        said = (said + more)[-_TAIL:]
    await process.wait()
    return " ".join(said.decode("utf-8", "replace").split())
