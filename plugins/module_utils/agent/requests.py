# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The dummy request of a service (P1.7): a program, or a line over TCP, which costs no process each time.

[tcp, "{address}", 7000, ping, pong]     sends the line `ping`; the answer has to begin with `pong`
[/usr/local/bin/ask, "{address}"]        exits with 0 if the service is well

What is answered behind that is for whoever asks, as `KEY=WORD`: a word that isn't the one of last time is a wish, or
news. So it may be said for ever, and is acted upon once.
"""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, NamedTuple

from ..errors import BadValue
from ..values import whole
from .programs import program

if TYPE_CHECKING:
    from collections.abc import Sequence

_TCP = "tcp"
_TCP_WORDS = (3, 4, 5)
_LONGEST = 200


def wrong_request(argv: Sequence[str]) -> str:
    """Say what is wrong with a request's words, whatever the service answers; nothing if they may be asked."""
    if not argv or argv[0] != _TCP:
        return ""
    if len(argv) not in _TCP_WORDS:
        return f"is not of the form [{_TCP}, address, port, line, what the answer begins with]"
    try:
        whole(1, 65535)(argv[2])
    except BadValue as error:
        return f"its port {error.message}"
    return ""


class Answer(NamedTuple):
    """What is `wrong` with a service, nothing if it is well; and what it `said`."""

    wrong: str
    said: str = ""


def word(said: str, key: str) -> str:
    """Give the word that an answer says by this key, its first 64 letters; nothing where it says none."""
    found = re.search(rf"(?:^|\s){key}=(\S{{1,64}})", said)
    return found[1] if found else ""


async def request(argv: Sequence[str], *, host: str, address: str, timeout_s: float) -> Answer:
    """Ask the service at this host."""
    words = [word.replace("{address}", address).replace("{host}", host) for word in argv]
    try:
        async with asyncio.timeout(timeout_s):
            return await (_tcp(words[1:]) if words[0] == _TCP else _program(words))
    except TimeoutError:
        return Answer(f"no answer within {timeout_s:g} s")
    except (OSError, ValueError, OverflowError) as error:
        # Also what no socket or program can be asked with: a host that isn't one, a line without an end.
        return Answer(getattr(error, "strerror", None) or str(error) or type(error).__name__)


async def _tcp(words: Sequence[str]) -> Answer:
    address, port, *said = words
    reader, writer = await asyncio.open_connection(address, int(port))
    try:
        if not said:
            return Answer("")
        writer.write(said[0].encode() + b"\n")
        await writer.drain()
        line = (await reader.readline()).decode("utf-8", "replace").strip()
        expected = said[1] if len(said) > 1 else ""
        well = line.startswith(expected)
        return Answer("" if well else f"answered {line[:_LONGEST] or 'nothing'}, not {expected}", line)
    finally:
        writer.close()


async def _program(words: Sequence[str]) -> Answer:
    pipes = {
        "stdin": asyncio.subprocess.DEVNULL,
        "stdout": asyncio.subprocess.PIPE,
        "stderr": asyncio.subprocess.STDOUT,
    }
    async with program(*words, **pipes) as process:
        said, _none = await process.communicate()
    text = said.decode("utf-8", "replace").strip()[-_LONGEST:]
    well = process.returncode == 0
    return Answer("" if well else f"{text or 'no word'} (exit status {process.returncode})", text)
