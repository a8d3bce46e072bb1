# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A guest that goes on has the time of its capture: its agent, where it has one, sets its clock.

The protocol is that of QEMU's guest agent, over a virtio port: one JSON document a line. Who listens in the guest isn't
known to be there until it has answered.
"""

from __future__ import annotations

import json
import secrets
import socket
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_NAME = "org.qemu.guest_agent.0"
_DELIMITER = b"\xff"
"""What an agent takes as the end of whatever half a request somebody left."""
_LONGEST = 65536


def arguments(path: Path) -> Sequence[str]:
    """Give the arguments of QEMU by which a guest's agent is reached by the socket `path`."""
    return (
        "-device", "virtio-serial-pci",
        "-chardev", f"socket,id=agent,path={path},server=on,wait=off",
        "-device", f"virtserialport,chardev=agent,name={_NAME}",
    )  # fmt: skip


def set_to_now(path: Path, timeout_s: float = 10.0) -> bool:
    """Have a running guest's clock set to this host's; False where no agent answers in time, or it can't."""
    end = time.monotonic() + timeout_s
    number = secrets.randbits(31)
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as agent:
            agent.settimeout(timeout_s)
            agent.connect(str(path))
            agent.sendall(_DELIMITER + _request("guest-sync", id=number))
            # What comes before its answer was said to somebody else.
            while _answer(agent, end) != {"return": number}:
                pass
            agent.sendall(_request("guest-set-time", time=time.time_ns()))
            return "return" in _answer(agent, end)
    except (OSError, ValueError):
        return False


def _request(command: str, **arguments: Any) -> bytes:
    return json.dumps({"execute": command, "arguments": arguments}).encode() + b"\n"


def _answer(agent: socket.socket, end: float) -> dict[str, Any]:
    """Give the next answer; raise `OSError` if there is none until then, or `ValueError` if it is none."""
    said = bytearray()
    while not said.endswith(b"\n"):
        agent.settimeout(max(end - time.monotonic(), 0.001))
        byte = agent.recv(1)
        if not byte or len(said) > _LONGEST:
            raise OSError("the agent says nothing that ends")
        said += byte
    answer = json.loads(said.lstrip(_DELIMITER))
    return answer if isinstance(answer, dict) else {}
