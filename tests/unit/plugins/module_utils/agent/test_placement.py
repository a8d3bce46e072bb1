# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When it is chosen anew who keeps a guest's states: seldom, since whoever begins takes the whole of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from ansible_collections.okiagari.testbed.plugins.module_utils.agent.placement import PATIENCE_S, Placement

from ..paths.ways import path

if TYPE_CHECKING:
    from ansible_collections.okiagari.testbed.plugins.module_utils.paths import Path

HOSTS = {"b": "b", "c": "c", "d": "d"}


class Rig:
    """Hosts that can be reached or not, and what was told."""

    def __init__(self) -> None:
        self.alive = set(HOSTS)
        self.paths: dict[str, Path] = {}
        self.told: list[tuple[tuple[str, ...], tuple[str, ...]]] = []
        self.placement = Placement(
            HOSTS, "a", 2, lambda: self.alive, lambda: self.paths, lambda *said: self.told.append(said)
        )


@pytest.fixture
def rig() -> Rig:
    return Rig()


def test_short_cuts_change_nothing_and_long_ones_do(rig: Rig) -> None:
    assert rig.placement.hosts(0) == ("b", "c")
    rig.alive -= {"b"}
    assert rig.placement.hosts(10) == ("b", "c")
    rig.alive |= {"b"}
    assert rig.placement.hosts(50) == ("b", "c")
    rig.alive -= {"b"}
    assert rig.placement.hosts(60) == ("b", "c")
    assert rig.placement.hosts(60 + PATIENCE_S - 1) == ("b", "c")
    assert rig.placement.hosts(60 + PATIENCE_S) == ("c", "d")
    # Whoever comes back has missed its turn: the one in its place has the whole by now.
    rig.alive |= {"b"}
    assert rig.placement.hosts(60 + 2 * PATIENCE_S) == ("c", "d")
    assert rig.told == [(("b", "c"), ()), (("c", "d"), ("b", "c"))]


def test_where_nobody_else_can_be_reached_it_stays_and_is_told_once(rig: Rig) -> None:
    rig.placement.hosts(0)
    rig.alive.clear()
    for now in range(1, 500, 20):
        assert rig.placement.hosts(now) == ("b", "c")
    assert len(rig.told) == 1


def test_when_the_guest_comes_here_those_who_have_it_go_on_unless_their_paths_meet(rig: Rig) -> None:
    rig.placement.begin({"c", "d"})
    assert rig.placement.hosts(0) == ("c", "d")
    rig.paths = {"b": path("gw x"), "c": path("gw y"), "d": path("gw y")}
    # Another path is no reason while the guest runs here.
    assert rig.placement.hosts(1) == ("c", "d")
    rig.placement.begin({"c", "d"})
    assert rig.placement.hosts(2) == ("b", "c")
