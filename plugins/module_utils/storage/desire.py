# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One volume, as `reconcile` takes it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ..errors import BadInput, OkiagariError
from .gluster import stopped_bricks
from .model import foreign

if TYPE_CHECKING:
    from .gluster import Gluster
    from .model import State, Wanted


class VolumeDesire:
    """Brings the cluster that `engine` sees to `wanted`."""

    def __init__(self, engine: Gluster, wanted: Wanted) -> None:
        self._engine, self._wanted = engine, wanted
        self._have: State | None = None

    def read(self) -> dict[str, Any]:
        """Give members, copies, bricks, the options that the wish speaks of, and whether it is started."""
        have = self._have = self._gather()
        found: dict[str, Any] = {"members": sorted(have.peers)} if have.peers else {}
        volume = have.volume
        if volume is None:
            return found
        keys = self._engine.options(self._wanted)
        return {
            **found,
            "replica": volume.replica,
            "bricks": sorted(volume.bricks),
            "emptied": sorted(self._emptied(have)),
            "stopped": sorted(stopped_bricks(have, self._wanted)),
            "options": {key: volume.options.get(key) for key in sorted(keys)},
            "started": volume.started,
        }

    def volume(self) -> dict[str, Any]:
        """Give what `read` does, empty if there is no volume. Raises `BadInput` for one that isn't Okiagari's."""
        found = self.read()
        if "bricks" not in found:
            return {}
        problems = foreign(replace(self._wanted, bricks=()), self._have or self._gather())
        if problems:
            raise BadInput(problems)
        return found

    def want(self) -> dict[str, Any]:
        """Give what `read` shows once the wish is true. Raises `BadInput` for what can't or mustn't be done now."""
        have, wanted = self._have or self._gather(), self._wanted
        problems = foreign(wanted, have)
        if problems:
            raise BadInput(problems)
        self._engine.render(have, wanted)
        members = {member.address for member in wanted.members}
        return {
            "members": sorted(members if wanted.shrink else members | have.peers.keys()),
            "replica": wanted.replica,
            "bricks": sorted(wanted.places),
            "emptied": [],
            "stopped": [],
            "options": dict(sorted(self._engine.options(wanted).items())),
            "started": True,
        }

    def create(self) -> None:
        """Do what is missing."""
        self._engine.apply(self._engine.render(self._have or self._gather(), self._wanted))

    def remove(self) -> None:
        """Remove the volume; what is in its bricks stays there."""
        self._engine.apply(self._engine.render_removal(self._have or self._gather()))

    def _gather(self) -> State:
        have = self._engine.gather(self._wanted.name)
        if have.volume and set(have.volume.bricks) - set(self._wanted.places):
            try:
                return replace(have, pending=self._engine.heal(self._wanted.name).total)
            except OkiagariError:
                # Unknown isn't zero: as long as nobody answers, no brick is replaced.
                return replace(have, pending=1)
        return have

    def _emptied(self, have: State) -> list[str]:
        volume = have.volume
        if volume is None:
            return []
        places = [self._wanted.place(brick) for brick in self._wanted.bricks if brick.volume_id == ""]
        return [place for place in places if place in volume.bricks and place not in volume.online]
