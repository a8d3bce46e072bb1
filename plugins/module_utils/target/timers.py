# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What runs later or apart from us on a target: lease timers and drill runners."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from ..errors import OkiagariError
from ..fault.lease import arm_argv, service_argv
from ..fault.owned import DRILL_PREFIX, LEASE_PREFIX
from ..runner import Runner, output

if TYPE_CHECKING:
    from collections.abc import Sequence


class Timers(ABC):
    """Starts commands that outlive the process, the session and the connection that asked for them."""

    unit_is: ClassVar[str]
    """What a unit is, for people."""

    @abstractmethod
    def available(self) -> bool:
        """Say whether this target can keep a lease at all."""

    @abstractmethod
    def arm(self, unit: str, delay: float, command: Sequence[str]) -> None:
        """Start `command` in `delay` seconds as `unit`. Raises `OkiagariError` if that can't be promised."""

    @abstractmethod
    def disarm(self, unit: str) -> None:
        """Make sure that the timer `unit` doesn't fire any more; one that doesn't exist is fine."""

    @abstractmethod
    def start(self, unit: str, command: Sequence[str]) -> None:
        """Start `command` now as the service `unit`."""

    @abstractmethod
    def stop(self, unit: str) -> None:
        """End the service `unit` and wait until it has ended; one that doesn't exist is fine."""

    @abstractmethod
    def units(self) -> list[str]:
        """Give the names of all units of this collection that exist, without suffix."""

    def running(self, unit: str) -> bool:
        return unit in self.units()


class SystemdTimers(Timers):
    """Transient systemd units."""

    unit_is = "systemd unit"

    def __init__(self, runner: Runner) -> None:
        self._runner = runner

    def available(self) -> bool:
        return Path("/run/systemd/system").is_dir()

    def arm(self, unit: str, delay: float, command: Sequence[str]) -> None:
        output(self._runner, arm_argv(unit, delay, command))

    def disarm(self, unit: str) -> None:
        self._runner.run(("systemctl", "stop", f"{unit}.timer"))

    def start(self, unit: str, command: Sequence[str]) -> None:
        output(self._runner, service_argv(unit, command))

    def stop(self, unit: str) -> None:
        self._runner.run(("systemctl", "stop", f"{unit}.timer", f"{unit}.service"), timeout=15.0)
        self._runner.run(("systemctl", "reset-failed", f"{unit}.service"))

    def units(self) -> list[str]:
        done = self._runner.run((
            "systemctl", "list-units", "--all", "--plain", "--no-legend", "--full",
            f"{LEASE_PREFIX}*", f"{DRILL_PREFIX}*",
        ))  # fmt: skip
        names = {line.split()[0] for line in done.out.splitlines() if line.split()}
        return sorted({name.rpartition(".")[0] for name in names if name.endswith((".timer", ".service"))})


def need(timers: Timers) -> None:
    """Raise `OkiagariError` unless leases can be kept here."""
    if not timers.available():
        raise OkiagariError(
            "this target can't keep a lease because systemd isn't running on it: no fault is injected without one"
        )
