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
import time
from contextlib import suppress
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
    from .monitor import Monitor

_BITMAP = "okiagari"
_POLL_S = 0.005
_STEP = 4 * 1024 * 1024
_ENDS_S = 10.0


class Disks:
    """The disks of a guest: `mirrors` has what the replicas have of each, by the name of its node in QEMU.

    `folder` is for what was copied, until it is read. The order is: `watch` before the guest runs; then each time
    `prepare`, `begin` while the guest stands still, after `take_back` where a migration has ended, and `collect`; or
    `drop`, if anything fails.
    """

    def __init__(self, monitor: Monitor, runner: Runner, folder: Path, mirrors: Mapping[str, Mirror]) -> None:
        self.mirrors = dict(mirrors)
        self._monitor, self._runner, self._folder = monitor, runner, folder

    def watch(self) -> None:
        """Have QEMU note where the guest writes from now on."""
        # Nobody is to come to this server: without one there are no exports, by which disks are taken back.
        self._monitor.execute("nbd-server-start", addr={"type": "unix", "data": {"path": str(self._folder / "nbd")}})
        for node in self.mirrors:
            self._monitor.execute("block-dirty-bitmap-add", node=node, name=_BITMAP)

    def prepare(self) -> None:
        """Have room for what is copied; it may take a while."""
        self.drop()
        for node, mirror in self.mirrors.items():
            path = self._path(node)
            size = str(len(mirror.image) * pages.PAGE)
            output(self._runner, ["qemu-img", "create", "-q", "-f", "qcow2", str(path), size])
            self._monitor.execute(
                "blockdev-add", driver="qcow2", node_name=_target(node), file={"driver": "file", "filename": str(path)}
            )

    def take_back(self) -> None:
        """Have QEMU use the disks again, which a migration has given up for whoever goes on elsewhere."""
        # Every QEMU takes back what it exports. From 10.0 on there is blockdev-set-active, too.
        for node in (*self.mirrors, *map(_target, self.mirrors)):
            self._monitor.execute("block-export-add", type="nbd", id=node, node_name=node)
            self._monitor.execute("block-export-del", id=node, mode="hard")

    def begin(self, whole: bool) -> None:
        """Begin to copy, of all disks at one instant: what was written since the last time, or with `whole` all."""
        actions: list[dict[str, Any]] = []
        for node in self.mirrors:
            job = {"job-id": _target(node), "device": node, "target": _target(node), "auto-dismiss": False}
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
        for node, mirror in self.mirrors.items():
            path = self._path(node)
            mirror.begin(emit)
            for start, length, offset in _extents(self._runner, path):
                _offer(mirror, path, start, length, offset)
            mirror.end()
            path.unlink()

    def drop(self) -> None:
        """End whatever there is of a copy."""
        for node in self.mirrors:
            with suppress(Refusal):
                self._monitor.execute("job-cancel", id=_target(node))
        if self.mirrors:
            with suppress(OkiagariError):
                self._wait(_ENDS_S)
        self._release()
        for node in self.mirrors:
            self._path(node).unlink(missing_ok=True)

    def _wait(self, stall_s: float) -> None:
        """Wait until no job copies any more; raise `OkiagariError` with what any of them failed by.

        It may take as long as it likes, but goes on: nothing for `stall_s` is an error.
        """
        ours = {_target(node) for node in self.mirrors}
        copied, end = -1, 0.0
        while True:
            jobs = [job for job in self._monitor.execute("query-jobs") if job["id"] in ours]
            if all(job["status"] == "concluded" for job in jobs):
                break
            before, copied = copied, sum(job["current-progress"] for job in jobs)
            if copied != before:
                end = time.monotonic() + stall_s
            if time.monotonic() > end:
                raise OkiagariError(f"nothing of the disk {_node(jobs[0]['id'])} is copied for {stall_s:g} s")
            time.sleep(_POLL_S)
        wrong = [f"the disk {_node(job['id'])} can't be copied: {job['error']}" for job in jobs if "error" in job]
        for job in jobs:
            self._monitor.execute("job-dismiss", id=job["id"])
        if wrong:
            raise OkiagariError("; ".join(wrong))

    def _release(self) -> None:
        for node in self.mirrors:
            with suppress(Refusal):
                self._monitor.execute("blockdev-del", node_name=_target(node))

    def _path(self, node: str) -> Path:
        return self._folder / f"{node}.copied"


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


def _target(node: str) -> str:
    return f"{_BITMAP}-{node}"


def _node(target: str) -> str:
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
