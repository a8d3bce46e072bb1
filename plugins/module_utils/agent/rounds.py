# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When a guest is captured and shipped: each period, sooner when somebody asks for it, and once more in the end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from ..checkpoint.capture import StandsStill
from ..errors import OkiagariError

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable

_LEAST_REST_S = 0.1
_LOOK_S = 0.1
_AGAIN_S = 1.0
_RUNS = 4


class Dropped(OkiagariError):  # noqa: N818 - it is what became of the state
    """What was captured can't be shipped by anybody; what is captured next can."""


@dataclass(frozen=True)
class Captured:
    """A state of the guest: it has all that was done until `at`, and for `pause_ms` the guest stood still."""

    at: float
    pause_ms: float


class Guest(Protocol):
    """What is done to the guest, and known of it. Any of it may raise `OkiagariError` or `OSError`."""

    def capture(self, *, last: bool) -> Captured:
        """Capture it; after the `last` time it stands still."""

    def ship(self, captured: Captured) -> None:
        """Have what was captured last committed; after an error it is tried again, unless it is `Dropped`."""

    def failed(self, why: str, *, captured: bool) -> None:
        """Say why it wasn't `captured`, or not shipped."""

    def wanted(self) -> float:
        """Give the instant after which somebody wants it captured."""

    def ended(self) -> bool:
        """Say whether it runs no more."""


class Rounds:
    """Captures one epoch after the other: each is shipped before the next one, so that a slow link makes them fewer.

    `now` is the clock of instants. A guest runs four times as long as it stood still, or as it took where it couldn't
    be captured: so it runs most of the time, however slow its host is.
    """

    def __init__(self, guest: Guest, period_s: float, ending: threading.Event, now: Callable[[], float]) -> None:
        self._guest, self._period_s, self._ending, self._now = guest, period_s, ending, now
        self._shipped = 0.0
        self._waits: Captured | None = None

    def run(self, *, committed: bool = False) -> None:
        """Go on until the service is to end, which `ending` says, or the guest runs no more; `StandsStill` is raised.

        A guest that goes on from a state that is `committed` runs a period before it is captured first; another one is
        captured at once. In the end a last one is captured, after which the guest stands still: a planned move loses
        nothing. Whoever tells it to end gives it some seconds only; without a last one, the guest goes on from the one
        before.
        """
        last = False
        if committed:
            self._rest(self._now(), self._now() + self._period_s)
        while not last and not self._guest.ended():
            last = self._ending.is_set()
            begun = self._now()
            try:
                # One that couldn't be shipped is tried again: nothing is captured that nobody could take.
                self._ship()
                begun = self._now()
                captured = self._waits = self._guest.capture(last=last)
                self._ship()
                ran_s = self._now() - captured.at - captured.pause_ms / 1000
                rest_s = max(_LEAST_REST_S, _RUNS * captured.pause_ms / 1000 - ran_s)
            except StandsStill as error:
                self._guest.failed(str(error), captured=False)
                raise
            except (OkiagariError, OSError) as error:
                waits = self._waits is not None
                rest_s = _AGAIN_S if waits else _RUNS * (self._now() - begun)
                self._guest.failed(str(error), captured=waits)
                if isinstance(error, Dropped):
                    # The next one is due at once: nothing has been committed for a while.
                    self._waits = None
                    begun -= self._period_s
            if not last:
                self._rest(self._now() + rest_s, begun + self._period_s)

    def _ship(self) -> None:
        if self._waits:
            self._guest.ship(self._waits)
            self._shipped, self._waits = self._waits.at, None

    def _rest(self, soonest: float, due: float) -> None:
        """Wait until a period is over, or somebody wants it sooner."""
        while not self._ending.is_set() and not self._guest.ended():
            now = self._now()
            wanted = self._guest.wanted() > self._shipped
            left = soonest - now if wanted else max(soonest, due) - now
            if left <= 0:
                return
            self._ending.wait(min(left, _LOOK_S))
