# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The NETCONF back-end: ietf-interfaces and ietf-routing, as far as the server has them, by confirmed commit."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..netconf import NetconfError, NetconfLost
from . import netconf_state as words
from .backend import Leftover, Op
from .device import Device, InDoubt, whole_units
from .owned import FRR_MARK

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ..netconf import Session
    from .model import State

_LEASES = {":candidate:1.0", ":confirmed-commit:1.1"}
_ROUTES = {"ietf-routing", "ietf-ipv4-unicast-routing", "ietf-ipv6-unicast-routing"}
_MOST_SECONDS = 2**32 - 1
# Whoever doesn't know it can neither confirm our change nor cancel it.
_TOKEN = FRR_MARK


class NetconfDevice(Device):
    """A NETCONF server, through a session that is open."""

    name = "netconf"

    def __init__(self, session: Session) -> None:
        self._session = session

    def capabilities(self) -> frozenset[str]:
        found = self._session.capabilities()
        able = {"lease"} if found >= _LEASES else set()
        able |= {"link"} if "ietf-interfaces" in found else set()
        able |= {"route"} if found >= _ROUTES else set()
        return frozenset(able)

    def gather(self, entries: Iterable[str]) -> State:
        state: State = {}
        for entry in entries:
            resource, _colon, name = entry.partition(":")
            if resource == "link":
                states = [self._session.state(words.LINK_STATES), self._session.state(words.INTERFACES)]
                state[entry] = words.link_entry(self._session.config(words.INTERFACES), states, name)
            elif resource == "nexthop":
                state[entry] = words.nexthop_entry(self._session.config(words.INTERFACES), name)
            else:
                state[entry] = words.route_entry(self._session.config(words.ROUTING), name)
        return state

    def render(self, have: State, want: State) -> list[Op]:
        ops: list[Op] = []
        for entry, wanted in want.items():
            resource, _colon, name = entry.partition(":")
            writer = words.link_ops if resource == "link" else words.route_ops
            ops += writer(name, have[entry], wanted)
        return ops

    def lease(self, seconds: float) -> float:
        return float(whole_units(seconds, 1.0, 1, _MOST_SECONDS, "seconds"))

    def commit(self, ops: Sequence[Op], lease: float) -> None:
        try:
            self._session.trial([xml for _verb, xml in ops], round(lease), _TOKEN)
        except NetconfLost as error:
            raise InDoubt(str(error)) from error

    def revert(self, ops: Sequence[Op]) -> None:
        try:
            self._session.cancel(_TOKEN)
        except NetconfLost:
            raise
        except NetconfError:
            # Nothing waits any more: it was taken back already, or somebody has confirmed it.
            if ops:
                self.apply(ops)

    def apply(self, ops: Sequence[Op]) -> None:
        self._session.change([xml for _verb, xml in ops])

    def leftovers(self) -> list[Leftover]:
        """Find the static routes that carry our mark; an interface can't carry one."""
        if "route" not in self.capabilities():
            return []
        return [
            Leftover("route", f"route:{prefix}", f"static {prefix} of {protocol}", (words.removal(protocol, prefix),))
            for protocol, prefix in words.marked(self._session.config(words.ROUTING))
        ]

    def close(self) -> None:
        self._session.close()
