# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The proxy of a device: what a keeper is on a target, for a device that can't run this program."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from ..errors import OkiagariError
from ..fault.device import InDoubt
from ..fault.journal import Record, standing, undo_order
from ..fault.kinds import find_kind

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ..fault.backend import Op
    from ..fault.device import Device
    from ..fault.model import Fault, State
    from ..target.store import Store
    from ..target.system import Clock

# The device's kernel died with none of our boots: its records have no boot of their own.
_NO_BOOT = "device"
# A router's daemons follow its configuration a moment later.
_SETTLE_S = 20.0
_POLL_S = 0.5


class Proxy:
    """Keeps the order that makes a device's faults safe: look and refuse, journal, inject with its lease, read back.

    The journal is here, the lease is the device's. A device has one fault at a time, since it has one lease.
    """

    def __init__(self, backend: Device, store: Store, clock: Clock) -> None:
        self.backend = backend
        self.store = store
        self.clock = clock

    def records(self) -> list[Record]:
        """Give all records, oldest first. A fault that the device has ended meanwhile is over."""
        records = self.store.load()
        for record in records:
            if record.live:
                self._settle(record)
        return records

    def standing(self, fault: Fault) -> Record | None:
        """Give the record of this very fault if it stands; raise if another of the same id does."""
        return standing(self.records(), fault)

    def examine(self, fault: Fault, drill: str | None = None) -> Record:
        """Look at the device and give the record that an injection would begin with. Changes nothing.

        The other faults of the same `drill` come at other times.

        Raises `OkiagariError` if the fault can't be injected: missing capability, foreign state, other fault.
        """
        kind = find_kind(fault.kind)
        records = self.records()
        self._mind_others([each for each in records if drill is None or each.drill != drill])
        for capability in ("lease", *kind.needs(fault.params)):
            self.backend.require(capability)
        self.backend.lease(fault.lease_s)
        sequence = 1 + max((each.sequence for each in records), default=0)
        record = Record(fault, kind.claim(fault.params), _NO_BOOT, sequence, drill=drill)
        self._look(record)
        return record

    def inject(self, fault: Fault) -> Record:
        """Inject `fault` now; if it already stands, its lease stays as it is. Raises `OkiagariError`."""
        with self.store.lock():
            record = self.standing(fault)
            if record:
                return record
            record = self.examine(fault)
            self._strike(record)
            self.store.forget(self.store.load())
            return record

    def undo(self, ids: Iterable[str], by: str) -> list[Record]:
        """Undo the faults of `ids` that live. One that can't be undone stays, with its error, until its lease ends."""
        with self.store.lock():
            return self._undo(ids, by)

    def heal(self, check: bool = False) -> dict[str, list[dict[str, str]]]:
        """Find everything of this collection on the device; unless `check`, remove all of it. As a keeper does."""
        with self.store.lock():
            found = self._findings()
            if check:
                return {"found": found, "healed": [], "left": found}
            self.store.set_aside_unreadable()
            self._undo([record.fault.id for record in self.records()], "heal")
            for leftover in self.backend.leftovers():
                with suppress(OkiagariError):
                    self.backend.apply(leftover.ops)
            left = self._findings()
            return {"found": found, "healed": [each for each in found if each not in left], "left": left}

    def _findings(self) -> list[dict[str, str]]:
        unreadable = self.store.unreadable()
        found = [("journal", path, "a record that can't be read") for path in unreadable]
        live = [] if unreadable else [record for record in self.records() if record.live]
        found += [("fault", each.fault.id, f"{each.fault.kind} on {each.claim}, {each.state}") for each in live]
        found += [(leftover.what, leftover.name, leftover.detail) for leftover in self.backend.leftovers()]
        return [{"what": what, "name": name, "detail": detail} for what, name, detail in found]

    def _mind_others(self, records: Iterable[Record]) -> None:
        """Raise `OkiagariError` for a fault that stands, or is going to."""
        if other := next((each for each in records if each.live), None):
            how = "stands on" if other.touched else "is armed for"
            raise OkiagariError(
                f"the fault {other.fault.id} {how} this device, which can take back one change at a time: "
                "undo it first, or wait for the end of its lease"
            )

    def _look(self, record: Record) -> None:
        """Read what the fault would begin with. Raises `OkiagariError` if it can't be injected into that."""
        kind, params, claim = find_kind(record.fault.kind), record.fault.params, record.claim
        have = self.backend.gather((claim, *kind.reads(params)))
        if reason := kind.refuse(params, have):
            raise OkiagariError(reason)
        record.before, record.want = {claim: have[claim]}, kind.want(params, have)
        # What the device can't be told is refused here, before anything stands.
        self.backend.render(record.before, record.want)
        under_fault = {claim: {**have[claim], **record.want[claim]}}
        record.undo = [list(op) for op in self.backend.render(under_fault, record.before)]

    def _strike(self, record: Record) -> None:
        """Make the change and read it back. Raises `OkiagariError`, which is then in the record too."""
        self._commit(record)
        try:
            record.installed = self._await(record.want)
        except OkiagariError as error:
            record.error = f"not injected: {error}"
            self._restore(record, "program")
            raise OkiagariError(f"{record.fault.id}: {record.error}") from error
        self.store.save(record)

    def _commit(self, record: Record) -> None:
        lease = self.backend.lease(record.fault.lease_s)
        record.state, record.touched = "injected", True
        record.armed_at = self.clock.now()
        record.lease_ends_at = record.armed_at + lease
        self.store.save(record)
        try:
            self._make(record, lease)
        except InDoubt as error:
            record.error = f"it is not known whether it was injected: {error}"
        except OkiagariError as error:
            record.error, record.state, record.touched = f"not injected: {error}", "failed", False
            self._see_untouched(record)
            self._close(record, "program")
        record.injected_at = self.clock.now()
        record.lease_ends_at = record.injected_at + lease
        self.store.save(record)
        if record.error:
            raise OkiagariError(f"{record.fault.id}: {record.error}")

    def _make(self, record: Record, lease: float) -> None:
        self.backend.commit(self.backend.render(record.before, record.want), lease)

    def _take_back(self, record: Record) -> None:
        record.measured = self.backend.measure(record.claim)
        self.backend.revert(self._way_back(record))

    def _see_untouched(self, record: Record) -> None:
        """A device that refuses a change may have made part of it."""
        try:
            self._await(record.before)
        except OkiagariError as error:
            record.error = f"{record.error}; and since then: {error}"

    def _settle(self, record: Record) -> None:
        """Close the record of a fault that is gone: the device ended it with its lease, or by a restart before."""
        if not record.touched:
            if self.clock.now() > (record.lease_ends_at or 0.0):
                record.state, record.error = "failed", "not injected: its drill's runner was gone"
                self._close(record, "lease")
            return
        have = self.backend.gather(record.before)
        now, ends = self.clock.now(), record.lease_ends_at or 0.0
        # The device counts from some moment while it was being asked.
        earliest = ends - ((record.injected_at or ends) - (record.armed_at or ends))
        if not self.backend.render(have, record.before):
            record.state, record.after = "failed" if record.error else "undone", have
            self._close(record, "lease" if now >= earliest else "reboot", min(now, ends))
        elif now > ends + _SETTLE_S:
            record.error = "its lease has ended, and the device has not taken it back: undo it"

    def _undo(self, ids: Iterable[str], by: str) -> list[Record]:
        records = undo_order(self._known(), ids)
        for record in records:
            record.error = None
            self._restore(record, by)
        return records

    def _known(self) -> list[Record]:
        return self.records()

    def _restore(self, record: Record, by: str) -> None:
        ended = None
        try:
            if record.touched:
                self._take_back(record)
                ended = self.clock.now()
                record.after = self._await(record.before)
        except OkiagariError as error:
            record.state, record.error = "failed", f"not undone, it stands until the device ends its lease: {error}"
            self.store.save(record)
            return
        record.state = "failed" if record.error else "undone"
        self._close(record, by, ended)

    def _way_back(self, record: Record) -> list[Op]:
        return self.backend.render(self.backend.gather(record.before), record.before)

    def _await(self, want: State) -> State:
        deadline = self.clock.monotonic() + _SETTLE_S
        while True:
            have = self.backend.gather(want)
            ops = self.backend.render(have, want)
            if not ops:
                return have
            if self.clock.monotonic() >= deadline:
                raise OkiagariError(f"the device did not come to the wanted state: still to do {ops}")
            self.clock.sleep(_POLL_S)

    def _close(self, record: Record, by: str, at: float | None = None) -> None:
        record.undone_at, record.undone_by = self.clock.now() if at is None else at, by
        self.store.save(record)
