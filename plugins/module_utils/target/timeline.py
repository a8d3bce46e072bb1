# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The faults of a program in time: each comes, changes and goes at its instant, or comes when its event does."""

from __future__ import annotations

from heapq import heappop, heappush
from typing import TYPE_CHECKING, Protocol

from ..errors import OkiagariError
from . import events
from .snapshot import unlike
from .system import ordinarily

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from ..runner import Runner
    from .maker import Maker
    from .program import Planned, Program
    from .snapshot import Snapshot
    from .system import Clock

# Seconds: how late a change may come, how long before its instant it is at hand, how long restoration is watched.
_TOO_LATE = 1.0
_CLOSE = 0.2
_WATCH = 30.0
_POLL = 0.1
# Waiting for an event takes no more than a fifth of a processor.
_REST = 4.0

# What is to be done at the same instant is done in this order.
_UNDO, _CHANGE, _INJECT, _AWAIT, _MISS = range(5)


class Tell(Protocol):
    """Writes down an event of the runner, which may concern a fault."""

    def __call__(self, name: str, fault: str | None = None, detail: str = "", **more: object) -> None: ...


class Timeline:
    """The faults of `program`, T0 being at the monotonic `start`. What happens is told through `tell`.

    `look` gives the target's snapshot, of some parts or with no names of all; or raises `OkiagariError`.
    """

    def __init__(
        self,
        program: Program,
        keeper: Maker,
        look: Callable[[Collection[str]], Snapshot],
        runner: Runner,
        clock: Clock,
        start: float,
        tell: Tell,
    ) -> None:
        self._before = program.before
        self._planned = {planned.fault.id: planned for planned in program.faults}
        self._keeper = keeper
        self._look = look
        self._runner = runner
        self._clock = clock
        self._start = start
        self._tell = tell
        self._agenda: list[tuple[float, int, str]] = []
        self._steps = {planned.fault.id: [params for _after, params in planned.steps] for planned in program.faults}
        self._awaited: dict[str, events.Watch] = {}
        self._standing: set[str] = set()
        self._undone: float | None = None
        self._left: list[str] = []

    def run(self) -> None:
        """Do everything, and look in the end whether all is as before."""
        for planned in self._planned.values():
            if planned.when:
                self._plan(planned.at, _AWAIT, planned)
                self._plan(planned.at + planned.when["within"], _MISS, planned)
            else:
                self._plan(planned.at, _INJECT, planned)
                self._plan_rest(planned, planned.at)
        while self._agenda:
            offset, action = self._agenda[0][:2]
            instant = self._start + offset
            ready = instant - (self._keeper.ahead_s if action in (_UNDO, _INJECT) else 0.0)
            if self._idle(ready):
                continue
            self._clock.wait_until(ready)
            self._do(action, list(self._due(offset, action)), instant)
        if self._undone is not None:
            self._idle(self._undone + _WATCH)
        if self._undone is not None:
            left = f": {', '.join(self._left)}" if self._left else ""
            self._tell("not_restored", detail=f"not as before {_WATCH:g} s after the last undo{left}")

    def _plan(self, offset: float, action: int, planned: Planned) -> None:
        heappush(self._agenda, (offset, action, planned.fault.id))

    def _plan_rest(self, planned: Planned, offset: float) -> None:
        """Plan how a fault goes on that comes `offset` seconds after T0."""
        for after, _params in planned.steps:
            self._plan(offset + after, _CHANGE, planned)
        self._plan(offset + planned.lasts, _UNDO, planned)

    def _due(self, offset: float, action: int) -> Iterable[str]:
        while self._agenda and self._agenda[0][:2] == (offset, action):
            yield heappop(self._agenda)[2]

    def _do(self, action: int, ids: list[str], instant: float) -> None:
        if action == _INJECT:
            self._inject(ids, instant)
        elif action == _UNDO:
            self._undo([fault_id for fault_id in ids if fault_id in self._standing], instant)
        elif action == _CHANGE:
            self._change([fault_id for fault_id in ids if fault_id in self._standing])
        elif action == _AWAIT:
            self._await(ids)
        else:
            self._miss([fault_id for fault_id in ids if fault_id in self._awaited])

    def _idle(self, until: float) -> bool:
        """Until the monotonic `until` look for events, and whether all is as before. Say whether an event has come."""
        while (self._awaited or self._undone is not None) and (began := self._clock.monotonic()) < until:
            came = [fault_id for fault_id, watch in self._awaited.items() if self._has_come(fault_id, watch)]
            if came:
                self._answer(came)
                return True
            if self._undone is not None:
                self._look_whether_restored(self._undone)
            if self._awaited or self._undone is not None:
                # Streams and daemons need a slow processor more than the watcher does.
                took = self._clock.monotonic() - began
                rest = max(_POLL, took if self._undone is not None else _REST * took)
                self._clock.sleep(min(rest, until - self._clock.monotonic()))
        return False

    def _look_whether_restored(self, since: float) -> None:
        """Look at what wasn't as before the last time, which is quicker than at all; then at all, to believe it."""
        parts = {_part(name) for name in self._left}
        left = self._unlike(parts)
        took = self._clock.monotonic() - since
        if parts and not left:
            left = self._unlike()
        if left:
            self._left = left
        elif left is not None:
            last = f"; {', '.join(self._left)} came last" if self._left else ""
            self._tell("restored", detail=f"as before {took:.2f} s after the last undo{last}", took=round(took, 3))
            self._undone = None

    def _unlike(self, parts: Collection[str] = ()) -> list[str] | None:
        """Name what isn't as before, of these parts only if there are some; None where it can't be read just now."""
        try:
            # Before a router's daemons the look would hold up the very thing that it waits for.
            with ordinarily():
                return [name for name in unlike(self._look(parts), self._before) if not parts or _part(name) in parts]
        except OkiagariError:
            # A target that can't be read just now isn't known to be as before, and its faults must still end in time.
            return None

    def _await(self, ids: list[str]) -> None:
        for fault_id in ids:
            event = self._planned[fault_id].when
            try:
                self._awaited[fault_id] = events.watch(event or {}, self._runner, self._clock)
            except OkiagariError as error:
                self._give_up(fault_id, f"its event can't be watched for: {error}")

    def _has_come(self, fault_id: str, watch: events.Watch) -> bool:
        try:
            seen = watch.look()
        except (OkiagariError, OSError):
            # What can't be read just now is read again, until the time is over.
            return False
        if seen:
            self._tell("seen", fault_id, seen)
        return bool(seen)

    def _answer(self, ids: list[str]) -> None:
        """Inject the faults whose event has come. Their leases were armed for the last instant at which it could."""
        for fault_id in ids:
            del self._awaited[fault_id]
        began = self._inject(ids, self._clock.monotonic())
        for planned in (self._planned[fault_id] for fault_id in ids if fault_id in self._standing):
            self._plan_rest(planned, began - self._start)
            try:
                self._keeper.renew(planned.fault.id, planned.lasts + began + 1.0 - self._clock.monotonic())
            except OkiagariError as error:
                self._tell("note", planned.fault.id, f"its lease may end later than it: {error}")

    def _miss(self, ids: list[str]) -> None:
        for fault_id in ids:
            del self._awaited[fault_id]
            planned = self._planned[fault_id]
            within = planned.when["within"] if planned.when else 0.0
            self._give_up(fault_id, f"its event did not come within {within:g} s")

    def _inject(self, ids: list[str], instant: float) -> float:
        """Inject faults at the monotonic `instant`, or as soon as they are ready then; give when that was."""
        ready = [fault_id for fault_id in ids if self._prepare(fault_id, instant)]
        if not ready:
            return instant
        self._standing.update(ready)
        self._undone = None
        self._clock.wait_until(instant - _CLOSE)
        began = max(instant, self._clock.monotonic())
        try:
            struck = self._keeper.strike(ready, instant)
        except OkiagariError as error:
            # Whoever ends the drill undoes its faults first, and this runner a moment later.
            self._tell("note", detail=str(error))
            return began
        for record in struck:
            if record.error:
                # What may stand all the same is to be undone in time.
                if not record.live:
                    self._standing.discard(record.fault.id)
                self._tell("failed", record.fault.id, record.error)
            else:
                detail = f"{record.fault.kind} on {record.claim}"
                self._tell("injected", record.fault.id, detail, at=record.injected_at)
        return began

    def _prepare(self, fault_id: str, instant: float) -> bool:
        try:
            self._check_time(instant)
            self._keeper.prepare(fault_id)
        except OkiagariError as error:
            self._give_up(fault_id, str(error))
            return False
        return True

    def _check_time(self, instant: float) -> None:
        late = self._clock.monotonic() - instant
        if late > _TOO_LATE:
            raise OkiagariError(f"the runner came {late:.1f} s too late")

    def _give_up(self, fault_id: str, reason: str) -> None:
        self._tell("failed", fault_id, f"not injected: {reason}")
        try:
            self._keeper.give_up(fault_id, f"not injected: {reason}")
        except OkiagariError as over:
            self._tell("note", fault_id, str(over))

    def _change(self, ids: list[str]) -> None:
        for fault_id in ids:
            try:
                record = self._keeper.change(fault_id, self._steps[fault_id].pop(0))
            except OkiagariError as error:
                # Whoever ends the drill undoes its faults first, and this runner a moment later.
                self._tell("note", fault_id, str(error))
                continue
            if record.error:
                self._standing.discard(fault_id)
                self._tell("failed", fault_id, record.error)
            else:
                self._tell("changed", fault_id, f"{record.fault.kind} on {record.claim}", at=record.steps[-1]["at"])

    def _undo(self, ids: list[str], instant: float) -> None:
        if not ids:
            return
        try:
            self._keeper.prepare_undo(ids)
        except OkiagariError as error:
            self._tell("note", detail=str(error))
        self._clock.wait_until(instant - _CLOSE)
        for record in self._keeper.undo(ids, "program", instant):
            if record.live:
                self._tell("failed", record.fault.id, record.error or "")
            else:
                self._tell("undone", record.fault.id, f"{record.fault.kind} on {record.claim}", at=record.undone_at)
        self._standing.difference_update(ids)
        if not self._standing and self._before:
            self._undone, self._left = self._clock.monotonic(), []


def _part(name: str) -> str:
    """Of which part of a snapshot this is."""
    return name.partition(".")[0]
