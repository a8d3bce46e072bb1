# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a router knows: its kernel's routes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..fault import routes
from ..fault.parameters import prefix
from ..runner import json_output
from .probe import Type

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..runner import Runner
    from .probe import Result


def route(runner: Runner, probe: Mapping[str, Any]) -> Result:
    """`{prefix}`: ok if packets to it have a way. A prefix without a route of its own shows the one that covers it."""
    prefix = probe["prefix"]
    show = ("ip", "-N", "-j", "-d", *(("-6",) if ":" in prefix else ()), "route", "show")
    exact, match = ((*show, how, prefix) for how in ("exact", "match"))
    found = json_output(runner, exact, shape=routes.SHAPE) or json_output(runner, match, shape=routes.SHAPE)
    found.sort(key=lambda each: (-int(routes.prefix_of(each).rpartition("/")[2]), each.get("metric", 0)))
    if not found:
        return False, {"via": [], "dev": [], "protocol": None}, f"no route to {prefix}"
    best = found[0]
    hops = best.get("nexthops") or [best]
    words = routes.text(best).split()
    value = {
        "via": sorted(hop["gateway"] for hop in hops if "gateway" in hop),
        "dev": sorted(routes.devices(best)),
        "protocol": words[words.index("proto") + 1],
    }
    return routes.kind_of(best) == "unicast", value, routes.text(best)


TYPES = {
    "route": Type(route, {"prefix": prefix}),
}
