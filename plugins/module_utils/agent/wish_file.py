# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Since when somebody wants a guest captured: how the agent tells the program that runs it, which looks every moment.

It says an instant of the clock by which both count, and is never taken away: whichever of the two is started anew, a
wish is there until the guest was captured after that instant.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import OkiagariError

if TYPE_CHECKING:
    from pathlib import Path

NOBODY = float("-inf")


class WishFile:
    """The wish for one guest on this host, in the folder `run`: in memory, so that no disk holds up the agent."""

    def __init__(self, run: Path, service: str) -> None:
        self._path = run / f"wish-{service}"

    def read(self, now: float) -> float:
        """Give the instant, `NOBODY` if there is none; one that is yet to come is none of this boot."""
        try:
            since = float(self._path.read_text(encoding="ascii"))
        except (OSError, ValueError):
            return NOBODY
        return since if since <= now else NOBODY

    def write(self, since: float) -> None:
        """Want the guest captured after this instant; raise `OkiagariError` where that can't be noted."""
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._path.write_text(repr(since), encoding="ascii")
        except OSError as error:
            raise OkiagariError(f"the guest can't be told that it is to be captured: {error}") from error
