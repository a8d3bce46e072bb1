# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults and undos of all kinds in any order, with crashes, failures and reboots: in the end all is as before.

Beside the target there is its twin, which no fault ever touches. Whatever daemons and people do happens to both, so
that in the end the two have to be equal.
"""

from __future__ import annotations

import copy
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ansible_collections.okiagari.testbed.plugins.module_utils.errors import OkiagariError
from ansible_collections.okiagari.testbed.plugins.module_utils.fault.kinds import KINDS
from ansible_collections.okiagari.testbed.plugins.module_utils.fault.lease import lease_unit
from ansible_collections.okiagari.testbed.plugins.module_utils.runner import Completed
from ansible_collections.okiagari.testbed.tests.unit.plugins.module_utils.fault.examples import FAULTS, UNMARKED, fault
from ansible_collections.okiagari.testbed.tests.unit.plugins.module_utils.fault.simulated_kernel import (
    SimulatedKernel,
    SimulatedTarget,
)
from hypothesis import given, settings
from hypothesis import strategies as st

if TYPE_CHECKING:
    from collections.abc import Callable

    from ansible_collections.okiagari.testbed.plugins.module_utils.target.keeper import Keeper
    from ansible_collections.okiagari.testbed.tests.unit.plugins.module_utils.fault.examples import Asked

LEARNT = {"10.2.0.0/16", "10.3.0.0/16"}
"""Prefixes that a routing daemon may have a route for."""
LEARNT_ROUTE = ("via", "10.254.1.2", "dev", "w-b", "proto", "bgp", "metric", "20")
REMARK = ("router bgp 65001", "neighbor 10.254.1.2 description changed meanwhile")
EFFECTS = (("kernel", "run"), ("timers", "arm"), ("timers", "disarm"), ("timers", "stop"), ("store", "save"))


Step = tuple[str, "Asked", int | None, bool]  # pylint: disable=unsupported-binary-operation


class Killed(BaseException):
    """The process is gone, and what it was about to do isn't done."""


class World:
    """A target, its twin, and the runner of a drill. Every step is a process of its own but for the runner's."""

    def __init__(self, folder: Path) -> None:
        self.target, self.twin = SimulatedTarget(folder / "target"), SimulatedTarget(folder / "twin")
        self.at_boot = copy.deepcopy(vars(self.target.kernel))
        self.learnt = {"10.2.0.0/16"}
        self.boots = 1
        self.runner = self.target.keeper
        self.journal_lost = False

    def step(self, action: str, asked: Asked, stops_after: int | None, dies: bool) -> None:
        """Do something; its process dies, or a command fails, after so many effects."""
        undisturbed = {name: getattr(self.target, name) for name, _method in EFFECTS}
        if stops_after is not None:
            self._disturb(stops_after, dies)
        # Refusals are part of the game: a link that is down has no neighbour to override a route with.
        try:
            with suppress(OkiagariError):
                getattr(self, action)(asked)
        except Killed:
            if action in ("prepare", "strike", "finish"):
                self.runner = self.process()
        finally:
            for name, each in undisturbed.items():
                for method in [method for owner, method in EFFECTS if owner == name]:
                    vars(each).pop(method, None)

    def _disturb(self, after: int, dies: bool) -> None:
        left = [after]

        def disturbed(effect: Callable[..., Any], fails: Callable[[], Any]) -> Callable[..., Any]:
            def call(*arguments: Any, **options: Any) -> Any:
                left[0] -= 1
                if left[0] < 0 and dies:
                    raise Killed
                return fails() if left[0] == -1 else effect(*arguments, **options)

            return call

        for name, method in EFFECTS:
            owner = getattr(self.target, name)
            vars(owner)[method] = disturbed(getattr(owner, method), _FAILURES[method])

    def process(self) -> Keeper:
        """Give the keeper of a new process."""
        self.target.boot(f"boot-{self.boots}")
        return self.target.keeper

    def inject(self, asked: Asked) -> None:
        self.process().inject(fault(asked))

    def undo(self, asked: Asked) -> None:
        self.process().undo([fault(asked).id], "module")

    def expire(self, asked: Asked) -> None:
        """The fault's lease ends, or one that is no longer the last."""
        for unit in (lease_unit(fault(asked).id), lease_unit(fault(asked).id, 1)):
            if unit in self.target.timers.armed:
                self.fire(unit)

    def fire(self, unit: str) -> None:
        """As systemd does it: the service is started again until it succeeds."""
        _delay, (*_program, _expire, fault_id, _unit) = self.target.timers.armed[unit]
        if not any(record.live for record in self.process().expire(fault_id, unit)):
            self.target.timers.disarm(unit)

    def arm(self, asked: Asked) -> None:
        self.process().arm("d", [(fault(asked), 30.0)])

    def prepare(self, asked: Asked) -> None:
        self.runner.prepare(fault(asked).id)

    def strike(self, asked: Asked) -> None:
        """As a runner does: only what it has prepared."""
        if any(
            record.touched for record in self.runner.records() if record.live and record.fault.id == fault(asked).id
        ):
            self.runner.strike([fault(asked).id])

    def finish(self, asked: Asked) -> None:
        self.runner.prepare_undo([fault(asked).id])
        self.runner.undo([fault(asked).id], "program")

    def abort(self, _asked: Asked) -> None:
        self.process().abort("d", "somebody")

    def heal(self, _asked: Asked) -> None:
        self.process().heal()

    def forget(self, asked: Asked) -> None:
        """The journal's record is lost, which only `heal` can make good."""
        if asked[0] not in UNMARKED:
            (self.target.places.journal / f"{fault(asked).id}.json").unlink(missing_ok=True)
            self.journal_lost = True

    def reboot(self, _asked: Asked) -> None:
        self.boots += 1
        for each in (self.target, self.twin):
            vars(each.kernel).update(copy.deepcopy(self.at_boot))
        shutil.rmtree(self.target.places.run, ignore_errors=True)
        self.target.timers.armed.clear()
        self.target.timers.services.clear()
        self.runner = self.process()

    def learn(self, asked: Asked) -> None:
        """A routing daemon changes its mind about a prefix that a fault may stand on."""
        self.learnt ^= {asked[1].get("prefix")} & LEARNT

    def remark(self, _asked: Asked) -> None:
        """Somebody configures the router meanwhile."""
        for each in (self.target, self.twin):
            each.kernel.frr = [*each.kernel.frr, REMARK] if REMARK not in each.kernel.frr else each.kernel.frr[:]

    def converge(self) -> None:
        """What daemons do all the time."""
        for each in (self.target, self.twin):
            learn_routes(each.kernel, self.learnt)

    def all_leases_end(self) -> None:
        """As many rounds as there can be attempts that only succeed after another fault has gone."""
        for _attempt in FAULTS:
            for unit in sorted(self.target.timers.armed):
                if unit in self.target.timers.armed:
                    self.fire(unit)


def learn_routes(kernel: SimulatedKernel, learnt: set[str]) -> None:
    kernel.routes = [route for route in kernel.routes if route["protocol"] != "186"]
    for prefix in sorted(learnt):
        kernel.run(("ip", "route", "add", prefix, *LEARNT_ROUTE))


def _refuse() -> None:
    raise OkiagariError("simulated failure")


_FAILURES: dict[str, Callable[[], Any]] = {
    "run": lambda: Completed(2, "", "Error: simulated failure."),
    "arm": _refuse,
    "disarm": lambda: None,
    "stop": lambda: None,
    "save": _refuse,
}

ACTIONS = (
    "inject", "inject", "undo", "expire", "arm", "prepare", "strike", "finish", "abort", "heal", "forget", "reboot",
    "learn", "remark",
)  # fmt: skip


def steps_with(chosen: list[Asked]) -> st.SearchStrategy[list[Step]]:
    step = st.tuples(st.sampled_from(ACTIONS), st.sampled_from(chosen), st.none() | st.integers(0, 30), st.booleans())
    return st.lists(step, max_size=20)


# Few faults at a time, so that they meet.
steps = st.lists(st.sampled_from(FAULTS), min_size=1, max_size=4).flatmap(steps_with)


def test_every_kind_is_among_the_examples() -> None:
    assert {kind for kind, _params in FAULTS} == set(KINDS)


@settings(max_examples=200)
@given(steps)
def test_any_sequence_ends_in_the_state_before(sequence: list[Step]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        world = World(Path(folder))
        for action, asked, stops_after, dies in sequence:
            world.step(action, asked, stops_after, dies)
            world.converge()
        if world.journal_lost:
            world.process().heal()
        world.all_leases_end()
        world.converge()
        assert world.target.kernel.state() == world.twin.kernel.state()
        keeper = world.process()
        assert not [record.fault.id for record in keeper.records() if record.live]
        assert keeper.heal(check=True)["found"] == []
