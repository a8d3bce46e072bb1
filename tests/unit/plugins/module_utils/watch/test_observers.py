# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who asks the server: near, apart from each other, the same at every agent, and no more than were asked for."""

from __future__ import annotations

import pytest
from ansible_collections.okiagari.testbed.plugins.module_utils.errors import BadValue
from ansible_collections.okiagari.testbed.plugins.module_utils.watch import observers
from hypothesis import given
from hypothesis import strategies as st

SITES = {"a1": "a", "a2": "a", "b1": "b", "b2": "b", "c1": "c", "d1": "d"}
CHAIN = {"a1": ["a2", "b1"], "b1": ["b2"], "b2": ["c1"], "c1": ["d1"]}

links = st.dictionaries(st.sampled_from([*SITES, "relay"]), st.sets(st.sampled_from([*SITES, "relay"])))


@pytest.mark.parametrize(
    ("holder", "count", "expected"),
    [
        ("a1", 1, ("a1",)),
        ("a1", 3, ("a1", "b1", "c1")),  # a2 is as near as b1, and falls with a1
        ("a1", 9, ("a1", "b1", "c1", "d1", "a2", "b2")),
        ("c1", 3, ("c1", "b2", "d1")),
        ("b2", 4, ("b2", "c1", "a1", "d1")),
    ],
)
def test_the_nearest_of_other_domains_observe(holder, count, expected) -> None:
    assert observers(holder, CHAIN, SITES, count) == expected


def test_whoever_no_link_leads_to_comes_last_and_relays_do_not_observe() -> None:
    assert observers("a1", {"relay": ["a1", "d1"]}, SITES, 4) == ("a1", "d1", "b1", "c1")


def test_a_holder_that_is_no_agent_is_named_with_what_was_meant() -> None:
    with pytest.raises(BadValue, match=r"there is no agent b3; did you mean b[12]"):
        observers("b3", CHAIN, SITES)


@given(st.sampled_from([*SITES]), links, st.integers(1, 8), st.randoms(use_true_random=False))
def test_every_agent_gives_the_same_and_the_server_is_asked_by_so_many(holder, links, count, chance) -> None:
    chosen = observers(holder, links, SITES, count)
    hosts, pairs = [*SITES], [(one, other) for one, others in links.items() for other in others]
    chance.shuffle(hosts)
    chance.shuffle(pairs)
    turned: dict[str, list[str]] = {}
    for one, other in pairs:
        turned.setdefault(other, []).append(one)
    assert observers(holder, turned, {host: SITES[host] for host in hosts}, count) == chosen
    assert chosen[0] == holder
    assert len(set(chosen)) == len(chosen) == min(count, len(SITES))
    assert len({SITES[host] for host in chosen}) == min(len(chosen), len(set(SITES.values())))
