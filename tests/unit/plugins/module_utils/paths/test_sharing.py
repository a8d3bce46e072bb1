# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What paths share: three answers, none of which says more than is known; and the choice of hosts by that."""

from __future__ import annotations

import pytest
from ansible_collections.okiagari.testbed.plugins.module_utils.paths import (
    Path,
    Verdict,
    on_all,
    pairs,
    shared,
)
from hypothesis import given
from hypothesis import strategies as st

from .ways import ADDRESSES, path, paths

CANDIDATES = st.dictionaries(st.sampled_from("uvwxyz"), paths(), min_size=1)


@pytest.mark.parametrize(
    ("a", "b", "verdict", "hops", "silent"),
    [
        (["a b"], ["c d"], "disjoint", "", (0, 0)),
        (["a b"], ["c b"], "shared", "b", (0, 0)),
        (["a *"], ["a d"], "shared", "a", (1, 0)),
        (["a *"], ["c d"], "unknown", "", (1, 0)),
        (["* *"], ["c *"], "unknown", "", (2, 1)),
        (["a ..."], ["c d"], "unknown", "", (None, 0)),
        (["a ..."], ["a d"], "shared", "a", (None, 0)),
        (["a b1", "a b2"], ["c b2"], "shared", "b2", (0, 0)),
        (["a b", "a *"], ["c"], "unknown", "", (1, 0)),
        ([""], ["c"], "disjoint", "", (0, 0)),
        ([""], ["* *"], "unknown", "", (0, 2)),
    ],
)
def test_what_two_paths_share(a, b, verdict, hops, silent) -> None:
    found = shared(path(*a), path(*b))
    assert (found.verdict, found.hops, found.silent) == (verdict, frozenset(hops.split()), silent)
    assert found.to_dict() == {"verdict": verdict, "hops": hops.split(), "silent": list(silent)}


@given(paths(), paths())
def test_it_is_the_same_from_both_sides_and_a_router_that_spoke_never_makes_less_of_it(a: Path, b: Path) -> None:
    one, other = shared(a, b), shared(b, a)
    assert (one.verdict, one.hops, one.silent) == (other.verdict, other.hops, other.silent[::-1])
    assert (one.verdict is Verdict.SHARED) == bool(a.routers & b.routers)
    known = a.arrived and b.arrived and not any(None in way for way in a.ways | b.ways)
    assert (one.verdict is Verdict.DISJOINT) == (known and not one.hops)


@given(paths(), paths(), st.randoms())
def test_what_is_sure_stays_so_whoever_the_silent_routers_are(a: Path, b: Path, chance) -> None:
    """Whatever stands behind the stars, a verdict that isn't `unknown` was right."""

    def told(one: Path) -> Path:
        ways = [tuple(address or chance.choice([*ADDRESSES, "g", "h"]) for address in way) for way in one.ways]
        return Path(frozenset(ways), one.arrived, one.seen_at)

    before, after = shared(a, b), shared(told(a), told(b))
    assert before.hops <= after.hops
    if before.verdict is not Verdict.UNKNOWN:
        assert after.verdict is before.verdict


def test_what_is_on_all_paths_is_no_difference_between_them() -> None:
    found = {"x": path("gw a"), "y": path("gw a b"), "z": path("gw c")}
    assert on_all(found.values()) == {"gw"}
    assert on_all([]) == frozenset()
    assert {pair: each.verdict.value for pair, each in pairs(found).items()} == {
        ("x", "y"): "shared", ("x", "z"): "shared", ("y", "z"): "shared",
    }  # fmt: skip
    assert {pair: each.verdict.value for pair, each in pairs(found, on_all(found.values())).items()} == {
        ("x", "y"): "shared", ("x", "z"): "disjoint", ("y", "z"): "disjoint",
    }  # fmt: skip
