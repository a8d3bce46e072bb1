# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The target's real processes, clock and directories. Only this room touches them."""

from __future__ import annotations

import contextlib
import os
import stat
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import OkiagariError
from ..runner import Completed

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_RANK = 10
_LOOKS = 5


class SubprocessRunner:
    """A `Runner` that starts processes, in the C locale so that their output can be read."""

    def run(self, argv: Sequence[str], input: str | None = None, timeout: float = 10.0) -> Completed:  # noqa: A002
        try:
            return WaitingProcess(argv).tell(input or "", timeout)
        except OSError as error:
            return Completed(127, "", f"{argv[0]}: {error.strerror}")


class WaitingProcess:
    """A process that waits for its input, in the C locale. Without any, as when its parent dies, it does nothing."""

    def __init__(self, argv: Sequence[str]) -> None:
        self._name = argv[0]
        self._process = subprocess.Popen(
            list(argv), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8",
            errors="replace", env={**os.environ, "LC_ALL": "C"},
        )  # fmt: skip

    def tell(self, text: str, timeout: float = 10.0) -> Completed:
        with self._process as process:
            try:
                out, err = process.communicate(text, timeout)
            except subprocess.TimeoutExpired:
                process.kill()
                return Completed(124, "", f"{self._name}: no answer within {timeout:g} s")
            except BaseException:
                process.kill()
                raise
        return Completed(process.returncode, out, err)


class Clock:
    """Time as the target has it: `now` since the epoch, `monotonic` for what a set clock mustn't disturb."""

    def now(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(max(0.0, seconds))

    def wait_until(self, instant: float) -> None:
        """Return at the monotonic `instant`, late by less than a millisecond if the machine is idle."""
        while (left := instant - self.monotonic()) > 0:
            self.sleep(left)


def epoch_of(clock: Clock) -> float:
    """Give by how much the epoch's clock is ahead of the monotonic one. Of several looks the quickest is the truest."""
    looks = []
    for _look in range(_LOOKS):
        before, now, after = clock.monotonic(), clock.now(), clock.monotonic()
        looks.append((after - before, now - (before + after) / 2))
    return min(looks)[1]


class Places:
    """Where things are on a target. `state` survives a reboot, `run` doesn't; the environment can move all of them.

    `agent` is where the host's agent has its socket, if it has an agent.
    """

    def __init__(self, state: str | None = None, run: str | None = None, agent: str | None = None) -> None:
        self.state = Path(state or os.environ.get("OKIAGARI_STATE") or "/var/lib/okiagari")
        self.run = Path(run or os.environ.get("OKIAGARI_RUN") or "/run/okiagari")
        self.agent = Path(agent or os.environ.get("OKIAGARI_AGENT_RUN") or "/run/okiagari-agent")

    @property
    def journal(self) -> Path:
        return self.state / "journal"

    def drill(self, drill: str) -> Path:
        return self.run / "drills" / drill


def command(program: str | Path, *python: str) -> tuple[str, ...]:
    """Give the command line of the program on a target: without site packages, and with nothing cached on its disk."""
    return (*(python or ("/usr/bin/env", "python3")), "-I", "-S", "-B", str(program))


def be_punctual(inherited: bool = True) -> None:
    """Go before ordinary programs on a busy target, but after a router's BFD. Where that isn't allowed all goes on.

    Unless `inherited`, what this process starts is ordinary again: a lab's node must not go before everything else.

    A unit that asks systemd for it wouldn't start at all there, and with it no lease would end.
    """
    with contextlib.suppress(OSError):
        os.sched_setscheduler(0, os.SCHED_RR | (0 if inherited else os.SCHED_RESET_ON_FORK), os.sched_param(_RANK))


def be_ordinary() -> None:
    """Let this thread go behind all that is punctual: what keeps a processor busy mustn't make a fault late."""
    with contextlib.suppress(OSError):
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))


@contextlib.contextmanager
def ordinarily() -> Iterator[None]:
    """Let this thread, and what it starts, go behind all that is punctual for a while."""
    policy, rank = os.sched_getscheduler(0), os.sched_getparam(0)
    be_ordinary()
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            os.sched_setscheduler(0, policy, rank)


def boot_id() -> str:
    """Give the identity of this boot of the kernel."""
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()


def write_safely(path: Path, content: bytes, mode: int = 0o600) -> None:
    """Write `path` so that after a crash it is either as before or complete, and on the disk when this returns."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(descriptor, "wb") as file:
        os.fchmod(file.fileno(), mode)
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    sync_names(path.parent)


def look_whether_private(folder: Path) -> None:
    """Raise `OkiagariError` if a folder with what was in memory isn't this user's, for nobody else to read."""
    there = folder.stat()
    if there.st_uid != os.geteuid() or stat.S_IMODE(there.st_mode) & 0o077:
        raise OkiagariError(f"{folder} may be read by others, and memory may hold secrets: chmod 700 it")


def sync_names(folder: Path) -> None:
    """Put on the disk what a folder's files are called."""
    directory = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
