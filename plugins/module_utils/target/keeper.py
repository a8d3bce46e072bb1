# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The keeper of a target's faults: nothing is injected, renewed or undone but through it."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from ..errors import OkiagariError
from ..fault.backend import Backend, Op, converge
from ..fault.journal import Record, standing, undo_order
from ..fault.kinds import find_kind
from ..fault.lease import lease_unit
from ..fault.owned import DRILL_PREFIX, LEASE_PREFIX
from .maker import Maker
from .timers import Timers, need

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from ..fault.model import Fault
    from .store import Store
    from .system import Clock

# From the instant of a change so many seconds are left to others who may share this processor, as a lab's nodes do, and
# change something at the same instant; reading back can wait.
_ROOM_S = 0.1


class Keeper(Maker):
    """Keeps the order that makes faults safe: look and refuse, lease, journal, inject, read back.

    `command` is how this very program is called on the target; leases run it with `expire ID UNIT`.
    """

    def __init__(
        self, backend: Backend, store: Store, timers: Timers, clock: Clock, boot: str, command: Sequence[str]
    ) -> None:
        super().__init__(backend, store, timers, clock, boot)
        self._command = tuple(command)
        self._injections: dict[str, Callable[[], None]] = {}
        self._undos: dict[str, Callable[[], None]] = {}

    def records(self) -> list[Record]:
        """Give all records, oldest first. Those of an earlier boot are over: the kernel's state died with that boot."""
        records = self.store.load()
        for record in records:
            if record.live and record.boot_id != self._boot:
                record.state, record.undone_by = "undone", "reboot"
                record.undone_at = round(self.clock.now() - self.clock.monotonic(), 3)
        return records

    def standing(self, fault: Fault) -> Record | None:
        """Give the record of this very fault if it stands; raise if another of the same id does."""
        record = standing(self.records(), fault)
        if record and record.state != "injected":
            raise OkiagariError(f"the fault {fault.id} is {record.state}: undo it first")
        return record

    def examine(self, fault: Fault, drill: str | None = None) -> Record:
        """Look at the target and give the record that an injection would begin with. Changes nothing.

        Raises `OkiagariError` if the fault can't be injected: no lease, missing capability, foreign state, other fault.
        """
        kind = find_kind(fault.kind)
        records = self.records()
        live = [record for record in records if record.live]
        for other in live:
            if other.fault.id == fault.id:
                raise OkiagariError(f"a fault {fault.id} is already {other.state}: undo it first")
        need(self.timers)
        for capability in kind.needs(fault.params):
            self.backend.require(capability)
        sequence = 1 + max((each.sequence for each in records), default=0)
        record = Record(fault, kind.claim(fault.params), self._boot, sequence, drill=drill)
        self._look(record, [other for other in live if drill is None or other.drill != drill])
        return record

    def inject(self, fault: Fault) -> Record:
        """Inject `fault` now, or renew the lease if it already stands. Raises `OkiagariError`; then nothing stands."""
        with self.store.lock():
            record = self.standing(fault)
            if record:
                return self._renew(record, fault.lease_s)
            record = self.examine(fault)
            self._arm(record, fault.lease_s)
            self._intend(record)
            self._strike([record])
            if record.error:
                raise OkiagariError(f"{fault.id}: {record.error}")
            self.store.forget(self.records())
            return record

    def arm(self, drill: str, faults: Iterable[tuple[Fault, float]]) -> list[Record]:
        """Journal and arm the leases of `faults`, each with the seconds from now until its lease ends.

        Everything is checked first; raises `BadInput` with all that is wrong, and then nothing is armed.
        """
        with self.store.lock():
            faults = list(faults)
            if faults:
                need(self.timers)
            planned = self._plan(drill, faults)
            try:
                for record, delay in planned:
                    self._arm(record, delay)
            except OkiagariError as error:
                for record in (record for record, _delay in planned if record.armed_at is not None and record.live):
                    record.state, record.error = (
                        "failed",
                        f"not armed, because another fault of the drill wasn't: {error}",
                    )
                    self._close(record, "program")
                raise
            self.store.forget(self.records())
            return [record for record, _delay in planned]

    def prepare(self, fault_id: str) -> None:
        """Look again shortly before an armed fault's instant and journal the intent; `strike` is then one command."""
        with self.store.lock():
            record = self._armed(fault_id)
            records = self.records()
            self._look(record, [other for other in records if other.live and other.touched])
            record.sequence = 1 + max(each.sequence for each in records)
            self._intend(record)
            self._injections[fault_id] = self.backend.ready(self.backend.render(record.before, record.want))

    def strike(self, fault_ids: Iterable[str], instant: float = 0.0) -> list[Record]:
        """Inject prepared faults, all changes before all read-backs.

        That is at the monotonic `instant`, now if that is over. One that fails is undone and has an `error`.
        """
        with self.store.lock():
            records = [self._live(fault_id) for fault_id in fault_ids]
            self._strike([record for record in records if record.injected_at is None], instant)
            return records

    def change(self, fault_id: str, params: Mapping[str, Any]) -> Record:
        """Give a fault that stands other parameters, at no moment without it. If that fails it is undone, with `error`.

        Its lease and its way back stay as they are.
        """
        with self.store.lock():
            record = self._live(fault_id)
            if record.state != "injected" or record.injected_at is None:
                raise OkiagariError(f"the fault {fault_id} is {record.state}, so it can't change")
            record.want = find_kind(record.fault.kind).want(params, record.before)
            self.store.save(record)
            try:
                self.backend.apply(self.backend.render(record.installed, record.want))
                at = self._time(record)
                record.installed = converge(self.backend, record.want)
            except OkiagariError as error:
                record.error = f"not changed: {error}"
                self._restore([record], "program")
                return record
            record.steps.append({"at": at, "params": dict(params), "installed": record.installed})
            self.store.save(record)
            return record

    def prepare_undo(self, fault_ids: Iterable[str]) -> None:
        """Read counters and render the undo shortly before its instant, for the same reason."""
        with self.store.lock():
            for fault_id in fault_ids:
                record = self._live(fault_id)
                ops = self._look_back(record)
                self.store.save(record)
                self._undos[fault_id] = self.backend.ready(ops)

    def renew(self, fault_id: str, lease: float) -> None:
        """Let the lease of a fault that lives end in `lease` seconds from now."""
        with self.store.lock():
            self._renew(self._live(fault_id), lease)

    def give_up(self, fault_id: str, reason: str) -> Record:
        """Close an armed fault that is not going to be injected."""
        with self.store.lock():
            record = self._armed(fault_id)
            record.state, record.error = "failed", reason
            self._close(record, "program")
            return record

    def undo(self, ids: Iterable[str], by: str, instant: float = 0.0) -> list[Record]:
        """Undo the faults of `ids` that live, newest first. One that can't be undone stays, with its error."""
        with self.store.lock():
            return self._undo(ids, by, instant)

    def expire(self, fault_id: str, unit: str) -> list[Record]:
        """Undo a fault because its lease `unit` ended. A lease that has been renewed since ends nothing."""
        with self.store.lock():
            due = [record.fault.id for record in self.records() if record.lease_unit == unit]
            return self._undo([fault_id] if fault_id in due else [], "lease")

    def heal(self, check: bool = False) -> dict[str, list[dict[str, str]]]:
        """Find everything of this collection, with the journal and without; unless `check`, remove all of it.

        A claim is no finding, because it ends by itself and stands in nobody's way but a drill's; it is removed too.
        `left` is what is still there afterwards; with `check` that is everything.
        """
        with self.store.lock():
            found = self._findings()
            if check:
                return {"found": found, "healed": [], "left": found}
            self.claims.drop()
            self.store.set_aside_unreadable()
            units = self.timers.units()
            for unit in units:
                if unit.startswith(DRILL_PREFIX):
                    self.timers.stop(unit)
            self._undo([record.fault.id for record in self.records()], "heal")
            for leftover in self.backend.leftovers():
                with suppress(OkiagariError):
                    self.backend.apply(leftover.ops)
            needed = {record.lease_unit for record in self.records() if record.live}
            for unit in units:
                if unit.startswith(LEASE_PREFIX) and unit not in needed:
                    self.timers.stop(unit)
            left = self._findings()
            remaining = {(each["what"], each["name"]) for each in left}
            healed = [each for each in found if (each["what"], each["name"]) not in remaining]
            return {"found": found, "healed": healed, "left": left}

    def _findings(self) -> list[dict[str, str]]:
        unreadable = self.store.unreadable()
        found = [("journal", path, "a record that can't be read") for path in unreadable]
        for record in [] if unreadable else self.records():
            if record.live:
                detail = f"{record.fault.kind} on {record.claim}, {record.state}"
                found.append(("fault", record.fault.id, f"{detail}: {record.error}" if record.error else detail))
        found += [(leftover.what, leftover.name, leftover.detail) for leftover in self.backend.leftovers()]
        for unit in self.timers.units():
            found.append(("lease" if unit.startswith(LEASE_PREFIX) else "drill", unit, self.timers.unit_is))
        return [{"what": what, "name": name, "detail": detail} for what, name, detail in found]

    def _look(self, record: Record, others: Iterable[Record]) -> None:
        """Read what the fault would begin with. Raises `OkiagariError` if that, or one of `others`, is in its way."""
        kind, params = find_kind(record.fault.kind), record.fault.params
        have = self.backend.gather((record.claim, *kind.reads(params)))
        record.before = {record.claim: have[record.claim]}
        for other in others:
            if shared := other.reach & record.reach:
                raise OkiagariError(
                    f"{min(shared)} is claimed by the fault {other.fault.id} ({other.state}): undo that first"
                )
        if reason := kind.refuse(params, have):
            raise OkiagariError(reason)
        record.want = kind.want(params, have)
        under_fault = {record.claim: {**have[record.claim], **record.want[record.claim]}}
        record.undo = [list(op) for op in self.backend.render(under_fault, record.before)]

    def _over(self, record: Record) -> bool:
        return super()._over(record) or record.boot_id != self._boot

    def _arm(self, record: Record, delay: float) -> None:
        record.armed_at, record.armed_monotonic = self.clock.now(), self.clock.monotonic()
        try:
            self._arm_lease(record, delay)
        except OkiagariError as error:
            record.state, record.error = "failed", str(error)
            self._close(record, "program")
            raise

    def _arm_lease(self, record: Record, delay: float) -> None:
        """Arm the lease, then save the record: a lease without a record does nothing, a record without one stays."""
        unit, previous = lease_unit(record.fault.id, record.renewals), record.lease_unit
        try:
            self.timers.arm(unit, delay, (*self._command, "expire", record.fault.id, unit))
        except OkiagariError as error:
            raise OkiagariError(
                f"the lease of {record.fault.id} can't be armed, so nothing was changed: {error}"
            ) from error
        record.lease_unit, record.lease_ends_at = unit, self._time(record) + delay
        self.store.save(record)
        if previous:
            self.timers.disarm(previous)

    def _renew(self, record: Record, lease: float) -> Record:
        need(self.timers)
        record.renewals += 1
        self._arm_lease(record, lease)
        return record

    def _intend(self, record: Record) -> None:
        record.state, record.touched = "injected", True
        self.store.save(record)

    def _strike(self, records: Sequence[Record], instant: float = 0.0) -> None:
        self.clock.wait_until(instant)
        for record in records:
            try:
                if ready := self._injections.pop(record.fault.id, None):
                    ready()
                else:
                    self.backend.apply(self.backend.render(record.before, record.want))
            except OkiagariError as error:
                record.error = f"not injected: {error}"
            record.injected_at = self._time(record)
        # What was changed is read back, and noted, also when the runner is told to end meanwhile.
        try:
            self.clock.wait_until(instant + _ROOM_S)
        finally:
            self._read_back(records)

    def _read_back(self, records: Sequence[Record]) -> None:
        for record in records:
            try:
                record.installed = converge(self.backend, record.want)
                record.error = None
                self.store.save(record)
            except OkiagariError as error:
                record.error = f"not injected: {error}"
                self._restore([record], "program")

    def _undo(self, ids: Iterable[str], by: str, instant: float = 0.0) -> list[Record]:
        records = undo_order(self.records(), ids)
        for record in records:
            record.error = None
        self._restore(records, by, instant)
        return records

    def _look_back(self, record: Record) -> list[Op]:
        record.measured = self.backend.measure(record.claim)
        return self.backend.render(self.backend.gather(record.before), record.before)

    def _restore(self, records: Sequence[Record], by: str, instant: float = 0.0) -> None:
        ended: dict[str, float] = {}
        self.clock.wait_until(instant)
        for record in records:
            # The kernel restores some things by itself at the same moment: what counts is the read-back below.
            with suppress(OkiagariError):
                if ready := self._undos.pop(record.fault.id, None):
                    ready()
                elif record.touched:
                    self.backend.apply(self._look_back(record))
            ended[record.fault.id] = self._time(record)
        try:
            self.clock.wait_until(instant + _ROOM_S)
        finally:
            self._close_restored(records, by, ended)

    def _close_restored(self, records: Sequence[Record], by: str, ended: Mapping[str, float]) -> None:
        for record in records:
            try:
                record.after = converge(self.backend, record.before) if record.touched else {}
            except OkiagariError as error:
                record.state, record.error = "failed", f"not undone, heal tries again: {error}"
                self.store.save(record)
                continue
            record.state = "failed" if record.error else "undone"
            self._close(record, by, ended[record.fault.id])

    def _close(self, record: Record, by: str, at: float | None = None) -> None:
        record.undone_at, record.undone_by = self._time(record) if at is None else at, by
        self._injections.pop(record.fault.id, None)
        self.store.save(record)
        if record.lease_unit:
            self.timers.disarm(record.lease_unit)

    def _time(self, record: Record) -> float:
        """Give the time by the clock as it was when the fault was armed: since then a fault may have set it."""
        if record.armed_at is None or record.armed_monotonic is None:
            return self.clock.now()
        return record.armed_at + self.clock.monotonic() - record.armed_monotonic
