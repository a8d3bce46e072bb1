# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How the servers of one service that run beside each other on purpose get each other's changes (P1.10).

What a server has by now is written by the service's hook, offered, and merged by the other one, as what a server owes
is that has stopped. That repays no debt: it only makes it small. Further servers offer to the first one, and the first
one to all of them, whatever it has merged among it; so a change is everywhere after two steps.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .actions import Drop, Export, Send, Tell
from .messages import Offer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .actions import Action
    from .available import Server
    from .merging import Merging
    from .messages import Merged

SNAPSHOT = "snapshot"
"""What `Merging.busy` says while the hook writes."""
_PATIENCE_S, _LONGEST_S = 30.0, 3600.0
"""For how long others wait for the one that has not merged what was written, at first and at most."""


@dataclass(frozen=True)
class _Snapshot:
    """What was written at the instant `at`; all changes up to this version are in it."""

    version: int
    offer: Offer
    at: float


class Sharing:
    """What the server at this host has told others.

    `again_s` is how long until an offer is repeated, and from one to the next.

    A version is a number that grows with each change. Nothing of it is on disk: after a restart all is offered anew,
    and who has it says so.
    """

    def __init__(self, name: str, merging: Merging, again_s: float) -> None:
        self._name, self._merging, self._again_s = name, merging, again_s
        self._version = 1
        self._has: dict[str, tuple[int, int]] = {}
        """By host, the term of its server there and the version that this one has merged."""
        self._snapshot: _Snapshot | None = None
        self._writing = 0
        self._not_before = self._offer_at = float("-inf")
        self._failures = 0
        self._patience_s = _PATIENCE_S

    def begin(self) -> list[Action]:
        """A server starts here: nobody has anything of what it does."""
        self._version, self._failures = 1, 0
        self._not_before = float("-inf")
        self._has.clear()
        return self.end()

    def end(self) -> list[Action]:
        """Nobody needs what was written here."""
        self._snapshot = None
        return self._merging.share("")

    def changed(self) -> None:
        """The server here has changed."""
        self._version += 1

    def merged(self, host: str) -> None:
        """The server here has merged what this host did: that is nothing new for that one."""
        before, self._version = self._version, self._version + 1
        term, version = self._has.get(host, (0, 0))
        if version == before:
            self._has[host] = term, self._version

    def tick(self, now: float, term: int, others: Sequence[Server]) -> list[Action]:
        """Do the next step towards these others having what the server has that runs here since this term."""
        if self._merging.busy:
            return []
        if snapshot := self._snapshot:
            waiting = [each for each in others if self._behind(each, snapshot.version)]
            if waiting and (snapshot.version == self._version or now < snapshot.at + self._patience_s):
                return self._offer(now, snapshot.offer, waiting)
            # Who can't merge keeps the others from what came later, but not for ever; who only takes long gets longer.
            self._patience_s = min(2 * self._patience_s, _LONGEST_S) if waiting else _PATIENCE_S
        if not any(self._behind(each, self._version) for each in others):
            return self.end()
        if now < self._not_before:
            return []
        self._merging.busy, self._writing = SNAPSHOT, self._version
        return [Export(term, running=True)]

    def written(self, now: float, term: int, digest: str, size: int, *, running: bool) -> list[Action]:
        """The hook has ended well; whether the server is still `running` here."""
        self._merging.free()
        self._failures, self._not_before, self._offer_at = 0, now + self._again_s, now
        if not running:
            return [Drop(digest)]
        self._snapshot = _Snapshot(self._writing, Offer(self._name, term, digest, size, running=True), now)
        return self._merging.share(digest)

    def failed(self, now: float, why: str) -> list[Action]:
        """The hook has failed; with no reason, it was cancelled."""
        self._merging.free()
        if not why:
            return []
        self._failures += 1
        self._not_before = now + self._merging.backoff(self._failures)
        return [Tell("snapshot_failed", why)]

    def accepted(self, merged: Merged, others: Sequence[Server]) -> None:
        """Another host says that it has merged something."""
        snapshot = self._snapshot
        if snapshot is None or (merged.term, merged.digest) != (snapshot.offer.term, snapshot.offer.digest):
            return
        for each in others:
            if each.host == merged.sender and self._behind(each, snapshot.version):
                self._has[each.host] = each.term, snapshot.version

    def _behind(self, server: Server, version: int) -> bool:
        term, has = self._has.get(server.host, (0, 0))
        return term != server.term or has < version

    def _offer(self, now: float, offer: Offer, servers: Sequence[Server]) -> list[Action]:
        if now < self._offer_at:
            return []
        self._offer_at = now + self._again_s
        return [Send(each.host, offer) for each in servers]
