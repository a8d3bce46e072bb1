# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A guest under one load after the other, captured as an agent captures it, in both ways, and saved by the rivals.

It is to be called in a process of its own, whose memory is then the capturer's. QEMU, disks and packs are those of a
service's guest; nobody takes the packs. At last a replica takes a first one, from which the guest is begun again as a
successor begins it, while the guest itself stands still.
"""

from __future__ import annotations

import os
import shutil
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from ansible_collections.okiagari.testbed.plugins.module_utils.checkpoint.capture import BACKGROUND, WAYS
from ansible_collections.okiagari.testbed.plugins.module_utils.checkpoint.capturer import Capturer, Whose
from ansible_collections.okiagari.testbed.plugins.module_utils.checkpoint.pack import Pack
from ansible_collections.okiagari.testbed.plugins.module_utils.checkpoint.replica import Replica
from ansible_collections.okiagari.testbed.plugins.module_utils.checkpoint.running import Running
from ansible_collections.okiagari.testbed.plugins.module_utils.errors import OkiagariError
from ansible_collections.okiagari.testbed.plugins.module_utils.target.system import SubprocessRunner
from costs import PeakMemory, Processors, drop
from guests import KINDS, MIB, PAGE
from loads import Under
from onlooker import Onlooker
from rivals import RIVALS, Scene, Taken, made
from side_by_side import ALONE, CACHED, DOES, SHIPPED, SILENCE, SPENT, STILL, TOOK, UNCACHED, Line
from unpacked import Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable

    from ansible_collections.okiagari.testbed.plugins.module_utils.checkpoint.mirror import Mirror
    from guests import Guest
    from loads import Load
    from rivals import Rival

ROUNDS = 2
"""So often is measured what takes long and hardly varies, so that the whole takes minutes."""
_REST_S = 0.3
_SERVICE, _KEY = "bench", bytes(range(32))
_STEP = 1024


@dataclass(frozen=True)
class Order:
    """What is to be measured: loads of one kind of guest, with so many MiB; files are in a folder."""

    mib: int
    kind: str
    loads: tuple[Load, ...]
    epochs: int
    rivals: tuple[str, ...]
    accelerator: str
    folder: Path


@dataclass
class Outcome:
    """What it came to: the lines, and what isn't of one of them.

    `first` is the first pack, `image_mib` what the guest's images have, `state_kib` what of that isn't zero,
    `memory_mib` the most that the capturer had, and `mirrored_ms` what a successor spends on its mirrors when the guest
    has gone on.
    """

    first: Taken
    image_mib: float
    state_kib: float
    memory_mib: float = 0.0
    lines: list[Line] = field(default_factory=list)
    mirrored_ms: list[float] = field(default_factory=list)


class _Told(Capturer):
    """A capturer that says what it holds."""

    def state_kib(self) -> float:
        """Give what of all images isn't zero."""
        mirrors = [*self._memory.images.values(), *self._disks.mirrors.values()]
        return sum(map(_filled, mirrors)) * PAGE / 1024


def measure(order: Order) -> Outcome:
    """Measure what an order says."""
    with TemporaryDirectory(prefix="okiagari-bench-", dir=order.folder) as name:
        folder = Path(name)
        guest = KINDS[order.kind](made(folder / "guest"), order.mib, order.accelerator)
        with Running(guest.machine(), SubprocessRunner(), guest.folder) as running:
            return _Bench(order, Scene(guest, running, folder)).run()


class _Bench:
    def __init__(self, order: Order, scene: Scene) -> None:
        self._order, self._scene = order, scene
        self._capturer = _Told(*_capturing(scene.running, scene.guest))
        self._processors = Processors(scene.running.process.pid, scene.running.monitor)
        self._rivals = [RIVALS[name](scene) for name in order.rivals]
        self._pack = scene.folder / "pack"

    def run(self) -> Outcome:
        with Onlooker(self._scene.guest.watched_by()) as onlooker:
            self._scene.running.go_on()
            onlooker.go()
            onlooker.first()
        guest = self._scene.running.guest
        image = guest.memory.size + sum(guest.disks.values())
        outcome = Outcome(self._captured(), image / MIB, self._capturer.state_kib())
        for load in self._order.loads:
            print(f"  {self._order.mib} MiB, {load.name} ...", file=sys.stderr, flush=True)
            alone, ours, theirs = (
                [Line(self._order.mib, load.name, way, load.unit) for way in ways]
                for ways in ([ALONE] if load.unit else [], WAYS, [rival.name for rival in self._rivals])
            )
            with Under(load, self._scene.guest, self._scene.running.monitor) as under:
                for line in alone:
                    self._measure(line, under, _nothing, self._order.epochs // 2 or 1)
                with PeakMemory() as peak:
                    for line in ours:
                        self._capture(line, under)
                outcome.memory_mib = max(outcome.memory_mib, peak.bytes / MIB)
                for line, rival in zip(theirs, self._rivals, strict=True):
                    self._save(line, rival, under)
            outcome.lines += [*alone, *ours, *theirs]
        outcome.mirrored_ms = self._begin_again(ours[0])
        for line, rival in zip(theirs, self._rivals, strict=True):
            if not line.why:
                self._restore(line, rival.restore)
        return outcome

    def _capture(self, line: Line, under: Under) -> None:
        """Capture so many epochs in one way. One before isn't counted: the guest may have done much meanwhile."""
        self._capturer.way = line.way
        try:
            self._captured()
            self._measure(line, under, self._captured, self._order.epochs if line.way == BACKGROUND else ROUNDS)
        except OkiagariError as error:
            line.why = str(error)
            self._captured()

    def _captured(self) -> Taken:
        """Capture an epoch, and have its pack on the disk."""
        begun = time.monotonic()
        with self._pack.open("w+b") as file:
            _label, took = self._capturer.capture(file)
            file.flush()
            os.fsync(file.fileno())
        return Taken(took.pause_ms, 1000 * (time.monotonic() - begun), self._pack.stat().st_size / 1024)

    def _save(self, line: Line, rival: Rival, under: Under) -> None:
        try:
            rival.prepare()
            self._measure(line, under, rival.take, ROUNDS)
        except (OkiagariError, Unavailable) as error:
            line.why = str(error)

    def _measure(self, line: Line, under: Under, act: Callable[[], Taken | None], times: int) -> None:
        """Do something so many times, and note what it takes, and what the guest does until it has gone on a while."""
        for _time in range(times):
            under.begin()
            spent = self._processors.seconds()
            taken = act()
            spent = self._processors.seconds() - spent
            time.sleep(_REST_S)
            done = under.done()
            if taken:
                line.note(STILL, taken.still_ms)
                line.note(TOOK, taken.took_ms)
                line.note(SHIPPED, taken.shipped_kib)
                line.note(SPENT, spent)
            if done:
                line.note(SILENCE, done.silence_ms)
                line.note(DOES, done.rate)

    def _begin_again(self, line: Line) -> list[float]:
        """Have a replica take the present state, stop the guest, and begin it again from the replica; time that.

        Give the milliseconds that the mirrors take, which are made when the guest has gone on.
        """
        self._capturer.begin_anew()
        self._captured()
        self._scene.running.monitor.execute("stop")
        replica = self._replica()
        with self._pack.open("rb") as file:
            replica.take(Pack(file, lambda *_said: None))
        replica.close()
        mirrored_ms: list[float] = []
        self._restore(line, lambda *, uncached: self._successor(mirrored_ms, uncached=uncached))
        return mirrored_ms

    def _restore(self, line: Line, restore: Callable[..., float]) -> None:
        try:
            for figure, uncached in ((CACHED, False), (UNCACHED, True)):
                for _round in range(ROUNDS):
                    line.note(figure, restore(uncached=uncached))
        except (OkiagariError, Unavailable) as error:
            line.why = str(error)

    def _successor(self, mirrored_ms: list[float], *, uncached: bool) -> float:
        """Begin the guest from the replica, and give the milliseconds to its first answer."""
        guest = self._scene.guest.elsewhere(made(self._scene.folder / "again"))
        try:
            if uncached and (why := drop([self._scene.folder / "replica"])):
                raise Unavailable(why)
            with Onlooker(guest.watched_by()) as onlooker:
                begun = time.monotonic()
                replica = self._replica()
                with Running(guest.machine(), SubprocessRunner(), guest.folder, replica) as running:
                    running.restore(replica)
                    capturer = Capturer(*_capturing(running, guest))
                    running.go_on()
                    onlooker.go()
                    took_ms = 1000 * (onlooker.first() - begun)
                    runs = time.monotonic()
                    capturer.resumed(replica)
                    mirrored_ms.append(1000 * (time.monotonic() - runs))
                replica.close()
                return took_ms
        finally:
            shutil.rmtree(guest.folder)

    def _replica(self) -> Replica:
        return Replica(self._scene.folder / "replica", _SERVICE, _KEY)


def _nothing() -> None:
    """Leave the guest alone."""


def _capturing(running: Running, guest: Guest) -> tuple[Any, ...]:
    """Give what a capturer of a guest is made from."""
    whose = Whose(_SERVICE, "here", 1, _KEY, lambda _said: b"signed")
    return running.monitor, SubprocessRunner(), guest.folder, running.guest, whose


def _filled(mirror: Mirror) -> int:
    """Count the pages that aren't zero."""
    image = mirror.image
    return sum(int(image[start : start + _STEP].any(axis=1).sum()) for start in range(0, len(image), _STEP))
