# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""QEMU's monitor as libvirt passes it on, with what `checkpoint.monitor.Monitor` has, so that captures use either.

libvirt keeps QEMU's events to itself or tells them to a second program. Those that captures wait for are made here
instead, of what QEMU answers when it is asked: it stands still or runs, and how far its migration is.
"""

from __future__ import annotations

import json
import time
from collections import deque
from typing import TYPE_CHECKING, Any

from ..checkpoint.monitor import Late, Refusal, named

if TYPE_CHECKING:
    from collections.abc import Callable

    from .virsh import Virsh

_SOON_S = 0.002
_LATER_S = 0.01
_PATIENCE_S = 10.0


class Passthrough:
    """The monitor of the guest that `virsh` is about. `lends` is told of a pipe that QEMU is going to write to."""

    def __init__(self, virsh: Virsh, timeout_s: float = _PATIENCE_S) -> None:
        self._virsh, self._timeout_s = virsh, timeout_s
        self._events: deque[dict[str, Any]] = deque()
        self.lends: Callable[[int], object] = lambda _pipe: None
        self._runs = False
        # A migration before this one's isn't told of.
        self._status: str | None = None
        said = self.execute("query-version")["qemu"]
        self.version = (int(said["major"]), int(said["minor"]))
        self._runs = bool(self.execute("query-status")["running"])

    def execute(
        self, command: str, *, fd: int | None = None, within_s: float | None = None, **arguments: Any
    ) -> Any:  # fmt: skip
        """Give what QEMU returns; raise `Refusal` if it refuses, and `Gone` if libvirt can't ask it."""
        said = json.dumps({"execute": command, **({"arguments": named(arguments)} if arguments else {})})
        if fd is not None and command == "getfd":
            self.lends(fd)
        began = time.time()
        answer = self._virsh.monitor(said, within_s or self._timeout_s, fd)
        if "error" in answer:
            raise Refusal(f"QEMU refuses {command}: {answer['error'].get('desc')}")
        if command == "stop":
            # It stands still from before the answer on: what is said of a pause is never too short.
            self._note_whether_it_runs(False, began)
        elif command == "cont":
            self._note_whether_it_runs(True, time.time())
        elif command == "migrate":
            self._status = "none"
        return answer["return"]

    def wait(self, wanted: Callable[[dict[str, Any]], bool], timeout_s: float) -> dict[str, Any]:
        """Give the next event that is wanted; those before it are forgotten. Raises `Late` if none comes in time."""
        end, pause = time.monotonic() + timeout_s, _SOON_S
        while True:
            while self._events:
                if wanted(event := self._events.popleft()):
                    return event
            if time.monotonic() > end:
                raise Late(f"QEMU did not come to an end within {timeout_s:g} s")
            self._look()
            if not self._events:
                time.sleep(pause)
                pause = min(2 * pause, _LATER_S)

    def forget(self) -> None:
        """Forget the events that came up to now."""
        self._events.clear()

    def _look(self) -> None:
        """Tell what has come about, in its order: a guest that goes on does so before its migration is over."""
        status = None if self._status is None else str(self.execute("query-migrate").get("status", "none"))
        self._note_whether_it_runs(bool(self.execute("query-status")["running"]), time.time())
        if status != self._status:
            self._status = status
            self._tell("MIGRATION", time.time(), {"status": status})

    def _note_whether_it_runs(self, runs: bool, at: float) -> None:
        if runs != self._runs:
            self._runs = runs
            self._tell("RESUME" if runs else "STOP", at, {})

    def _tell(self, event: str, at: float, data: dict[str, Any]) -> None:
        seconds, rest = divmod(at, 1)
        stamp = {"seconds": int(seconds), "microseconds": int(rest * 1e6)}
        self._events.append({"event": event, "data": data, "timestamp": stamp})
