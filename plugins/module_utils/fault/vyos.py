# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The VyOS back-end (1.4 and later): what is to be stands in the configuration, what is, its kernel says.

Read back from the kernel, because a commit of `qos` that fails half way leaves interfaces without the queues that the
configuration still shows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..runner import json_output
from ..vyos import Changes, ChannelLost, Scope, difference
from ..vyos.lines import command
from . import routes, vyos_state
from .backend import Leftover, Op
from .device import Device, InDoubt, whole_units
from .linux import QDISC, LinuxBackend

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from ..runner import Completed
    from ..vyos import Session
    from ..vyos.lines import Path
    from .model import State

Entry = dict[str, Any]

_OLDEST = (1, 4)
_MOST_MINUTES = 65535
# An empty node that a fault would leave here goes with it.
_PRUNED = ("qos", "protocols static")


class VyosDevice(Device):
    """A VyOS router, through a session that is open."""

    name = "vyos"
    stages = True

    def __init__(self, session: Session) -> None:
        self._session = session
        self._runner = _Programs(session)
        self._kernel = LinuxBackend(self._runner)

    def capabilities(self) -> frozenset[str]:
        if self._session.version().number < _OLDEST:
            return frozenset()
        able = {"link", "netem", "drop", "route", "bgp_shutdown"}
        return frozenset(able | {"lease"} if self._session.reloads() else able)

    def gather(self, entries: Iterable[str]) -> State:
        lines = self._session.running()
        readers: dict[str, Callable[[str, Sequence[Path]], Entry]] = {
            "link": self._link,
            "qdisc": self._qdisc,
            "route": self._route,
            "nexthop": lambda name, _lines: self._of_kernel("nexthop", name),
            "session": lambda name, lines: vyos_state.session_entry(lines, name),
        }
        state: State = {}
        for entry in entries:
            resource, _colon, name = entry.partition(":")
            state[entry] = readers[resource](name, lines)
        return state

    def render(self, have: State, want: State) -> list[Op]:
        writers = {
            "link": vyos_state.link_ops,
            "qdisc": vyos_state.qdisc_ops,
            "route": vyos_state.route_ops,
            "session": vyos_state.session_ops,
        }
        ops: list[Op] = []
        for entry, wanted in want.items():
            resource, _colon, name = entry.partition(":")
            ops += writers[resource](name, have[entry], wanted)
        return ops

    def lease(self, seconds: float) -> float:
        return self._minutes(seconds) * self._session.minute

    def commit(self, ops: Sequence[Op], lease: float) -> None:
        self.ready_commit(ops, lease)()

    def ready_commit(self, ops: Sequence[Op], lease: float) -> Callable[[], None]:
        ready = self._session.ready_trial(self._changes(ops), self._minutes(lease))

        def commit() -> None:
            try:
                ready()
            except ChannelLost as error:
                raise InDoubt(str(error)) from error

        return commit

    def revert(self, ops: Sequence[Op]) -> None:
        self._session.settle(self._changes(ops))

    def ready_revert(self, ops: Sequence[Op]) -> Callable[[], None]:
        return self._session.ready_settle(self._changes(ops))

    def apply(self, ops: Sequence[Op]) -> None:
        self._session.settle(self._changes(ops))

    def leftovers(self) -> list[Leftover]:
        """Find the queue that carries our mark; a static route, an interface or a session can't carry one."""
        marked = vyos_state.marked(self._session.running())
        if not marked:
            return []
        ops = tuple(("delete", *path) for path in marked)
        return [Leftover("qos", f"qos:{vyos_state.POLICY}", "; ".join(command("set", path) for path in marked), ops)]

    def close(self) -> None:
        self._session.__exit__()

    def _minutes(self, seconds: float) -> int:
        return whole_units(seconds, self._session.minute, 1, _MOST_MINUTES, "minutes")

    def _changes(self, ops: Sequence[Op]) -> Changes:
        """Give the fewest commands for `ops`; nodes that held nothing else go too."""
        have = self._session.running()
        gone = [path for verb, *path in ops if verb == "delete"]
        want = [path for path in have if not any(list(path[: len(each)]) == each for each in gone)]
        scopes = [Scope.read(text) for text in _PRUNED] + [Scope(tuple(path)) for path in gone]
        return difference([*want, *(tuple(path) for verb, *path in ops if verb == "set")], have, scopes)

    def _of_kernel(self, resource: str, name: str) -> Entry:
        entry: Entry = self._kernel.gather([f"{resource}:{name}"])[f"{resource}:{name}"]
        return entry

    def _link(self, name: str, lines: Sequence[Path]) -> Entry:
        place = vyos_state.interface(lines, name)
        if place is None:
            return {"missing": vyos_state.interfaces(lines)}
        return {**self._of_kernel("link", name), "place": list(place)}

    def _qdisc(self, name: str, lines: Sequence[Path]) -> Entry:
        if vyos_state.interface(lines, name) is None:
            return {"missing": vyos_state.interfaces(lines)}
        shown = json_output(self._runner, ("tc", "-j", "qdisc", "show"), shape=[{**QDISC, "dev": routes.NAME}])
        return vyos_state.qdisc_entry(lines, name, shown)

    def _route(self, prefix: str, lines: Sequence[Path]) -> Entry:
        version = ("-6",) if ":" in prefix else ()
        argv = ("ip", "-N", "-j", "-d", *version, "route", "show", "exact", prefix)
        return vyos_state.route_entry(lines, prefix, json_output(self._runner, argv, shape=routes.SHAPE))


class _Programs:
    """The router's own programs by their full paths: its command line has other meanings for short words."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def run(self, argv: Sequence[str], input: str | None = None, timeout: float = 10.0) -> Completed:  # noqa: A002
        return self._session.run((f"/usr/sbin/{argv[0]}", *argv[1:]), input, timeout)
