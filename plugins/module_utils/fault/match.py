# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which packets a fault concerns: those to a prefix, of a protocol and port, of a DSCP, between QinQ tags."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..errors import BadInput, BadValue, shown
from ..suggest import nearest
from ..values import choice, whole
from .model import Problems
from .parameters import prefix

_PROTOCOLS = ("tcp", "udp", "sctp", "icmp")
_WITH_PORTS = ("tcp", "udp", "sctp")

DSCPS = {
    **{f"cs{level}": 8 * level for level in range(8)},
    **{f"af{level}{drop}": 8 * level + 2 * drop for level in range(1, 5) for drop in range(1, 4)},
    "ef": 46,
    "le": 1,
    "va": 44,
}
"""The names of code points (RFC 2474, 2597, 3246, 5865, 8622)."""


def _dscp(value: object) -> int:
    if isinstance(value, str) and value.lower() in DSCPS:
        return DSCPS[value.lower()]
    try:
        return whole(0, 63)(value)
    except BadValue:
        message = f"{shown(value)} is neither a number from 0 to 63 nor a name such as ef or af41"
        raise BadValue(message, nearest(str(value), DSCPS)) from None


_READERS = {
    "to": prefix,
    "protocol": choice(_PROTOCOLS, "protocol"),
    "port": whole(1, 65535),
    "dscp": _dscp,
    "s_tag": whole(1, 4094),
    "c_tag": whole(1, 4094),
}


def only(value: object) -> dict[str, Any]:
    """Give the packets that `value` describes. All of its keys have to be met by a packet.

    `to`: a prefix of destinations; `protocol`: tcp, udp, sctp, icmp; `port`: the packet's source or destination port;
    `dscp`: number or name; `s_tag` and `c_tag`: the outer (802.1ad) and the inner (802.1Q) tag that the packet has on
    the wire. Raises `BadInput` with all that is wrong.
    """
    problems = Problems()
    if not isinstance(value, Mapping) or not value:
        problems.add("only", f"has to be a mapping with at least one of {', '.join(_READERS)}")
        raise BadInput(problems.found)
    typed = problems.read("only", value, _READERS, tuple(_READERS))
    if "port" in typed and typed.get("protocol") not in _WITH_PORTS:
        problems.add("only", f"a port needs the protocol: {', '.join(_WITH_PORTS)}")
    if "c_tag" in typed and "s_tag" not in typed:
        problems.add("only", "c_tag needs the s_tag that is outside it")
    problems.raise_if_any()
    return typed
