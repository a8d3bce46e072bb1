# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who may end a running drill from the controller: a signal, the death of Ansible, and the file `STOP`."""

from __future__ import annotations

import os
import select
import signal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

LOOK_S = 0.2
"""How often the file is looked for."""


def stop_file(reports: Path) -> Path:
    """Give the file that ends a running drill, and keeps others from starting."""
    return reports / "STOP"


def is_there(stop: Path) -> bool:
    return os.path.lexists(stop)


def shown(stop: Path) -> str:
    """Give the file as people call it."""
    return f"{stop.parent.name}/{stop.name}"


def watch(
    abort: Callable[[str], None],
    pipe: int,
    heard: int,
    stop: Path,
    ready: Callable[[Sequence[int], float], Sequence[int]] = lambda of, seconds: select.select(of, [], [], seconds)[0],
) -> None:
    """Call `abort` once, with the reason: `heard` has the number of a signal, `pipe` has ended, or `stop` is there."""
    while True:
        found = ready([pipe, heard], LOOK_S)
        if heard in found:
            return abort(f"{signal.Signals(os.read(heard, 1)[0]).name} to the engine")
        if pipe in found:
            return abort("Ansible has gone away")
        if is_there(stop):
            return abort(f"stopped by {shown(stop)}")
