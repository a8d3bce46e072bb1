# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether services answer: TCP, HTTP and DNS."""

from __future__ import annotations

import random
import socket
import threading
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from ..errors import BadValue, shown
from ..fault.parameters import address
from ..values import choice, text, whole
from . import dns
from .probe import TEXT_BYTES, Type, timeout

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ..runner import Runner
    from .probe import Result

PORT = whole(1, 65535)
_PATIENCE_S = 2.0
_PACKET_BYTES = 4096


def web_address(value: object) -> str:
    """Give the address of a page, of http or https; raise `BadValue` for anything else."""
    from urllib.parse import urlsplit

    url = text(value)
    try:
        parts = urlsplit(url)
        fit = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0 and "@" not in parts.netloc
    except ValueError:
        fit = False
    if not fit or not url.isascii() or not url.isprintable() or " " in url:
        raise BadValue(f"{shown(value)} is not the address of a page such as http://10.1.0.11:8080/health")
    return url


def tcp(_runner: Runner, probe: Mapping[str, Any]) -> Result:
    """`{to, port, timeout}`: ok if a connection was made. `connected`, and in how many `ms`."""
    begun = time.monotonic()
    try:
        socket.create_connection((probe["to"], probe["port"]), probe.get("timeout", _PATIENCE_S)).close()
    except OSError as error:
        return False, {"connected": False, "ms": None}, f"not connected: {why(error)}"
    took = _since(begun)
    return True, {"connected": True, "ms": took}, f"connected in {took:g} ms"


def http(_runner: Runner, probe: Mapping[str, Any]) -> Result:
    """`{url, timeout}`: ok if there was an answer, whatever its `status`. `body`: its beginning; `ms`: until then.

    Redirects aren't followed. `timeout` holds for the connection, and then for the answer.
    """
    from http.client import HTTPConnection, HTTPException, HTTPSConnection
    from urllib.parse import urlsplit

    url = urlsplit(probe["url"])
    kind = HTTPSConnection if url.scheme == "https" else HTTPConnection
    patience = probe.get("timeout", _PATIENCE_S)
    connection = kind(str(url.hostname), url.port, timeout=patience)
    begun = time.monotonic()
    try:
        connection.connect()
        with _for_at_most(patience, connection.sock):
            connection.request("GET", (url.path or "/") + (f"?{url.query}" if url.query else ""))
            response = connection.getresponse()
            body = response.read(TEXT_BYTES).decode("utf-8", "replace")
    except (HTTPException, ValueError) as error:
        return False, {"status": None, "ms": None}, f"what came is not HTTP: {shown(str(error).strip())}"
    except OSError as error:
        return False, {"status": None, "ms": None}, f"no answer: {why(error)}"
    finally:
        connection.close()
    took = _since(begun)
    return True, {"status": response.status, "ms": took, "body": body}, f"status {response.status} in {took:g} ms"


def name_service(_runner: Runner, probe: Mapping[str, Any]) -> Result:
    """`{server, port, name, kind, timeout}`: ok if the server knows the name. `code` as NXDOMAIN, `answers`, `ms`."""
    asked = dns.query(random.getrandbits(16), probe["name"], probe.get("kind", "A"))
    begun = time.monotonic()
    nothing: dict[str, Any] = {"code": None, "answers": [], "ms": None}
    try:
        packet = exchange(asked, (probe["server"], probe.get("port", 53)), probe.get("timeout", _PATIENCE_S))
        reply = dns.reply(packet, asked)
    except BadValue as error:
        return False, nothing, f"the answer {error.message}"
    except OSError as error:
        return False, nothing, f"no answer: {why(error)}"
    took = _since(begun)
    value = {"code": reply.code, "answers": list(reply.addresses), "ms": took}
    return bool(reply.addresses), value, f"{', '.join(reply.addresses) or reply.code} in {took:g} ms"


def exchange(asked: bytes, server: tuple[str, int], patience: float) -> bytes:
    """Send a question by UDP and give its answer, or raise `OSError`; what else comes is left aside."""
    until = time.monotonic() + patience
    with socket.socket(socket.AF_INET6 if ":" in server[0] else socket.AF_INET, socket.SOCK_DGRAM) as channel:
        channel.connect(server)
        channel.send(asked)
        while (left := until - time.monotonic()) > 0:
            channel.settimeout(left)
            packet = channel.recv(_PACKET_BYTES)
            if dns.answers(packet, asked):
                return packet
    raise TimeoutError


@contextmanager
def _for_at_most(patience: float, channel: socket.socket) -> Iterator[None]:
    """Hang up when it is time: a server that says something now and then would be listened to for ever."""

    def hang_up() -> None:
        with suppress(OSError):
            # Below TLS, whose own shutdown would wait for the other end.
            socket.socket.shutdown(channel, socket.SHUT_RDWR)

    until = time.monotonic() + patience
    ending = threading.Timer(patience, hang_up)
    ending.daemon = True
    ending.start()
    try:
        yield
    finally:
        ending.cancel()
        if time.monotonic() >= until:
            raise TimeoutError


def _since(begun: float) -> float:
    return round(1000 * (time.monotonic() - begun), 3)


def why(error: OSError) -> str:
    """Say in words why nothing came of it."""
    return "timed out" if isinstance(error, TimeoutError) else error.strerror or str(error)


TYPES = {
    "tcp": Type(tcp, {"to": address, "port": PORT, "timeout": timeout}, optional=("timeout",)),
    "http": Type(http, {"url": web_address, "timeout": timeout}, optional=("timeout",)),
    "dns": Type(
        name_service,
        {
            "server": address,
            "port": PORT,
            "name": dns.host_name,
            "kind": choice(dns.TYPES, "type of record"),
            "timeout": timeout,
        },
        optional=("port", "kind", "timeout"),
    ),
}
