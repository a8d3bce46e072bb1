# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which packets, for Linux: filters of `tc` as it takes them and as `tc -j` prints them.

`flower` does it, but for what is between two tags. When such a packet leaves, the kernel holds the outer tag beside the
packet, and the packet's network header is behind the inner tag, where flower doesn't look for one. So flower finds the
outer tag and hands over to `u32` in a chain of its own, which looks back from the network header.
"""

from __future__ import annotations

import ipaddress
import json
import re
from typing import TYPE_CHECKING, Any

from ..errors import OkiagariError
from ..values import mismatch

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from ..values import Shape

# One filter: the protocol of the frame, and flower's keys as `tc -j` prints them; `goto` a chain; or the `chain` that
# it is in and its `match` of value, mask and offset from the network header.
Filter = dict[str, Any]

_PORTS = ("dst_port", "src_port")
# What tc adds of itself, or says in another way.
_DERIVED = ("eth_type", "ip_tos_mask")
_BETWEEN_TAGS = 1
_HEX = re.compile(r"[0-9a-f]{1,8}")
_SHOWN: Shape = [
    {
        "protocol": str,
        "chain?": int,
        "options?": {
            "keys?": dict,
            "match?": [{"value": _HEX, "mask": _HEX, "off": int}],
            "actions?": [{"control_action": {"chain?": int}}],
        },
    }
]
_ETHERTYPES = {"ip": 0x0800, "ipv6": 0x86DD}
_NUMBERS = {"tcp": 6, "udp": 17, "sctp": 132, "icmp": 1, "icmpv6": 58}


def filters(only: Mapping[str, Any]) -> list[Filter]:
    """Give the filters that together catch the packets of `fault.match.only`.

    Several are needed where a packet may be of either family, or have the port at either end.
    """
    found = _flower(only)
    if "c_tag" in only:
        found.append({"protocol": "802.1ad", "vlan_id": only["s_tag"], "goto": _BETWEEN_TAGS})
        found += [{"protocol": "802.1ad", "chain": _BETWEEN_TAGS, "match": match} for match in _between_tags(only)]
    return found


def words(wanted: Filter) -> tuple[str, ...]:
    """Give the arguments of `tc filter add` from the kind of filter on."""
    if "match" in wanted:
        matches = ((f"{value:#010x}", f"{mask:#010x}", str(offset)) for value, mask, offset in wanted["match"])
        return ("u32", *(word for value, mask, at in matches for word in ("match", "u32", value, mask, "at", at)))
    found = ["flower"]
    for key, value in wanted.items():
        if key == "ip_tos":
            found += [key, f"{value:#04x}/0xfc"]
        elif key not in ("protocol", "goto"):
            found += [key, str(value)]
    return tuple(found)


def read(shown: str) -> list[Filter]:
    """Give the filters that `tc -j filter show` has shown. Raises `OkiagariError` for what it never shows."""
    try:
        every = json.loads(shown.strip() or "[]", object_pairs_hook=_all_matches)
    except (ValueError, RecursionError) as error:
        raise OkiagariError("tc filter show: its output is not JSON") from error
    if wrong := mismatch(every, _SHOWN):
        raise OkiagariError(f"tc filter show: its output can't be understood: {wrong}")
    return [_read(each) for each in every if {"match", "keys"} & set(each.get("options", ()))]


def _read(each: Mapping[str, Any]) -> Filter:
    options = each["options"]
    if "match" in options:
        match = [[int(item["value"], 16), int(item["mask"], 16), item["off"]] for item in options["match"]]
        return {"protocol": each["protocol"], "chain": each.get("chain"), "match": match}
    keys = {key: value for key, value in options["keys"].items() if key not in _DERIVED}
    chains = [action["control_action"].get("chain") for action in options.get("actions", ())]
    return {"protocol": each["protocol"], **keys, **({"goto": chains[0]} if chains else {})}


def same(one: Sequence[Filter], other: Sequence[Filter]) -> bool:
    """Say whether two lists hold the same filters, in any order."""
    return sorted(map(_text, one)) == sorted(map(_text, other))


def _text(item: Filter) -> str:
    return json.dumps(item, sort_keys=True)


def _all_matches(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """`tc` prints one key `match` for each, of which an ordinary reading would keep the last."""
    pairs = list(pairs)
    matches = [value for key, value in pairs if key == "match"]
    return {**dict(pairs), **({"match": matches} if matches else {})}


def _flower(only: Mapping[str, Any]) -> list[Filter]:
    tagged, inside = _tags(only)
    if not set(only) - {"s_tag", "c_tag"}:
        return [tagged]
    found = []
    for family in _families(only):
        common = {**tagged, inside if tagged else "protocol": family, **_packet(only, family)}
        found += [{**common, port: only["port"]} for port in _PORTS] if "port" in only else [common]
    return found


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


def _protocol(only: Mapping[str, Any], family: str) -> str:
    return "icmpv6" if (family, only["protocol"]) == ("ipv6", "icmp") else str(only["protocol"])


def _packet(only: Mapping[str, Any], family: str) -> Filter:
    found: Filter = {}
    if "to" in only and (prefix := ipaddress.ip_network(only["to"])).prefixlen:
        found["dst_ip"] = str(prefix.network_address if prefix.num_addresses == 1 else prefix)
    if "protocol" in only:
        found["ip_proto"] = _protocol(only, family)
    if "dscp" in only:
        found["ip_tos"] = only["dscp"] << 2
    return found


Match = tuple[int, int, int]


def _between_tags(only: Mapping[str, Any]) -> list[list[Match]]:
    """Lists of value, mask and offset: the words just before the network header, and those of the packet itself."""
    ethertype = (0x8100, 0xFFFF, -8)
    if not set(only) - {"s_tag", "c_tag"}:
        return [[(only["c_tag"] << 16, 0x0FFF0000, -4), ethertype]]
    found = []
    for family in _families(only):
        inner = (only["c_tag"] << 16 | _ETHERTYPES[family], 0x0FFFFFFF, -4)
        common = [inner, ethertype, *_packet_words(only, family)]
        ports = _port_words(only, 40 if family == "ipv6" else 20)
        found += [[*common, port] for port in ports] if ports else [common]
    return found


def _packet_words(only: Mapping[str, Any], family: str) -> list[Match]:
    """As RFC 791 and RFC 8200 lay out a header; an IPv4 one is taken to be without options."""
    found: list[Match] = []
    if "to" in only:
        prefix = ipaddress.ip_network(only["to"])
        start, size = (24, 16) if family == "ipv6" else (16, 4)
        address, mask = prefix.network_address.packed, prefix.netmask.packed
        for at in range(0, size, 4):
            value, bits = (int.from_bytes(packed[at : at + 4], "big") for packed in (address, mask))
            found += [(value, bits, start + at)] if bits else []
    if "protocol" in only:
        number = _NUMBERS[_protocol(only, family)]
        found.append((number << 8, 0xFF00, 4) if family == "ipv6" else (number << 16, 0xFF0000, 8))
    if "dscp" in only:
        high = 22 if family == "ipv6" else 18
        found.append((only["dscp"] << high, 0x3F << high, 0))
    return found


def _port_words(only: Mapping[str, Any], start: int) -> list[Match]:
    if "port" not in only:
        return []
    return [(only["port"], 0xFFFF, start), (only["port"] << 16, 0xFFFF0000, start)]
