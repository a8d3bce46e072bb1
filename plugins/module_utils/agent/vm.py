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
import time
from typing import TYPE_CHECKING, Any

from ..checkpoint.capture import StandsStill
from ..checkpoint.capturer import Capturer, Whose
from ..checkpoint.replica import Replica
from ..checkpoint.running import Running
from ..errors import OkiagariError
from ..target.system import SubprocessRunner
from .client import ask
from .keeping import envelopes_of, key_of
from .states import folder

if TYPE_CHECKING:
    from pathlib import Path

    from .config import Checkpointing, Config, Service

_PATIENCE_S = 600.0
_LEAST_REST_S = 0.1


def run(config: Config, service: Service) -> int:
    """Run the guest until it ends, which is an error, or until SIGTERM.

    Where the supervisor prepares it, all is done but the guest stands still, until a line on standard input.
    """
    if service.machine is None or service.checkpoint is None:
        raise OkiagariError(f"{service.name} is no guest: its description has no machine")
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_said: ended.set())
    _told(config, service, "collect")
    here = folder(config, service.name)
    work = here / "run"
    # What the last run left is of no use: states are replicas' alone.
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(mode=0o700, parents=True)
    key = key_of(service.checkpoint.key)
    replica = Replica(here / "replica", service.name, key)
    from_state = replica if replica.head else None
    whose = Whose(service.name, config.name, int(os.environ["OKIAGARI_TERM"]), key, envelopes_of(config).sign)
    runner = SubprocessRunner()
    with Running(service.machine, runner, work, from_state) as running:
        capturer = Capturer(running.monitor, runner, work, running.guest, whose, from_state)
        if os.environ.get("OKIAGARI_WAITS") == "1" and not sys.stdin.readline():
            return 0
        running.go_on()
        if from_state:
            threading.Thread(target=_set_clock, args=[running], daemon=True).start()
        _say(f"the guest runs, from {replica.head.name if replica.head else 'its first boot'}")
        _capture(config, service, service.checkpoint, running, capturer, work, ended)
    replica.close()
    return 0


def _set_clock(running: Running) -> None:
    if not running.set_clock():
        _say("no agent in the guest has set its clock: it has the time of its capture until it looks for itself")


def _capture(
    config: Config, service: Service, checkpoint: Checkpointing, running: Running, capturer: Capturer, work: Path,
    ended: threading.Event,
) -> None:  # fmt: skip
    """Capture an epoch each period, and ship it; one at a time, so that a slow link makes the period longer.

    When this process is told to end, a last one is taken, after which the guest stands still: a planned move loses
    nothing. Whoever tells it so gives it some seconds only; without a last one, the guest goes on from the one before.
    """
    path = work / "pack"
    while True:
        begun, last = time.monotonic(), ended.is_set()
        try:
            # One that couldn't be shipped is tried again: nothing is captured that nobody could take.
            if path.exists():
                _ship(config, service, path)
            if last or not path.exists():
                _write_pack(capturer, path, last=last)
                _ship(config, service, path)
        except StandsStill:
            # Ended with this process, it goes on from its last committed state.
            raise
        except (OkiagariError, OSError) as error:
            _say(str(error))
        if last:
            return
        ended.wait(max(checkpoint.period_s - (time.monotonic() - begun), _LEAST_REST_S))
        if running.process.poll() is not None:
            raise OkiagariError(f"QEMU has ended with {running.process.returncode}: {running.words}")


def _ship(config: Config, service: Service, path: Path) -> None:
    _told(config, service, "ship", path=str(path))
    path.unlink()


def _write_pack(capturer: Capturer, path: Path, *, last: bool) -> None:
    part = path.with_suffix(".part")
    with part.open("w+b") as file:
        label, took = capturer.capture(file, last=last)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
    size = path.stat().st_size
    paused = "stands still from now on, captured in" if last else f"paused {took.pause_ms:.0f} ms of"
    _say(f"epoch {label.epoch}: {size} bytes, {paused} {took.total_ms:.0f} ms")


def _told(config: Config, service: Service, op: str, **values: Any) -> None:
    for _said in ask({"op": op, "service": service.name, **values}, config.run, timeout_s=_PATIENCE_S):
        pass


def _say(text: str) -> None:
    sys.stderr.write(f"okiagari-agent vm: {text}\n")
    sys.stderr.flush()
