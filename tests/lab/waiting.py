# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Wait for what a lab is about to do."""

from __future__ import annotations

import json
import subprocess
import time
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


def wait_for(what: str, condition: Callable[[], object], timeout: float = 20) -> None:
    """Wait until `condition` is true. A node that dies while it is asked hasn't answered, and is asked again."""
    deadline = time.monotonic() + timeout
    while True:
        with suppress(subprocess.TimeoutExpired, json.JSONDecodeError):
            if condition():
                return
        assert time.monotonic() < deadline, f"{what}: not within {timeout:.0f} s"
        time.sleep(0.2)
