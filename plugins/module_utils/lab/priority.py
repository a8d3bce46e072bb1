# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which nodes come first when this machine's processors are short, as far as its user may say so."""

from __future__ import annotations

import os
import subprocess

_REAL_TIME = ("chrt", "--rr", "1")
_NICE = ("nice", "-n", "-10")


def urgently(kind: str) -> list[str]:
    """Give the words before the command that starts a node of this kind.

    A router that waits for a processor looks to its BFD peers like a dead circuit, and its work is short: it goes
    before everything else. A host doesn't: its guests would keep the processors from all others for seconds.
    """
    if kind == "router" and _may(_REAL_TIME):
        return list(_REAL_TIME)
    return list(_NICE) if os.geteuid() == 0 else []


def _may(prefix: tuple[str, ...]) -> bool:
    """Say whether a process can be started so; root may not everywhere, and a user may where it was allowed to."""
    try:
        return subprocess.run([*prefix, "true"], capture_output=True, check=False, timeout=10).returncode == 0
    except OSError:
        return False
