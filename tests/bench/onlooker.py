# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Watches a guest from outside, in a process of its own, which no capture holds up.

    onlooker.py ticks SOCKET    the guest says a byte over its serial port now and then
    onlooker.py web PORT        a client of its web server adds one to a counter, again 10 ms after each answer

A line on its standard input is answered by one: `look` by what was seen since the last time, as JSON; `say HEX` says
these bytes to the guest; `go` has a client begin, which would find nobody there while the guest stands still. It goes
on trying where there is no guest yet.
"""

from __future__ import annotations

import json
import os
import select
import socket
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Sequence

_REQUEST = b"POST /counter HTTP/1.1\r\nHost: guest\r\nContent-Length: 1\r\n\r\n1"
_THINKS_S = 0.01
_AGAIN_S = 0.002
_NO_ANSWER_S = 2.0
_STARTS_S = 180.0


@dataclass(frozen=True)
class Seen:
    """What was seen of a guest: its longest silence, its answers, in how many seconds, and when it said the first."""

    silence_ms: float
    answers: int
    seconds: float
    first: float | None


class Onlooker:
    """The process, as whoever starts it sees it. A context manager."""

    def __init__(self, words: Sequence[str]) -> None:
        argv = [sys.executable, str(Path(__file__)), *words]
        self._process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        # From now on it is up, and begins to try.
        self.look()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._process.kill()
        self._process.communicate()

    def look(self) -> Seen:
        """Give what was seen since the last time."""
        return Seen(**json.loads(self._asked("look")))

    def go(self) -> None:
        """Begin to ask: the guest runs, or boots."""
        self._asked("go")

    def say(self, said: bytes) -> None:
        self._asked(f"say {said.hex()}")

    def first(self) -> float:
        """Wait until the guest has said something, and give when that was."""
        end = time.monotonic() + _STARTS_S
        while (first := self.look().first) is None:
            if time.monotonic() > end:
                raise SystemExit(f"the guest has said nothing for {_STARTS_S:g} s")
            time.sleep(0.01)
        return first

    def again(self) -> float:
        """Wait until the guest has said something since the last look, and give when it was seen."""
        end = time.monotonic() + _STARTS_S
        while not self.look().answers:
            if time.monotonic() > end:
                raise SystemExit(f"the guest has said nothing for {_STARTS_S:g} s")
            time.sleep(_AGAIN_S)
        return time.monotonic()

    def _asked(self, line: str) -> str:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(f"{line}\n".encode())
        self._process.stdin.flush()
        return self._process.stdout.readline().decode()


class _Record:
    """What was heard, until somebody looks."""

    def __init__(self) -> None:
        self._first: float | None = None
        self._last = time.monotonic()
        self._began, self._longest, self._answers = self._last, 0.0, 0

    def heard(self, answers: int) -> None:
        now = time.monotonic()
        if self._first is None:
            self._first = now
        else:
            self._longest = max(self._longest, now - self._last)
        self._last = now
        self._answers += answers

    def seen(self) -> dict[str, Any]:
        now = time.monotonic()
        # A silence that isn't over counts, too, and again when it is.
        longest = max(self._longest, now - self._last) if self._first is not None else 0.0
        said = Seen(1000 * longest, self._answers, now - self._began, self._first)
        self._began, self._longest, self._answers = now, 0.0, 0
        return vars(said)


class _Ticks:
    """The guest's serial port."""

    asks = False

    def __init__(self, path: str) -> None:
        self._path = path

    def connect(self) -> socket.socket:
        found = socket.socket(socket.AF_UNIX)
        try:
            found.connect(self._path)
        except OSError:
            found.close()
            raise
        return found

    def answers(self, said: bytes) -> int:
        return len(said)

    def go_on(self, guest: socket.socket) -> float:
        """Do what is due, and say how long to wait for the guest at most."""
        return _NO_ANSWER_S


class _Web:
    """A client, which asks, thinks, and asks again; one that never had an answer tries another connection."""

    asks = True

    def __init__(self, port: str) -> None:
        self._port = int(port)
        self._due: float | None = 0.0
        self._asked = 0.0
        self._unread = b""
        self._answered = False

    def connect(self) -> socket.socket:
        found = socket.create_connection(("127.0.0.1", self._port), timeout=1)
        self._due, self._unread = 0.0, b""
        return found

    def answers(self, said: bytes) -> int:
        self._unread += said
        head, end, body = self._unread.partition(b"\r\n\r\n")
        lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
        if not end or not lengths or len(body) < int(lengths[0].partition(b":")[2]):
            return 0
        self._unread, self._due, self._answered = b"", time.monotonic() + _THINKS_S, True
        return 1

    def go_on(self, guest: socket.socket) -> float:
        now = time.monotonic()
        if self._due is None:
            if not self._answered and now > self._asked + _NO_ANSWER_S:
                raise ConnectionError("no answer")
            return _NO_ANSWER_S
        if now >= self._due:
            guest.sendall(_REQUEST)
            self._due, self._asked = None, now
            return _NO_ANSWER_S
        return self._due - now


class _Watcher:
    """Watches in one of these ways, and answers whoever started it, until that one is gone."""

    def __init__(self, way: _Ticks | _Web) -> None:
        self._way, self._record = way, _Record()
        self._begun = not way.asks
        self._guest: socket.socket | None = None
        self._unread = b""

    def run(self) -> None:
        while True:
            if self._begun and not self._guest:
                with suppress(OSError):
                    self._guest = self._way.connect()
            try:
                wait_s = self._way.go_on(self._guest) if self._guest else _AGAIN_S if self._begun else None
            except OSError:
                self._lose()
                continue
            ready, _writable, _wrong = select.select([sys.stdin, *filter(None, [self._guest])], [], [], wait_s)
            if self._guest in ready:
                self._hear()
            if sys.stdin in ready and not self._told():
                return

    def _hear(self) -> None:
        assert self._guest
        try:
            said = self._guest.recv(65536)
        except OSError:
            said = b""
        if not said:
            self._lose()
        elif answers := self._way.answers(said):
            self._record.heard(answers)

    def _lose(self) -> None:
        if self._guest:
            self._guest.close()
            self._guest = None

    def _told(self) -> bool:
        """Do what one is told, and say whether there may be more."""
        more = os.read(sys.stdin.fileno(), 4096)
        *lines, self._unread = (self._unread + more).split(b"\n")
        for line in lines:
            word, _blank, rest = line.decode().partition(" ")
            if word == "go":
                self._begun = True
            elif word == "say" and self._guest:
                self._guest.sendall(bytes.fromhex(rest))
            print(json.dumps(self._record.seen() if word == "look" else {}), flush=True)
        return bool(more)


def main(kind: str, place: str) -> int:
    _Watcher(_Ticks(place) if kind == "ticks" else _Web(place)).run()
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
