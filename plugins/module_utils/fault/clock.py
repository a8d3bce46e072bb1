# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The wall clock of a Linux target, as the instant at which it says that the machine booted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..errors import BadValue
from ..runner import CommandFailed, output
from ..units import signed_seconds
from .resource import Entry, Resource

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .backend import Op

_DAEMONS = ("systemd-timesyncd", "chrony", "chronyd", "ntp", "ntpd", "ntpsec", "openntpd")
_PYTHON = ("/usr/bin/env", "python3", "-I", "-S", "-c")
_READ = (
    *_PYTHON,
    "import time; print(time.clock_gettime(time.CLOCK_REALTIME)-time.clock_gettime(time.CLOCK_BOOTTIME))",
)
# Read and set in one process: what passes in between would be lost.
_STEP = (*_PYTHON, "import sys, time; time.clock_settime(time.CLOCK_REALTIME, time.time() + float(sys.argv[1]))")
_SAME_S = 0.05


class WallClock(Resource):
    """`clock:realtime`: when the target booted by its own clock, and which daemon would correct that clock."""

    def gather(self, name: str) -> Entry:  # noqa: ARG002
        said = output(self._runner, _READ).strip()
        try:
            booted_at = signed_seconds(said)
        except BadValue as error:
            raise CommandFailed(f"the clock can't be read: {error}") from error
        active = self._runner.run(("systemctl", "is-active", *_DAEMONS)).out.splitlines()
        kept = [daemon for daemon, state in zip(_DAEMONS, active, strict=False) if state == "active"]
        return {"booted_at": round(booted_at, 6), "kept_by": kept[0] if kept else None}

    def ops(self, name: str, have: Mapping[str, Any], want: Mapping[str, Any]) -> list[Op]:  # noqa: ARG002
        step = want["booted_at"] - have["booted_at"]
        return [(*_STEP, f"{step:.6f}")] if abs(step) > _SAME_S else []
