# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The kinds that force a route: over another next hop, or nowhere."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, Any, ClassVar

from .kind import Kind
from .parameters import address, prefix

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .model import State


class _RouteFault(Kind):
    capability = "route"

    @classmethod
    def claim(cls, params: Mapping[str, Any]) -> str:
        return f"route:{params['prefix']}"

    @classmethod
    def refuse(cls, params: Mapping[str, Any], have: State) -> str | None:
        route = have[cls.claim(params)]
        if route["ours"]:
            return f"an Okiagari route without a record stands for {params['prefix']}: run the heal_all playbook first"
        if route["others"]:
            return (
                f"the foreign route '{route['others'][0]}' would win over the fault: left untouched; "
                "remove it or choose another prefix"
            )
        return None


class RouteOverride(_RouteFault):
    """Packets to the prefix take the given next hop, whatever the routing daemons say."""

    name = "route_override"
    parameters: ClassVar = {"prefix": prefix, "via": address}

    @classmethod
    def reads(cls, params: Mapping[str, Any]) -> tuple[str, ...]:
        return (f"nexthop:{params['via']}",)

    @classmethod
    def refuse(cls, params: Mapping[str, Any], have: State) -> str | None:
        if ipaddress.ip_network(params["prefix"]).version != ipaddress.ip_address(params["via"]).version:
            return f"the next hop {params['via']} and {params['prefix']} are not of the same address family"
        if not have[f"nexthop:{params['via']}"]:
            return (
                f"the next hop {params['via']} is not on a link of this target: name the address of a direct neighbour"
            )
        return super().refuse(params, have)

    @classmethod
    def want(cls, params: Mapping[str, Any], have: State) -> State:
        hop = have[f"nexthop:{params['via']}"]
        return {cls.claim(params): {"ours": {"type": "unicast", "via": params["via"], "dev": hop["dev"]}}}


class _NoRoute(_RouteFault):
    parameters: ClassVar = {"prefix": prefix}
    type: ClassVar[str]

    @classmethod
    def want(cls, params: Mapping[str, Any], have: State) -> State:  # noqa: ARG003
        return {cls.claim(params): {"ours": {"type": cls.type}}}


class RouteBlackhole(_NoRoute):
    """Packets to the prefix vanish on this target, without an ICMP answer."""

    name = "route_blackhole"
    type = "blackhole"


class RouteUnreachable(_NoRoute):
    """Packets to the prefix are dropped, and their senders told that the host is unreachable."""

    name = "route_unreachable"
    type = "unreachable"


class RouteProhibit(_NoRoute):
    """Packets to the prefix are dropped, and their senders told that it is forbidden."""

    name = "route_prohibit"
    type = "prohibit"
