# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The target program's commands for a device: run on the controller, about what is reached from there."""

from __future__ import annotations

import json
from functools import cached_property
from typing import TYPE_CHECKING, Any

from ..fault.kinds import KINDS
from ..target.main import Commands
from ..target.system import Clock, SubprocessRunner
from .devices import open_proxy, places_of

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from ..fault.backend import Backend
    from ..target.maker import Maker
    from ..target.timers import Timers

_FURTHER = frozenset({"lease", "drop", "flower"})


class DeviceCommands(Commands):
    """The commands about one device.

    `device` is as the modules' option of that name; `watched` are the state entries that a snapshot holds. `program`
    is how these very commands are called again.
    """

    needs_root = False
    expected = frozenset(kind.capability for kind in KINDS.values()) | _FURTHER
    here = False

    def __init__(self, device: Mapping[str, Any], watched: Sequence[str], program: Sequence[str]) -> None:
        super().__init__(places_of(device), SubprocessRunner(), Clock(), program)
        self._device = device
        self._watched = tuple(watched)

    @cached_property
    def keeper(self) -> Maker:
        return open_proxy(self._device, json.dumps({"device": self._device, "watched": self._watched}))

    @cached_property
    def timers(self) -> Timers:
        return self.keeper.timers

    @cached_property
    def backend(self) -> Backend:
        return self.keeper.backend

    def look(self, _parts: Collection[str] = ()) -> dict[str, Any]:
        """Give the watched entries, by what they are and their names."""
        able = self.backend.capabilities()
        found: dict[str, Any] = {}
        entries = [entry for entry in self._watched if entry.partition(":")[0] != "link" or "link" in able]
        for entry, state in self.backend.gather(entries).items():
            what, _colon, name = entry.partition(":")
            found.setdefault(what, {})[name] = state
        # Who has the device meanwhile knows better than the device whether a record is over.
        live = [record.fault.id for record in self.keeper.store.load() if record.live and record.touched]
        marks = [leftover.name for leftover in self.backend.leftovers()]
        return {**found, "okiagari": {"leases": live, "qdiscs": marks, "routes": []}}
