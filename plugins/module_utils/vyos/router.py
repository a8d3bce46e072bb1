# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One router brought to wanted lines, as `reconcile` asks for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .lines import Changes, command, difference
from .session import RELOAD, Applied, Version, VyosError

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from ..reconcile import Content
    from .lines import Path, Scope
    from .session import Session


class Router:
    """A router, what shall stand on it, and what became of that.

    `commands` is what has been typed, or would be, and `applied` how that went.
    """

    def __init__(self, session: Session, want: Sequence[Path], scopes: Collection[Scope]) -> None:
        self._session = session
        self._want = want
        self._scopes = scopes
        self._have: Sequence[Path] = ()
        self._changes = Changes((), ())
        self.applied = Applied("")

    @property
    def commands(self) -> list[str]:
        first = [command("set", RELOAD)] if self.applied.prepared else []
        return first + self._changes.commands()

    def require(self, release: str | None) -> Version:
        """Give the router's release; raise `VyosError` if it is older than `release`, for which the lines are."""
        version = self._session.version()
        if release and version.number < Version.read(release).number:
            raise VyosError(f"the lines are for VyOS {release} or later, and the router runs {version.text}")
        return version

    def read(self) -> Content:
        """Give the lines that stand there, as far as they are wanted or ours."""
        self._have = self._session.running()
        return self._content(self._have)

    def want(self, look: bool) -> Content:
        """Give the lines that shall stand there. With `look` the router is asked whether it takes them."""
        self._changes = difference(self._want, self._have, self._scopes)
        if look and any(self._changes):
            self.applied = Applied(self._session.preview(self._changes))
        gone = set(self._changes.delete)
        kept = [path for path in self._have if not any(path[:size] in gone for size in range(1, len(path) + 1))]
        return self._content([*kept, *self._changes.set])

    def apply(self, confirm: int, save: bool, reload: bool) -> None:
        """Bring the router to the wanted lines."""
        self.applied = self._session.apply(self._changes, confirm, save, reload)

    def _content(self, paths: Sequence[Path]) -> Content:
        ours = set(self._want)
        lines = [
            command("set", path) for path in paths if path in ours or any(each.holds(path) for each in self._scopes)
        ]
        return {"lines": sorted(lines)}
