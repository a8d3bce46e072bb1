# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Routes as `ip -N -j -d route` prints them, made into text that is canonical and that `ip route add` understands."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from .owned import METRICS, ROUTE_PROTOCOL

if TYPE_CHECKING:
    from ..values import Shape

_TYPES = {
    "1": "unicast",
    "2": "local",
    "3": "broadcast",
    "4": "anycast",
    "5": "multicast",
    "6": "blackhole",
    "7": "unreachable",
    "8": "prohibit",
    "9": "throw",
}
_PROTOCOLS = {
    "2": "kernel",
    "3": "boot",
    "4": "static",
    "9": "ra",
    "11": "zebra",
    "12": "bird",
    "16": "dhcp",
    "186": "bgp",
    "188": "ospf",
    "189": "rip",
}
_TABLES = {"253": "default", "254": "main", "255": "local"}
_SCOPES = {"253": "link", "254": "host", "255": "nowhere"}
_MEANINGFUL_FLAGS = ("onlink", "dead", "linkdown", "pervasive")

# A route of these comes from a person or a start-up script, who won't notice that the kernel has dropped it.
STATIC_PROTOCOLS = ("3", "4", "16")

Route = Mapping[str, Any]

# They become arguments of commands: never one that begins like an option.
NAME = re.compile(r"(?!-)[^\s/]{1,15}")
HOST = re.compile(r"[0-9A-Fa-f.:]+")

_HOP: dict[str, Shape] = {
    "dev?": NAME,
    "gateway?": HOST,
    "via?": {"family": re.compile(r"\w+"), "host": HOST},
    "flags?": [str],
    "weight?": int,
}
SHAPE: Shape = [
    {
        **_HOP,
        "dst": re.compile(r"default|[0-9A-Fa-f.:]+(?:/[0-9]{1,3})?"),
        **dict.fromkeys(("type?", "protocol?", "table?", "scope?"), (str, int)),
        "prefsrc?": HOST,
        "metric?": int,
        "metrics?": [dict],
        "nexthops?": [_HOP],
    }
]
"""What `ip -N -j -d route show` prints, as far as it is read here."""


def family(route: Route) -> int:
    """Give 4 or 6. A default route shows its family only by what else is printed with it."""
    return 6 if "pref" in route or ":" in route["dst"] else 4


def kind_of(route: Route) -> str:
    """Give the route's type: `unicast`, `blackhole`, `local` ..."""
    return _TYPES.get(str(route.get("type", "1")), str(route.get("type")))


def table_of(route: Route) -> str:
    """Give the route's table: `main`, `local` or a number."""
    return _TABLES.get(str(route.get("table", "254")), str(route.get("table")))


def prefix_of(route: Route) -> str:
    """Give the destination as a prefix with its length, also for a host route and for the default route."""
    dst = str(route["dst"])
    if dst == "default":
        return "::/0" if family(route) == 6 else "0.0.0.0/0"
    return dst if "/" in dst else f"{dst}/{128 if ':' in dst else 32}"


def is_ours(route: Route) -> bool:
    """Say whether a fault has put this route there."""
    return str(route.get("protocol")) == str(ROUTE_PROTOCOL) and route.get("metric", 0) == METRICS[family(route)]


def devices(route: Route) -> set[str]:
    """Give the interfaces that the route leaves by."""
    return {hop["dev"] for hop in (route, *route.get("nexthops", ())) if "dev" in hop}


def text(route: Route, flags: bool = True) -> str:
    """Give the route as arguments of `ip route add`. Without `flags` no passing condition such as linkdown is shown."""
    kind = kind_of(route)
    words = [prefix_of(route)] if kind == "unicast" else [kind, prefix_of(route)]
    if kind in ("unicast", "local", "broadcast", "multicast", "anycast"):
        words += _hop(route)
    words += ["proto", _PROTOCOLS.get(str(route.get("protocol")), str(route.get("protocol", "boot")))]
    if table_of(route) != "main":
        words += ["table", table_of(route)]
    if str(route.get("scope", "0")) in _SCOPES and family(route) == 4:
        words += ["scope", _SCOPES[str(route["scope"])]]
    if route.get("prefsrc"):
        words += ["src", str(route["prefsrc"])]
    if route.get("metric"):
        words += ["metric", str(route["metric"])]
    for metrics in route.get("metrics", ()):
        for key, value in sorted(metrics.items()):
            words += [str(key), str(value)]
    words += _flags(route, flags)
    hops = sorted(
        [*_hop(hop), "weight", str(hop.get("weight", 1)), *_flags(hop, flags)] for hop in route.get("nexthops", ())
    )
    for hop in hops:
        words += ["nexthop", *hop]
    return " ".join(words)


def _hop(route: Route) -> list[str]:
    words: list[str] = []
    if route.get("gateway"):
        words += ["via", str(route["gateway"])]
    elif route.get("via"):
        words += ["via", str(route["via"]["family"]), str(route["via"]["host"])]
    if route.get("dev"):
        words += ["dev", str(route["dev"])]
    return words


def _flags(route: Route, passing: bool) -> list[str]:
    kept = _MEANINGFUL_FLAGS if passing else ("onlink",)
    return [flag for flag in kept if flag in route.get("flags", ())]
