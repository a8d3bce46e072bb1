# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A program that takes long to start is there before it is wanted, and waits to be told what to do.

It holds nothing and does nothing for anybody. So a host whose program stands by is as any other.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from .instance import Instance

_AGAIN_S = 10.0


class Standby:
    """Has one instance of a `program` stand by, which `begin` starts; anew when it has ended, or is an older version's.

    It is no error if there is none: then `take` begins one.
    """

    def __init__(self, program: str, begin: Callable[[], Instance]) -> None:
        self._program, self._begin = program, begin
        self._instance: Instance | None = None
        self._version = ""
        self._look_at = float("-inf")

    def look(self, now: float) -> None:
        """Have one, and see now and then whether it is still good. Raises what `begin` does, and tries again later."""
        if now < self._look_at:
            return
        if self._instance and not self._good(self._instance):
            if not self._instance.dead():
                # Until nothing is left of it, it counts.
                self._instance.kill()
                return
            self._instance = None
        self._look_at = now + _AGAIN_S
        if self._instance is None:
            self._version = self._newest()
            self._instance = self._begin()

    def take(self) -> Instance:
        """Give one, which is no concern of this any more; raises what `begin` does."""
        instance, self._instance = self._instance, None
        if instance and not instance.dead():
            return instance
        return self._begin()

    def end(self) -> bool:
        """Kill it; say whether nothing is left of it."""
        if self._instance is None or self._instance.dead():
            return True
        self._instance.kill()
        return False

    def _good(self, instance: Instance) -> bool:
        return not instance.dead() and self._version == self._newest()

    def _newest(self) -> str:
        return os.path.realpath(self._program)
