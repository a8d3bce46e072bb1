# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The runner of one drill on one target: injects, undoes, streams and probes at their instants, with no controller."""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING, Any

from . import probes
from .streams import Streams
from .system import Clock, epoch_of, write_safely
from .timeline import Timeline
from .writers import Writers

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping
    from pathlib import Path

    from ..runner import Runner
    from .maker import Maker
    from .program import Program
    from .snapshot import Snapshot


class Stopped(Exception):  # noqa: N818 -- no error: it was asked for
    """The runner was told to end."""


class Runtime:
    """Runs `program` from start to end. Every event is a line of `events.jsonl` in `folder` as soon as it happens.

    `look` gives the target's snapshot, of some parts or with no names of all; or raises `OkiagariError`.
    """

    def __init__(
        self,
        program: Program,
        keeper: Maker,
        runner: Runner,
        clock: Clock,
        folder: Path,
        look: Callable[[Collection[str]], Snapshot],
    ) -> None:
        self._program = program
        self._runner = runner
        self._clock = clock
        self._folder = folder
        self._start = program.t0 - epoch_of(clock)
        self._end = self._start + program.ends
        self._streams = Streams(program.streams, self._start, program.t0)
        self._writers = Writers(program.writers, program.drill, self._start, folder)
        self._timeline = Timeline(program, keeper, look, runner, clock, self._start, self._event)
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
            self._timeline.run()
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

    def _ask(self, probe: Mapping[str, Any]) -> None:
        every = float(probe.get("every", 0.0))
        due, last = float(probe["at"]), float(probe.get("until", probe["at"]))
        while due <= last:
            self._clock.wait_until(self._start + due)
            result = {**probes.ask(self._runner, probe), "at": self._time()}
            self._event("probe", detail=result["detail"], result=result)
            if not every:
                break
            # What takes longer than it may isn't made up for.
            missed = (self._clock.monotonic() - self._start - due) // every
            due = round(due + every * (1 + missed), 6)

    def _time(self) -> float:
        """The time since the epoch by the clock as it was before T0: a fault may set it."""
        return self._program.t0 + self._clock.monotonic() - self._start

    def _event(self, name: str, fault: str | None = None, detail: str = "", **more: Any) -> None:
        line = json.dumps({"at": self._time(), "event": name, "fault": fault, "detail": detail, **more})
        with self._writing, (self._folder / "events.jsonl").open("a", encoding="utf-8") as file:
            file.write(f"{line}\n")
