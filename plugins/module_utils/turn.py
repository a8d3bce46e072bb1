# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whose turn it is on a target, when several run playbooks at once that each bring it to all that is known.

Knowledge has a number that grows. Who comes with a smaller one than somebody before must not act: what it doesn't know
of yet would be removed. What it wants is part of what the other one brings, so that it is enough to wait for that.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from .errors import OkiagariError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

FILE: Final = Path("/var/lib/okiagari/turn")
_STEP_S: Final = 0.2
# The other one has a few tasks of its playbook to go, on a machine that may be busy.
_PATIENCE_S: Final = 180.0


class Turn:
    """The turn with this number; with 0 everyone acts. Nothing is written with `only_look`."""

    def __init__(self, number: int, only_look: bool = False, file: Path | None = None) -> None:
        self._number, self._only_look, self._file = number, only_look, file or FILE

    @contextmanager
    def hold(self, finish: bool) -> Iterator[bool]:
        """Be alone on the target, and say whether it is this one's turn. `finish`: all is done at the end."""
        if not self._number or (self._only_look and not self._file.exists()):
            yield True
            return
        self._file.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self._file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            latest, _done = _read(descriptor)
            if latest > self._number:
                yield False
                return
            self._note(descriptor, done=False)
            yield True
            self._note(descriptor, done=finish)
        finally:
            os.close(descriptor)

    def await_other(
        self,
        timeout: float = _PATIENCE_S,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Wait until the one with the larger number is done; raise `OkiagariError` if that takes too long."""
        ends = clock() + timeout
        while not self._only_look:
            with self._file.open(encoding="utf-8") as file:
                latest, done = _read(file.fileno())
            if done:
                return
            if clock() > ends:
                raise OkiagariError(
                    f"somebody with newer records (change {latest}) has begun here {timeout:g} s ago or more, and "
                    f"isn't done; this run has change {self._number}. Run it again"
                )
            sleep(_STEP_S)

    def _note(self, descriptor: int, done: bool) -> None:
        if not self._only_look:
            text = json.dumps({"number": self._number, "done": done}).encode()
            # One write that never gets shorter: whoever reads meanwhile sees the one or the other.
            os.pwrite(descriptor, text.ljust(64) + b"\n", 0)


def _read(descriptor: int) -> tuple[int, bool]:
    try:
        said = json.loads(os.pread(descriptor, 100, 0))
        return int(said["number"]), bool(said["done"])
    except (ValueError, KeyError, TypeError):
        return 0, False
