# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which of a guest's candidates keep its states while it runs here (P1.13).

Whoever begins to keep them takes the whole state, so that a choice stands as long as it can: it is made when the guest
comes here, and again when a host of it has been away for `PATIENCE_S`. Short cuts cost nothing but what was missed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..paths import placed

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from ..paths import Path

PATIENCE_S = 60.0


class Placement:
    """Chooses `count` of `hosts`, by name with their failure domains, for what runs in the domain `here`.

    `alive` gives who can be reached, `paths` what is known of the ways to them. `tell` is given the new choice and the
    one before, which is empty where the guest has just come.
    """

    def __init__(
        self, hosts: Mapping[str, str], here: str, count: int, alive: Callable[[], Collection[str]],
        paths: Callable[[], Mapping[str, Path]], tell: Callable[[tuple[str, ...], tuple[str, ...]], object],
    ) -> None:  # fmt: skip
        self._hosts, self._here, self._count = dict(hosts), here, count
        self._alive, self._paths, self._tell = alive, paths, tell
        self._chosen: tuple[str, ...] = ()
        self._keeping: frozenset[str] = frozenset()
        self._away: dict[str, float] = {}

    def begin(self, keeping: Collection[str]) -> None:
        """Have it chosen anew: the guest comes here, and these have states of it."""
        self._chosen, self._keeping, self._away = (), frozenset(keeping), {}

    def hosts(self, now: float) -> tuple[str, ...]:
        """Give who is to keep states, at this instant of a clock that never jumps, in seconds."""
        alive = self._alive()
        self._away = {name: self._away.get(name, now) for name in self._chosen if name not in alive}
        if not self._chosen or any(now - since >= PATIENCE_S for since in self._away.values()):
            self._choose({name for name in self._hosts if name not in alive})
        return self._chosen

    def _choose(self, away: set[str]) -> None:
        before, self._away = self._chosen, {}
        self._chosen = placed(
            self._hosts, self._count, here=self._here, paths=self._paths(), away=away,
            keeping=before or self._keeping,
        )  # fmt: skip
        if set(self._chosen) != set(before):
            self._tell(self._chosen, before)
