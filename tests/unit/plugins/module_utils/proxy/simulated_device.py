# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A simulated device, which keeps one unconfirmed change, and a clock that passes only by being waited for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ansible_collections.okiagari.testbed.plugins.module_utils.errors import OkiagariError
from ansible_collections.okiagari.testbed.plugins.module_utils.fault.device import Device, InDoubt, link_entry
from ansible_collections.okiagari.testbed.plugins.module_utils.target.timers import Timers
from ansible_collections.okiagari.testbed.plugins.module_utils.vyos import ChannelLost

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from ansible_collections.okiagari.testbed.plugins.module_utils.fault.backend import Leftover, Op
    from ansible_collections.okiagari.testbed.plugins.module_utils.fault.model import State

MINUTE_S = 60.0


class VirtualClock:
    """The clock of a device and of its maker, which may go on by `take` with each question."""

    def __init__(self) -> None:
        self.time = 1795262400.0

    def now(self) -> float:
        return self.time

    def monotonic(self) -> float:
        return self.time - 1795000000.0

    def sleep(self, seconds: float) -> None:
        self.time += max(0.0, seconds)

    def wait_until(self, instant: float) -> None:
        self.sleep(instant - self.monotonic())


class SimulatedDevice(Device):
    """Two interfaces. The next `lost` questions find no connection; with `silent` so many do after a change."""

    name = "simulated"
    stages = True

    def __init__(self, clock: VirtualClock) -> None:
        self.clock = clock
        self.admin = {"eth1": "up", "eth2": "up"}
        self.able = {"link", "lease"}
        self.ends: float | None = None
        self.former: dict[str, str] = {}
        self.refuses: str | None = None
        self.silent: int | None = None
        self.lost = 0
        self.done: list[str] = []

    def at(self) -> None:
        """Take back what wasn't confirmed in time."""
        if self.ends is not None and self.clock.now() >= self.ends:
            self.admin, self.ends = dict(self.former), None

    def capabilities(self) -> frozenset[str]:
        return frozenset(self.able)

    def gather(self, entries: Iterable[str]) -> State:
        if self.lost:
            self.lost -= 1
            raise ChannelLost("the connection is gone")
        self.at()
        names = {entry: entry.partition(":")[2] for entry in entries}
        return {
            entry: link_entry(self.admin[name]) if name in self.admin else {"missing": list(self.admin)}
            for entry, name in names.items()
        }

    def render(self, have: State, want: State) -> list[Op]:
        return [
            (entry.partition(":")[2], wanted["admin"])
            for entry, wanted in want.items()
            if have[entry]["admin"] != wanted["admin"]
        ]

    def lease(self, seconds: float) -> float:
        return MINUTE_S * -(-seconds // MINUTE_S)

    def commit(self, ops: Sequence[Op], lease: float) -> None:
        if self.refuses:
            raise OkiagariError(self.refuses)
        self.former, self.ends = dict(self.admin), self.clock.now() + lease
        self.admin |= {op[0]: op[1] for op in ops}
        self.done.append("commit")
        if self.silent is not None:
            self.lost = self.silent
            raise InDoubt("not heard to the end")

    def revert(self, ops: Sequence[Op]) -> None:
        self.at()
        self.apply(ops)
        self.ends = None
        self.done.append("revert")

    def apply(self, ops: Sequence[Op]) -> None:
        self.admin |= {op[0]: op[1] for op in ops}

    def ready_commit(self, ops: Sequence[Op], lease: float) -> Callable[[], None]:
        self.done.append("ready")
        return super().ready_commit(ops, lease)

    def leftovers(self) -> list[Leftover]:
        return []

    def close(self) -> None:
        self.done.append("close")


class NotedRunners(Timers):
    """Runners that are only noted."""

    unit_is = "note"

    def __init__(self) -> None:
        self.running_units: list[str] = []

    def available(self) -> bool:
        return True

    def arm(self, unit: str, delay: float, command: Sequence[str]) -> None:
        raise AssertionError("a device has no lease timer")

    def disarm(self, unit: str) -> None:
        return

    def start(self, unit: str, command: Sequence[str]) -> None:
        self.running_units.append(unit)

    def stop(self, unit: str) -> None:
        self.running_units = [each for each in self.running_units if each != unit]

    def units(self) -> list[str]:
        return list(self.running_units)


def fault(interface: str = "eth1", **more: Any) -> dict[str, Any]:
    return {"id": f"d-{interface}", "kind": "link_down", "target": "r1", "params": {"interface": interface}, **more}
