# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The program that runs a guest for its service: from its newest state, captured again and again while it runs.

A supervisor starts and kills it as any service; QEMU is its child, and ends with it.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from ..checkpoint.allocator import keep_memory
from ..checkpoint.capture import StandsStill
from ..checkpoint.capturer import Capturer, Whose
from ..checkpoint.replica import Replica
from ..checkpoint.running import Running
from ..errors import OkiagariError
from ..target.system import SubprocessRunner
from .client import ask
from .keeping import envelopes_of, key_of
from .rounds import Captured, Dropped, Rounds
from .states import folder, run_folder
from .supervise import boottime
from .wish_file import WishFile

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from ..checkpoint.machine import Machine
    from .config import Config, Service

_PATIENCE_S = 600.0


def run(config: Config, service: Service) -> int:
    """Run the guest until it ends, which is an error, or until SIGTERM.

    Where the supervisor prepares it, all is done but the guest stands still, until a line on standard input.
    """
    if service.machine is None or service.checkpoint is None:
        raise OkiagariError(f"{service.name} is no guest: its description has no machine")
    keep_memory()
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_said: ended.set())
    _told(config, service, "collect")
    here = folder(config, service.name)
    work = run_folder(config, service.name)
    # What the last run left is of no use: states are replicas' alone.
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(mode=0o700, parents=True)
    key = key_of(service.checkpoint.key)
    replica = Replica(here / "replica", service.name, key)
    from_state = replica if replica.head else None
    term = int(os.environ["OKIAGARI_TERM"])
    whose = Whose(service.name, config.name, term, key, envelopes_of(config).sign)
    runner = SubprocessRunner()
    with _standing(config, service, service.machine, work, from_state) as running:
        capturer = Capturer(running.monitor, runner, work, running.guest, whose, from_state)
        if os.environ.get("OKIAGARI_WAITS") == "1" and not sys.stdin.readline():
            return 0
        # From now on this host's replica takes the guest's own packs, and no late ones of the holder before.
        replica.raise_fence(term)
        replica.close()
        running.go_on()
        if from_state:
            threading.Thread(target=_set_clock, args=[running], daemon=True).start()
        _say(f"the guest runs, from {replica.head.name if replica.head else 'its first boot'}")
        guest = _Guest(config, service, running, capturer, work)
        try:
            Rounds(guest, service.checkpoint.period_s, ended, boottime).run(committed=from_state is not None)
        except StandsStill as error:
            raise OkiagariError(f"{error}; QEMU says {running.words or 'nothing'}") from error
        if guest.ended() and not ended.is_set():
            raise OkiagariError(f"QEMU has ended with {running.process.returncode}: {running.words}")
    return 0


def _standing(config: Config, service: Service, machine: Machine, work: Path, state: Replica | None) -> Running:
    """Give the guest, which stands still; where there is none, the log says why."""
    try:
        return Running(machine, SubprocessRunner(), work, state)
    except OkiagariError as error:
        _log(config, service, "start_failed", str(error))
        raise


def _set_clock(running: Running) -> None:
    if not running.set_clock():
        _say("no agent in the guest has set its clock: it has the time of its capture until it looks for itself")


class _Guest:
    """The guest as the rounds know it; its pack is in `work`."""

    def __init__(self, config: Config, service: Service, running: Running, capturer: Capturer, work: Path) -> None:
        self._config, self._service, self._running, self._capturer = config, service, running, capturer
        self._path = work / "pack"
        self._wish = WishFile(config.run, service.name)

    def capture(self, *, last: bool) -> Captured:
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
            _log(self._config, self._service, "capture_failed", why)

    def wanted(self) -> float:
        return self._wish.read(boottime())

    def ended(self) -> bool:
        return self._running.process.poll() is not None


def _log(config: Config, service: Service, event: str, why: str) -> None:
    """Have the log say it, if the agent is there."""
    values = {"event": event, "text": why}
    with suppress(OkiagariError):
        _told(config, service, "tell", source=f"service/{service.name}", trace=service.name, values=values)


def _told(config: Config, service: Service, op: str, **values: Any) -> None:
    for _said in _asked(config, service, op, **values):
        pass


def _asked(config: Config, service: Service, op: str, **values: Any) -> Iterator[dict[str, Any]]:
    return ask({"op": op, "service": service.name, **values}, config.run, timeout_s=_PATIENCE_S)


def _say(text: str) -> None:
    sys.stderr.write(f"okiagari-agent vm: {text}\n")
    sys.stderr.flush()
