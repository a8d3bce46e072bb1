# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Leases as systemd knows them: the command lines, and what they are called."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .owned import DRILL_PREFIX, LEASE_PREFIX

if TYPE_CHECKING:
    from collections.abc import Sequence


def lease_unit(fault_id: str, renewal: int = 0) -> str:
    """Give the unit of a fault's lease. A renewed lease is a new unit, so that at no moment there is none."""
    return f"{LEASE_PREFIX}{fault_id}" + (f":{renewal}" if renewal else "")


def drill_unit(drill: str) -> str:
    """Give the unit that runs a drill's program on a target."""
    return f"{DRILL_PREFIX}{drill}"


def arm_argv(unit: str, delay: float, command: Sequence[str]) -> tuple[str, ...]:
    """Render the timer that starts `command` in `delay` seconds, by the clock that no one can set.

    The undo is tried again until it succeeds, and the units leave nothing behind.
    """
    return (
        "systemd-run", "--quiet", "--collect", f"--unit={unit}",
        f"--on-active={max(delay, 0.0):.3f}s", "--timer-property=AccuracySec=100ms",
        "--property=Restart=on-failure", "--property=RestartSec=2s", "--property=StartLimitIntervalSec=0",
        "--", *command,
    )  # fmt: skip


def service_argv(unit: str, command: Sequence[str]) -> tuple[str, ...]:
    """Render the service that runs a drill's program, independent of the session that starts it."""
    return (
        "systemd-run", "--quiet", "--collect", f"--unit={unit}",
        "--property=KillMode=mixed", "--property=TimeoutStopSec=5s",
        "--", *command,
    )  # fmt: skip
