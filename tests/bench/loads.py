# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a guest does while its state is saved, and how much of it gets done."""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from guests import MB, Linux, Ticking, told, written
from onlooker import Onlooker

if TYPE_CHECKING:
    from ansible_collections.okiagari.testbed.plugins.module_utils.checkpoint.monitor import Monitor
    from guests import Guest

_SETTLES_S = 1.0


@dataclass(frozen=True)
class Load:
    """What a guest of a kind does: it writes so many bytes a second, or answers a client, or nothing."""

    name: str
    kind: str
    unit: str = ""
    rate: int = 0


LOADS = {
    load.name: load
    for load in (Load("idle", Ticking.name, "ticks/s"), Load("linux", Linux.name), Load("web", Linux.name, "answers/s"))
}


def writer(rate: int) -> Load:
    """Give the load that is so many MB/s."""
    return Load(f"{rate} MB/s", Ticking.name, "MB/s", rate * MB)


@dataclass(frozen=True)
class Done:
    """What a guest has done for a while, in its load's unit, and how long it said nothing."""

    rate: float
    silence_ms: float


class Under:
    """A guest under a load, as a context manager. A Linux without one isn't watched: whoever asks it keeps it busy."""

    def __init__(self, load: Load, guest: Guest, monitor: Monitor) -> None:
        self._load, self._guest, self._monitor = load, guest, monitor
        self._onlooker: Onlooker | None = None
        self._stack = ExitStack()
        self._began = self._written = 0.0

    def __enter__(self) -> Self:
        if self._load.unit:
            self._onlooker = self._stack.enter_context(Onlooker(self._guest.watched_by()))
            self._onlooker.go()
            self._onlooker.first()
            if self._load.kind == Ticking.name:
                self._onlooker.say(told(self._load.rate))
        time.sleep(_SETTLES_S)
        return self

    def __exit__(self, *_error: object) -> None:
        self._stack.close()

    def begin(self) -> None:
        """Begin to look."""
        if self._onlooker:
            self._onlooker.look()
            self._began, self._written = time.monotonic(), self._so_far()

    def done(self) -> Done | None:
        """Give what was done since then, if it can be seen."""
        if not self._onlooker:
            return None
        seconds, more = time.monotonic() - self._began, self._so_far() - self._written
        seen = self._onlooker.look()
        return Done(more / MB / seconds if self._load.rate else seen.answers / seen.seconds, seen.silence_ms)

    def _so_far(self) -> float:
        return written(self._monitor) if self._load.rate else 0.0
