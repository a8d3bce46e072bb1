# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How IOS-XE and IOS-XR write the same things: routes, filters, sessions, addresses."""

from __future__ import annotations

import ipaddress
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from .owned import FRR_MARK as MARK

if TYPE_CHECKING:
    from .frr import Line


class Words(ABC):
    """The configuration language of one of them. A line stands after the lines of the blocks that it is in."""

    unreachables: str

    @abstractmethod
    def filters(self, interface: str) -> list[Line]:
        """Give the lines that keep all packets from leaving an interface: first the lists, then their use."""

    @abstractmethod
    def is_filter(self, line: str) -> bool:
        """Say whether a line of an interface filters what leaves it."""

    @abstractmethod
    def address(self, line: str) -> str | None:
        """Give the address with its length that a line of an interface sets, if it does."""

    @abstractmethod
    def static(self, prefix: str) -> Line:
        """Give how each static route for a prefix begins, after the blocks that it is in."""

    @abstractmethod
    def route(self, prefix: str, via: str) -> Line:
        """Give our static route for a prefix."""

    @abstractmethod
    def show_route(self, prefix: str) -> str:
        """Give what shows the route for exactly that prefix."""

    @abstractmethod
    def session(self, router: str, neighbor: str, vrf: str) -> Line:
        """Give the line that shuts a session of the BGP `router`."""


def _version(prefix: str) -> int:
    return ipaddress.ip_network(prefix).version


class XeWords(Words):
    """IOS-XE."""

    unreachables = "no ip unreachables"

    def filters(self, interface: str) -> list[Line]:
        place = f"interface {interface}"
        return [
            (f"ip access-list extended {MARK}", "deny ip any any"),
            (f"ipv6 access-list {MARK}6", "deny ipv6 any any"),
            (place, f"ip access-group {MARK} out"),
            (place, f"ipv6 traffic-filter {MARK}6 out"),
        ]

    def is_filter(self, line: str) -> bool:
        return line.startswith(("ip access-group ", "ipv6 traffic-filter ")) and line.endswith(" out")

    def address(self, line: str) -> str | None:
        words = line.split()
        if words[:2] == ["ip", "address"] and len(words) == 4:
            return f"{words[2]}/{words[3]}"
        return words[2] if words[:2] == ["ipv6", "address"] and "/" in words[2] else None

    def static(self, prefix: str) -> Line:
        network = ipaddress.ip_network(prefix)
        if network.version == 6:
            return (f"ipv6 route {str(network).upper()}",)
        return (f"ip route {network.network_address} {network.netmask}",)

    def route(self, prefix: str, via: str) -> Line:
        return (f"{self.static(prefix)[0]} {via.upper() if ':' in via else via} name {MARK}",)

    def show_route(self, prefix: str) -> str:
        network = ipaddress.ip_network(prefix)
        if network.version == 6:
            return f"ipv6 route {network}"
        return f"ip route {network.network_address} {network.netmask}"

    def session(self, router: str, neighbor: str, vrf: str) -> Line:
        block = (f"address-family ipv{6 if ':' in neighbor else 4} vrf {vrf}",) if vrf else ()
        return (router, *block, f"neighbor {neighbor} shutdown")


class XrWords(Words):
    """IOS-XR."""

    unreachables = "ipv4 unreachables disable"

    def filters(self, interface: str) -> list[Line]:
        place = f"interface {interface}"
        return [
            (f"ipv4 access-list {MARK}", "deny ipv4 any any"),
            (f"ipv6 access-list {MARK}6", "deny ipv6 any any"),
            (place, f"ipv4 access-group {MARK} egress"),
            (place, f"ipv6 access-group {MARK}6 egress"),
        ]

    def is_filter(self, line: str) -> bool:
        return line.startswith(("ipv4 access-group ", "ipv6 access-group ")) and " egress" in line

    def address(self, line: str) -> str | None:
        words = line.split()
        if words[:2] == ["ipv4", "address"] and len(words) == 4:
            return f"{words[2]}/{words[3]}"
        return words[2] if words[:2] == ["ipv6", "address"] and "/" in words[2] else None

    def static(self, prefix: str) -> Line:
        return ("router static", f"address-family ipv{_version(prefix)} unicast", prefix)

    def route(self, prefix: str, via: str) -> Line:
        *blocks, begin = self.static(prefix)
        return (*blocks, f"{begin} {via} description {MARK}")

    def show_route(self, prefix: str) -> str:
        return f"route ipv{_version(prefix)} {prefix}"

    def session(self, router: str, neighbor: str, vrf: str) -> Line:
        return (router, *((f"vrf {vrf}",) if vrf else ()), f"neighbor {neighbor}", "shutdown")
