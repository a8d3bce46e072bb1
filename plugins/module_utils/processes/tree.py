# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Processes as /proc shows them: which descend from which, and what they have open and mapped."""

from __future__ import annotations

import contextlib
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

_NAMESPACES = ("cgroup", "ipc", "mnt", "net", "pid", "time", "user", "uts")
_DELETED = " (deleted)"
_STANDARD = ("0", "1", "2")
_ESCAPED = re.compile(r"\\([0-7]{3})")


class Process(NamedTuple):
    """A process. `started`, in ticks since the boot, tells it from a later one with the same PID."""

    pid: int
    started: int
    parent: int
    group: int
    session: int
    name: str
    state: str

    @property
    def alive(self) -> bool:
        return self.state not in "ZX"


class Outlet(NamedTuple):
    """A pipe or a stream socket that leads out of the tree, by the name that CRIU has for it."""

    key: str
    write: bool


class Processes:
    """The processes of this host. `root` is /proc but in tests."""

    def __init__(self, root: Path = Path("/proc")) -> None:
        self._root = root

    def process(self, pid: int) -> Process | None:
        """Give a process, None if there is none."""
        try:
            text = (self._root / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
        except OSError:
            return None
        head, _bracket, rest = text.rpartition(")")
        words = rest.split()
        return Process(
            pid, int(words[19]), int(words[1]), int(words[2]), int(words[3]), head.partition("(")[2], words[0]
        )

    def runs(self, pid: int, started: int) -> bool:
        """Say whether this very process is there still, not another one with its PID."""
        there = self.process(pid)
        return there is not None and there.started == started and there.alive

    def tree(self, pid: int) -> list[Process]:
        """Give a process and all that descend from it, parents first; nothing if there is none."""
        every = list(self.all())
        found = [process for process in every if process.pid == pid]
        for parent in found:
            found += [process for process in every if process.parent == parent.pid]
        return found

    def all(self) -> Iterator[Process]:
        """Give all processes that there are."""
        for entry in self._root.iterdir():
            if entry.name.isdigit() and (process := self.process(int(entry.name))):
                yield process

    def inner_pid(self, pid: int) -> int:
        """Give the PID that a process has in its own PID namespace."""
        return int(self._status(pid, "NSpid", str(pid)).split()[-1])

    def namespaces(self, pid: int | str) -> dict[str, str]:
        """Give the identities of a process's namespaces, as far as the kernel has them."""
        found = {}
        for name in _NAMESPACES:
            with contextlib.suppress(OSError):
                found[name] = str((self._root / str(pid) / "ns" / name).readlink())
        return found

    def view(self, pid: int | str) -> frozenset[tuple[str, ...]]:
        """Give what a process finds mounted where, but for /proc itself, of which each PID namespace has its own."""
        lines = (self._root / str(pid) / "mountinfo").read_text(encoding="utf-8", errors="replace").splitlines()
        words = [line.split() for line in lines]
        return frozenset(tuple(each[2:5]) for each in words if each[4] != "/proc" and not each[4].startswith("/proc/"))

    def terminal(self, pid: int) -> str:
        """Give the terminal that a process has open, empty for none."""
        return next((path for path in self._open(pid).values() if path.startswith(("/dev/pts/", "/dev/tty"))), "")

    def has_program(self, pid: int) -> bool:
        """Say whether a process has a program; those of the kernel itself have none."""
        try:
            (self._root / str(pid) / "exe").readlink()
        except OSError:
            return False
        return True

    def program_files(self, pid: int) -> set[str]:
        """Give the files that a process has mapped for itself: program, libraries and what else has to be the same."""
        with contextlib.suppress(OSError):
            lines = (self._root / str(pid) / "maps").read_text(encoding="utf-8", errors="replace").splitlines()
            mapped = (line.split(None, 5) for line in lines if line.count("/") and line.split()[1].endswith("p"))
            paths = {_unescaped(words[5]) for words in mapped if len(words) > 5}
            return {path for path in paths if path.startswith("/") and not path.endswith(_DELETED)}
        return set()

    def outlets(self, pid: int, tree: list[Process]) -> list[Outlet]:
        """Give what of the first process's standard input and output leads out of the tree."""
        standard = {key: path for key, path in self._open(pid).items() if key in _STANDARD}
        sockets = self._stream_sockets(pid)
        found: dict[str, bool] = {}
        for key, path in standard.items():
            inode = path.partition("[")[2].removesuffix("]")
            pipe = path.startswith("pipe:") and not self._inside(path, tree)
            if pipe or (path.startswith("socket:") and inode in sockets):
                found[path] = found.get(path, False) or key != "0"
        return [Outlet(key, write) for key, write in found.items()]

    def _inside(self, pipe: str, tree: list[Process]) -> bool:
        """Say whether both ends of a pipe are in the tree."""
        ends = {
            self._writes(process.pid, key)
            for process in tree
            for key, path in self._open(process.pid).items()
            if path == pipe
        }
        return len(ends) > 1

    def _writes(self, pid: int, descriptor: str) -> bool:
        with contextlib.suppress(OSError):
            lines = (self._root / str(pid) / "fdinfo" / descriptor).read_text(encoding="ascii").splitlines()
            flags = next(line.split()[1] for line in lines if line.startswith("flags:"))
            return bool(int(flags, 8) & (os.O_WRONLY | os.O_RDWR))
        return False

    def _stream_sockets(self, pid: int) -> set[str]:
        """Give the inodes of the connected stream sockets of the host's own (AF_UNIX)."""
        with contextlib.suppress(OSError):
            lines = (self._root / str(pid) / "net/unix").read_text(encoding="utf-8", errors="replace").splitlines()[1:]
            return {words[6] for words in map(str.split, lines) if words[4] == "0001" and words[5] == "03"}
        return set()

    def _open(self, pid: int) -> dict[str, str]:
        found = {}
        with contextlib.suppress(OSError):
            for entry in sorted((self._root / str(pid) / "fd").iterdir()):
                with contextlib.suppress(OSError):
                    found[entry.name] = str(entry.readlink())
        return found

    def _status(self, pid: int, key: str, default: str) -> str:
        with contextlib.suppress(OSError):
            lines = (self._root / str(pid) / "status").read_text(encoding="utf-8", errors="replace").splitlines()
            return next((line.partition(":")[2] for line in lines if line.startswith(f"{key}:")), default)
        return default


def _unescaped(path: str) -> str:
    return _ESCAPED.sub(lambda match: chr(int(match[1], 8)), path)
