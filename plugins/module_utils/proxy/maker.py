# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The maker of a device's faults in a drill: a proxy that arms them beforehand, and strikes and undoes in time."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

from ..errors import OkiagariError
from ..fault.owned import DRILL_PREFIX
from ..target.maker import Maker
from .keeper import Proxy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from ..fault.device import Device
    from ..fault.journal import Record
    from ..fault.model import Fault
    from ..target.store import Store
    from ..target.system import Clock
    from ..target.timers import Timers

# By how much the lease is longer than the fault: a device takes its time for the undo.
_SPARE_S = 5.0


class DeviceMaker(Proxy, Maker):
    """Arming changes nothing on the device: its lease begins with the change itself, and can't begin earlier.

    The journal, the claim and the runner are on this machine. `boot` is its boot.
    """

    # A device is asked several things before each change.
    ahead_s: ClassVar[float] = 8.0

    def __init__(self, backend: Device, store: Store, timers: Timers, clock: Clock, boot: str) -> None:
        Maker.__init__(self, backend, store, timers, clock, boot)
        self.backend: Device = backend
        self._injections: dict[str, Callable[[], None]] = {}
        self._undos: dict[str, Callable[[], None]] = {}

    def of_drill(self, drill: str) -> list[Record]:
        """Give the records of one drill. While its runner is there, nobody else has to ask the device for them."""
        found = [record for record in self.store.load() if record.drill == drill]
        if any(record.live for record in found) and DRILL_PREFIX + drill not in self.timers.units():
            return [record for record in self.records() if record.drill == drill]
        return found

    def arm(self, drill: str, faults: Iterable[tuple[Fault, float]]) -> list[Record]:
        with self.store.lock():
            planned = self._plan(
                drill, [(replace(each, lease_s=each.lease_s + _SPARE_S), delay) for each, delay in faults]
            )
            for record, delay in planned:
                record.armed_at = self.clock.now()
                record.lease_ends_at = record.armed_at + delay
                self.store.save(record)
            self.store.forget(self.store.load())
            return [record for record, _delay in planned]

    def prepare(self, fault_id: str) -> None:
        with self.store.lock():
            record = self._armed(fault_id)
            records = self.records()
            self._mind_others([other for other in records if other.touched])
            self._look(record)
            record.sequence = 1 + max(each.sequence for each in records)
            self.store.save(record)
            ops, lease = self.backend.render(record.before, record.want), self.backend.lease(record.fault.lease_s)
            self._injections[fault_id] = self.backend.ready_commit(ops, lease)

    def strike(self, fault_ids: Iterable[str], instant: float = 0.0) -> list[Record]:
        self.clock.wait_until(instant)
        with self.store.lock():
            records = [self._armed(fault_id) for fault_id in fault_ids]
            for record in records:
                try:
                    self._strike(record)
                except OkiagariError:
                    # Why it failed is in the record.
                    if record.live:
                        self._ask_again(record)
            return records

    def undo(self, ids: Iterable[str], by: str, instant: float = 0.0) -> list[Record]:
        self.clock.wait_until(instant)
        return super().undo(ids, by)

    def _ask_again(self, record: Record) -> None:
        """A device that wasn't heard to the end may be heard again after a new login."""
        with suppress(OkiagariError):
            record.installed = self._await(record.want)
            record.error = None
            self.store.save(record)

    def change(self, fault_id: str, params: Mapping[str, Any]) -> Record:  # noqa: ARG002
        raise OkiagariError(f"the fault {fault_id} can't change: a device is told of a fault once")

    def renew(self, fault_id: str, lease: float) -> None:  # noqa: ARG002
        raise OkiagariError(f"the lease of {fault_id} can't be renewed: the device keeps it")

    def prepare_undo(self, fault_ids: Iterable[str]) -> None:
        with self.store.lock():
            for record in filter(None, map(self.store.get, fault_ids)):
                if record.live and record.touched:
                    record.measured = self.backend.measure(record.claim)
                    self.store.save(record)
                    self._undos[record.fault.id] = self.backend.ready_revert(self._way_back(record))

    def _make(self, record: Record, lease: float) -> None:
        if ready := self._injections.pop(record.fault.id, None):
            ready()
        else:
            super()._make(record, lease)

    def _known(self) -> list[Record]:
        # What is ready would have to be begun anew if the device were asked anything now.
        return self.store.load() if self._undos else super()._known()

    def _take_back(self, record: Record) -> None:
        if ready := self._undos.pop(record.fault.id, None):
            try:
                ready()
            except OkiagariError:
                # The device itself may have been quicker, or a session that waited was ended.
                super()._take_back(record)
        else:
            super()._take_back(record)

    def give_up(self, fault_id: str, reason: str) -> Record:
        with self.store.lock():
            record = self._armed(fault_id)
            record.state, record.error = "failed", reason
            self._close(record, "program")
            return record

    def expire(self, fault_id: str, unit: str) -> list[Record]:  # noqa: ARG002
        """Nothing expires here: the device ends its lease itself."""
        return []

    def heal(self, check: bool = False) -> dict[str, list[dict[str, str]]]:
        if not check:
            with self.store.lock():
                self.claims.drop()
                for unit in self.timers.units():
                    self.timers.stop(unit)
        return super().heal(check)

    def _findings(self) -> list[dict[str, str]]:
        running = [{"what": "drill", "name": unit, "detail": self.timers.unit_is} for unit in self.timers.units()]
        return super()._findings() + running
