# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The kinds that concern a whole link: it is down, or too narrow for its packets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from ..values import whole
from .kind import InterfaceKind
from .parameters import interface

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .model import State

_LEAST_FOR_IPV6 = 1280


class LinkDown(InterfaceKind):
    """The interface is administratively down."""

    name = "link_down"
    capability = "link"
    resource = "link"
    parameters: ClassVar = {"interface": interface}

    @classmethod
    def cuts(cls, params: Mapping[str, Any]) -> bool:  # noqa: ARG003
        return True

    @classmethod
    def obstacle(cls, params: Mapping[str, Any], entry: Mapping[str, Any]) -> str | None:
        if entry["admin"] != "up":
            return f"{params['interface']} is already down, and not by Okiagari: set it up or choose another interface"
        return None

    @classmethod
    def want(cls, params: Mapping[str, Any], have: State) -> State:
        return {cls.claim(params): _down(have[cls.claim(params)])}


class Mtu(InterfaceKind):
    """The interface, and each VLAN above it, takes packets of at most `mtu` bytes.

    As when somebody swaps a circuit for one without jumbo frames, or a tunnel takes its share: what is longer and may
    not be fragmented is lost.
    """

    name = "mtu"
    capability = "mtu"
    resource = "link"
    parameters: ClassVar = {"interface": interface, "mtu": whole(68, 65535)}

    @classmethod
    def obstacle(cls, params: Mapping[str, Any], entry: Mapping[str, Any]) -> str | None:
        name, mtu = params["interface"], params["mtu"]
        if entry["admin"] != "up":
            return f"{name} is down: set it up or choose another interface"
        if mtu >= entry["mtu"]:
            return f"the MTU of {name} is {entry['mtu']} already: ask for less"
        if mtu < _LEAST_FOR_IPV6 and _has_ipv6(entry):
            return (
                f"{name}, or a VLAN above it, has IPv6 addresses, which the kernel drops below an MTU of "
                f"{_LEAST_FOR_IPV6}: ask for more"
            )
        return None

    @classmethod
    def want(cls, params: Mapping[str, Any], have: State) -> State:
        return {cls.claim(params): _narrow(have[cls.claim(params)], params["mtu"])}


def _down(link: Mapping[str, Any]) -> dict[str, Any]:
    """What becomes of a link: Linux keeps the IPv4 addresses, and takes the IPv6 ones and the routes."""
    # Only Linux tells of VLANs.
    kept = [address for address in link["addresses"] if not _is_ipv6(address)]
    vlans = {name: _down(vlan) for name, vlan in link.get("vlans", {}).items()}
    return {**link, "admin": "down", "addresses": kept, "routes": [], "vlans": vlans}


def _narrow(link: Mapping[str, Any], mtu: int) -> dict[str, Any]:
    vlans = {name: _narrow(vlan, mtu) for name, vlan in link["vlans"].items()}
    return {**link, "mtu": min(link["mtu"], mtu), "vlans": vlans}


def _has_ipv6(link: Mapping[str, Any]) -> bool:
    return any(map(_is_ipv6, link["addresses"])) or any(map(_has_ipv6, link["vlans"].values()))


def _is_ipv6(address: str) -> bool:
    return ":" in address.split(maxsplit=1)[0]
