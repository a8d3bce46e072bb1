# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How what a stopped server did comes into the one that goes on: the side that owes it, and the side that merges it.

Each step may be repeated, and is: an offer until its answer comes, also after either agent was started anew. The one
that merges remembers the digest. Only if it dies between the hook's end and its own note of that, the hook gets the
same export twice.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from .actions import Cancel, Drop, Export, Keep, Merge, Send, Tell
from .ledger import Ledger, Taken
from .messages import Merged, Offer

if TYPE_CHECKING:
    from .actions import Action

_LONGEST_S = 300.0


class Merging:
    """The hooks of one service at one host, of which one runs at a time: `busy` says which, or nothing.

    `discard` says that the service has none, on purpose: then what it did is forgotten. `again_s` is how long until
    an offer is repeated, and until a hook that failed is tried once more; twice as long each time.
    """

    def __init__(self, name: str, ledger: Ledger, again_s: float, *, discard: bool) -> None:
        self.ledger = ledger
        self.busy = ""
        self._name, self._again_s, self._discard = name, again_s, discard
        self._at = 0.0
        self._failures = 0
        self._offered = ("", 0, "")
        self._cancelled = False
        self._not_before: dict[str, tuple[float, int]] = {}
        self._offers: dict[str, tuple[float, float, Offer]] = {}
        """By host, since when it offers something, when that was heard last, and what."""
        self._coming: Offer | None = None
        self._left: dict[str, str] = {}
        """What came, or came in part, and wasn't merged: it goes when its host offers something else."""

    def begin(self, term: int, votes: int) -> list[Action]:
        """The service is to start here, or goes on as another server: what it does is owed, with what it still owed."""
        dropped = [Drop(self.ledger.digest)] if self.ledger.digest else []
        self.ledger = Ledger(term, votes, owed=True, merged=self.ledger.merged, shared=self.ledger.shared)
        self._failures, self._at = 0, 0.0
        return [Keep(self.ledger), *dropped]

    def owe(self, now: float, server: str, term: int) -> list[Action]:
        """The service runs not here but at this server, since this term: do the next step towards the merge."""
        if not self.ledger.owed or self.busy or now < self._at:
            return []
        if self._discard:
            return [*self._settle(), Tell("state_discarded", f"{server} serves, and the service merges nothing")]
        if not self.ledger.digest:
            self.busy = "export"
            return [Export(self.ledger.term)]
        self._at = now + self._again_s
        offer = Offer(self._name, self.ledger.term, self.ledger.digest, self.ledger.size)
        actions: list[Action] = [Send(server, offer)]
        if self._offered != (server, term, offer.digest):
            self._offered = (server, term, offer.digest)
            text = f"to {server}: {offer.size} bytes of what was done here until term {offer.term}, {offer.digest}"
            actions.append(Tell("export_offered", text))
        return actions

    def exported(self, term: int, digest: str, size: int) -> list[Action]:
        """The hook `export` has ended well."""
        self.free()
        self._failures, self._at = 0, 0.0
        if term != self.ledger.term or not self.ledger.owed:
            return [Drop(digest)]
        self.ledger = replace(self.ledger, digest=digest, size=size)
        return [Keep(self.ledger)]

    def export_failed(self, now: float, why: str) -> list[Action]:
        """The hook `export` has failed; with no reason, it was cancelled."""
        self.free()
        if not why:
            return []
        self._failures += 1
        self._at = now + self.backoff(self._failures)
        return [Tell("export_failed", why)]

    def lost(self) -> list[Action]:
        """The blob that is offered isn't there any more: it is made anew."""
        self.ledger, self._at = replace(self.ledger, digest="", size=0), 0.0
        return [Keep(self.ledger)]

    def accepted(self, merged: Merged) -> list[Action]:
        """Another host says that it has merged what was offered."""
        ledger = self.ledger
        if not ledger.digest or (merged.term, merged.digest) != (ledger.term, ledger.digest):
            return []
        return self._settle()

    def offered(self, now: float, offer: Offer) -> list[Action]:
        """Somebody offers what was done there, and the service runs here.

        What was merged is not merged again, and neither is what this server has just written for others itself. Of
        several that offer something the one has its turn that has waited longest.
        """
        known = self.ledger.merged.get(offer.sender)
        if (known and known.digest == offer.digest) or offer.digest == self.ledger.shared:
            return [Send(offer.sender, Merged(self._name, offer.term, offer.digest))]
        if self._left.get(offer.sender, offer.digest) != offer.digest:
            # Another one may do better than the one that failed.
            self._not_before.pop(offer.sender, None)
        since, _heard, _offer = self._offers.get(offer.sender, (now, now, offer))
        self._offers[offer.sender] = since, now, offer
        self._offers = {host: each for host, each in self._offers.items() if now <= each[1] + 2 * self._again_s}
        due = [each for host, each in self._offers.items() if now >= self._not_before.get(host, (0.0, 0))[0]]
        if self.busy or not due:
            return []
        _since, _heard, offer = min(due, key=lambda each: each[0])
        del self._offers[offer.sender]
        self.busy, self._coming = "merge", offer
        left = self._left.pop(offer.sender, offer.digest)
        dropped = [Drop(left)] if left not in (offer.digest, self.ledger.shared) else []
        return [*dropped, Merge(offer.sender, offer.term, offer.digest, offer.size)]

    def merged(self, host: str, term: int, digest: str) -> list[Action]:
        """The hook `merge` has ended well."""
        running = self._coming is not None and self._coming.running
        self.free()
        # What it offered meanwhile is the same.
        self._offers.pop(host, None)
        self._not_before.pop(host, None)
        self.ledger = replace(self.ledger, merged={**self.ledger.merged, host: Taken(term, digest)})
        if running:
            told = Tell("shared", f"what {host} does since term {term} is merged here: {digest}")
        else:
            told = Tell("merged", f"what {host} did until term {term} is merged: {digest}")
        return [Keep(self.ledger), Send(host, Merged(self._name, term, digest)), Drop(digest), told]

    def merge_failed(self, now: float, host: str, why: str) -> list[Action]:
        """The hook `merge` has failed, or what it was to merge didn't come; with no reason, it was cancelled."""
        if self._coming:
            self._left[self._coming.sender] = self._coming.digest
        self.free()
        if not why:
            return []
        failures = self._not_before.get(host, (0.0, 0))[1] + 1
        self._not_before[host] = (now + self.backoff(failures), failures)
        return [Tell("merge_failed", f"what {host} did isn't merged, and is tried again: {why}")]

    def cancel(self) -> list[Action]:
        """End what is busy; it is told when it has ended."""
        if not self.busy or self._cancelled:
            return []
        self._cancelled = True
        return [Cancel()]

    def free(self) -> None:
        """No hook is at work any more."""
        self.busy, self._cancelled, self._coming = "", False, None

    def share(self, digest: str) -> list[Action]:
        """Note what a server that runs here has written for others, or that there is nothing of that any more."""
        before = self.ledger.shared
        if before == digest:
            return []
        self.ledger = replace(self.ledger, shared=digest)
        return [*([Drop(before)] if before else []), Keep(self.ledger)]

    def backoff(self, failures: int) -> float:
        """Give how long to wait after so many failures, one after the other."""
        return float(min(self._again_s * 2 ** min(failures, 20), _LONGEST_S))

    def _settle(self) -> list[Action]:
        digest, self.ledger = self.ledger.digest, replace(self.ledger, owed=False, digest="", size=0)
        return [Keep(self.ledger), *([Drop(digest)] if digest else [])]
