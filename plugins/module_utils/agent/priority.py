# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Agents run before others, since a lease that is renewed late ends a service. What they start does not."""

from __future__ import annotations

import os
from contextlib import suppress


def ordinary(process: int = 0) -> None:
    """Take from a process, by default this one, what it has inherited; one that is gone needs nothing."""
    with suppress(ProcessLookupError):
        if os.getpriority(os.PRIO_PROCESS, process) < 0:
            os.setpriority(os.PRIO_PROCESS, process, 0)
