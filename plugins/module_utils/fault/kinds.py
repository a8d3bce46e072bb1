# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The kinds of fault. A new kind is one class here, in the words of the state that back-ends read and render."""

from __future__ import annotations

import ipaddress
import re
from abc import ABC, abstractmethod
from contextlib import suppress
from typing import TYPE_CHECKING, Any, ClassVar

from ..errors import BadValue, shown
from ..suggest import nearest
from ..units import percent
from ..values import choice
from .model import Problems, State

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_INTERFACE = re.compile(r"[^\s/:]{1,15}")


def _interface(value: object) -> str:
    if (
        isinstance(value, str)
        and _INTERFACE.fullmatch(value)
        and value not in (".", "..")
        and value.isprintable()
        and not value.startswith("-")
    ):
        return value
    raise BadValue(f"{shown(value)} is not the name of an interface")


def _percent(value: object) -> float:
    share = percent(value)
    if share == 0:
        raise BadValue("a loss of 0 % is no fault")
    return share


def prefix(value: object) -> str:
    """Give a prefix in its canonical spelling."""
    suggestion = None
    if isinstance(value, str) and "%" not in value:
        with suppress(ValueError):
            suggestion = str(ipaddress.ip_network(value, strict=False))
            return str(ipaddress.ip_network(value))
    raise BadValue(f"{shown(value)} is not a prefix such as 10.2.0.0/16", suggestion)


def address(value: object) -> str:
    """Give an address in its canonical spelling, without a zone: that of one link means nothing elsewhere."""
    if isinstance(value, str) and "%" not in value:
        with suppress(ValueError):
            return str(ipaddress.ip_address(value))
    raise BadValue(f"{shown(value)} is not an address such as 10.254.0.3")


class Kind(ABC):
    """One kind of fault: its parameters, what it claims on a target, and what it makes of the claimed state."""

    name: ClassVar[str]
    capability: ClassVar[str]
    parameters: ClassVar[Mapping[str, Callable[[object], Any]]]

    @classmethod
    def parse(cls, where: str, params: object) -> dict[str, Any]:
        """Give `params` typed and complete. Raises `BadInput` with all that is wrong; `where` names the fault."""
        problems = Problems()
        typed = problems.read(where, params, cls.parameters)
        problems.raise_if_any()
        return typed

    @classmethod
    @abstractmethod
    def claim(cls, params: Mapping[str, Any]) -> str:
        """Give the state entry that this fault alone may change, such as `link:w-osaka`."""

    @classmethod
    def reads(cls, params: Mapping[str, Any]) -> tuple[str, ...]:  # noqa: ARG003
        """Give further state entries that `refuse` and `want` look at."""
        return ()

    @classmethod
    @abstractmethod
    def refuse(cls, params: Mapping[str, Any], have: State) -> str | None:
        """Say in one sentence why this fault must not be injected into `have`, or give None."""

    @classmethod
    @abstractmethod
    def want(cls, params: Mapping[str, Any], have: State) -> State:
        """Give the claimed entry as it is under the fault."""


class LinkDown(Kind):
    """The interface is administratively down."""

    name = "link_down"
    capability = "link"
    parameters: ClassVar = {"interface": _interface}

    @classmethod
    def claim(cls, params: Mapping[str, Any]) -> str:
        return f"link:{params['interface']}"

    @classmethod
    def refuse(cls, params: Mapping[str, Any], have: State) -> str | None:
        link = have[cls.claim(params)]
        if missing := _missing(params, link):
            return missing
        if link["admin"] != "up":
            return f"{params['interface']} is already down, and not by Okiagari: set it up or choose another interface"
        return None

    @classmethod
    def want(cls, params: Mapping[str, Any], have: State) -> State:
        # The kernel keeps IPv4 addresses on a link that is down, and takes the IPv6 ones and the routes with it.
        addresses = [address for address in have[cls.claim(params)]["addresses"] if ":" not in address.split()[0]]
        return {cls.claim(params): {"admin": "down", "addresses": addresses, "routes": []}}


class Loss(Kind):
    """A share of the packets that leave the interface is lost, each independently of the others."""

    name = "loss"
    capability = "netem"
    parameters: ClassVar = {"interface": _interface, "percent": _percent}

    @classmethod
    def claim(cls, params: Mapping[str, Any]) -> str:
        return f"qdisc:{params['interface']}"

    @classmethod
    def refuse(cls, params: Mapping[str, Any], have: State) -> str | None:
        qdisc = have[cls.claim(params)]
        if missing := _missing(params, qdisc):
            return missing
        if qdisc["foreign"]:
            return (
                f"foreign {qdisc['foreign']} on {params['interface']}: left untouched; "
                "remove it or choose another interface"
            )
        if qdisc["netem"]:
            return (
                f"an Okiagari qdisc without a record stands on {params['interface']}: run the heal_all playbook first"
            )
        return None

    @classmethod
    def want(cls, params: Mapping[str, Any], have: State) -> State:  # noqa: ARG003
        return {cls.claim(params): {"netem": {"loss_percent": params["percent"]}}}


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


class RouteBlackhole(_RouteFault):
    """Packets to the prefix vanish on this target, without an ICMP answer."""

    name = "route_blackhole"
    parameters: ClassVar = {"prefix": prefix}

    @classmethod
    def want(cls, params: Mapping[str, Any], have: State) -> State:  # noqa: ARG003
        return {cls.claim(params): {"ours": {"type": "blackhole"}}}


def find_kind(name: object) -> type[Kind]:
    """Give the kind called `name`; raise `BadValue` that suggests the nearest one."""
    return KINDS[choice(KINDS, "kind of fault")(name)]


def _missing(params: Mapping[str, Any], entry: Mapping[str, Any]) -> str | None:
    if "missing" not in entry:
        return None
    near = nearest(params["interface"], entry["missing"])
    return f"there is no interface {params['interface']} on this target" + (f"; did you mean {near}?" if near else "")


KINDS: dict[str, type[Kind]] = {kind.name: kind for kind in (LinkDown, Loss, RouteOverride, RouteBlackhole)}
