# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What HAProxy is to be told, so that it leads to the server that clients of its host use."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from .statistics import Server

LEFT_S = 0.7
"""After so long whoever was being connected to a former server is elsewhere: `timeout connect` is over."""


def orders(service: str, servers: Mapping[str, Server], to: str | None, left: Collection[str]) -> list[str]:
    """Give the commands that make this host's server the one that is ready, and end connections that others still have.

    `left` are those that have got no new connections for `LEFT_S`.
    Where there is none, or one that HAProxy doesn't know, all stays: what waits goes on to be tried there. The new one
    is ready before the old one isn't, since HAProxy closes a connection for which it finds nobody.
    """
    if to is None or to not in servers:
        return []
    others = {name: server for name, server in servers.items() if name != to}
    said = [f"set server {service}/{to} state ready"] if servers[to].maintained else []
    said += [f"set server {service}/{name} state maint" for name, server in others.items() if not server.maintained]
    said += [
        f"shutdown sessions server {service}/{name}" for name, server in others.items()
        if server.maintained and server.sessions and name in left
    ]  # fmt: skip
    return said


def leads_to(servers: Mapping[str, Server]) -> str | None:
    """Give the one that is ready; None where HAProxy has none, or several while it is told of another."""
    ready = [name for name, server in servers.items() if not server.maintained]
    return ready[0] if len(ready) == 1 else None
