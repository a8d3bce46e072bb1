# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The other end of an agent's local socket, for modules and people: no asyncio, nothing but the standard library."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import OkiagariError
from ..values import from_json, mapping

if TYPE_CHECKING:
    from collections.abc import Iterator

RUN = Path("/run/okiagari-agent")
NAME = "agent.sock"


def ask(request: dict[str, Any], run: Path = RUN, timeout_s: float = 10.0) -> Iterator[dict[str, Any]]:
    """Give the answers of this host's agent to a request, as they come; raise `OkiagariError` with what it refuses."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(timeout_s)
        try:
            connection.connect(str(run / NAME))
            connection.sendall(json.dumps(request).encode() + b"\n")
            with connection.makefile("rb") as lines:
                for line in lines:
                    if not line.endswith(b"\n"):
                        break
                    said = mapping(from_json(line.decode("utf-8", "replace")))
                    if "error" in said:
                        raise OkiagariError(said["error"])
                    if said.get("end"):
                        return
                    yield dict(said)
        except TimeoutError as error:
            raise OkiagariError(f"this host's agent didn't answer within {timeout_s:g} s") from error
        except OSError as error:
            raise OkiagariError(
                f"this host's agent can't be reached at {run / NAME}: {error.strerror or error}; "
                "see systemctl status okiagari-agent"
            ) from error
    raise OkiagariError("this host's agent ended before it had answered")
