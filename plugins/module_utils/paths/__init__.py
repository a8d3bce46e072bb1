# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The routers on the way from here to other hosts, and which of these ways have a router in common (P1.13); no I/O.

A trace asks with one TTL after the other, in a few flows, each of which takes one way where routers balance their load:

    walk.ask(number, ttl)                               # then send a packet that carries the number
    walk.heard(number, sender, last=...)                # a router's or the host's answer; `walk.over(ttl)` ends the way
    path = Path.of(walks, time.time())

Who is to keep copies is chosen by failure domains, and by what the paths from here to the candidates share:

    unavoidable = on_all(paths.values())                # mostly the way out of this site
    pairs(paths, unavoidable)[("b", "c")].verdict       # shared, disjoint or unknown
    placed(domains, 3, paths=paths)                     # three in different ones, whose paths meet as seldom as can be

What can't be told: that two addresses are the same router's, which may answer with another address to a packet that
came in elsewhere; what lies between two routers, such as a switch or a cable; and the way back, which may be another.
So `disjoint` says that no address was seen twice and that nobody was silent, and no more.
"""

from __future__ import annotations

from .path import Path, changed
from .placement import placed
from .sharing import Sharing, Verdict, on_all, pairs, shared
from .walk import MOST_HOPS, Walk

__all__ = ["MOST_HOPS", "Path", "Sharing", "Verdict", "Walk", "changed", "on_all", "pairs", "placed", "shared"]
