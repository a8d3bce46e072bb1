# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who keeps copies: in what order the reasons count, and that no other choice is better."""

from __future__ import annotations

from itertools import combinations

import pytest
from ansible_collections.okiagari.testbed.plugins.module_utils.paths import (
    Path,
    Verdict,
    on_all,
    pairs,
    placed,
    placement,
)
from hypothesis import given
from hypothesis import strategies as st

from .ways import path, paths

SITES = {"x": "1", "y": "2", "z": "3"}


@pytest.mark.parametrize(
    ("hosts", "ways", "count", "chosen"),
    [
        ("xyz", {"x": "gw a", "y": "gw a b", "z": "gw c"}, 2, "xz"),
        ("xyz", {"x": "gw a", "y": "gw a b", "z": "gw c"}, 9, "xyz"),
        ("xyz", {"x": "gw a", "y": "gw b", "z": "gw c"}, 2, "xy"),
        ("xyz", {"x": "gw a", "y": "gw *", "z": "gw a"}, 2, "xy"),  # better unknown than surely shared
        ("xyz", {"x": "gw *", "y": "gw a", "z": "gw b"}, 2, "yz"),  # and better disjoint than unknown
        ("xyz", {"x": "gw a a2", "y": "gw b b2", "z": "gw c"}, 2, "xz"),  # the near one
        ("xyz", {"z": "gw a"}, 1, "z"),  # one of which something is known
        # To begin with the first costs more than to leave it out.
        ("xuvw", {"x": "a b c", "u": "a", "v": "b", "w": "c"}, 3, "uvw"),
        ("xy", {"x": "a", "y": "b"}, 0, ""),
        ("", {}, 3, ""),
    ],
)
def test_hosts_that_stand_apart_are_chosen(hosts: str, ways: dict[str, str], count: int, chosen: str) -> None:
    found = placed({host: host for host in hosts}, count, paths={name: path(way) for name, way in ways.items()})
    assert found == tuple(chosen)


def test_in_which_order_reasons_count() -> None:
    meeting = {"x": path("gw a"), "y": path("gw a"), "z": path("gw b")}
    assert placed(SITES, 2, paths=meeting) == ("x", "z")
    # To share a router is worse than to bring a whole state, a domain of one's own is better than both,
    assert placed(SITES, 2, paths=meeting, keeping="xy") == ("x", "z")
    assert placed(SITES, 2, paths=meeting, here="3") == ("x", "y")
    # and nothing is worse than to be away.
    assert placed(SITES, 2, paths=meeting, away="z", here="1") == ("x", "y")
    # Who keeps copies goes on, near or far.
    assert placed(SITES, 1, paths={"x": path("a")}, keeping="z") == ("z",)


@given(st.data())
def test_no_other_choice_is_better(data: st.DataObject) -> None:
    hosts = data.draw(st.dictionaries(st.sampled_from("uvwxyz"), st.sampled_from("123"), min_size=1))
    ways: dict[str, Path] = data.draw(st.fixed_dictionaries({}, optional=dict.fromkeys(hosts, paths())))
    away = data.draw(st.sets(st.sampled_from(sorted(hosts))))
    count = data.draw(st.integers(0, 6))
    chosen = placed(hosts, count, here="1", paths=ways, away=away)
    assert len(set(chosen)) == min(count, len(hosts))

    verdicts = {frozenset(pair): each.verdict for pair, each in pairs(ways, on_all(ways.values())).items()}

    def reasons(names: tuple[str, ...]) -> tuple[int, int, int]:
        domains = {hosts[name] for name in names} - {"1"}
        meet = sum(verdicts.get(frozenset(pair)) is Verdict.SHARED for pair in combinations(names, 2))
        return len(away.intersection(names)), -len(domains), meet

    assert reasons(chosen) == min(map(reasons, combinations(hosts, len(chosen))))


def test_of_a_great_many_choices_those_with_the_first_hosts_are_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(placement, "_TRIED", 2)
    found = {"x": path("a b"), "y": path("a"), "z": path("b"), "u": path("c"), "v": path("d")}
    assert placed({name: name for name in found}, 2, paths=found) == ("x", "y")
