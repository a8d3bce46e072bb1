# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tally's two languages, as far from sockets as can be: bytes that came in, bytes to answer.

Both give an answer only for whole requests; what is left of the input waits for more.
"""

from __future__ import annotations

import json

from .store import LONGEST_VALUE, Refused, check_key

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Protocol

    from .journal import Journal

    class Language(Protocol):
        """One connection's language: takes what came in, gives what to answer and whether to close then."""

        def feed(self, data: bytes) -> tuple[bytes, bool]: ...


LONGEST_LINE = LONGEST_VALUE + 1024
LONGEST_HEAD = 8192
HELP = "incr [N] | get [KEY] | set KEY VALUE | del KEY | keys | status | changed | quit"
REASONS = {
    200: "OK",
    201: "Created",
    204: "No Content",
    400: "Bad Request",
    404: "Not Found",
    405: "Method Not Allowed",
}


class Tally:
    """What can be asked of the tally in any language. `about` tells the rest of the status."""

    def __init__(self, journal: Journal, about: Callable[[], dict[str, Any]]) -> None:
        self._journal, self._store, self._about = journal, journal.store, about

    def incr(self, by: str = "1") -> int:
        """Add to the counter and give it."""
        self._journal.add(self._store.incr(_integer(by)))
        return self._store.count

    def count(self) -> int:
        """Give the counter."""
        return self._store.count

    def get(self, key: str) -> str | None:
        """Give a value, or None."""
        return self._store.values.get(key)

    def set(self, key: str, value: str) -> int:
        """Keep a value and give the sequence number of the change."""
        self._journal.add(self._store.set(key, value))
        return self._store.sequence

    def delete(self, key: str) -> int | None:
        """Forget a key and give the sequence number of the change, or None when it isn't there."""
        if key not in self._store.values:
            return None
        self._journal.add(self._store.delete(key))
        return self._store.sequence

    @property
    def sequence(self) -> int:
        """Give how many changes there were."""
        return self._store.sequence

    def keys(self) -> list[str]:
        """Give all keys, sorted."""
        return sorted(self._store.values)

    def status(self) -> dict[str, Any]:
        """Give what one wants to know of the service."""
        store = self._store
        return {"count": store.count, "sequence": store.sequence, "keys": len(store.values), **self._about()}


class Lines:
    """The line language: a request is a line, its answer is a line that begins with ok, missing or error."""

    def __init__(self, tally: Tally) -> None:
        self._tally, self._buffer = tally, b""

    def feed(self, data: bytes) -> tuple[bytes, bool]:
        self._buffer += data
        answers = []
        while b"\n" in self._buffer:
            line, _newline, self._buffer = self._buffer.partition(b"\n")
            if line.strip() == b"quit":
                return b"".join(answers), True
            answers.append(self._answer(line) + b"\n")
        if len(self._buffer) > LONGEST_LINE:
            return b"".join(answers) + b"error the line is too long\n", True
        return b"".join(answers), False

    def _answer(self, line: bytes) -> bytes:
        try:
            answer = self._do(line.decode().rstrip("\r"))
        except (Refused, UnicodeDecodeError) as error:
            return f"error {error}".encode()
        return b"missing" if answer is None else f"ok {answer}".encode()

    def _do(self, line: str) -> object:
        verb, _blank, rest = line.partition(" ")
        tally = self._tally
        if verb == "incr":
            return tally.incr(rest or "1")
        if verb == "get":
            return tally.get(rest) if rest else tally.count()
        if verb == "set":
            key, _blank, value = rest.partition(" ")
            return tally.set(key, value)
        if verb == "del":
            check_key(rest)
            return tally.delete(rest)
        if line == "changed":
            return f"changed={tally.sequence}"
        if verb in ("keys", "status") and not rest:
            return " ".join(tally.keys()) if verb == "keys" else json.dumps(tally.status())
        raise Refused(f"unknown request; known are {HELP}")


class Http:
    """As much of HTTP/1.1 as the tally needs: requests one after the other, bodies with a Content-Length."""

    def __init__(self, tally: Tally) -> None:
        self._tally, self._buffer = tally, b""

    def feed(self, data: bytes) -> tuple[bytes, bool]:
        self._buffer += data
        answers = b""
        while True:
            head, end, rest = self._buffer.partition(b"\r\n\r\n")
            if not end:
                too_long = len(self._buffer) > LONGEST_HEAD
                return answers + (_response(400, "the head is too long", True) if too_long else b""), too_long
            try:
                method, path, length, close = _parse_head(head)
            except (Refused, UnicodeDecodeError) as error:
                return answers + _response(400, str(error), True), True
            if len(rest) < length:
                return answers, False
            body, self._buffer = rest[:length], rest[length:]
            try:
                status, content = self._do(method, path, body.decode())
            except (Refused, UnicodeDecodeError) as error:
                status, content = 400, str(error)
            answers += _response(status, content, close, method == "HEAD")
            if close:
                return answers, True

    def _do(self, method: str, path: str, body: str) -> tuple[int, object]:
        verb = "GET" if method == "HEAD" else method
        key = path.removeprefix("/keys/") if path.startswith("/keys/") else None
        routes: dict[tuple[str, str], Callable[[], tuple[int, object]]] = {
            ("GET", "/"): lambda: (200, "the tally: /status /counter /keys /keys/KEY"),
            ("GET", "/status"): lambda: (200, self._tally.status()),
            ("GET", "/counter"): lambda: (200, self._tally.count()),
            ("POST", "/counter"): lambda: (200, self._tally.incr(body.strip() or "1")),
            ("GET", "/keys"): lambda: (200, self._tally.keys()),
            ("GET", "/keys/"): lambda: _found(200, self._tally.get(key or "")),
            ("PUT", "/keys/"): lambda: (201, self._tally.set(key or "", body)),
            ("DELETE", "/keys/"): lambda: _found(200, self._tally.delete(key or "")),
        }
        place = path if key is None else "/keys/"
        if (verb, place) in routes:
            return routes[verb, place]()
        if any(place == known for _verb, known in routes):
            return 405, "this isn't done here"
        return 404, "there is nothing here"


def _parse_head(head: bytes) -> tuple[str, str, int, bool]:
    request, *lines = head.decode().split("\r\n")
    words = request.split(" ")
    if len(words) != 3 or not words[2].startswith("HTTP/1."):
        raise Refused("this isn't HTTP/1.1")
    fields = {name.strip().lower(): value.strip() for name, _colon, value in (line.partition(":") for line in lines)}
    if "transfer-encoding" in fields:
        raise Refused("a body needs a Content-Length")
    length = _integer(fields.get("content-length", "0"))
    if not 0 <= length <= LONGEST_VALUE:
        raise Refused(f"a body has at most {LONGEST_VALUE} bytes")
    close = fields.get("connection", "").lower() == "close" or words[2] == "HTTP/1.0"
    return words[0], _unquoted(words[1].partition("?")[0]), length, close


def _unquoted(path: str) -> str:
    first, *parts = path.encode().split(b"%")
    try:
        return (first + b"".join(bytes([int(part[:2], 16)]) + part[2:] for part in parts)).decode()
    except ValueError as error:
        raise Refused("the path is not well quoted") from error


def _found(status: int, value: object) -> tuple[int, object]:
    return (404, "there is no such key") if value is None else (status, value)


def _response(status: int, content: object, close: bool, head_only: bool = False) -> bytes:
    kind, text = "application/json", json.dumps(content)
    if isinstance(content, str):
        kind, text = "text/plain; charset=utf-8", content
    body = text.encode()
    head = (
        f"HTTP/1.1 {status} {REASONS[status]}\r\nContent-Type: {kind}\r\n"
        f"Content-Length: {len(body)}\r\nConnection: {'close' if close else 'keep-alive'}\r\n\r\n"
    )
    return head.encode() + (b"" if head_only else body)


def _integer(text: str) -> int:
    try:
        number = int(text)
    except ValueError:
        number = 1 << 63
    if abs(number) >= 1 << 63:
        raise Refused(f"{text[:40]!r} is not a number of 64 bits")
    return number
