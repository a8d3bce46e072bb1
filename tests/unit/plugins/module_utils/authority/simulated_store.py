# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The quorum store as etcd is: linearizable, reachable where a majority is, and with leases that its leader counts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ansible_collections.okiagari.testbed.plugins.module_utils.authority import View

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from .simulated_network import Clock, Network


@dataclass
class Key:
    host: str
    lease: int
    token: int


class Store:
    """One service's keys. A request is served by any member that the leader can talk with, which needs a majority.

    Members are hosts, by number. When the leader is lost there is none for the time of an election; the next one arms
    all leases anew, by its own clock.
    """

    def __init__(
        self, network: Network, members: Sequence[int], clocks: Sequence[Clock], on: Callable[[int], bool], ttl_s: float
    ) -> None:
        self.network, self.members, self.clocks, self.on, self.ttl_s = network, members, clocks, on, ttl_s
        self.events, self.chance = network.events, network.chance
        self.revision = 1
        self.key: Key | None = None
        self.last = (0, 0)
        self.released = self.renewed = 0
        self.leases: dict[int, float] = {}
        self.leader: int | None = None
        self.electing = False
        self.watchers: list[Callable[[View], None]] = []
        self.holders: list[tuple[int, int, str]] = []
        network.changed = self.check
        self.check()

    def view(self) -> View:
        term, token = self.last
        host = self.key.host if self.key else None
        return View(self.revision, host, term, token, released=self.released == token > 0, renewed=self.renewed)

    def serves(self, member: int) -> bool:
        return self.leader is not None and self.on(member) and self.network.both_ways(member, self.leader)

    def check(self) -> None:
        """The leader steps down without a majority, and another one is elected where there is one."""
        if self.leader is not None and not self._majority(self.leader):
            self.leader = None
        if self.leader is None and not self.electing and any(map(self._majority, self.members)):
            self.electing = True
            self.events.after(self.chance.uniform(1.0, 2.5), self._elect)

    def acquire(self, host: str, lease: int, term: int, after: int) -> int | None:
        """Give the token, or None if it is held, or was held since `after`."""
        if self.key or self.last[1] != after:
            return None
        self.leases[lease] = self._expiry()
        self.revision += 1
        self.last = (term, self.revision)
        self.key = Key(host, lease, self.revision)
        self.holders.append((term, self.revision, host))
        self._arm(lease)
        self._notify()
        return self.revision

    def keep_alive(self, lease: int, token: int) -> bool:
        if lease in self.leases:
            self.leases[lease] = self._expiry()
        if lease not in self.leases or self.key is None or self.key.token != token:
            return False
        self.revision += 1
        self.renewed = self.revision
        return True

    def release(self, lease: int, token: int, *, clean: bool) -> None:
        if self.key and self.key.token == token:
            if clean:
                self.released = token
            self.delete()
        self.revoke(lease)

    def revoke(self, lease: int) -> None:
        """End a lease early: as people do, and as etcd did by itself when its leader was slow (etcd issue 15247)."""
        self.leases.pop(lease, None)
        if self.key and self.key.lease == lease:
            self.delete()

    def delete(self) -> None:
        """Delete the key and leave the lease, as `etcdctl del` does."""
        if self.key:
            self.key = None
            self.revision += 1
            self._notify()

    def _majority(self, member: int) -> bool:
        reached = sum(1 for other in self.members if self.on(other) and self.network.both_ways(member, other))
        return self.on(member) and 2 * reached > len(self.members)

    def _elect(self) -> None:
        self.electing = False
        able = [member for member in self.members if self._majority(member)]
        if not able:
            return
        self.leader = self.chance.choice(able)
        self.revision += 1
        for lease in self.leases:
            self.leases[lease] = self._expiry()
            self._arm(lease)

    def _expiry(self) -> float:
        assert self.leader is not None
        return self.clocks[self.leader]() + self.ttl_s

    def _arm(self, lease: int) -> None:
        assert self.leader is not None
        clock = self.clocks[self.leader]
        self.events.at(clock.true(self.leases[lease]) + 1e-6, self._expire, lease, self.leader)

    def _expire(self, lease: int, leader: int) -> None:
        if self.leader != leader or lease not in self.leases:
            return
        if self.clocks[leader]() < self.leases[lease]:
            self._arm(lease)
        else:
            self.revoke(lease)

    def _notify(self) -> None:
        view = self.view()
        for watcher in self.watchers:
            watcher(view)
