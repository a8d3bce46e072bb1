# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What else saves the state of a running guest: QEMU's snapshots, its migration to a file, and rsync of that file.

Each does it to the same QEMU that is captured, and begins the same guest again beside it.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from ansible_collections.okiagari.testbed.plugins.module_utils.checkpoint.guest_memory import GuestMemory
from ansible_collections.okiagari.testbed.plugins.module_utils.checkpoint.monitor import Monitor, Refusal
from ansible_collections.okiagari.testbed.plugins.module_utils.errors import OkiagariError
from costs import drop
from onlooker import Onlooker
from unpacked import Unavailable, last_line, program

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from ansible_collections.okiagari.testbed.plugins.module_utils.checkpoint.running import Running
    from guests import Guest

_PATIENCE_S = 300.0
_POLL_S = 0.002
_NAME = "bench"
_RSYNC = ("rsync", "libpopt0", "libxxhash0")


@dataclass(frozen=True)
class Taken:
    """What it took to save a state once."""

    still_ms: float
    took_ms: float
    shipped_kib: float


@dataclass(frozen=True)
class Scene:
    """A guest that runs, and a folder for what is saved of it."""

    guest: Guest
    running: Running
    folder: Path

    def disks(self) -> list[Path]:
        return [self.guest.folder / f"{name}.qcow2" for name in self.running.guest.disks]

    def keep(self, folder: Path) -> None:
        """Copy what the guest's disks are, while it stands still."""
        for path in [*self.disks(), self.guest.folder / "seed"]:
            if path.exists():
                shutil.copy(path, folder)

    def restore(self, kept: Path, *words: str, uncached: bool) -> float:
        """Begin the guest from such a copy, with more words for QEMU; give the milliseconds to its first answer."""
        other = self.guest.elsewhere(made(self.folder / "again"))
        try:
            for path in kept.iterdir():
                if not path.name.startswith("state"):
                    shutil.copy(path, other.folder)
            if uncached and (why := drop([kept, other.folder])):
                raise Unavailable(why)
            with Onlooker(other.watched_by()) as onlooker:
                begun = time.monotonic()
                with _qemu(self, other, words) as monitor:
                    while monitor.execute("query-status")["status"] == "inmigrate":
                        time.sleep(_POLL_S)
                    monitor.execute("cont")
                    onlooker.go()
                    return 1000 * (onlooker.first() - begun)
        finally:
            shutil.rmtree(other.folder)


class Rival(Protocol):
    """A way to save a guest's state. Raises `OkiagariError` or `Unavailable` for what can't be done here."""

    name: str

    def __init__(self, scene: Scene) -> None: ...

    def prepare(self) -> None:
        """Have what is saved of the guest be of its present load."""

    def take(self) -> Taken:
        """Save the guest's state; it runs before and afterwards."""

    def restore(self, *, uncached: bool) -> float:
        """Begin the guest again from what was saved last; give the milliseconds to its first answer."""


class Snapshot:
    """`savevm` and `loadvm`: an internal snapshot in the guest's own disk, a qcow2 image."""

    name = "savevm"

    def __init__(self, scene: Scene) -> None:
        self._scene, self._monitor = scene, scene.running.monitor
        self._disks = list(scene.running.guest.disks)
        self._kept = made(scene.folder / "snapshot")

    def prepare(self) -> None:
        pass

    def take(self) -> Taken:
        self._job("snapshot-delete")
        _undo_capabilities(self._monitor)
        self._monitor.forget()
        begun = time.monotonic()
        self._job("snapshot-save", vmstate=self._disks[0])
        took_ms = 1000 * (time.monotonic() - begun)
        stopped = _at(self._monitor, "STOP")
        return Taken(1000 * (_at(self._monitor, "RESUME") - stopped), took_ms, self._size() / 1024)

    def restore(self, *, uncached: bool) -> float:
        if not any(self._kept.iterdir()):
            self._scene.keep(self._kept)
        return self._scene.restore(self._kept, "-loadvm", _NAME, uncached=uncached)

    def _size(self) -> int:
        argv = ["qemu-img", "info", "--force-share", "--output=json", str(self._scene.disks()[0])]
        said = subprocess.run(argv, check=True, capture_output=True).stdout
        return int(json.loads(said)["snapshots"][0]["vm-state-size"])

    def _job(self, command: str, **arguments: Any) -> None:
        self._monitor.execute(command, job_id=_NAME, tag=_NAME, devices=self._disks, **arguments)
        end = time.monotonic() + _PATIENCE_S
        while (job := self._job_now())["status"] != "concluded":
            if time.monotonic() > end:
                raise OkiagariError(f"QEMU has not come to the end of {command} within {_PATIENCE_S:g} s")
            time.sleep(_POLL_S)
        self._monitor.execute("job-dismiss", id=_NAME)
        if "error" in job:
            raise OkiagariError(f"{command}: {job['error']}")

    def _job_now(self) -> Mapping[str, Any]:
        return next(job for job in self._monitor.execute("query-jobs") if job["id"] == _NAME)


class ToFile:
    """`stop`, a copy of the disks, `migrate` to a file, and `cont`."""

    name = "to a file"

    def __init__(self, scene: Scene) -> None:
        self._scene, self._monitor = scene, scene.running.monitor
        self._kept = made(scene.folder / self.name.replace(" ", "-"))
        self._state = self._kept / "state"

    def prepare(self) -> None:
        pass

    def take(self) -> Taken:
        monitor = self._monitor
        _undo_capabilities(monitor)
        monitor.execute("migrate-set-parameters", max_bandwidth=0)
        monitor.forget()
        begun = time.monotonic()
        monitor.execute("stop")
        stopped = _at(monitor, "STOP")
        self._scene.keep(self._kept)
        monitor.execute("migrate", uri=f"exec:cat > {self._state}")
        ends = ("completed", "failed")
        over = monitor.wait(
            lambda event: event["event"] == "MIGRATION" and event["data"]["status"] in ends, _PATIENCE_S
        )
        _go_on(monitor)
        still_ms = 1000 * (_at(monitor, "RESUME") - stopped)
        took_ms = 1000 * (time.monotonic() - begun)
        if over["data"]["status"] == "failed":
            raise OkiagariError("QEMU can't migrate to a file")
        return Taken(still_ms, took_ms, self._state.stat().st_size / 1024)

    def restore(self, *, uncached: bool) -> float:
        return self._scene.restore(self._kept, "-incoming", f"exec:cat {self._state}", uncached=uncached)


class Rsynced(ToFile):
    """The same, and rsync brings the file to where the one before it is, compressed, as if that were another host."""

    name = "and by rsync"

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self._there = made(scene.folder / "there")

    def prepare(self) -> None:
        super().take()
        self._rsync()

    def take(self) -> Taken:
        filed, begun = super().take(), time.monotonic()
        shipped = self._rsync()
        return Taken(filed.still_ms, filed.took_ms + 1000 * (time.monotonic() - begun), shipped / 1024)

    def restore(self, *, uncached: bool) -> float:
        raise Unavailable("it is restored as from a file")

    def _rsync(self) -> int:
        """Give the bytes that it has sent and received."""
        rsync, libraries = program("rsync", *_RSYNC)
        # A file of the same size and second isn't the same.
        options = ["--ignore-times", "--no-whole-file", "--compress", "--stats"]
        argv = [str(rsync), *options, str(self._state), str(self._there)]
        environment = {**os.environ, "LC_ALL": "C", **({"LD_LIBRARY_PATH": libraries} if libraries else {})}
        done = subprocess.run(argv, check=False, capture_output=True, text=True, env=environment)
        if done.returncode:
            raise Unavailable(f"rsync says: {last_line(done.stderr)}")
        said = re.findall(r"^Total bytes (?:sent|received): ([\d.,]+)$", done.stdout, re.MULTILINE)
        return sum(int(re.sub(r"\D", "", number)) for number in said)


RIVALS: Mapping[str, type[Rival]] = {"savevm": Snapshot, "file": ToFile, "rsync": Rsynced}


def made(folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    return folder


@contextmanager
def _qemu(scene: Scene, other: Guest, words: tuple[str, ...]) -> Iterator[Monitor]:
    """Start QEMU as it was started, but for the other guest's folder, memory of its own, and for more words."""
    argv = [str(word) for word in scene.running.process.args]  # type: ignore[union-attr]
    before = scene.running.memory
    with GuestMemory(before.size) as memory, (other.folder / "log").open("wb") as log:
        memories = dict(zip(before.arguments(), memory.arguments(), strict=True))
        for old, new in {**scene.guest.replaced(other), **memories}.items():
            argv = [word.replace(old, new) for word in argv]
        process = subprocess.Popen(
            [*argv, *words], stdin=subprocess.DEVNULL, stdout=log, stderr=log, pass_fds=[memory.file]
        )
    try:
        with _monitor(process, other.folder) as monitor:
            yield monitor
    finally:
        process.kill()
        process.wait()


def _undo_capabilities(monitor: Monitor) -> None:
    """Have QEMU save as it does by itself, whatever the capture before had it do."""
    said = [{"capability": name, "state": False} for name in ("background-snapshot", "x-ignore-shared")]
    said.append({"capability": "events", "state": True})
    monitor.execute("migrate-set-capabilities", capabilities=said)


def _monitor(process: subprocess.Popen[bytes], folder: Path) -> Monitor:
    while True:
        try:
            return Monitor(folder / "qmp", _PATIENCE_S)
        except OkiagariError as error:
            if process.poll() is not None:
                raise OkiagariError(f"QEMU says: {last_line((folder / 'log').read_text())}") from error
            time.sleep(_POLL_S)


def _at(monitor: Monitor, event: str) -> float:
    """Wait for an event, and give when it was."""
    stamp = monitor.wait(lambda said: said["event"] == event, _PATIENCE_S)["timestamp"]
    return float(stamp["seconds"]) + float(stamp["microseconds"]) / 1e6


def _go_on(monitor: Monitor) -> None:
    """Let the guest go on; QEMU takes a moment to close a migration, and refuses until then."""
    while True:
        try:
            monitor.execute("cont")
        except Refusal:
            time.sleep(_POLL_S)
        else:
            return
