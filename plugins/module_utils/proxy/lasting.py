# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A device whose session is made when it is first needed, and again after it broke."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from ..fault.device import Device, InDoubt
from ..netconf import NetconfLost
from ..vyos import ChannelLost

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from ..fault.backend import Leftover, Op
    from ..fault.model import State

T = TypeVar("T")
_LOST = (ChannelLost, NetconfLost)


class Lasting(Device):
    """The device that `login` opens. What may be done twice is done again after a new login, once.

    A session that waits through a drill may be ended meanwhile by the device, by a firewall, or by the fault itself.
    One in which a change was made ready is given up when something else is asked.
    """

    def __init__(self, name: str, login: Callable[[], Device]) -> None:
        self.name = name
        self._login = login
        self._device: Device | None = None
        self._staged = False

    def capabilities(self) -> frozenset[str]:
        return self._insist(lambda device: device.capabilities())

    def gather(self, entries: Iterable[str]) -> State:
        wanted = list(entries)
        return self._insist(lambda device: device.gather(wanted))

    def render(self, have: State, want: State) -> list[Op]:
        return self._any().render(have, want)

    def lease(self, seconds: float) -> float:
        return self._any().lease(seconds)

    def commit(self, ops: Sequence[Op], lease: float) -> None:
        self._finish(partial(self._open().commit, ops, lease))

    def ready_commit(self, ops: Sequence[Op], lease: float) -> Callable[[], None]:
        return self._stage(lambda device: device.ready_commit(ops, lease))

    def ready_revert(self, ops: Sequence[Op]) -> Callable[[], None]:
        return self._stage(lambda device: device.ready_revert(ops))

    def _stage(self, do: Callable[[Device], Callable[[], None]]) -> Callable[[], None]:
        ready = self._insist(do)
        self._staged = self._any().stages
        return partial(self._finish, ready)

    def _finish(self, change: Callable[[], None]) -> None:
        self._staged = False
        try:
            change()
        except (InDoubt, *_LOST):
            self.close()
            raise

    def revert(self, ops: Sequence[Op]) -> None:
        self._insist(lambda device: device.revert(ops))

    def apply(self, ops: Sequence[Op]) -> None:
        self._insist(lambda device: device.apply(ops))

    def leftovers(self) -> list[Leftover]:
        return self._insist(lambda device: device.leftovers())

    def measure(self, entry: str) -> dict[str, Any]:
        return self._insist(lambda device: device.measure(entry))

    def close(self) -> None:
        device, self._device = self._device, None
        self._staged = False
        if device:
            device.close()

    def _any(self) -> Device:
        """Give the device, for what it isn't asked."""
        if self._device is None:
            self._device = self._login()
        return self._device

    def _open(self) -> Device:
        if self._staged:
            self.close()
        return self._any()

    def _insist(self, do: Callable[[Device], T]) -> T:
        fresh = self._device is None
        try:
            return do(self._open())
        except _LOST:
            self.close()
            if fresh:
                raise
            return do(self._open())
