# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The runner of one drill on one target: injects, undoes, streams and probes at their instants, with no controller."""

from __future__ import annotations

import json
import threading
from itertools import groupby
from typing import TYPE_CHECKING, Any

from ..errors import OkiagariError
from . import probes
from .snapshot import same
from .streams import Streams
from .system import Clock, write_safely
from .writers import Writers

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from ..runner import Runner
    from .keeper import Keeper
    from .program import Program
    from .snapshot import Snapshot

# Seconds: how long before its instant a change is prepared, how late it may come, how long restoration is watched.
_AHEAD = 1.0
_TOO_LATE = 1.0
_WATCH = 30.0
_POLL = 0.1

_UNDO, _INJECT = 0, 1


class Stopped(Exception):  # noqa: N818 -- no error: it was asked for
    """The runner was told to end."""


class Runtime:
    """Runs `program` from start to end. Every event is a line of `events.jsonl` in `folder` as soon as it happens.

    `look` gives the target's snapshot, or raises `OkiagariError`.
    """

    def __init__(
        self,
        program: Program,
        keeper: Keeper,
        runner: Runner,
        clock: Clock,
        folder: Path,
        look: Callable[[], Snapshot],
    ) -> None:
        self._program = program
        self._keeper = keeper
        self._runner = runner
        self._clock = clock
        self._folder = folder
        self._look = look
        self._start = clock.monotonic() + program.t0 - clock.now()
        self._end = self._start + program.ends
        self._streams = Streams(program.streams, self._start, program.t0)
        self._writers = Writers(program.writers, program.drill, self._start, folder)
        self._standing: set[str] = set()
        self._undone: float | None = None
        self._writing = threading.Lock()

    def run(self) -> None:
        """Do everything; also when it is stopped early the streams' results are left."""
        streaming = threading.Thread(target=self._streams.run)
        asking = [threading.Thread(target=self._ask, args=(probe,), daemon=True) for probe in self._program.probes]
        try:
            self._event("started", detail=f"T0 in {self._start - self._clock.monotonic():.3f} s")
            for thread in (streaming, *asking):
                thread.start()
            self._writers.start()
            self._run_faults()
            self._clock.wait_until(self._end)
            for thread in asking:
                thread.join(max(0.0, self._end + 5.0 - self._clock.monotonic()))
            streaming.join()
            self._event("ended")
        except Stopped:
            self._event("stopped")
        finally:
            self._streams.stopped = True
            self._writers.stop()
            if streaming.ident:
                streaming.join()
            results = self._streams.results(self._program.target)
            write_safely(self._folder / "streams.json", json.dumps(results).encode())

    def _run_faults(self) -> None:
        instants = sorted(
            [(planned.until, _UNDO, planned.fault.id) for planned in self._program.faults]
            + [(planned.at, _INJECT, planned.fault.id) for planned in self._program.faults]
        )
        for (offset, action), together in groupby(instants, key=lambda instant: instant[:2]):
            ids = [fault_id for _offset, _action, fault_id in together]
            instant = self._start + offset
            self._watch(instant - _AHEAD)
            self._clock.wait_until(instant - _AHEAD)
            if action == _INJECT:
                self._inject(ids, instant)
            else:
                self._undo([fault_id for fault_id in ids if fault_id in self._standing], instant)
        if self._undone is not None and self._watch(self._undone + _WATCH):
            self._event("not_restored", detail=f"not as before {_WATCH:g} s after the last undo")

    def _inject(self, ids: list[str], instant: float) -> None:
        ready = [fault_id for fault_id in ids if self._prepare(fault_id, instant)]
        if not ready:
            return
        self._standing.update(ready)
        self._undone = None
        self._clock.wait_until(instant)
        try:
            struck = self._keeper.strike(ready)
        except OkiagariError as error:
            # Whoever ends the drill undoes its faults first, and this runner a moment later.
            self._event("note", detail=str(error))
            return
        for record in struck:
            if record.error:
                self._standing.discard(record.fault.id)
                self._event("failed", record.fault.id, record.error)
            else:
                detail = f"{record.fault.kind} on {record.claim}"
                self._event("injected", record.fault.id, detail, at=record.injected_at)

    def _prepare(self, fault_id: str, instant: float) -> bool:
        try:
            self._check_time(instant)
            self._keeper.prepare(fault_id)
        except OkiagariError as error:
            self._event("failed", fault_id, f"not injected: {error}")
            try:
                self._keeper.give_up(fault_id, f"not injected: {error}")
            except OkiagariError as over:
                self._event("note", fault_id, str(over))
            return False
        return True

    def _check_time(self, instant: float) -> None:
        late = self._clock.monotonic() - instant
        if late > _TOO_LATE:
            raise OkiagariError(f"the runner came {late:.1f} s too late")

    def _undo(self, ids: list[str], instant: float) -> None:
        if not ids:
            return
        try:
            self._keeper.prepare_undo(ids)
        except OkiagariError as error:
            self._event("note", detail=str(error))
        self._clock.wait_until(instant)
        for record in self._keeper.undo(ids, "program"):
            if record.live:
                self._event("failed", record.fault.id, record.error or "")
            else:
                self._event("undone", record.fault.id, f"{record.fault.kind} on {record.claim}", at=record.undone_at)
        self._standing.difference_update(ids)
        if not self._standing and self._program.before:
            self._undone = self._clock.monotonic()

    def _watch(self, until: float) -> bool:
        """Look, until the monotonic `until`, whether all is as before the first fault. Say whether it still isn't."""
        while self._undone is not None and (began := self._clock.monotonic()) < until:
            if self._as_before():
                took = self._clock.monotonic() - self._undone
                self._event("restored", detail=f"as before {took:.2f} s after the last undo", took=round(took, 3))
                self._undone = None
            else:
                # Streams and daemons need a slow processor more than the watcher does.
                self._clock.sleep(max(_POLL, self._clock.monotonic() - began))
        return self._undone is not None

    def _as_before(self) -> bool:
        try:
            return same(self._look(), self._program.before)
        except OkiagariError:
            # A target that can't be read just now isn't known to be as before, and its faults must still end in time.
            return False

    def _ask(self, probe: Mapping[str, Any]) -> None:
        every = float(probe.get("every", 0.0))
        due, last = float(probe["at"]), float(probe.get("until", probe["at"]))
        while due <= last:
            self._clock.wait_until(self._start + due)
            result = probes.ask(self._runner, probe)
            self._event("probe", detail=result["detail"], result=result)
            if not every:
                break
            # What takes longer than it may isn't made up for.
            missed = (self._clock.monotonic() - self._start - due) // every
            due = round(due + every * (1 + missed), 6)

    def _event(self, name: str, fault: str | None = None, detail: str = "", **more: Any) -> None:
        line = json.dumps({"at": self._clock.now(), "event": name, "fault": fault, "detail": detail, **more})
        with self._writing, (self._folder / "events.jsonl").open("a", encoding="utf-8") as file:
            file.write(f"{line}\n")
