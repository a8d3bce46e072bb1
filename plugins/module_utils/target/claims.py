# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whose the target is: at most one drill's at a time, whichever controller it comes from."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from .system import write_safely

if TYPE_CHECKING:
    from pathlib import Path

    from .system import Clock


@dataclass(frozen=True)
class Claim:
    """A drill's run and, for people, whose it is. It ends by itself at the monotonic `until` of this boot."""

    drill: str
    who: str
    boot_id: str
    until: float


class Claims:
    """The one claim on this target. Call `holder` and what follows from it under the store's lock."""

    def __init__(self, path: Path, clock: Clock, boot: str) -> None:
        self._path = path
        self._clock = clock
        self._boot = boot

    def holder(self) -> Claim | None:
        """Give the claim that holds now. One that can't be read holds nothing: it would never end."""
        with suppress(OSError, ValueError, TypeError):
            claim = Claim(**json.loads(self._path.read_text(encoding="utf-8")))
            if claim.boot_id == self._boot and self.left(claim) > 0:
                return claim
        return None

    def left(self, claim: Claim) -> float:
        """Give for how many seconds the claim still holds."""
        return round(claim.until - self._clock.monotonic(), 3)

    def take(self, drill: str, who: str, seconds: float) -> Claim:
        claim = Claim(drill, who, self._boot, self._clock.monotonic() + seconds)
        write_safely(self._path, json.dumps(asdict(claim)).encode())
        return claim

    def drop(self) -> None:
        self._path.unlink(missing_ok=True)
