# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The back-end of the machine that runs a lab: the power of the lab's nodes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import OkiagariError
from ..lab.node import LabNode, nodes_of
from .backend import Backend, Leftover, Op
from .power import power_ops

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ..lab.space import LabSpace
    from .model import State

_POWER = {"running": "on", "starting": "on", "paused": "paused", "stopping": "stopping", "stopped": "off"}


class LabPower(Backend):
    """The nodes of one lab. Whoever owns the lab may do this; it needs no root.

    A machine takes its time to die. So that all nodes of a site lose their power at once, nobody waits for it before
    the read-back.
    """

    name = "lab"

    def __init__(self, space: LabSpace) -> None:
        self._space = space
        self._dying: set[str] = set()

    def capabilities(self) -> frozenset[str]:
        return frozenset({"power"})

    def gather(self, entries: Iterable[str]) -> State:
        return {entry: self._power(entry.partition(":")[2]) for entry in entries}

    def _power(self, name: str) -> dict[str, object]:
        node = LabNode(self._space, name)
        self._bury(node)
        state = node.state()
        if state == "absent":
            return {"missing": nodes_of(self._space)}
        # What couldn't be started again mustn't be cut either.
        node.last_start()
        return {"power": _POWER[state]}

    def render(self, have: State, want: State) -> list[Op]:
        return [op for entry, wanted in want.items() for op in power_ops(entry.partition(":")[2], have[entry], wanted)]

    def apply(self, ops: Sequence[Op]) -> None:
        failed: OkiagariError | None = None
        for step, name in ops:
            try:
                self._take(step, LabNode(self._space, name))
            except OkiagariError as error:
                failed = failed or error
        if failed:
            raise failed

    def _take(self, step: str, node: LabNode) -> None:
        if step == "cut":
            node.kill()
            self._dying.add(node.name)
        elif step == "shut":
            node.shut()
        elif step == "start":
            self._bury(node)
            node.switch_on(node.last_start())
        else:
            node.pause(stop=step == "pause")

    def _bury(self, node: LabNode) -> None:
        if node.name in self._dying:
            node.cut()
            self._dying.remove(node.name)

    def leftovers(self) -> list[Leftover]:
        """A node without power carries no mark: only the journal knows whether that is ours."""
        return []
