# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The journal's record, and the order in which records are undone. Pure: `target.store` keeps them on disk."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ..errors import OkiagariError
from .model import Fault, State

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

SCHEMA = 1


@dataclass
class Record:
    """What the target remembers of one fault. All times are seconds since the epoch by the target's clock.

    `before` is the claimed state just before the injection, `want` what the fault makes of it, and `undo` the
    operations that lead back, for people. `state` becomes `injected` and `touched` true *before* the change is made
    (`injected_at` is still None then), so that a crash in between is undone too. `steps` are the changes since the
    injection, each with `at`, `params` and `installed`. `armed_monotonic` is `armed_at` by the clock that nobody sets.
    """

    fault: Fault
    claim: str
    boot_id: str
    sequence: int
    state: str = "armed"
    touched: bool = False
    drill: str | None = None
    before: State = field(default_factory=dict)
    want: State = field(default_factory=dict)
    undo: list[list[str]] = field(default_factory=list)
    installed: State = field(default_factory=dict)
    steps: list[dict[str, Any]] = field(default_factory=list)
    after: State = field(default_factory=dict)
    measured: dict[str, Any] = field(default_factory=dict)
    armed_at: float | None = None
    armed_monotonic: float | None = None
    injected_at: float | None = None
    undone_at: float | None = None
    undone_by: str | None = None
    lease_ends_at: float | None = None
    lease_unit: str | None = None
    renewals: int = 0
    error: str | None = None

    @property
    def live(self) -> bool:
        """Whether something may still stand on the target because of this fault."""
        return self.undone_at is None

    @property
    def reach(self) -> set[str]:
        """What this fault changes: what it claims, and the VLANs above a link, which follow it."""
        return {self.claim, *_vlans_above(self.before.get(self.claim, {}))}

    def to_dict(self) -> dict[str, Any]:
        return {"schema": SCHEMA, **dataclasses.asdict(self), "fault": self.fault.to_dict()}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Record:
        """Read what `to_dict` gave. Raises `OkiagariError` for anything else."""
        try:
            rest = {key: value for key, value in data.items() if key not in ("schema", "fault")}
            return cls(fault=Fault(**data["fault"]), **rest)
        except (KeyError, TypeError, AttributeError) as error:
            raise OkiagariError(f"a journal record can't be read: {error}") from error

    def receipt(self) -> dict[str, Any]:
        """Give the record as modules return it and reports show it."""
        return {
            **self.fault.to_dict(),
            "state": self.state,
            "asked": dict(self.fault.params),
            "installed": _flat(self.installed),
            "steps": [{**step, "installed": _flat(step["installed"])} for step in self.steps],
            "before": _flat(self.before),
            "after": _flat(self.after),
            "measured": self.measured,
            "armed_at": self.armed_at,
            "injected_at": self.injected_at,
            "undone_at": self.undone_at,
            "undone_by": self.undone_by,
            "lease_ends_at": self.lease_ends_at,
            "error": self.error,
        }


def standing(records: Iterable[Record], fault: Fault) -> Record | None:
    """Give the live record of this very fault; raise `OkiagariError` if another fault of the same id lives."""
    record = next((each for each in records if each.live and each.fault.id == fault.id), None)
    if record and (record.fault.kind, record.fault.params) != (fault.kind, fault.params):
        raise OkiagariError(f"the fault {fault.id} stands with other parameters {record.fault.params}: undo it first")
    return record


def undo_order(records: Iterable[Record], ids: Iterable[str]) -> list[Record]:
    """Give the live records of `ids`, newest first, each preceded by every newer live one with the same claim."""
    live = [record for record in records if record.live]
    asked = set(ids)
    chosen = [
        record
        for record in live
        if record.fault.id in asked
        or any(
            older.fault.id in asked
            and older.claim == record.claim
            and older.sequence < record.sequence
            and record.touched
            for older in live
        )
    ]
    return sorted(chosen, key=lambda record: record.sequence, reverse=True)


def _vlans_above(entry: Mapping[str, Any]) -> set[str]:
    found = set()
    for name, vlan in entry.get("vlans", {}).items():
        found |= {f"link:{name}", *_vlans_above(vlan)}
    return found


def _flat(state: State) -> dict[str, Any]:
    return {key: value for entry in state.values() for key, value in entry.items()}
