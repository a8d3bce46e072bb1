# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who asks a server whether it is well (P1.6)."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from ..values import choice

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping


def observers(
    holder: str, links: Mapping[str, Collection[str]], domains: Mapping[str, str], count: int = 3
) -> tuple[str, ...]:
    """Give the `count` hosts that ask the holder directly, or all if there are fewer; the same at every agent.

    The holder's own host is the first. Then come the nearest by hops, one of each failure domain before a second one of
    any; ties go by name. So the server sees `count` requests in a period, however many agents there are.

    `domains` gives each agent's failure domain. `links` is the overlay as it is configured, a link in either direction
    being one in both; not the links that are up at present, which agents see differently and of which a dead host has
    none. Whoever no link leads to is the farthest. Raises `BadValue` for a holder that is no agent.
    """
    chosen = [choice(domains, "agent")(holder)]
    hops = _hops(holder, links)
    far = len(hops)
    while len(chosen) < min(count, len(domains)):
        there = [domains[host] for host in chosen]
        chosen.append(
            min(
                (host for host in domains if host not in chosen),
                key=lambda host: (there.count(domains[host]), hops.get(host, far), host),
            )
        )
    return tuple(chosen)


def _hops(start: str, links: Mapping[str, Collection[str]]) -> dict[str, int]:
    neighbours: dict[str, set[str]] = {}
    for host, others in links.items():
        for other in others:
            neighbours.setdefault(host, set()).add(other)
            neighbours.setdefault(other, set()).add(host)
    hops = {start: 0}
    queue = deque([start])
    while queue:
        host = queue.popleft()
        for other in neighbours.get(host, set()) - hops.keys():
            hops[other] = hops[host] + 1
            queue.append(other)
    return hops
