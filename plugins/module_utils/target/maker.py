# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What makes the faults of a drill on one target, and knows which drill has that target."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

from ..errors import BadInput, OkiagariError, Problem
from ..fault.lease import drill_unit
from ..fault.owned import DRILL_PREFIX
from .claims import Claim, Claims

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ..fault.backend import Backend
    from ..fault.journal import Record
    from ..fault.model import Fault
    from .store import Store
    from .system import Clock
    from .timers import Timers


class Maker(ABC):
    """The faults of one target, as the target program's commands and a drill's runner ask for them.

    At most one drill has the target at a time.
    """

    ahead_s: ClassVar[float] = 1.0
    """How long before its instant a change is prepared."""

    def __init__(self, backend: Backend, store: Store, timers: Timers, clock: Clock, boot: str) -> None:
        self.backend = backend
        self.store = store
        self.timers = timers
        self.clock = clock
        self.claims = Claims(store.claim, clock, boot)
        self._boot = boot

    @abstractmethod
    def records(self) -> list[Record]:
        """Give all records, oldest first."""

    @abstractmethod
    def examine(self, fault: Fault, drill: str | None = None) -> Record:
        """Look at the target and give the record that an injection would begin with. Changes nothing.

        Raises `OkiagariError` if the fault can't be injected.
        """

    @abstractmethod
    def inject(self, fault: Fault) -> Record:
        """Inject `fault` now. Raises `OkiagariError`; then nothing stands."""

    @abstractmethod
    def arm(self, drill: str, faults: Iterable[tuple[Fault, float]]) -> list[Record]:
        """Journal `faults`, each with the seconds from now until its lease ends at the latest.

        Everything is checked first; raises `BadInput` with all that is wrong, and then nothing is armed.
        """

    @abstractmethod
    def prepare(self, fault_id: str) -> None:
        """Look again shortly before an armed fault's instant; `strike` then takes as little time as can be."""

    @abstractmethod
    def strike(self, fault_ids: Iterable[str], instant: float = 0.0) -> list[Record]:
        """Inject prepared faults, at the monotonic `instant` or now. One that fails is undone and has an `error`."""

    @abstractmethod
    def change(self, fault_id: str, params: Mapping[str, Any]) -> Record:
        """Give a fault that stands other parameters, at no moment without it. If that fails it is undone, with `error`.

        Its lease and its way back stay as they are.
        """

    @abstractmethod
    def prepare_undo(self, fault_ids: Iterable[str]) -> None:
        """Read counters and render the undo shortly before its instant, for the same reason."""

    @abstractmethod
    def renew(self, fault_id: str, lease: float) -> None:
        """Let the lease of a fault that lives end in `lease` seconds from now."""

    @abstractmethod
    def give_up(self, fault_id: str, reason: str) -> Record:
        """Close an armed fault that is not going to be injected."""

    @abstractmethod
    def undo(self, ids: Iterable[str], by: str, instant: float = 0.0) -> list[Record]:
        """Undo the faults of `ids` that live, newest first. One that can't be undone stays, with its error.

        That is at the monotonic `instant`, now if that is over.
        """

    @abstractmethod
    def expire(self, fault_id: str, unit: str) -> list[Record]:
        """Undo a fault because its lease `unit` ended. A lease that has been renewed since ends nothing."""

    @abstractmethod
    def heal(self, check: bool = False) -> dict[str, list[dict[str, str]]]:
        """Find everything of this collection, with the journal and without; unless `check`, remove all of it.

        `left` is what is still there afterwards; with `check` that is everything.
        """

    def _plan(self, drill: str, faults: Iterable[tuple[Fault, float]]) -> list[tuple[Record, float]]:
        """Examine all, and give a record for each, with its delay. Raises `BadInput` with all that is wrong."""
        problems: list[Problem] = []
        planned = []
        for offset, (fault, delay) in enumerate(faults):
            try:
                record = self.examine(fault, drill)
                record.sequence += offset
                planned.append((record, delay))
            except BadInput as error:
                problems.extend(error.problems)
            except OkiagariError as error:
                problems.append(Problem("", None, fault.id, str(error)))
        if problems:
            raise BadInput(problems)
        return planned

    def _over(self, record: Record) -> bool:
        return not record.live

    def _live(self, fault_id: str) -> Record:
        record = self.store.get(fault_id)
        if record is None or self._over(record):
            raise OkiagariError(f"the fault {fault_id} is already over")
        return record

    def _armed(self, fault_id: str) -> Record:
        record = self._live(fault_id)
        if record.state != "armed":
            raise OkiagariError(f"the fault {fault_id} is {record.state}, no longer armed")
        return record

    def of_drill(self, drill: str) -> list[Record]:
        """Give the records of one drill."""
        return [record for record in self.records() if record.drill == drill]

    def claim(self, drill: str, who: str, seconds: float) -> tuple[bool, Claim]:
        """Take the target for a drill's run, or have it for longer; say whether that is granted, and who has it.

        It isn't while another run has it, or while something of another drill runs here.
        """
        with self.store.lock():
            holder = self.claims.holder()
            if holder and (holder.drill, holder.who) != (drill, who):
                return False, holder
            others = [other for other in self._running() if other != drill]
            if others:
                return False, Claim(others[0], "", self._boot, self.clock.monotonic())
            return True, self.claims.take(drill, who, seconds)

    def release(self, drill: str, who: str) -> None:
        """Let go of the target, if it is this run that has it."""
        with self.store.lock():
            holder = self.claims.holder()
            if holder and (holder.drill, holder.who) == (drill, who):
                self.claims.drop()

    def drills(self) -> list[str]:
        """Give the drills that are here: those that run, and the one that has the target unless it was ended."""
        holder = self.claims.holder()
        waiting = {holder.drill} if holder and not self.store.stopped(holder.drill) else set()
        return sorted({*self._running(), *waiting})

    def _running(self) -> list[str]:
        """Give the drills with a runner, and those of which a fault is armed or stands."""
        runners = [unit.removeprefix(DRILL_PREFIX) for unit in self.timers.units() if unit.startswith(DRILL_PREFIX)]
        return sorted({*runners, *(record.drill for record in self.records() if record.live and record.drill)})

    def abort(self, drill: str, by: str) -> None:
        """End a drill now, and for good. Its claim stays: its controller still has to compare, and lets go then.

        Its faults go first: a runner may take seconds to end, and what is undone it can't inject any more.
        """
        self.store.stop(drill, by)
        try:
            self.undo([record.fault.id for record in self.of_drill(drill)], "abort")
        finally:
            self.timers.stop(drill_unit(drill))
