# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""QEMU's monitor, QMP, over its socket: one JSON document a line, answers in order, events between them."""

from __future__ import annotations

import json
import socket
import time
from collections import deque
from typing import TYPE_CHECKING, Any, Protocol, Self

from ..errors import BadValue, OkiagariError
from ..values import from_json

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

_LONGEST = 16 * 1024 * 1024


class Refusal(OkiagariError):  # noqa: N818 - it is what QEMU gives
    """QEMU says that it can't do what it was told."""


class Late(OkiagariError):  # noqa: N818 - it is what the answer is
    """What was waited for has not come in time."""


def named(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Give arguments under QEMU's names, which have `-` where Python's have `_`."""
    return {key.replace("_", "-"): value for key, value in arguments.items()}


class AnyMonitor(Protocol):
    """QEMU's monitor, whoever passes it on. `version` is QEMU's."""

    version: tuple[int, int]

    def execute(
        self, command: str, *, fd: int | None = None, within_s: float | None = None, **arguments: Any
    ) -> Any:  # fmt: skip
        """Give what QEMU returns; raise `Refusal` if it refuses. `fd` is a file descriptor that goes with the command.

        It has as long as the monitor gives it, or `within_s` where that takes longer. QEMU's names of arguments have
        `-` where these have `_`.
        """

    def wait(self, wanted: Callable[[dict[str, Any]], bool], timeout_s: float) -> dict[str, Any]:
        """Give the next event that is wanted; those before it are forgotten. Raises `Late` if none comes in time."""

    def forget(self) -> None:
        """Forget the events that came up to now."""


class Monitor:
    """The monitor at the socket `path`, which QEMU lets one client use at a time. A context manager."""

    def __init__(self, path: Path, timeout_s: float = 10.0) -> None:
        self._path, self._timeout_s = path, timeout_s
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._unread = bytearray()
        self._events: deque[dict[str, Any]] = deque(maxlen=1000)
        self._asked = 0
        try:
            self._socket.settimeout(timeout_s)
            self._socket.connect(str(path))
            version = self._line(time.monotonic() + timeout_s)["QMP"]["version"]["qemu"]
            self.version = (int(version["major"]), int(version["minor"]))
            self.execute("qmp_capabilities")
        except (OSError, KeyError, TypeError, ValueError) as error:
            self._socket.close()
            raise OkiagariError(f"QEMU's monitor at {path} can't be used: {error}") from error
        except BaseException:
            self._socket.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def close(self) -> None:
        self._socket.close()

    def execute(
        self, command: str, *, fd: int | None = None, within_s: float | None = None, **arguments: Any
    ) -> Any:  # fmt: skip
        """See `AnyMonitor`."""
        self._asked += 1
        line = json.dumps({"execute": command, "arguments": named(arguments), "id": self._asked}).encode() + b"\n"
        try:
            if fd is None:
                self._socket.sendall(line)
            else:
                socket.send_fds(self._socket, [line], [fd])
            end = time.monotonic() + (within_s or self._timeout_s)
            while True:
                answer = self._line(end)
                if "event" in answer:
                    self._events.append(answer)
                elif answer.get("id") != self._asked:
                    # It comes after its command was given up.
                    continue
                elif "return" in answer:
                    return answer["return"]
                elif "error" in answer:
                    raise Refusal(f"QEMU refuses {command}: {answer['error'].get('desc')}")
        except OSError as error:
            raise OkiagariError(f"QEMU's monitor at {self._path} is gone: {error}") from error

    def wait(self, wanted: Callable[[dict[str, Any]], bool], timeout_s: float) -> dict[str, Any]:
        """Give the next event that is wanted; those before it are forgotten. Raises `Late` if none comes in time."""
        end = time.monotonic() + timeout_s
        try:
            while True:
                event = self._events.popleft() if self._events else self._line(end)
                if "event" in event and wanted(event):
                    return event
        except TimeoutError:
            raise Late(f"QEMU did not come to an end within {timeout_s:g} s") from None
        except OSError as error:
            raise OkiagariError(f"QEMU's monitor at {self._path} is gone: {error}") from error

    def forget(self) -> None:
        """Forget the events that came up to now."""
        self._events.clear()

    def _line(self, end: float) -> dict[str, Any]:
        while b"\n" not in self._unread:
            left = end - time.monotonic()
            if left <= 0:
                raise TimeoutError("no answer")
            self._socket.settimeout(left)
            said = self._socket.recv(65536)
            if not said or len(self._unread) > _LONGEST:
                raise ConnectionError("it has ended")
            self._unread += said
        line, _newline, rest = self._unread.partition(b"\n")
        self._unread = rest
        document = from_json(line.decode("utf-8", "replace"))
        if not isinstance(document, dict):
            raise BadValue("QEMU's monitor says what is no document")
        return document
