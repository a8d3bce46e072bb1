# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which packets, for Linux: filters of `tc flower` as `tc` takes them and as `tc -j` prints them."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

# One filter: the protocol of the frame, and flower's keys as `tc -j` prints them.
Filter = dict[str, Any]

_PORTS = ("dst_port", "src_port")
# What tc adds of itself, or says in another way.
_DERIVED = ("eth_type", "ip_tos_mask")


def filters(only: Mapping[str, Any]) -> list[Filter]:
    """Give the filters that together catch the packets of `fault.match.only`.

    Several are needed where a packet may be of either family, or have the port at either end.
    """
    tagged, inside = _tags(only)
    if not set(only) - {"s_tag", "c_tag"}:
        return [tagged]
    found = []
    for family in _families(only):
        ethertype = {inside if tagged else "protocol": family}
        common = {**tagged, **ethertype, **_packet(only, family)}
        found += [{**common, port: only["port"]} for port in _PORTS] if "port" in only else [common]
    return found


def words(wanted: Filter) -> tuple[str, ...]:
    """Give the arguments of `tc filter add` from `flower` on."""
    found = ["flower"]
    for key, value in wanted.items():
        if key == "ip_tos":
            found += [key, f"{value:#04x}/0xfc"]
        elif key != "protocol":
            found += [key, str(value)]
    return tuple(found)


def read(shown: Iterable[Mapping[str, Any]]) -> list[Filter]:
    """Give the filters that `tc -j filter show` has shown."""
    return [
        {
            "protocol": each["protocol"],
            **{key: value for key, value in each["options"]["keys"].items() if key not in _DERIVED},
        }
        for each in shown
        if each.get("kind") == "flower" and "keys" in each.get("options", {})
    ]


def same(one: Sequence[Filter], other: Sequence[Filter]) -> bool:
    """Say whether two lists hold the same filters, in any order."""
    return sorted(map(_text, one)) == sorted(map(_text, other))


def _text(item: Filter) -> str:
    return repr(sorted(item.items()))


def _tags(only: Mapping[str, Any]) -> tuple[Filter, str]:
    """The keys for the tags, and the key that says what is inside them."""
    if "s_tag" not in only:
        return {}, ""
    found: Filter = {"protocol": "802.1ad", "vlan_id": only["s_tag"]}
    if "c_tag" not in only:
        return found, "vlan_ethtype"
    return {**found, "vlan_ethtype": "802.1Q", "cvlan_id": only["c_tag"]}, "cvlan_ethtype"


def _families(only: Mapping[str, Any]) -> tuple[str, ...]:
    if "to" not in only:
        return ("ip", "ipv6")
    return ("ipv6",) if ipaddress.ip_network(only["to"]).version == 6 else ("ip",)


def _packet(only: Mapping[str, Any], family: str) -> Filter:
    found: Filter = {}
    if "to" in only and (prefix := ipaddress.ip_network(only["to"])).prefixlen:
        found["dst_ip"] = str(prefix.network_address if prefix.num_addresses == 1 else prefix)
    if "protocol" in only:
        version = "icmpv6" if (family, only["protocol"]) == ("ipv6", "icmp") else only["protocol"]
        found["ip_proto"] = version
    if "dscp" in only:
        found["ip_tos"] = only["dscp"] << 2
    return found
