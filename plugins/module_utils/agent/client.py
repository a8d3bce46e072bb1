# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The other end of an agent's local socket, for modules and people: no asyncio, nothing but the standard library."""

from __future__ import annotations

import json
import socket
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from ..errors import OkiagariError
from ..values import from_json, mapping

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

RUN = Path("/run/okiagari-agent")
NAME = "agent.sock"


class Away(OkiagariError):  # noqa: N818 - it says what there is
    """The agent can't be reached, doesn't answer in time, or ended meanwhile: asked again later, it may answer."""


class Connection:
    """A connection to this host's agent, for requests one after the other. Use it in a `with`, or `close` it.

    Raises `Away` where it can't be had. After an `Away` it is of no use any more.
    """

    def __init__(self, run: Path = RUN, timeout_s: float = 10.0) -> None:
        self._timeout_s = timeout_s
        self._path = run / NAME
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.settimeout(timeout_s)
        try:
            with self._translated():
                self._socket.connect(str(self._path))
        except Away:
            self._socket.close()
            raise
        self._lines = self._socket.makefile("rb")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def close(self) -> None:
        self._lines.close()
        self._socket.close()

    def ask(self, request: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        """Give the answers to a request, as they come; raise `OkiagariError` with what the agent refuses."""
        with self._translated():
            self._socket.sendall(json.dumps(request).encode() + b"\n")
        while True:
            with self._translated():
                line = self._lines.readline()
            if not line.endswith(b"\n"):
                raise Away("this host's agent ended before it had answered")
            said = mapping(from_json(line.decode("utf-8", "replace")))
            if "error" in said:
                raise OkiagariError(said["error"])
            if said.get("end"):
                return
            yield dict(said)

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except TimeoutError as error:
            raise Away(f"this host's agent didn't answer within {self._timeout_s:g} s") from error
        except OSError as error:
            raise Away(
                f"this host's agent can't be reached at {self._path}: {error.strerror or error}; "
                "see systemctl status okiagari-agent"
            ) from error


def ask(request: Mapping[str, Any], run: Path = RUN, timeout_s: float = 10.0) -> Iterator[dict[str, Any]]:
    """Give the answers of this host's agent to a request, as they come; raise `OkiagariError` with what it refuses."""
    with Connection(run, timeout_s) as connection:
        yield from connection.ask(request)
