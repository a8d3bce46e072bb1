# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What HAProxy says of itself: the table that `show stat` gives."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..errors import BadValue
from ..watch import Counts

if TYPE_CHECKING:
    from collections.abc import Mapping

STATISTICS = "show stat"
_SECTIONS = ("FRONTEND", "BACKEND")
_FAILED = ("econ", "eresp", "wretr", "wredis", "srv_abrt", "hrsp_5xx")
_ANSWERED_HTTP = ("hrsp_1xx", "hrsp_2xx", "hrsp_3xx", "hrsp_4xx")
_ANSWERED_TCP = ("bout",)


@dataclass(frozen=True)
class Server:
    """A candidate in HAProxy's eyes: whether it gets no new connections, and how many it has.

    `counts` are of what passed since HAProxy started.
    """

    maintained: bool
    sessions: int
    counts: Counts


def read_statistics(said: str) -> dict[str, dict[str, Server]]:
    """Give each service's servers by their names; raise `BadValue` for what isn't that table."""
    found: dict[str, dict[str, Server]] = {}
    for row in csv.DictReader(said.removeprefix("# ").splitlines()):
        try:
            if row["svname"] not in _SECTIONS:
                found.setdefault(row["pxname"], {})[row["svname"]] = _server(row)
        except (KeyError, ValueError, TypeError, AttributeError) as error:
            raise BadValue(f"is not what HAProxy says to {STATISTICS}: {error}") from error
    return found


def _server(row: Mapping[str, str]) -> Server:
    # Only services that speak HTTP have counts of their answers.
    answered = _ANSWERED_HTTP if row["hrsp_2xx"] else _ANSWERED_TCP
    return Server(
        row["status"].startswith("MAINT"),
        _number(row["scur"]),
        Counts(sum(_number(row[name]) for name in answered), sum(_number(row[name]) for name in _FAILED)),
    )


def _number(said: str) -> int:
    return int(said or 0)
