# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a capture changes of a running domain, and how all of it is undone, whoever is left to do so.

A domain may be anybody's. So how QEMU was set is noted before the first change, and put back whatever happens: by
whoever captures; or, should that die, by a second process, which waits for nothing else.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

from ..checkpoint.capture import PIPE
from ..checkpoint.disks import Disks
from ..checkpoint.monitor import Refusal
from ..errors import OkiagariError
from ..guest.libvirtd import Libvirt
from ..target.system import SubprocessRunner
from .passthrough import Passthrough
from .virsh import Virsh

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from ..checkpoint.monitor import AnyMonitor
    from .definition import Domain

_CAPABILITIES = ("background-snapshot", "x-ignore-shared", "events")
_OVER = (None, "none", "completed", "failed", "cancelled")
_PATIENCE_S = 120.0
_AGAIN_S = 1.0
_SOON_S = 20.0
_POLL_S = 0.01
_DONE = b"."
_PIPE_BYTES = 1024 * 1024


@dataclass(frozen=True)
class Care:
    """How the domain `name` of the libvirt at `uri` was before a capture.

    Its disks have these `nodes`, and what is copied of them is in `folder`.
    """

    name: str
    uri: str
    nodes: Mapping[str, str]
    folder: Path
    capabilities: Mapping[str, bool] = field(default_factory=dict)
    bandwidth: int = 0

    @classmethod
    def of(cls, monitor: AnyMonitor, name: str, uri: str, nodes: Mapping[str, str], folder: Path) -> Care:
        """Note how a domain is now."""
        there = {each["capability"]: bool(each["state"]) for each in monitor.execute("query-migrate-capabilities")}
        bandwidth = int(monitor.execute("query-migrate-parameters")["max-bandwidth"])
        return cls(name, uri, nodes, folder, {each: there[each] for each in _CAPABILITIES if each in there}, bandwidth)

    def undo(self, monitor: AnyMonitor) -> None:
        """Undo what is left of a capture that is over; raises `OkiagariError` if libvirt or QEMU doesn't obey."""
        disks = Disks(monitor, SubprocessRunner(), self.folder, {}, self.nodes)
        disks.drop()
        disks.unwatch()
        with suppress(Refusal):
            monitor.execute("closefd", fdname=PIPE)
        said = [{"capability": name, "state": state} for name, state in self.capabilities.items()]
        monitor.execute("migrate-set-capabilities", capabilities=said)
        monitor.execute("migrate-set-parameters", max_bandwidth=self.bandwidth)

    def let_go_on(self, monitor: AnyMonitor, *, cancel: bool) -> None:
        """Have the domain run again, whatever a capture was at; `cancel` one that isn't in the background."""
        end = time.monotonic() + _PATIENCE_S
        while True:
            over = monitor.execute("query-migrate").get("status") in _OVER
            runs = bool(monitor.execute("query-status")["running"])
            if over and runs:
                return
            with suppress(Refusal):
                if not over and cancel:
                    monitor.execute("migrate_cancel")
                if not runs:
                    monitor.execute("cont")
            if time.monotonic() > end:
                raise OkiagariError(f"{self.name} stands still, and can't be made to go on")
            time.sleep(_POLL_S)


class Watcher:
    """A process of its own that puts a domain right when this one fails or dies. A context manager."""

    def __init__(self, care: Care) -> None:
        self._ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        sys.stdout.flush()
        self._pid = os.fork()
        if not self._pid:
            # Nothing of the caller's own is done here, whatever happens.
            try:
                self._ours.close()
                _watch(care, theirs)
            finally:
                os._exit(0)
        theirs.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, *_error: object) -> None:
        if kind is None:
            self._ours.sendall(_DONE)
        self._ours.close()
        self._left()

    def keep(self, pipe: int) -> None:
        """Have it hold the reading end of a pipe, too, whose writing end this is.

        A capture in the background that nobody reads on leaves the guest's memory write-protected.
        """
        source = os.open(f"/proc/self/fd/{pipe}", os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            socket.send_fds(self._ours, [b"!"], [source])
        finally:
            os.close(source)

    def _left(self) -> None:
        """Leave all to it, and see whether it has an end soon."""
        end = time.monotonic() + _SOON_S
        while not os.waitpid(self._pid, os.WNOHANG)[0] and time.monotonic() < end:
            time.sleep(_POLL_S)


@contextmanager
def alone(domain: Domain) -> Iterator[None]:
    """Have a domain for oneself, at this host; raises `OkiagariError` if another capture has it."""
    with socket.socket(socket.AF_UNIX) as lock:
        try:
            # A name that no file has: it is gone with whoever holds it.
            lock.bind(f"\0okiagari-domain-{domain.uuid}")
        except OSError:
            raise OkiagariError(
                f"{domain.name} is being captured already, or put right after a capture that died: wait a moment"
            ) from None
        yield


def _watch(care: Care, peer: socket.socket) -> None:
    os.setsid()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    nothing = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(nothing, standard)
    pipes: list[int] = []
    while True:
        said, received, _flags, _from = socket.recv_fds(peer, 1, 1)
        pipes += received
        if said == _DONE:
            return
        if not said:
            break
    for pipe in pipes:
        threading.Thread(target=_forget, args=(pipe,), daemon=True).start()
    _put_right(care, cancel=not pipes)


def _put_right(care: Care, *, cancel: bool) -> None:
    """Do so as soon as libvirt answers, as long as the domain is there."""
    end = time.monotonic() + _PATIENCE_S
    while time.monotonic() < end:
        # A user's libvirt that has ended is begun again by this, with all that the user has.
        Libvirt(SubprocessRunner(), care.uri or None).state(care.name)
        with suppress(OkiagariError), Virsh(care.name, care.uri) as virsh:
            monitor = Passthrough(virsh)
            care.let_go_on(monitor, cancel=cancel)
            care.undo(monitor)
            return
        time.sleep(_AGAIN_S)


def _forget(pipe: int) -> None:
    os.set_blocking(pipe, True)
    while os.read(pipe, _PIPE_BYTES):
        pass
