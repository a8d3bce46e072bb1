# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The back-ends for IOS-XE and IOS-XR: shutdown, a filter that loses everything, static routes, BGP sessions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..vyos.session import ChannelLost
from . import ios_state
from .backend import Leftover, Op
from .device import Device, InDoubt, whole_units
from .ios_words import Words, XeWords, XrWords

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ..ios import Session
    from .frr import Line
    from .model import State

Entry = dict[str, Any]


class IosDevice(Device):
    """A router with either, through a session that is open. An operation is a line after the blocks that it is in."""

    words: Words

    def __init__(self, session: Session) -> None:
        self._session = session

    def capabilities(self) -> frozenset[str]:
        able = {"link", "drop", "route", "bgp_shutdown"}
        return frozenset(able | {"lease"} if self._session.keeps_leases() else able)

    def gather(self, entries: Iterable[str]) -> State:
        lines = self._lines()
        state: State = {}
        for entry in entries:
            resource, _colon, name = entry.partition(":")
            state[entry] = self._entry(resource, name, lines)
        return state

    def _entry(self, resource: str, name: str, lines: Sequence[Line]) -> Entry:
        if resource in ("link", "qdisc") and name not in ios_state.interfaces(lines):
            return {"missing": ios_state.interfaces(lines)}
        if resource == "link":
            return ios_state.link_entry(self._session.show(f"interfaces {name}"))
        if resource == "qdisc":
            return ios_state.qdisc_entry(self.words, lines, name)
        if resource == "nexthop":
            return ios_state.nexthop_entry(self.words, lines, name)
        if resource == "session":
            return ios_state.session_entry(self.words, lines, name)
        return ios_state.route_entry(self.words, lines, name, self._session.ask(self.words.show_route(name)))

    def render(self, have: State, want: State) -> list[Op]:
        ops: list[Op] = []
        for entry, wanted in want.items():
            resource, _colon, name = entry.partition(":")
            if resource == "link":
                ops += ios_state.link_lines(name, have[entry], wanted)
            elif resource == "qdisc":
                ops += ios_state.qdisc_lines(self.words, name, have[entry], wanted)
            elif resource == "session":
                ops += ios_state.session_lines(self.words, name, have[entry], wanted)
            else:
                ops += ios_state.route_lines(self.words, name, have[entry], wanted)
        return ops

    def lease(self, seconds: float) -> float:
        return self._units(seconds) * self._session.unit

    def commit(self, ops: Sequence[Op], lease: float) -> None:
        try:
            self._session.trial(ops, self._units(lease))
        except ChannelLost as error:
            raise InDoubt(str(error)) from error

    def revert(self, ops: Sequence[Op]) -> None:
        if ops:
            self._session.cancel(ops)

    def apply(self, ops: Sequence[Op]) -> None:
        self._session.change(ops)

    def leftovers(self) -> list[Leftover]:
        marked = ios_state.marked(self._lines())
        if not marked:
            return []
        ops = tuple((*line[:-1], f"no {line[-1]}") for line in marked)
        return [Leftover("lines", line[-1], " / ".join(line), (op,)) for line, op in zip(marked, ops, strict=True)]

    def close(self) -> None:
        self._session.close()

    def _lines(self) -> list[Line]:
        return ios_state.parse(self._session.show("running-config"))

    def _units(self, seconds: float) -> int:
        session = self._session
        return whole_units(seconds, session.unit, session.least, session.most, session.what)


class XeDevice(IosDevice):
    """IOS-XE."""

    name = "ios"
    words = XeWords()


class XrDevice(IosDevice):
    """IOS-XR."""

    name = "iosxr"
    words = XrWords()
