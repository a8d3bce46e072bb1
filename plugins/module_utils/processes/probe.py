# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether processes can be captured here: found out by capturing and restoring a small tree, not by asking."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ..errors import BadValue, OkiagariError
from ..target.system import Places, boot_id, write_safely
from ..values import from_json
from .capture import Capture, NotCaptured
from .criu import Criu
from .epochs import Epochs
from .request import Request
from .restore import Restore
from .subject import subject
from .tree import Processes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ..runner import Runner

_CAPABILITIES = {19: "CAP_SYS_PTRACE", 21: "CAP_SYS_ADMIN"}
_PATIENCE_S = 10.0
_STEPS = 3
_NOTE = "process_checkpoint"

# Parent and child each write a number to a file, then add one to it in memory. With TCP, the parent goes on only when
# the child has answered.
_TREE = """
import fcntl, os, socket, struct, sys, time
folder, tcp = sys.argv[1], sys.argv[2] == "tcp"
if tcp:
    server = socket.socket()
    fcntl.ioctl(server, 0x8914, struct.pack("16sH14x", b"lo", 0x41))
    server.bind(("127.0.0.1", 0))
    server.listen()
name = "parent" if os.fork() else "child"
if tcp:
    peer = server.accept()[0] if name == "parent" else socket.create_connection(server.getsockname())
number = 0
while True:
    if tcp and name == "child":
        peer.recv(1)
    with open(folder + "/" + name, "a") as file:
        file.write(str(number) + "\\n")
    number += 1
    if tcp:
        peer.send(b".")
        if name == "parent":
            peer.recv(1)
    time.sleep(0.005)
"""


class Probed(NamedTuple):
    """What a probe found. `why` is empty if processes can be captured; so is `tcp` for established connections."""

    why: str
    tcp: str
    pre_dump: bool
    criu: str
    kernel: str

    def to_dict(self) -> dict[str, Any]:
        return {
            "possible": not self.why, "why": self.why, "established_tcp": {"possible": not self.tcp, "why": self.tcp},
            "pre_dump": self.pre_dump, "criu": self.criu, "kernel": self.kernel,
        }  # fmt: skip


class Probe:
    """Finds out, and remembers until the next boot, what can be captured here. `proc` is /proc but in tests."""

    def __init__(
        self, runner: Runner, program: str, places: Places | None = None, proc: Path = Path("/proc"),
        trial: Callable[[Runner, str, bool], str] | None = None,
    ) -> None:  # fmt: skip
        self._runner, self._program, self._proc = runner, program, proc
        self._note = (places or Places()).run / _NOTE
        self._trial = trial or try_out
        self._criu = Criu(runner, program)

    def look(self) -> Probed:
        """Try everything out."""
        version, kernel = self._criu.version(), os.uname().release
        why = self._obstacle(version, kernel) or self._tried(tcp=False)
        tcp = why or self._tried(tcp=True)
        pre_dump = not why and self._criu.tracks_memory()
        found = Probed(_sentence(why), _sentence(tcp), pre_dump, version, kernel)
        self._remember({"plain": not why, "tcp": not tcp})
        return found

    def assure(self, tcp: bool) -> None:
        """Raise `OkiagariError` unless a small tree was captured and restored here since the boot, or can be now."""
        kind = "tcp" if tcp else "plain"
        known = self._known()
        if known.get(kind):
            return
        why = self._obstacle(self._criu.version(), os.uname().release) or self._tried(tcp)
        if why:
            raise OkiagariError(_sentence(why))
        self._remember({**known, kind: True})

    def _obstacle(self, version: str, kernel: str) -> str:
        """Give what makes a trial needless; empty for nothing."""
        if os.geteuid() != 0:
            return "it needs root: use become"
        if not (self._proc / "sys/kernel/ns_last_pid").exists():
            return (
                f"the kernel {kernel} was built without CONFIG_CHECKPOINT_RESTORE, as User-Mode Linux is: "
                f"use a host with a kernel of Debian's, or have a whole guest captured by vm_checkpoint"
            )
        if not version:
            done = self._runner.run([self._program, "--version"])
            missing = done.rc == 127
            return f"CRIU isn't installed ({done.err.strip()}): install the package criu" if missing else "CRIU fails"
        if lacks := self._missing():
            return f"root isn't allowed to here: it lacks {' and '.join(lacks)}, which its container would need"
        return ""

    def _missing(self) -> list[str]:
        text = (self._proc / "self/status").read_text(encoding="utf-8", errors="replace")
        mask = int(next((line.split()[1] for line in text.splitlines() if line.startswith("CapEff:")), "0"), 16)
        return [name for bit, name in _CAPABILITIES.items() if not mask >> bit & 1]

    def _tried(self, tcp: bool) -> str:
        why = self._trial(self._runner, self._program, tcp)
        if not why:
            return ""
        said = self._criu.check()
        doubt = f"; CRIU itself says {said}" if said and said != why else ""
        return f"CRIU {self._criu.version()} on Linux {os.uname().release} couldn't do it: {why}{doubt}"

    def _key(self) -> str:
        return f"{boot_id()} {os.uname().release} {self._program} {self._criu.version()}"

    def _known(self) -> dict[str, bool]:
        try:
            noted = from_json(self._note.read_text(encoding="utf-8"))
            return dict(noted["found"]) if noted["key"] == self._key() else {}
        except (OSError, BadValue, KeyError, TypeError):
            return {}

    def _remember(self, found: dict[str, bool]) -> None:
        with contextlib.suppress(OSError):
            write_safely(self._note, json.dumps({"key": self._key(), "found": found}).encode())


def _sentence(why: str) -> str:
    return f"not here, because {why}" if why else ""


def try_out(runner: Runner, program: str, tcp: bool) -> str:
    """Capture a small tree and restore it; give why that failed, empty if it goes on exactly where it was."""
    with tempfile.TemporaryDirectory(prefix="okiagari-", ignore_cleanup_errors=True) as folder:
        try:
            with _counting(Path(folder), tcp) as (process, network):
                return _trial(runner, program, Path(folder), process, network)
        except NotCaptured as error:
            return error.why
        except OkiagariError as error:
            return str(error)
        except OSError as error:
            return f"{error.filename}: {error.strerror}"


@contextlib.contextmanager
def _counting(folder: Path, tcp: bool) -> Iterator[tuple[subprocess.Popen[bytes], Path | None]]:
    """Have a small tree that counts; with TCP, in a network namespace of its own, which is given too."""
    own = ["unshare", "--net", "--"] if tcp else []
    (folder / "counted").mkdir()
    process = subprocess.Popen(
        [*own, sys.executable, "-I", "-S", "-B", "-c", _TREE, str(folder / "counted"), "tcp" if tcp else ""],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    try:
        if not _until(lambda: all(len(each) > _STEPS for each in _counts(folder))):
            raise OkiagariError("a small program doesn't run")
        if not tcp:
            yield process, None
            return
        namespace = os.open(f"/proc/{process.pid}/ns/net", os.O_RDONLY)
        try:
            yield process, Path(f"/proc/{os.getpid()}/fd/{namespace}")
        finally:
            os.close(namespace)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _trial(runner: Runner, program: str, folder: Path, process: subprocess.Popen[bytes], network: Path | None) -> str:
    processes, epochs, criu, boot = Processes(), Epochs(folder / "epochs"), Criu(runner, program), boot_id()
    tcp = network is not None
    asked = Request(
        "captured", epochs.folder, process.pid, files=(folder / "counted",), leave="ended", established_tcp=tcp
    )
    with epochs.alone():
        Capture(criu, processes, epochs, asked, boot).run(subject(runner, processes, asked))
        process.wait()
        before = _counts(folder)
        asked = Request("restored", epochs.folder, network=network, established_tcp=tcp)
        restore = Restore(runner, criu, processes, epochs, asked, boot)
        restore.look()
        restore.run()
        try:
            went_on = _until(lambda: _further(_counts(folder), before))
        finally:
            end(processes, restore.running().get("pid", 0))
    right = all(count == list(range(len(count))) for count in _counts(folder))
    return "" if went_on and right else "a small tree was restored, but didn't go on exactly where it was"


def end(processes: Processes, pid: int) -> None:
    """End what was restored, by the PID under which it was noted, and wait until all of it is gone."""
    tree = processes.tree(pid) if pid else []
    for process in tree[:2]:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGKILL)
    _until(lambda: not any(processes.runs(each.pid, each.started) for each in tree))
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, 0) if pid else None


def _counts(folder: Path) -> list[list[int]]:
    """Give what parent and child have written so far, whole lines only."""
    found = []
    for name in ("parent", "child"):
        with contextlib.suppress(FileNotFoundError):
            text = (folder / "counted" / name).read_text(encoding="ascii")
            found.append([int(line) for line in text.split("\n")[:-1]])
    return found if len(found) == 2 else [[], []]


def _further(now: list[list[int]], before: list[list[int]]) -> bool:
    return all(len(a) > len(b) + _STEPS for a, b in zip(now, before, strict=True))


def _until(look: Callable[[], bool]) -> bool:
    end = time.monotonic() + _PATIENCE_S
    while not (there := look()) and time.monotonic() < end:
        time.sleep(0.01)
    return there
