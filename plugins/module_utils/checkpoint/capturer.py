# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A running guest as a chain of packs: its memory, devices and every disk, epoch after epoch (P1.1, P1.2)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, BinaryIO

from ..errors import OkiagariError
from . import digests, pages
from .capture import BACKGROUND, Memory, StandsStill, capture, have_all_of_memory, room, way_of, way_of_stopped
from .disks import Disks
from .engines import np
from .guest_memory import GuestMemory
from .mirror import Mirror
from .pack import Image, Label, Writer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from ..runner import Runner
    from .capture import Took
    from .guest_memory import ForeignMemory
    from .monitor import AnyMonitor
    from .replica import Replica


@dataclass(frozen=True)
class Guest:
    """What a guest has: its memory, and its disks by the names of their images, in bytes.

    `nodes` has QEMU's names of these disks, where they are others. `unwatched`: it wrote to them since the replica's
    state, and nobody noted where. `told` is what else a label says to those who restore it.
    """

    memory: GuestMemory | ForeignMemory
    disks: Mapping[str, int]
    nodes: Mapping[str, str] = field(default_factory=dict)
    unwatched: bool = False
    told: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Whose:
    """For whom packs are made: a term of a service's holder, its key, and how its holder signs."""

    service: str
    holder: str
    term: int
    key: bytes
    sign: Callable[[bytes], bytes]


class Capturer:
    """Captures one guest, which doesn't run yet, or is `unwatched`.

    `folder` holds the disks' mirrors, which only this process uses.
    The first epoch is a first pack, or changes the state from which the guest was `resumed`. `way` is how the next one
    is captured. `once`: the replica takes nothing before this one has come to its end, so that its disks needn't be
    copied.
    """

    def __init__(
        self, monitor: AnyMonitor, runner: Runner, folder: Path, guest: Guest, whose: Whose, *, once: bool = False
    ) -> None:  # fmt: skip
        self._monitor, self._runner, self._folder, self._guest, self._whose = monitor, runner, folder, guest, whose
        self._epoch, self._parent = 0, ""
        self._unwatched, self._once = guest.unwatched, once
        self._lacks = guest.memory if isinstance(guest.memory, GuestMemory) else None
        self.way = self._best = way_of(monitor, guest.memory)
        self._stopped = way_of_stopped(guest.memory)
        self._memory, self._disks = self._begun()
        self._disks.watch()

    def resumed(self, replica: Replica) -> None:
        """Have the first pack change the present state of this replica, from which the guest goes on.

        The guest may run already. It may take a second for each GiB.
        """
        if replica.head is None:
            raise OkiagariError("a guest can't go on from a replica that has no state")
        inner = ("ram", "devices")
        self._memory = Memory(
            self._guest.memory,
            {name: replica.mirror(name, room(replica.page_count(name) * pages.PAGE)) for name in inner},
        )
        disks = {
            name: replica.mirror_over(name) if self._once else replica.mirror(name, self._room(name, size))
            for name, size in self._guest.disks.items()
        }
        self._disks = self._copier(disks)
        self._parent = replica.head.root

    def capture(self, file: BinaryIO, *, last: bool = False, timeout_s: float = 60.0) -> tuple[Label, Took]:
        """Write the pack of one more epoch, and give its label, and how long it took.

        Raises `OkiagariError` if there is none. The guest goes on then, and the next pack is a first one, captured in
        the other way; or it is a `StandsStill`, after which nothing can be captured. After the `last` one the guest
        stands still: what it has done is in that pack.
        """
        writer = Writer(file, self._whose.key)
        try:
            took = self._captured(writer, last, timeout_s)
        except StandsStill:
            raise
        except BaseException:
            # What is here isn't what the replicas have any more, whatever QEMU says to the rest.
            self.way = self._best if self.way == self._stopped else self._stopped
            self.begin_anew()
            raise
        mirrors = {**self._memory.images, **self._disks.mirrors}
        self._epoch += 1
        label = Label(
            self._whose.service, self._whose.holder, self._whose.term, self._epoch, self._parent,
            digests.root({name: mirror.table for name, mirror in mirrors.items()}),
            tuple(Image(name, len(mirror.image), mirror.blocks) for name, mirror in mirrors.items()),
            {**self._guest.told, "devices_bytes": self._memory.devices_bytes, "qemu": list(self._monitor.version)},
        )  # fmt: skip
        writer.finish(label, self._whose.sign)
        self._parent = label.root
        return label, took

    def begin_anew(self) -> None:
        """Have the next pack be a first one, of everything."""
        disks, self._parent = self._disks, ""
        self._memory, self._disks = self._begun()
        disks.drop()

    def _captured(self, writer: Writer, last: bool, timeout_s: float) -> Took:
        way = self._stopped if last else self.way
        if way == BACKGROUND and self._lacks:
            # Not before: whoever waits for a guest that goes on doesn't wait for that, too.
            have_all_of_memory(self._monitor, self._lacks)
            self._lacks = None
        self._disks.prepare()
        took = capture(
            self._monitor, self._memory, way, lambda _image, block: writer.add(block),
            between=lambda: self._copy_disks(way), goes_on=not last, timeout_s=timeout_s,
        )  # fmt: skip
        self._disks.collect(writer.add, timeout_s)
        self._unwatched = False
        return took

    def _copy_disks(self, way: str) -> None:
        """Begin to copy the disks: QEMU gives them up when it has written a stream while the guest stands still."""
        if way != BACKGROUND:
            self._disks.take_back()
        self._disks.begin(whole=self._unwatched or not self._parent)

    def _begun(self) -> tuple[Memory, Disks]:
        mirrors = {name: Mirror(self._room(name, size)) for name, size in self._guest.disks.items()}
        return Memory(self._guest.memory), self._copier(mirrors)

    def _copier(self, mirrors: Mapping[str, Mirror]) -> Disks:
        return Disks(self._monitor, self._runner, self._folder, mirrors, self._guest.nodes)

    def _room(self, name: str, size: int) -> pages.Pages:
        """Give a disk's room of zeros, in a file that takes room only where something is written to it."""
        path = self._folder / f"{name}.mirror"
        path.unlink(missing_ok=True)
        return pages.pages_of(np.memmap(path, np.uint8, "w+", shape=(size,)))
