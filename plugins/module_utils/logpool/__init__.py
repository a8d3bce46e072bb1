# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The log pool: events of many hosts in memory, a query language, and parsers that feed it (P2.7). No I/O."""

from __future__ import annotations

from .copies import Copies
from .entries import Entry
from .event import Emitter, Event, from_wire
from .following import Following, Subscriptions, Waiting
from .pool import Counts, Pool
from .query import Query
from .stages import TooMany
from .words import QueryError

__all__ = [
    "Copies", "Counts", "Emitter", "Entry", "Event", "Following", "Pool", "Query", "QueryError", "Subscriptions",
    "TooMany", "Waiting", "from_wire",
]  # fmt: skip
