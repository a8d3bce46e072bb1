# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A storm over real agents, and a mistake that it finds; `make soak` has 50."""

from __future__ import annotations

import os
import random
import shutil
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from ansible_collections.okiagari.testbed.tests.contract.storm_plan import HOLDER, KINDS, Fault, Run, blow, check, storm
from ansible_collections.okiagari.testbed.tests.contract.storms import HOSTS, World, soak

if TYPE_CHECKING:
    from pathlib import Path

PATIENCE_S = 300.0
RUNS = [Run(1.0, 2.0, "a", 5), Run(2.5, 4.0, "b", 7), Run(4.1, 9.0, "a", 8)]


@pytest.fixture
def privileged() -> None:
    if os.geteuid() != 0 or not shutil.which("ip"):
        pytest.skip("needs root and iproute2, to make network namespaces")


def test_runs_one_after_the_other_are_right() -> None:
    check(reversed(RUNS))


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (replace(RUNS[1], first=1.9), "b began by token 7 0.100 s before a had ended with token 5"),
        (replace(RUNS[1], token=5), "b began by token 5 after a had run by token 5"),
        (replace(RUNS[1], token=9), "a began by token 8 after b had run by token 9"),
    ],
)
def test_runs_at_one_time_or_by_an_old_token_are_found(wrong: Run, said: str) -> None:
    with pytest.raises(AssertionError, match=said):
        check([RUNS[0], wrong, RUNS[2]])


def test_a_run_within_another_is_found() -> None:
    with pytest.raises(AssertionError, match="b began by token 7"):
        check([Run(1.0, 9.0, "a", 5), Run(2.0, 3.0, "b", 7)])


def test_a_seed_gives_the_same_storm_again_and_all_ends_in_time() -> None:
    kinds = set()
    for seed in range(200):
        faults = storm(seed, HOSTS, 20.0, 5.0)
        assert faults == storm(seed, HOSTS, 20.0, 5.0)
        assert all(0 <= fault.at < fault.at + fault.lasts <= 20.01 for fault in faults)
        kinds |= {fault.kind for fault in faults}
    assert kinds == {"cut", "slow", "stop", "kill", "supervisor", "store", "power"}
    assert len(KINDS) > len(kinds)


def test_a_way_is_cut_in_the_direction_that_is_named() -> None:
    cut = Fault("cut", 0.0, 1.0, ("a",), ("b",), "out")
    assert set(cut.links(HOSTS)) == {("a", "b")}
    assert set(replace(cut, way="in").links(HOSTS)) == {("b", "a")}
    assert set(replace(cut, way="both", others=()).links(HOSTS)) == {("a", "b"), ("b", "a"), ("a", "c"), ("c", "a")}


def test_a_fault_of_the_holder_ends_where_it_began() -> None:
    class Place:
        hosts = HOSTS

        def __init__(self) -> None:
            self.now, self.done = 0.0, []

        def serving(self) -> str:
            return "b" if self.now < 2 else "c"

        def begin(self, fault: Fault) -> None:
            self.done.append((self.now, "begin", fault.hosts))

        def end(self, fault: Fault) -> None:
            self.done.append((self.now, "end", fault.hosts))

        def sleep(self, seconds: float) -> None:
            self.now += seconds

    place = Place()
    blow(
        place, [Fault("stop", 1.0, 3.0, (HOLDER,)), Fault("kill", 2.0, 1.0, HOSTS)], 9.0, lambda: place.now, place.sleep
    )
    begun, ended = (1.0, "begin", ("b",)), (4.0, "end", ("b",))
    assert place.done == [begun, (2.0, "begin", HOSTS), (3.0, "end", HOSTS), ended]
    assert place.now == 9.0


@pytest.mark.usefixtures("privileged")
def test_a_random_storm_leaves_one_server(tmp_path: Path) -> None:
    # How soon is for the soak to say, which has the machine to itself.
    (outcome,) = soak([0], random.SystemRandom().randrange(1 << 32), 1, tmp_path, bound_s=PATIENCE_S)
    assert outcome.recovered_s <= PATIENCE_S


@pytest.mark.usefixtures("privileged")
def test_a_supervisor_that_ignores_its_deadline_is_found_out(tmp_path: Path) -> None:
    hung = [Fault("stop", 0.0, 14.0, (HOLDER,))]
    with (
        World(tmp_path, random.Random(0), "lease", PATIENCE_S) as world,
        pytest.raises(AssertionError, match=r"before . had ended"),
    ):
        world.round(hung, 14.0)
