# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The program that runs a guest for its service: from its newest state, captured again and again while it runs.

A supervisor starts and kills it as any service; QEMU is its child, and ends with it. It stands by until a line on its
standard input orders that the guest is prepared, `{"term": 2}`, and lets it go on by another one.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TextIO

from ..checkpoint.allocator import keep_memory
from ..checkpoint.capture import StandsStill
from ..checkpoint.capturer import Capturer, Whose
from ..checkpoint.replica import Replica
from ..checkpoint.waiting import Waiting
from ..errors import OkiagariError
from ..target.system import SubprocessRunner
from ..values import from_json
from .client import ask
from .keeping import envelopes_of, key_of
from .rounds import Captured, Dropped, Rounds
from .states import folder, run_folder
from .supervise import boottime
from .wish_file import WishFile

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from ..checkpoint.machine import Machine
    from ..checkpoint.running import Running
    from .config import Config, Service

_PATIENCE_S = 600.0
_LOOK_S = 10.0


class Order:
    """What a supervisor has ordered: to prepare the guest for its holder's `term`, and when that goes on."""

    def __init__(self, term: int, lines: TextIO) -> None:
        self.term = term
        self._lines = lines

    def goes_on(self) -> bool:
        """Wait until the guest is to go on; False if it never is."""
        return bool(self._lines.readline())


def ordered(lines: TextIO, service: Service, waits: Waiting) -> Order | None:
    """Stand by, with all that takes long to start, until there is an order; None if none will come."""
    while True:
        if service.machine:
            waits.look(service.machine)
        if select.select([lines], [], [], _LOOK_S)[0]:
            break
    said = lines.readline()
    return Order(int(from_json(said)["term"]), lines) if said else None


def waiting(config: Config, service: Service) -> Waiting:
    """Give what may have a QEMU of a service's guest wait for an order."""
    return Waiting(SubprocessRunner(), run_folder(config, service.name), _replica(config, service))


def run(config: Config, service: Service, order: Order, waits: Waiting) -> int:
    """Run the guest until it ends, which is an error, or until SIGTERM."""
    if service.machine is None or service.checkpoint is None:
        raise OkiagariError(f"{service.name} is no guest: its description has no machine")
    keep_memory()
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_said: ended.set())
    begun = boottime()
    _told(config, service, "collect")
    collected = boottime()
    work = run_folder(config, service.name)
    key = key_of(service.checkpoint.key)
    replica = Replica(_replica(config, service), service.name, key)
    from_state = replica if replica.head else None
    whose = Whose(service.name, config.name, order.term, key, envelopes_of(config).sign)
    runner = SubprocessRunner()
    with _standing(config, service, service.machine, waits, replica) as running:
        capturer = Capturer(running.monitor, runner, work, running.guest, whose)
        prepared = boottime()
        if not order.goes_on():
            return 0
        # From now on this host's replica takes the guest's own packs, and no late ones of the holder before: it is as
        # it was until the guest is captured first, whoever has it meanwhile.
        replica.raise_fence(order.term)
        replica.close()
        running.go_on()
        if from_state:
            threading.Thread(target=_set_clock, args=[running], daemon=True).start()
            figures = {"collect_ms": collected - begun, "restore_ms": prepared - collected}
            _tell(config, service, "guest_goes_on", {key: round(1000 * took) for key, took in figures.items()})
        _say(f"the guest runs, from {replica.head.name if replica.head else 'its first boot'}")
        guest = _Guest(config, service, running, capturer, work, from_state)
        try:
            Rounds(guest, service.checkpoint.period_s, ended, boottime).run(committed=from_state is not None)
        except StandsStill as error:
            raise OkiagariError(f"{error}; QEMU says {running.words or 'nothing'}") from error
        if guest.ended() and not ended.is_set():
            raise OkiagariError(f"QEMU has ended with {running.process.returncode}: {running.words}")
    return 0


def _replica(config: Config, service: Service) -> Path:
    return folder(config, service.name) / "replica"


def _standing(config: Config, service: Service, machine: Machine, waits: Waiting, replica: Replica) -> Running:
    """Give the guest, which stands still; where there is none, the log says why."""
    try:
        return waits.take(machine, replica)
    except OkiagariError as error:
        _tell(config, service, "start_failed", {"text": str(error)})
        raise


def _set_clock(running: Running) -> None:
    if not running.set_clock():
        _say("no agent in the guest has set its clock: it has the time of its capture until it looks for itself")


class _Guest:
    """The guest as the rounds know it; its pack is in `work`, and it goes on from the state of a replica, or boots."""

    def __init__(
        self, config: Config, service: Service, running: Running, capturer: Capturer, work: Path,
        from_state: Replica | None = None,
    ) -> None:  # fmt: skip
        self._config, self._service, self._running, self._capturer = config, service, running, capturer
        self._path, self._from_state = work / "pack", from_state
        self._wish = WishFile(config.run, service.name)

    def capture(self, *, last: bool) -> Captured:
        if self._from_state:
            # Whoever asks a guest that has just gone on is answered first. Where it can't be read, the next pack is a
            # first one.
            state, self._from_state = self._from_state, None
            self._capturer.resumed(state)
        part = self._path.with_suffix(".part")
        at = boottime()
        with part.open("w+b") as file:
            label, took = self._capturer.capture(file, last=last)
            file.flush()
            os.fsync(file.fileno())
        part.replace(self._path)
        size = self._path.stat().st_size
        paused = "stands still from now on, captured in" if last else f"paused {took.pause_ms:.0f} ms of"
        _say(f"epoch {label.epoch}: {size} bytes, {paused} {took.total_ms:.0f} ms")
        return Captured(at, took.pause_ms)

    def ship(self, captured: Captured) -> None:
        said = {"at": captured.at, "pause_ms": round(captured.pause_ms, 1)}
        anew = False
        try:
            for answer in _asked(self._config, self._service, "ship", path=str(self._path), **said):
                anew = anew or "begin_anew" in answer
        except OkiagariError as error:
            if not anew:
                raise
            # Replicas lack the state that it changes, and nobody can bring it to them any more.
            self._capturer.begin_anew()
            raise Dropped(f"{error}; the next pack is a first one") from error
        self._path.unlink()

    def failed(self, why: str, *, captured: bool) -> None:
        _say(why)
        if not captured:
            # What can't be shipped the agent tells itself.
            _tell(self._config, self._service, "capture_failed", {"text": why})

    def wanted(self) -> float:
        return self._wish.read(boottime())

    def ended(self) -> bool:
        return self._running.process.poll() is not None


def _tell(config: Config, service: Service, event: str, values: Mapping[str, Any]) -> None:
    """Have an event in the log, if the agent takes it."""
    name = service.name
    with suppress(OkiagariError):
        _told(config, service, "tell", source=f"service/{name}", trace=name, values={"event": event, **values})


def _told(config: Config, service: Service, op: str, **values: Any) -> None:
    for _said in _asked(config, service, op, **values):
        pass


def _asked(config: Config, service: Service, op: str, **values: Any) -> Iterator[dict[str, Any]]:
    return ask({"op": op, "service": service.name, **values}, config.run, timeout_s=_PATIENCE_S)


def _say(text: str) -> None:
    sys.stderr.write(f"okiagari-agent vm: {text}\n")
    sys.stderr.flush()
