# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a running guest has written to its disks, as they were at one instant (P1.1).

QEMU notes in a dirty bitmap where the guest writes. A backup job begins at the instant and copies what the bitmap has:
where the guest writes meanwhile, the job copies what was there first. What it copied is an image of its own, which says
which clusters it has; those that have not changed after all are found by whoever compares pages.

A migration that isn't a background snapshot gives the disks up in its end, and fails where a job still writes to one.
So jobs begin after that, when QEMU has taken the disks back.
"""

from __future__ import annotations

import json
import socket
import time
from contextlib import contextmanager, suppress
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from ..errors import OkiagariError
from ..runner import output
from . import pages
from .monitor import Refusal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from ..runner import Runner
    from .mirror import Mirror
    from .monitor import AnyMonitor

_BITMAP = "okiagari"
_NOWHERE = "okiagari-nowhere"
# QEMU before this has no command to take disks back.
_TAKES_ALL_BACK = (10, 0)
_POLL_S = 0.005
_STEP = 4 * 1024 * 1024
_ENDS_S = 10.0


class Disks:
    """The disks of a guest: `mirrors` has what the replicas have of each, by its name.

    `nodes` has the names of their nodes in QEMU, if they are others. QEMU is handed the files that it copies to, so
    that it needs no right to open any.

    `folder` is for what was copied, until it is read. The order is: `watch` before the guest runs; then each time
    `prepare`, `begin` while the guest stands still, after `take_back` where a migration has ended, and `collect`; or
    `drop`, if anything fails. Without mirrors there is nothing but to `drop` and `unwatch`.
    """

    def __init__(
        self, monitor: AnyMonitor, runner: Runner, folder: Path, mirrors: Mapping[str, Mirror],
        nodes: Mapping[str, str] | None = None,
    ) -> None:  # fmt: skip
        self.mirrors = dict(mirrors)
        self._monitor, self._runner, self._folder = monitor, runner, folder
        self._nodes = dict(nodes or {name: name for name in mirrors})

    def watch(self) -> None:
        """Have QEMU note where the guest writes from now on."""
        for node in self._nodes.values():
            self._monitor.execute("block-dirty-bitmap-add", node=node, name=_BITMAP)

    def unwatch(self) -> None:
        """Have QEMU forget where the guest wrote, if it was told to note it."""
        for node in self._nodes.values():
            with suppress(Refusal):
                self._monitor.execute("block-dirty-bitmap-remove", node=node, name=_BITMAP)

    def prepare(self) -> None:
        """Have room for what is copied; it may take a while."""
        self.drop()
        for name, mirror in self.mirrors.items():
            path = self._path(name)
            size = str(len(mirror.image) * pages.PAGE)
            output(self._runner, ["qemu-img", "create", "-q", "-f", "qcow2", str(path), size])
            with path.open("r+b") as file:
                lent = self._monitor.execute("add-fd", fd=file.fileno(), opaque=_target(name))
            file_node = {"driver": "file", "filename": f"/dev/fdset/{lent['fdset-id']}"}
            self._monitor.execute("blockdev-add", driver="qcow2", node_name=_target(name), file=file_node)

    def take_back(self) -> None:
        """Have QEMU use the disks again, which a migration has given up for whoever goes on elsewhere."""
        if self._monitor.version >= _TAKES_ALL_BACK:
            self._monitor.execute("blockdev-set-active", active=True)
            return
        # What is exported is taken back. The guest stands still meanwhile, for seven commands instead of one.
        with self._exporting():
            for export, node in self._exports().items():
                self._monitor.execute("block-export-add", type="nbd", id=export, node_name=node)
                self._monitor.execute("block-export-del", id=export, mode="hard")

    @contextmanager
    def _exporting(self) -> Iterator[None]:
        """Have a server of exports to which nobody can come, unless there is somebody's own."""
        with socket.socket(socket.AF_UNIX) as nowhere:
            with TemporaryDirectory() as gone:
                nowhere.bind(f"{gone}/nbd")
            nowhere.listen()
            self._monitor.execute("getfd", fd=nowhere.fileno(), fdname=_NOWHERE)
        try:
            self._monitor.execute("nbd-server-start", addr={"type": "fd", "data": {"str": _NOWHERE}})
        except Refusal:
            self._monitor.execute("closefd", fdname=_NOWHERE)
            yield
            return
        try:
            yield
        finally:
            self._monitor.execute("nbd-server-stop")

    def _exports(self) -> dict[str, str]:
        """Give which nodes are taken back, by the names of their exports, which nobody else's have."""
        copies = {f"{_target(name)}-copy": _target(name) for name in self._nodes}
        return {**{f"{_target(name)}-disk": node for name, node in self._nodes.items()}, **copies}

    def begin(self, whole: bool) -> None:
        """Begin to copy, of all disks at one instant: what was written since the last time, or with `whole` all."""
        actions: list[dict[str, Any]] = []
        for name, node in self._nodes.items():
            job = {"job-id": _target(name), "device": node, "target": _target(name), "auto-dismiss": False}
            if whole:
                actions += [
                    {"type": "block-dirty-bitmap-clear", "data": {"node": node, "name": _BITMAP}},
                    {"type": "blockdev-backup", "data": {**job, "sync": "full"}},
                ]
            else:
                bitmap = {"sync": "incremental", "bitmap": _BITMAP}
                actions.append({"type": "blockdev-backup", "data": {**job, **bitmap}})
        if actions:
            self._monitor.execute("transaction", actions=actions)

    def collect(self, emit: Callable[[bytes], object], stall_s: float) -> None:
        """Wait until all is copied, and give what has changed as blocks, disk after disk.

        Raises `OkiagariError` if nothing more is copied for `stall_s`, or a disk can't be read.
        """
        self._wait(stall_s)
        self._release()
        for name, mirror in self.mirrors.items():
            path = self._path(name)
            mirror.begin(emit)
            for start, length, offset in _extents(self._runner, path):
                _offer(mirror, path, start, length, offset)
            mirror.end()
            path.unlink()

    def drop(self) -> None:
        """End whatever there is of a copy, also what somebody has left who was killed."""
        for export in self._exports():
            with suppress(Refusal):
                self._monitor.execute("block-export-del", id=export, mode="hard")
        for name in self._nodes:
            with suppress(Refusal):
                self._monitor.execute("job-cancel", id=_target(name))
        if self._nodes:
            with suppress(OkiagariError):
                self._wait(_ENDS_S)
        self._release()
        for name in self._nodes:
            self._path(name).unlink(missing_ok=True)

    def _wait(self, stall_s: float) -> None:
        """Wait until no job copies any more; raise `OkiagariError` with what any of them failed by.

        It may take as long as it likes, but goes on: nothing for `stall_s` is an error.
        """
        ours = {_target(name) for name in self._nodes}
        copied, end = -1, 0.0
        while True:
            jobs = [job for job in self._monitor.execute("query-jobs") if job["id"] in ours]
            if all(job["status"] == "concluded" for job in jobs):
                break
            before, copied = copied, sum(job["current-progress"] for job in jobs)
            if copied != before:
                end = time.monotonic() + stall_s
            if time.monotonic() > end:
                raise OkiagariError(f"nothing of the disk {_name(jobs[0]['id'])} is copied for {stall_s:g} s")
            time.sleep(_POLL_S)
        wrong = [f"the disk {_name(job['id'])} can't be copied: {job['error']}" for job in jobs if "error" in job]
        for job in jobs:
            self._monitor.execute("job-dismiss", id=job["id"])
        if wrong:
            raise OkiagariError("; ".join(wrong))

    def _release(self) -> None:
        for name in self._nodes:
            with suppress(Refusal):
                self._monitor.execute("blockdev-del", node_name=_target(name))
        ours = {_target(name) for name in self._nodes}
        for lent in self._monitor.execute("query-fdsets") if ours else ():
            if any(each.get("opaque") in ours for each in lent["fds"]):
                with suppress(Refusal):
                    self._monitor.execute("remove-fd", fdset_id=lent["fdset-id"])

    def _path(self, name: str) -> Path:
        return self._folder / f"{name}.copied"


def overlay(runner: Runner, path: Path, below: Path, kind: str) -> int:
    """Make the image that a guest writes to instead of `below`, which is of this format; give its size in bytes."""
    output(runner, ["qemu-img", "create", "-q", "-f", "qcow2", "-b", str(below), "-F", kind, str(path)])
    # To start qemu-img takes long where a guest is waited for.
    if kind == "raw":
        size = below.stat().st_size
    else:
        size = int(json.loads(output(runner, ["qemu-img", "info", "--output=json", str(path)]))["virtual-size"])
    if size % pages.PAGE:
        raise OkiagariError(f"{below} has {size} bytes, not a whole number of {pages.PAGE}: qemu-img resize it")
    return size


def _target(name: str) -> str:
    return f"{_BITMAP}-{name}"


def _name(target: str) -> str:
    return target.removeprefix(_target(""))


def _extents(runner: Runner, path: Path) -> Iterator[tuple[int, int, int | None]]:
    """Give what the copy has: from where on in the disk, how much, and where in the file; None for zeros."""
    for each in json.loads(output(runner, ["qemu-img", "map", "--output=json", str(path)])):
        if each.get("present", True) and (each["data"] or each["zero"]):
            yield each["start"], each["length"], each["offset"] if each["data"] else None


def _offer(mirror: Mirror, path: Path, start: int, length: int, offset: int | None) -> None:
    with path.open("rb") as file:
        for done in range(0, length, _STEP):
            size = min(_STEP, length - done)
            first = (start + done) // pages.PAGE
            if offset is None:
                mirror.look_for_zeros(first, first + size // pages.PAGE)
            else:
                file.seek(offset + done)
                mirror.look(first, pages.pages_of(file.read(size)))
