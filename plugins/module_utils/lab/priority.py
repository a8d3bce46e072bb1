# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which nodes come first when this machine's processors are short, as far as its user may say so."""

from __future__ import annotations

import os
import subprocess

_REAL_TIME = ("chrt", "--rr", "1", "taskset", "--cpu-list")
_NICE = ("sh", "-c", '(echo -10 > /proc/self/autogroup) 2>/dev/null; exec nice -n -10 "$@"', "sh")
"""Where the kernel shares processors between sessions (autogroup), niceness alone counts within a session only."""


def urgently(kind: str, number: int) -> list[str]:
    """Give the words before the command that starts a node of this kind; nodes differ in their `number`.

    A router that waits for a processor looks to its BFD peers like a dead circuit, and its work is short: it goes
    before everything else. A host doesn't: its guests would keep the processors from all others for seconds.
    Each router keeps to one processor: its kernel and its processes, which take turns all the time, would wake another
    one at each turn, and with five routers the machine does little else.
    """
    processors = sorted(os.sched_getaffinity(0))
    real_time = [*_REAL_TIME, str(processors[number % len(processors)])]
    if kind == "router" and _may(real_time):
        return real_time
    return list(_NICE) if os.geteuid() == 0 else []


def _may(prefix: list[str]) -> bool:
    """Say whether a process can be started so; root may not everywhere, and a user may where it was allowed to."""
    try:
        return subprocess.run([*prefix, "true"], capture_output=True, check=False, timeout=10).returncode == 0
    except OSError:
        return False
