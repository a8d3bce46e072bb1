# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a back-end must offer for a device on which no program of ours runs: a change that it takes back by itself."""

from __future__ import annotations

import math
from abc import abstractmethod
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from ..errors import OkiagariError
from .backend import Backend

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from .backend import Op


class InDoubt(OkiagariError):  # noqa: N818 -- as the rest of the tree
    """The device was not heard to the end, so a change may stand; if it does, the device takes it back by itself."""


class Device(Backend):
    """A device driven from outside. Its lease is its own: a change that waits for a confirmation which never comes.

    Nothing is ever saved, so a restart of the device ends a fault too. A device keeps one such change at a time.
    """

    stages: ClassVar[bool] = False
    """Whether part of a change can be made beforehand. Until it is made the session is for nothing else."""

    @abstractmethod
    def lease(self, seconds: float) -> float:
        """Give the seconds that the device makes of a lease, never less. Raises `OkiagariError` if it can't so long."""

    @abstractmethod
    def commit(self, ops: Sequence[Op], lease: float) -> None:
        """Make the change `ops`, which the device takes back when `lease` ends.

        Raises `OkiagariError` if the device refuses any of it, and then nothing is changed; or `InDoubt`.
        """

    @abstractmethod
    def revert(self, ops: Sequence[Op]) -> None:
        """End the change of `commit` now; `ops` is what leads back. Raises `OkiagariError`."""

    def ready_commit(self, ops: Sequence[Op], lease: float) -> Callable[[], None]:
        """Do of `commit` what can be done beforehand, and give the rest of it. What is never called changes nothing."""
        return partial(self.commit, ops, lease)

    def ready_revert(self, ops: Sequence[Op]) -> Callable[[], None]:
        """Do the same of `revert`."""
        return partial(self.revert, ops)


def link_entry(admin: str) -> dict[str, Any]:
    """Give a link of a device, set `up` or `down`. What goes with it the device brings back by itself."""
    return {"admin": admin, "addresses": [], "routes": [], "vlans": {}}


def whole_units(seconds: float, unit: float, least: int, most: int, what: str) -> int:
    """Give how many `unit`s of time a device has to be asked for, rounded up; `what` is what they are called."""
    count = max(least, math.ceil(round(seconds / unit, 6)))
    if count > most:
        raise OkiagariError(f"a lease of {seconds:g} s is more than this device can keep, which is {most} {what}")
    return count
