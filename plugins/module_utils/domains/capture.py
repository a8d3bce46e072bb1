# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One capture of a running domain into a folder of epochs; whatever happens, the domain goes on and is as it was."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from ..checkpoint.capture import BACKGROUND, Outgrown, StandsStill
from ..checkpoint.capturer import Capturer, Whose
from ..checkpoint.monitor import Late
from ..checkpoint.pages import PAGE
from ..errors import OkiagariError
from .care import Care, Watcher, alone
from .definition import same_devices
from .epochs import HOLDER, SERVICE, all_of
from .passthrough import Passthrough
from .subject import subject
from .virsh import Gone, Virsh

if TYPE_CHECKING:
    from pathlib import Path

    from ..checkpoint.capture import Took
    from ..checkpoint.capturer import Guest
    from ..checkpoint.replica import Replica
    from ..runner import Runner
    from .definition import Domain
    from .domains import Domains
    from .epochs import Epochs
    from .request import Request


class Capture:
    """Captures a domain of `domains` into `epochs`."""

    def __init__(self, runner: Runner, domains: Domains, epochs: Epochs, asked: Request) -> None:
        self._runner, self._domains, self._epochs, self._asked = runner, domains, epochs, asked

    def look(self) -> None:
        """Raise `OkiagariError` with what keeps the domain from being captured; nothing is changed."""
        domain = self._domains.running(self._asked.name)
        with Virsh(domain.name, self._asked.uri) as virsh:
            subject(Passthrough(virsh), domain, {})

    def run(self) -> dict[str, Any]:
        """Capture it, and give what is told of the epoch; raise `OkiagariError` if there is none."""
        begun = time.monotonic()
        domain = self._domains.running(self._asked.name)
        with alone(domain), Virsh(domain.name, self._asked.uri) as virsh, self._epochs.alone() as replica:
            monitor = Passthrough(virsh)
            guest = subject(monitor, domain, self._told(domain))
            with self._epochs.work() as work:
                pack = work / "pack"
                try:
                    way, took = self._cared_for(monitor, guest, replica, pack)
                except StandsStill as error:
                    raise OkiagariError(f"{error}: if it still does, virsh reset or destroy it") from error
                except OSError as error:
                    why = f"{error.filename or work}: {error.strerror}"
                    raise OkiagariError(f"{domain.name} can't be captured, and runs on: {why}") from error
                self._look_whether_it_changed(domain)
                size = pack.stat().st_size
                with pack.open("rb") as file:
                    epoch = self._epochs.take(replica, file)
        return {
            "epoch": epoch.number, "pause_ms": round(took.pause_ms, 1), "way": way, "bytes": size,
            "took_ms": round(1000 * (time.monotonic() - begun), 1),
        }  # fmt: skip

    def _cared_for(self, monitor: Passthrough, guest: Guest, replica: Replica, pack: Path) -> tuple[str, Took]:
        care = Care.of(monitor, self._asked.name, self._asked.uri, guest.nodes, pack.parent)
        with Watcher(care) as watcher:
            # What a capture has left that died together with its watcher.
            care.undo(monitor)
            capturer = self._capturer(monitor, guest, replica, pack.parent)
            first = capturer.way
            try:
                found = self._captured(capturer, monitor, watcher, pack)
            except (StandsStill, Gone, Late):
                raise
            except OkiagariError as error:
                # Where the background isn't possible after all, it is captured in the other way; a first pack then.
                if first == capturer.way and not isinstance(error, Outgrown):
                    raise
                found = self._captured(capturer, monitor, watcher, pack)
            care.undo(monitor)
        return found

    def _captured(self, capturer: Capturer, monitor: Passthrough, watcher: Watcher, pack: Path) -> tuple[str, Took]:
        way = capturer.way
        monitor.lends = watcher.keep if way == BACKGROUND else lambda _pipe: None
        with pack.open("w+b") as file:
            _label, took = capturer.capture(file, timeout_s=self._asked.timeout_s)
        return way, took

    def _capturer(self, monitor: Passthrough, guest: Guest, replica: Replica, work: Path) -> Capturer:
        """Give what captures the guest, by differences to the newest epoch if that is of the same memory and disks."""
        sizes = {"ram": guest.memory.size, **guest.disks}
        there = {name: count * PAGE for name, count in replica.head.images.items()} if replica.head else {}
        there.pop("devices", None)
        term = max([replica.fence, *(epoch.number for epoch in all_of(replica))]) + 1
        whose = Whose(SERVICE, HOLDER, term, self._epochs.key, lambda _said: b"")
        known = replica if there == sizes else None
        capturer = Capturer(monitor, self._runner, work, guest, whose, once=True)
        if known:
            capturer.resumed(known)
        return capturer

    def _told(self, domain: Domain) -> dict[str, Any]:
        return {
            "name": domain.name, "uuid": domain.uuid, "definition": domain.definition, "captured": time.time(),
            "persistent": self._domains.is_persistent(domain.name),
            "formats": {disk.target: disk.format for disk in domain.disks},
        }  # fmt: skip

    def _look_whether_it_changed(self, domain: Domain) -> None:
        """Devices that came or went in the middle would be in one half of the epoch."""
        there = self._domains.state(domain.name) in ("running", "paused")
        if there and not same_devices(self._domains.definition(domain.name), domain.definition):
            raise OkiagariError(f"{domain.name} got other devices or settings while it was captured: capture it again")
