# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""HAProxy at each candidate of a service, so that a client reaches the server through any of them (P1.12); no I/O.

    text = settings(socket, {"beacon": Listener(proxy, addresses)}, own_address)     # what the role writes
    servers = read_statistics(said)["beacon"]                       # an answer to STATISTICS
    traffic.saw(now, servers[holder].counts)                        # `watch.Traffic`
    for order in orders("beacon", servers, holder, left):               # what is to be told to HAProxy

Each candidate is a server in HAProxy's sense. At any time one of them is ready, and all others are in maintenance: the
holder, or whoever was it last, where connections are refused and tried again until another one is ready.
"""

from __future__ import annotations

from .proxy import Proxy
from .settings import Listener, settings
from .statistics import STATISTICS, Server, read_statistics
from .steering import LEFT_S, leads_to, orders

__all__ = ["LEFT_S", "STATISTICS", "Listener", "Proxy", "Server", "leads_to", "orders", "read_statistics", "settings"]
