# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A running guest's memory and devices at one instant, and the guest goes on (P1.1, P1.3).

All ways read a migration stream, which every QEMU from 6 on writes:

background    The guest stands still for the devices' state only, and runs while its memory is read from the stream:
              each page that it writes to is saved first. Needs write protection by userfaultfd, of Linux 5.19 or later;
              a UML node's kernel lacks it.
stop_copy     The guest stands still while its memory is compared with the mirror. The stream has its devices only;
              blocks are made when it goes on.
stop_stream   The same for memory that isn't shared with whoever captures it: the guest stands still while all of it
              comes by the stream.

Whatever goes wrong, the guest goes on, also when whoever reads the stream hangs: QEMU may hold its own lock while it
writes, and answers nothing then. A guest that can't be made to go on is to be ended.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self, TypeAlias

from ..errors import BadValue, OkiagariError
from . import pages
from .mirror import Mirror
from .monitor import Late, Refusal
from .stream import split

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from .guest_memory import ForeignMemory, GuestMemory
    from .monitor import AnyMonitor

    Emit: TypeAlias = Callable[[str, bytes], object]

BACKGROUND, STOP_COPY, STOP_STREAM = "background", "stop_copy", "stop_stream"
WAYS = (BACKGROUND, STOP_COPY)
"""Those of memory that is shared with whoever captures it."""
_PIPE_BYTES = 1024 * 1024
_STEP = 1024 * 1024
# QEMU before this starts the guest again by itself when a background snapshot has begun.
_DOES_NOT_RESUME = (8, 2)
_POLL_S = 0.001
_MOST_DEVICES = 64 * 1024 * 1024
_GOES_ON_S = 5.0
_TAKES_ROOM_S = 300.0
STALL_S = 10.0
"""A capture is given up when nothing has come from QEMU for so long: somebody hangs, and the guest may stand still."""
_OVER = (None, "none", "completed", "failed", "cancelled")
PIPE = "okiagari"
"""What QEMU calls the pipe into which it writes."""


class StandsStill(OkiagariError):  # noqa: N818 - it says what the guest does
    """The guest can't be made to go on: end it, and it goes on from its last state."""


class Outgrown(OkiagariError):  # noqa: N818 - it says what the devices have
    """The devices' state doesn't fit any more into the image that replicas have of it: a first pack has room."""


@dataclass(frozen=True)
class Took:
    """How long a capture took: the guest stood still by QEMU's own events, and everything together, in ms."""

    pause_ms: float
    total_ms: float


class Memory:
    """The `memory` of a guest, and its devices, as the replicas have them.

    `images` are their mirrors, `ram` and `devices`, all zeros unless they are given; how many bytes of the devices' one
    are in use says `devices_bytes`. After a capture that failed it is to be thrown away.
    """

    def __init__(self, memory: GuestMemory | ForeignMemory, images: Mapping[str, Mirror] | None = None) -> None:
        self.memory = memory
        self.images = dict(images or {"ram": Mirror(room(memory.size))})
        self.devices_bytes = 0
        self._emit: Emit = lambda _image, _block: None

    def begin(self, emit: Emit, *, later: bool) -> None:
        self._emit = emit
        if later:
            self.memory.make_room(self.images["ram"])
        self.images["ram"].begin(lambda said: emit("ram", said), later=later)

    def split(self, readinto: Callable[[memoryview], int]) -> bytes:
        """Take the memory from a stream, and give the rest."""
        return split(readinto, self.memory.name, self.images["ram"])

    def compare(self) -> None:
        """Take the memory as it is now."""
        self.memory.compare(self.images["ram"])

    def end(self, devices: bytes) -> None:
        """Take what isn't memory; all blocks of one image are given before those of the next."""
        self.images["ram"].end()
        if "devices" not in self.images:
            # Twice the room, so that it may grow a little: an image has one size for good.
            self.images["devices"] = Mirror(room(2 * -(-len(devices) // _STEP) * _STEP))
        mirror = self.images["devices"]
        mirror.begin(lambda said: self._emit("devices", said))
        size = len(mirror.image) * pages.PAGE
        if len(devices) > size:
            raise Outgrown(f"the devices' state has grown beyond {size} bytes: begin anew with a first pack")
        mirror.look(0, pages.pages_of(devices.ljust(size, b"\0")))
        self.devices_bytes = len(devices)
        mirror.end()


def way_of(monitor: AnyMonitor, memory: GuestMemory | ForeignMemory) -> str:
    """Give the way that is possible here, as far as QEMU says so; one that fails after all is told by `capture`."""
    return BACKGROUND if _can_be_watched(monitor) else way_of_stopped(memory)


def way_of_stopped(memory: GuestMemory | ForeignMemory) -> str:
    """Give the way in which a guest with this memory is captured that stands still meanwhile."""
    return STOP_COPY if memory.shared else STOP_STREAM


def have_all_of_memory(monitor: AnyMonitor, memory: GuestMemory) -> None:
    """Have QEMU map all of the guest's memory now, and not page by page while the guest stands still.

    Room for it is taken before, while the guest runs: QEMU answers no device meanwhile, and finds it there.
    """
    memory.have_all()
    path = f"/objects/{memory.name}"
    monitor.execute("qom-set", path=path, property="prealloc", value=True, within_s=_TAKES_ROOM_S)


def _can_be_watched(monitor: AnyMonitor) -> bool:
    """Say whether QEMU can be told where the guest writes to its memory."""
    try:
        monitor.execute("migrate-set-capabilities", capabilities=[{"capability": "background-snapshot", "state": True}])
    except Refusal:
        return False
    return True


def capture(
    monitor: AnyMonitor, memory: Memory, way: str, emit: Emit, *,
    between: Callable[[], object] = lambda: None, goes_on: bool = True, timeout_s: float = 60.0,
    stall_s: float = STALL_S,
) -> Took:  # fmt: skip
    """Capture a guest that runs: what is different now goes to `emit`, an image's name and a block of its pages each.

    `between` is called while the guest stands still: what it does to the disks is of the same instant. But for the way
    `BACKGROUND`, the stream is written by then, and QEMU has given the disks up. Raises `OkiagariError` if nothing was
    captured; the guest runs then, or it is a `StandsStill`. It is given up when it takes longer than `timeout_s`, or
    when nothing comes from QEMU for `stall_s`. A guest that doesn't go on is captured in a way other than `BACKGROUND`,
    and stands still from then on, whatever happens.
    """
    began = time.monotonic()
    capabilities = {"background-snapshot": way == BACKGROUND, "x-ignore-shared": way == STOP_COPY, "events": True}
    said = [{"capability": name, "state": state} for name, state in capabilities.items()]
    # Whoever is slow to take blocks, such as a disk, isn't to be waited for while the guest stands still.
    memory.begin(emit, later=way != BACKGROUND)
    with _Reader(_devices_alone if way == STOP_COPY else memory.split) as reader:
        try:
            monitor.execute("migrate-set-capabilities", capabilities=said)
            monitor.execute("migrate-set-parameters", max_bandwidth=0)
            reader.give_to(monitor)
            monitor.forget()
            pause_ms = _read_all(monitor, memory, _Patience(monitor, reader, timeout_s, stall_s), way, between, goes_on)
        except BaseException as error:
            if goes_on:
                _let_go_on(monitor, reader, way, str(error))
            raise
        memory.end(reader.devices(stall_s))
    return Took(pause_ms, 1000 * (time.monotonic() - began))


def _read_all(
    monitor: AnyMonitor, memory: Memory, patience: _Patience, way: str, between: Callable[[], object], goes_on: bool
) -> float:  # fmt: skip
    """Stop the guest, let QEMU write, let the guest go on as soon as may be; give for how many ms it stood still."""
    monitor.execute("stop")
    stopped = patience.wait(lambda event: event["event"] == "STOP")
    if way == BACKGROUND:
        between()
    monitor.execute("migrate", uri=f"fd:{PIPE}")
    if way != BACKGROUND:
        written = _wait_until_written(monitor, patience)
        if way == STOP_COPY:
            memory.compare()
        between()
        if not goes_on:
            return 1000 * (_time(written) - _time(stopped))
        _go_on(monitor, patience.stall_s)
    elif monitor.version >= _DOES_NOT_RESUME:
        # Before the first page, writes aren't watched for yet: memory would be of a later instant than the disks.
        _wait_for_pages(monitor, patience.stall_s)
        _go_on(monitor, patience.stall_s)
    resumed = patience.wait(lambda event: event["event"] == "RESUME" or _failed(event))
    if way == BACKGROUND and not _failed(resumed):
        _wait_until_written(monitor, patience)
    if _failed(resumed):
        raise OkiagariError(f"the guest can't be captured in the way {way}: {_why(monitor)}")
    return 1000 * (_time(resumed) - _time(stopped))


def _wait_until_written(monitor: AnyMonitor, patience: _Patience) -> Mapping[str, Any]:
    over = patience.wait(lambda event: _failed(event) or _status(event) == "completed")
    if _failed(over):
        raise OkiagariError(f"the guest can't be captured: {_why(monitor)}")
    return over


def _wait_for_pages(monitor: AnyMonitor, timeout_s: float) -> None:
    end = time.monotonic() + timeout_s
    while not _pages_written(monitor):
        if time.monotonic() > end:
            raise OkiagariError(f"QEMU has written no page within {timeout_s:g} s")
        time.sleep(_POLL_S)


def _pages_written(monitor: AnyMonitor) -> bool:
    said = monitor.execute("query-migrate")
    if said.get("status") in ("failed", "cancelled"):
        raise OkiagariError(f"the guest can't be captured: {_why(monitor)}")
    ram = said.get("ram", {})
    return int(ram.get("normal", 0)) + int(ram.get("duplicate", 0)) > 0


def _go_on(monitor: AnyMonitor, timeout_s: float) -> None:
    """Let the guest go on; QEMU takes a moment to close a migration, and refuses until then."""
    end = time.monotonic() + timeout_s
    while True:
        try:
            monitor.execute("cont")
        except Refusal:
            if time.monotonic() > end:
                raise
            time.sleep(_POLL_S)
        else:
            return


def _let_go_on(monitor: AnyMonitor, reader: _Reader, way: str, why: str) -> None:
    """After a failure, `why`: whatever QEMU is at, the guest goes on; raise `StandsStill` if it doesn't.

    A background snapshot has to come to its end: one that is broken off leaves memory write-protected, and a guest that
    writes there waits for ever, while QEMU says that it runs.
    """
    reader.abandon(read_on=way == BACKGROUND)
    try:
        if way != BACKGROUND:
            with suppress(Refusal):
                monitor.execute("migrate_cancel")
        _go_on(monitor, _GOES_ON_S)
        over = _is_over(monitor, reader)
        # A migration that wasn't over may have stopped the guest once more.
        _go_on(monitor, _GOES_ON_S)
        with suppress(Refusal):
            monitor.execute("closefd", fdname=PIPE)
        writable = way != BACKGROUND or (over and _can_be_watched(monitor))
    except OkiagariError as error:
        raise StandsStill(f"{why}; and the guest can't be made to go on: {error}") from error
    if not writable:
        raise StandsStill(f"{why}; and QEMU has left the guest's memory write-protected")


def _is_over(monitor: AnyMonitor, reader: _Reader) -> bool:
    """Wait until a migration is over, and say whether it is; one of which nothing comes any more isn't waited for."""
    came, end = reader.came, time.monotonic() + _GOES_ON_S
    while monitor.execute("query-migrate").get("status") not in _OVER:
        if reader.came != came:
            came, end = reader.came, time.monotonic() + _GOES_ON_S
        if time.monotonic() > end:
            return False
        time.sleep(_POLL_S)
    return True


def _status(event: Mapping[str, Any]) -> str:
    return str(event["data"]["status"]) if event["event"] == "MIGRATION" else ""


def _failed(event: Mapping[str, Any]) -> bool:
    return _status(event) in ("failed", "cancelled")


def _why(monitor: AnyMonitor) -> str:
    return str(monitor.execute("query-migrate").get("error-desc", "QEMU doesn't say why"))


def _time(event: Mapping[str, Any]) -> float:
    stamp = event["timestamp"]
    return float(stamp["seconds"]) + float(stamp["microseconds"]) / 1e6


def _devices_alone(readinto: Callable[[memoryview], int]) -> bytes:
    said, step = bytearray(), memoryview(bytearray(_STEP))
    while size := readinto(step):
        said += step[:size]
        if len(said) > _MOST_DEVICES:
            raise BadValue(f"has more than {_MOST_DEVICES} bytes of devices: give the guest no further memory devices")
    return bytes(said)


def room(size: int) -> pages.Pages:
    """Give an image of zeros, which takes room only where something is written to it."""
    # Private: pages of shared memory take room as soon as they are read.
    return pages.pages_of(mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS))


class _Patience:
    """Waits for QEMU while its stream goes on."""

    def __init__(self, monitor: AnyMonitor, reader: _Reader, timeout_s: float, stall_s: float) -> None:
        self.stall_s = stall_s
        self._monitor, self._reader, self._timeout_s = monitor, reader, timeout_s

    def wait(self, wanted: Callable[[dict[str, Any]], bool]) -> Mapping[str, Any]:
        """Give the next event that is wanted; raise `Late` if it takes too long, or nothing comes meanwhile."""
        end = time.monotonic() + self._timeout_s
        while True:
            came, left = self._reader.came, end - time.monotonic()
            try:
                return self._monitor.wait(wanted, min(self.stall_s, left))
            except Late:
                if time.monotonic() >= end:
                    raise Late(f"QEMU did not come to an end within {self._timeout_s:g} s") from None
                if self._reader.came == came:
                    raise Late(f"nothing has come from QEMU for {self.stall_s:g} s, or it isn't read") from None


class _Reader:
    """Reads the stream that QEMU writes, in a thread of its own, while the monitor is attended to.

    `take` is given what fills a buffer, reads to the end, and gives the devices. `came` says how many bytes were read
    so far.
    """

    def __init__(self, take: Callable[[Callable[[memoryview], int]], bytes]) -> None:
        self._take = take
        self._source, self._sink = os.pipe()
        fcntl.fcntl(self._sink, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._closing = threading.Lock()
        self.came = 0
        self._devices = b""
        self._wrong: Exception | None = None

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._close_sink()
        self._thread.join(_GOES_ON_S)

    def give_to(self, monitor: AnyMonitor) -> None:
        """Hand the writing end to QEMU, which keeps it until the stream is over."""
        monitor.execute("getfd", fd=self._sink, fdname=PIPE)
        self._close_sink()

    def abandon(self, *, read_on: bool) -> None:
        """Take the stream from the thread, whatever that is at: QEMU isn't to be kept by a pipe that is full.

        It is read to its end, and forgotten, or with nobody to read it QEMU can't write any more.
        """
        with self._closing:
            if self._source < 0:
                return
            if read_on:
                threading.Thread(target=self._forget, args=(os.dup(self._source),), daemon=True).start()
            nothing = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
            os.dup2(nothing, self._source, inheritable=False)
            os.close(nothing)

    def devices(self, stall_s: float) -> bytes:
        """Give what isn't memory, when all of it is taken; it may take as long as it likes while it goes on."""
        came = -1
        while self._thread.is_alive() and came != self.came:
            came = self.came
            self._thread.join(stall_s)
        if self._wrong:
            raise OkiagariError(f"what QEMU wrote can't be read: it {self._wrong}") from self._wrong
        if self._thread.is_alive():
            raise OkiagariError(f"QEMU doesn't close its stream, or nothing of it was taken for {stall_s:g} s")
        return self._devices

    def _read(self) -> None:
        file = open(self._source, "rb", buffering=0, closefd=False)  # noqa: SIM115 - it is closed below
        try:
            self._devices = self._take(lambda room: self._counted(file.readinto(room) or 0))
        except (ValueError, OSError) as error:
            # What is wrong with the stream, or with the file that the blocks go to, which may be closed by now.
            self._wrong = error
            # QEMU isn't to be kept from ending by a pipe that nobody reads.
            while file.read(_PIPE_BYTES):
                pass
        finally:
            with self._closing:
                os.close(self._source)
                self._source = -1

    def _forget(self, source: int) -> None:
        with os.fdopen(source, "rb", buffering=0) as file:
            while self._counted(len(file.read(_PIPE_BYTES))):
                pass

    def _counted(self, size: int) -> int:
        self.came += size
        return size

    def _close_sink(self) -> None:
        if self._sink >= 0:
            os.close(self._sink)
            self._sink = -1
