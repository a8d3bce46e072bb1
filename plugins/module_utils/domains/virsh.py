# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A virsh that stays: a command of QEMU's monitor takes it 2 ms, where starting one for each takes ten times that.

It reads commands from a pipe, and says its prompt and what it read between the answers, each of which is a line of
JSON. What it read may be broken into lines anywhere. So each command is followed by an `echo` of a word of its own,
behind which nothing comes any more, and its answer is the line that is one of QEMU's.
"""

from __future__ import annotations

import os
import secrets
import select
import shlex
import subprocess
import time
from typing import IO, TYPE_CHECKING, Any, Self

from ..errors import BadValue, OkiagariError
from ..runner import Completed, reason
from ..values import from_json

if TYPE_CHECKING:
    from collections.abc import Mapping

_LONGEST = 64 * 1024 * 1024
_ENDS_S = 2.0


class Gone(OkiagariError):  # noqa: N818 - it says what has become of it
    """virsh has ended, hangs, or has no libvirt to talk to; the next command begins with another virsh."""


class Virsh:
    """The guest `domain` of the libvirt at `uri`, or of the user's usual one. A context manager, which ends it."""

    def __init__(self, domain: str, uri: str = "") -> None:
        self._domain = domain
        self._argv = ("virsh", "--quiet", *(("--connect", uri) if uri else ()))
        self._process: subprocess.Popen[bytes] | None = None
        self._unread = bytearray()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def close(self) -> None:
        self._end()

    def monitor(self, command: str, timeout_s: float, fd: int | None = None) -> Mapping[str, Any]:
        """Give what QEMU's monitor answers to a command, which is JSON; `fd` is a file descriptor that goes with it.

        Raises `Gone` if libvirt has no answer, or none in time.
        """
        if fd is not None:
            return self._answer(self._once(command, fd, timeout_s))
        token = f"okiagari-{secrets.token_hex(8)}"
        words = shlex.join(["qemu-monitor-command", self._domain, command])
        try:
            told, answers = self._there()
            told.write(f"{words}\necho {token}\n".encode())
            told.flush()
            said = self._read(answers, b"\n" + token.encode(), time.monotonic() + timeout_s)
        except OSError as error:
            self._end()
            raise Gone(f"virsh: {error}") from error
        except BaseException:
            self._end()
            raise
        wrong = "\n".join(line for line in said.splitlines() if line.startswith("error: "))
        return self._answer(Completed(0, said, wrong))

    def _once(self, command: str, fd: int, timeout_s: float) -> Completed:
        """Tell it by a virsh of its own, which inherits the file descriptor."""
        argv = [*self._argv, "qemu-monitor-command", self._domain, "--pass-fds", str(fd), command]
        try:
            done = subprocess.run(
                argv, check=False, capture_output=True, stdin=subprocess.DEVNULL, pass_fds=[fd], timeout=timeout_s,
                encoding="utf-8", errors="replace", env=_environment(),
            )  # fmt: skip
        except (OSError, subprocess.TimeoutExpired) as error:
            raise Gone(f"virsh: {error}") from error
        return Completed(done.returncode, done.stdout, done.stderr)

    def _answer(self, done: Completed) -> Mapping[str, Any]:
        found = [answer for line in done.out.splitlines() if (answer := _document(line))]
        if not found:
            raise Gone(f"virsh: {reason(Completed(1, '', done.err))}")
        return found[-1]

    def _there(self) -> tuple[IO[bytes], IO[bytes]]:
        """Give the pipes to and from virsh."""
        if self._process is None:
            self._unread.clear()
            self._process = subprocess.Popen(
                self._argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                env=_environment(),
            )  # fmt: skip
        told, answers = self._process.stdin, self._process.stdout
        if told is None or answers is None:
            raise Gone("virsh: it has no pipes")
        return told, answers

    def _read(self, answers: IO[bytes], mark: bytes, end: float) -> str:
        """Give what comes up to a mark."""
        while mark not in self._unread:
            if not select.select([answers], [], [], max(0.0, end - time.monotonic()))[0]:
                raise TimeoutError("no answer in time")
            some = os.read(answers.fileno(), 65536)
            self._unread += some
            if not some or len(self._unread) > _LONGEST:
                raise ConnectionError(f"it has ended: {bytes(self._unread[-200:]).decode('utf-8', 'replace')}")
        said, _mark, rest = bytes(self._unread).partition(mark)
        self._unread = bytearray(rest)
        return said.decode("utf-8", "replace")

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        with process:
            process.terminate()
            try:
                process.wait(_ENDS_S)
            except subprocess.TimeoutExpired:
                process.kill()


def _environment() -> Mapping[str, str]:
    # virsh adds what it is told to the history of whoever calls it, unless there is no place for that.
    return {**os.environ, "LC_ALL": "C", "XDG_CACHE_HOME": os.devnull}


def _document(line: str) -> Mapping[str, Any] | None:
    """Give an answer of QEMU's that is a line; None for any other line."""
    if not line.startswith("{"):
        return None
    try:
        said = from_json(line)
    except BadValue:
        return None
    return said if isinstance(said, dict) and said.keys() & {"return", "error"} else None
