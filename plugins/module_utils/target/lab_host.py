# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The target program on the machine that runs a lab, for what no node can do to itself: its power.

Called as `PYZ --lab DIRECTORY COMMAND`. Journal, lock and runs are in the lab's own directory, so that each lab is a
target of its own, and its owner needs no root.
"""

from __future__ import annotations

import sys
from functools import cached_property
from typing import TYPE_CHECKING, Any

from ..errors import OkiagariError
from ..fault.lab_power import LabPower
from ..fault.owned import LEASE_PREFIX
from ..lab.node import states_of
from ..lab.space import LabSpace
from .lab_timers import LabTimers
from .main import Commands
from .system import Clock, Places, SubprocessRunner, command

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from ..fault.backend import Backend
    from .maker import Maker
    from .timers import Timers

FOLDER = "power"


def places_of(lab: Path) -> Places:
    """Give where the program keeps its things for a lab."""
    folder = str(lab / FOLDER)
    return Places(folder, folder)


def keeper_of_lab(lab: Path, program: Path) -> Maker:
    """Give the keeper of the power of a lab's nodes. `program` is where the target program lies.

    Raises `OkiagariError` if there is no such lab.
    """
    return LabCommands(lab, program).keeper


class LabCommands(Commands):
    """The commands, about one lab's nodes."""

    needs_root = False
    expected = frozenset({"power"})
    here = False

    def __init__(self, lab: Path, program: Path) -> None:
        again = (*command(program, sys.executable), "--lab", str(lab))
        super().__init__(places_of(lab), SubprocessRunner(), Clock(), again)
        self._lab = lab

    @cached_property
    def space(self) -> LabSpace:
        if not (self._lab / "nodes").is_dir():
            raise OkiagariError(f"there is no lab in {self._lab}: run playbooks/lab_up.yml")
        return LabSpace(self._lab)

    @cached_property
    def timers(self) -> Timers:
        return LabTimers(self.space, self.places.run / "units.log")

    @cached_property
    def backend(self) -> Backend:
        return LabPower(self.space)

    def look(self, _parts: Collection[str] = ()) -> dict[str, Any]:
        """Give the state of every node. One that still boots isn't as before."""
        leases = [unit for unit in self.timers.units() if unit.startswith(LEASE_PREFIX)]
        return {"power": states_of(self.space), "okiagari": {"leases": leases, "qdiscs": [], "routes": []}}
