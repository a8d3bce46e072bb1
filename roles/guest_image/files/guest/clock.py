# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a guest that goes on after its capture needs of QEMU's guest agent: its clock is set from outside.

One JSON document a line over a virtio port; of the agent's commands there are `guest-ping`, `guest-sync` and
`guest-set-time`.
"""

from __future__ import annotations

import json
import os
import select
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

PORTS = "/sys/class/virtio-ports"
NAME = "org.qemu.guest_agent.0"
LONGEST = 65536
NEXT_S = 0.2


def port() -> str:
    """Give the device of the agent's port; empty where the guest has none."""
    if not os.path.isdir(PORTS):  # noqa: PTH112 -- pathlib takes its time to import
        return ""
    for each in os.listdir(PORTS):  # noqa: PTH208
        with open(f"{PORTS}/{each}/name") as file:  # noqa: PTH123
            if file.read().strip() == NAME:
                return f"/dev/{each}"
    return ""


class Clock:
    """The agent's end of the port; `set_time` takes seconds since the epoch."""

    def __init__(self, path: str, set_time: Any = lambda now: time.clock_settime(time.CLOCK_REALTIME, now)) -> None:
        self._port = os.open(path, os.O_RDWR | os.O_NONBLOCK)
        self._set_time = set_time
        self._unread = b""

    def looked(self) -> bool:
        """Serve who came, if anybody did, and be true.

        To be called again and again: who waits for a port whose other end nobody has is woken at once. A request is
        old by the time until it is looked at, so the next one is waited for.
        """
        try:
            while said := os.read(self._port, LONGEST):
                self._take(said)
                select.select([self._port], [], [], NEXT_S)
        except OSError:
            # Nothing came, or whoever asked is gone.
            pass
        return True

    def close(self) -> None:
        """Let go of the port."""
        os.close(self._port)

    def _take(self, said: bytes) -> None:
        # A delimiter says that what came before is of no use any more.
        *lines, self._unread = (self._unread + said).rpartition(b"\xff")[2].split(b"\n")
        self._unread = self._unread[-LONGEST:]
        for line in lines:
            os.write(self._port, json.dumps(self._served(line)).encode() + b"\n")

    def _served(self, line: bytes) -> dict[str, Any]:
        try:
            said = json.loads(line)
            command, arguments = said["execute"], said.get("arguments", {})
            if command == "guest-sync":
                return {"return": int(arguments["id"])}
            if command == "guest-set-time":
                self._set_time(arguments["time"] / 1e9)
            elif command != "guest-ping":
                return {"error": {"class": "CommandNotFound", "desc": f"there is no {command}"}}
        except (ValueError, KeyError, TypeError, AttributeError, OSError) as error:
            return {"error": {"class": "GenericError", "desc": str(error)}}
        return {"return": {}}
