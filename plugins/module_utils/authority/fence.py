# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The fence that a replica, a store or a switch keeps: what carries an older token than it has seen is refused."""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import OkiagariError


class Fenced(OkiagariError):  # noqa: N818 - the word of the field
    """An effect came from a holder that has been succeeded."""


@dataclass(frozen=True)
class Fence:
    """The newest fencing token that was seen for a service. Keep it on disk, with what it guards, in one step."""

    service: str
    token: int = 0

    def admit(self, token: int) -> Fence:
        """Give the fence after an effect with this token; raise `Fenced` if it is older."""
        if token < self.token:
            raise Fenced(
                f"{self.service}: token {token} is older than {self.token}: another host has taken the service since. "
                "The one that sent this must stop it; if the store was restored from a backup, raise its revision "
                f"above {self.token} (etcdutl snapshot restore --bump-revision N --mark-compacted)"
            )
        return self if token == self.token else Fence(self.service, token)
