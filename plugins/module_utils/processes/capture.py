# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One capture: dump, files of the same instant, manifest, an epoch. Until that is whole, nothing else is changed."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import BadValue, OkiagariError
from ..runner import reason
from . import digest, frozen_copy, statistics
from .criu import why

if TYPE_CHECKING:
    from ..runner import Completed
    from .criu import Criu
    from .epochs import Epochs
    from .request import Request
    from .subject import Subject
    from .tree import Process, Processes

_GONE_S = 5.0
_IMAGES, _BEFORE, _FILES, _WORK = "images", "before", "files", "work"


class NotCaptured(OkiagariError):  # noqa: N818 -- as the rest of the tree
    """CRIU couldn't capture a tree, which runs on; `why` says what was in its way."""

    def __init__(self, of: str, why: str) -> None:
        super().__init__(f"{of} can't be captured, and runs on: {why}")
        self.why = why


class Capture:
    """Captures one tree. `boot` is the identity of this boot, `root` is / but in tests."""

    def __init__(
        self, criu: Criu, processes: Processes, epochs: Epochs, asked: Request, boot: str, root: Path = Path("/")
    ) -> None:
        self._criu, self._processes, self._epochs, self._asked = criu, processes, epochs, asked
        self._boot, self._root = boot, root

    def run(self, subject: Subject) -> dict[str, Any]:
        """Capture a tree, and give what its epoch is; raise `OkiagariError` if that failed, and the tree runs on."""
        begun = time.monotonic()
        folder = self._epochs.begin()
        try:
            manifest = self._dumped(subject, folder)
            number = self._epochs.finish(folder, manifest, self._asked.keep)
        except BaseException as error:
            shutil.rmtree(folder, ignore_errors=True)
            self._go_on(subject)
            if isinstance(error, OSError):
                raise NotCaptured(_name(subject), f"{error.filename}: {error.strerror}") from error
            raise
        if self._asked.leave == "ended":
            self._end(manifest["processes"])
        took = (time.monotonic() - begun) * 1000
        there = self._epochs.manifest(number)
        return {
            "epoch": number, "pause_ms": there["pause_ms"], "bytes": there["bytes"],
            "processes": there["count"], "took_ms": round(took, 1),
        }  # fmt: skip

    def _dumped(self, subject: Subject, folder: Path) -> dict[str, Any]:
        images, files, work = (folder / name for name in (_IMAGES, _FILES, _WORK))
        for each in (images, files, work):
            each.mkdir(mode=0o700)
        program = self._program(subject)
        namespace = self._processes.namespaces(subject.root.pid).get("pid", "")
        script = self._script(files, work)
        before = self._pre_dump(subject, folder, work)
        done = self._criu.dump(
            subject, images, work, before, self._asked.leave != "running", self._asked.established_tcp, script
        )
        if done.rc:
            raise NotCaptured(_name(subject), _why(done, work))
        inner = {int(path.stem.partition("-")[2]) for path in images.glob("core-*.img")}
        manifest = {
            "captured": time.time(), "boot": self._boot, "name": subject.root.name, "inner": subject.inner,
            "job": subject.job, "tcp": self._asked.established_tcp, "network": "net" in subject.enter,
            "unit": self._asked.unit or "", "pause_ms": _pause(work), "count": len(subject.tree),
            "processes": [
                {"pid": each.pid, "started": each.started} for each in self._captured(subject, namespace, inner)
            ],
            "outlets": [each._asdict() for each in subject.outlets], "program": program,
            "files": _entries(work, folder), "paths": [str(path) for path in self._asked.files],
        }  # fmt: skip
        shutil.rmtree(work)
        return manifest

    def _program(self, subject: Subject) -> dict[str, Any]:
        numbers = self._epochs.numbers()
        known: dict[str, Any] = {}
        if numbers:
            try:
                known = self._epochs.manifest(numbers[-1])["program"]
            except OkiagariError:
                known = {}
        paths = set[str]().union(*(self._processes.program_files(process.pid) for process in subject.tree))
        return digest.program(paths, self._root, known)

    def _script(self, files: Path, work: Path) -> str:
        """Give the program that copies the files; empty if there are none."""
        if not self._asked.files:
            return ""
        plan = [[str(path), str(files / str(number))] for number, path in enumerate(self._asked.files)]
        (work / "copy.plan").write_text(json.dumps(plan), encoding="utf-8")
        program = work / "copy"
        program.write_text(f"#!{sys.executable} -ISB\n{_source(frozen_copy.__name__)}", encoding="utf-8")
        program.chmod(0o700)
        return str(program)

    def _pre_dump(self, subject: Subject, folder: Path, work: Path) -> Path | None:
        """Dump most of the memory while the tree runs, where the kernel then tells what was written since."""
        if not self._criu.tracks_memory():
            return None
        before = folder / _BEFORE
        before.mkdir(mode=0o700)
        if self._criu.pre_dump(subject, before, work).rc:
            shutil.rmtree(before)
            return None
        return before

    def _captured(self, subject: Subject, namespace: str, inner: set[int]) -> list[Process]:
        """Give the processes that were captured, by the PIDs that CRIU's images have, as far as they run on."""
        if "pid" not in subject.enter:
            found = (self._processes.process(pid) for pid in sorted(inner))
            return [process for process in found if process and process.alive]
        return [
            process
            for process in self._processes.all()
            if self._processes.namespaces(process.pid).get("pid") == namespace
            and self._processes.inner_pid(process.pid) in inner
        ]

    def _go_on(self, subject: Subject) -> None:
        """Let a tree go on that was stopped for an epoch that failed afterwards."""
        for process in subject.tree:
            there = self._processes.process(process.pid)
            if there and there.started == process.started and there.state == "T" and process.state != "T":
                os.kill(process.pid, signal.SIGCONT)

    def _end(self, processes: list[dict[str, int]]) -> None:
        for each in processes:
            if self._processes.runs(each["pid"], each["started"]):
                os.kill(each["pid"], signal.SIGKILL)
        end = time.monotonic() + _GONE_S
        while any(self._processes.runs(each["pid"], each["started"]) for each in processes):
            if time.monotonic() > end:
                raise OkiagariError("the tree was captured, but doesn't end: a process of it is stuck in the kernel")
            time.sleep(0.005)


def _name(subject: Subject) -> str:
    return f"process {subject.root.pid} ({subject.root.name})"


def _why(done: Completed, work: Path) -> str:
    failed, log = work / "copy.failed", work / "log"
    if failed.exists():
        return f"files: {failed.read_text(encoding='utf-8')}"
    said = log.read_text(encoding="utf-8", errors="replace") if log.exists() else ""
    return why(said) or why(done.err + done.out) or reason(done)


def _pause(work: Path) -> float:
    try:
        return round(statistics.dumped((work / "stats-dump").read_bytes()).pause_ms, 3)
    except (OSError, BadValue) as error:
        raise OkiagariError(f"CRIU didn't say how long the tree stood still: {error}") from error


def _entries(work: Path, folder: Path) -> list[dict[str, Any]]:
    path = work / "copy.entries"
    entries = json.loads(path.read_text(encoding="utf-8")) if path.exists() else []
    return [{**entry, "copy": str(Path(entry["copy"]).relative_to(folder))} for entry in entries]


def _source(name: str) -> str:
    spec = importlib.util.find_spec(name)
    # Each kind of loader that may have loaded us (file, zip, Ansible's own) has this method, though some give bytes.
    source = getattr(spec.loader, "get_source", lambda _name: None)(name) if spec else None
    if not source:
        raise OkiagariError(f"the source of {name} is not there")
    return source.decode() if isinstance(source, bytes) else str(source)
