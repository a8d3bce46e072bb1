# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What no device of a kind can do, whatever stands in its configuration: known without asking it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import vyos_state
from .backend import MissingCapability
from .kinds import KINDS

if TYPE_CHECKING:
    from collections.abc import Mapping

_IOS = frozenset({"link", "drop", "route", "bgp_shutdown"})
ABLE: Mapping[str, frozenset[str]] = {
    "ios": _IOS,
    "iosxr": _IOS,
    "netconf": frozenset({"link", "route"}),
    "vyos": frozenset({"link", "netem", "drop", "route", "bgp_shutdown"}),
}
"""The capabilities that a device may have, by its `os`. Which of them this very one has only it can tell."""


def lacks(os: str, kind: str, params: Mapping[str, Any]) -> str | None:
    """Say what a device with this `os` lacks for a fault, or give None."""
    missing = [need for need in KINDS[kind].needs(params) if need not in ABLE[os]]
    if missing:
        return f"it lacks the capability '{missing[0]}'; it may have {', '.join(possible(os))}"
    return _untold(kind, params) if os == "vyos" else None


def possible(os: str) -> list[str]:
    """Give the kinds of fault that a device with this `os` may have; a `loss` perhaps of all packets only."""
    return sorted(name for name, kind in KINDS.items() if kind.capability in ABLE[os] or _drops(os, name))


def _drops(os: str, kind: str) -> bool:
    return kind == "loss" and "drop" in ABLE[os]


def _untold(kind: str, params: Mapping[str, Any]) -> str | None:
    """Say what VyOS has no words for."""
    what, _colon, name = (claim := KINDS[kind].claim(params)).partition(":")
    empty: Mapping[str, dict[str, Any]] = {
        "qdisc": {"parent": "root", "netem": None, "filters": [], "foreign": None, "lost": []},
        "route": {"ours": None, "others": []},
    }
    if what not in empty:
        return None
    have = {claim: empty[what], f"nexthop:{params.get('via')}": {"dev": "eth0"}}
    want = KINDS[kind].want(params, have)[claim]
    try:
        (vyos_state.qdisc_ops if what == "qdisc" else vyos_state.route_ops)(name, empty[what], want)
    except MissingCapability as error:
        return str(error)
    return None
