# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a router knows: its kernel's routes, its BGP's paths, its BFD sessions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..fault import routes
from ..fault.parameters import address, prefix, vrf
from ..runner import fitting, json_output, output
from .probe import Type
from .snapshot import daemons

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..runner import Runner
    from ..values import Shape
    from .probe import Result

_PATHS: Shape = {
    "paths?": [
        {"valid?": bool, "bestpath?": {"overall?": bool}, "peer?": {"peerId?": str}, "nexthops?": [{"ip?": str}]}
    ]
}


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


def bgp(runner: Runner, probe: Mapping[str, Any]) -> Result:
    """`{prefix, vrf}`: ok if BGP has a best path to it. `paths`: how many; `via`: the neighbours of the best one."""
    network = probe["prefix"]
    family = "ipv6" if ":" in network else "ipv4"
    scope = f"vrf {probe['vrf']} " if "vrf" in probe else ""
    show = ("vtysh", "-c", f"show bgp {scope}{family} unicast {network} json")
    # A prefix that BGP doesn't know is nothing at all, or an empty document.
    paths = fitting(show, json_output(runner, show) or {}, _PATHS).get("paths", [])
    best = [path for path in paths if path.get("bestpath", {}).get("overall")]
    via = {each["ip"] for path in best for each in path.get("nexthops", ()) if "ip" in each}
    via |= {path["peer"]["peerId"] for path in best if "peerId" in path.get("peer", {})}
    said = f"{len(paths)} paths to {network}, the best by {' '.join(sorted(via)) or 'none'}"
    return bool(best), {"paths": len(paths), "via": sorted(via)}, said if paths else f"BGP has no path to {network}"


def bfd(runner: Runner, probe: Mapping[str, Any]) -> Result:
    """`{neighbor, vrf}`: ok if the session to this address is up. `status`: None if there is none."""
    sessions = daemons(output(runner, ("vtysh", "-c", "show bfd peers json"))).get("bfd", {})
    peer = f"{probe['neighbor']} in {probe['vrf']}" if "vrf" in probe else probe["neighbor"]
    status = sessions.get(peer)
    said = f"the session to {peer} is {status}" if status else f"there is no session to {peer}"
    return status == "up", {"status": status}, said


TYPES = {
    "route": Type(route, {"prefix": prefix}),
    "bgp": Type(bgp, {"prefix": prefix, "vrf": vrf}, optional=("vrf",)),
    "bfd": Type(bfd, {"neighbor": address, "vrf": vrf}, optional=("vrf",)),
}
