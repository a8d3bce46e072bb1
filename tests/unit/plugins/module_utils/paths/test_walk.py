# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One flow's way: which answers count for what, and when there is no use in going on."""

from __future__ import annotations

from itertools import count

import pytest
from ansible_collections.okiagari.testbed.plugins.module_utils.paths import MOST_HOPS, Path, Walk
from hypothesis import given
from hypothesis import strategies as st

HOST = "192.0.2.9"
FAR = 64


def asked(*answers: str | None) -> Walk:
    """A walk that was asked with a TTL for each of these; `!` before an address: no way any further."""
    walk = Walk(HOST)
    for ttl, answer in enumerate(answers, 1):
        walk.ask(b"%d" % ttl, ttl)
        if answer:
            walk.heard(b"%d" % ttl, answer.removeprefix("!"), last=answer.startswith("!") or answer == HOST)
    return walk


@pytest.mark.parametrize(
    ("answers", "way", "arrived"),
    [
        ([HOST], (), True),
        (["r1", "r2", HOST], ("r1", "r2"), True),
        (["r1", None, HOST], ("r1", None), True),
        ([None, None, HOST, HOST], (None, None), True),
        (["r1", "r2", f"!{HOST}"], ("r1", "r2"), True),  # no agent listens there
        ([], (), False),
        ([None, None], (), False),
        (["r1", None, "r3", None], ("r1", None, "r3"), False),
        (["!r1"], ("r1",), False),  # it has no way, and looks for one before it looks at the TTL
        (["r1", "!r1"], ("r1",), False),
        (["r1", "!r2", "!r2"], ("r1", "r2"), False),
        (["r1", None, "!r2"], ("r1",), False),  # it may be the silent one
    ],
)
def test_the_way_is_what_answered_in_the_order_of_ttls(answers, way, arrived) -> None:
    walk = asked(*answers)
    assert (walk.way, walk.arrived) == (way, arrived)


@pytest.mark.parametrize(
    ("answers", "over"),
    [
        ([HOST], True),
        (["r1"], False),
        (["r1", "!r1"], True),
        ([None] * 4, False),
        ([None] * 5, True),
        (["r1", None, "r3", *[None] * 4], False),
        (["r1", None, "r3", *[None] * 5], True),
    ],
)
def test_it_is_over_where_nothing_goes_further_and_after_many_silent_routers(answers, over) -> None:
    assert asked(*answers).over(len(answers)) == over


def test_a_host_that_answers_from_afar_is_looked_for_behind_any_number_of_silent_routers() -> None:
    walk = Walk(HOST)
    walk.ask(b"far", FAR)
    assert not walk.answered(FAR)
    walk.heard(b"far", HOST, last=True)
    assert walk.answered(FAR)
    for ttl in range(1, MOST_HOPS + 1):
        walk.ask(b"%d" % ttl, ttl)
        assert not walk.over(ttl)
    assert (walk.arrived, walk.way) == (False, ())
    walk.heard(b"12", HOST, last=True)
    assert (walk.arrived, walk.way) == (True, (None,) * 11)


def test_who_has_no_way_for_packets_from_afar_is_no_hop_at_their_ttl_and_a_host_that_was_there_has_not_arrived() -> (
    None
):
    walk = Walk(HOST)
    for number, sender in ((b"0", HOST), (b"1", "r2")):
        walk.ask(number, FAR)
        walk.heard(number, sender, last=True)
    walk.ask(b"2", 1)
    walk.heard(b"2", "r1", last=True)
    assert (walk.arrived, walk.way, walk.over(1)) == (False, ("r1",), True)


def test_an_answer_counts_for_its_own_packet_however_late_and_one_without_a_number_for_the_newest() -> None:
    walk = Walk(HOST)
    walk.heard(b"", "r0", last=False)
    walk.ask(b"1", 1)
    walk.ask(b"2", 2)
    walk.heard(b"", "r2", last=False)
    walk.heard(b"1", "r1", last=False)
    walk.heard(b"forged", "r3", last=False)
    walk.ask(b"3", 3)
    walk.heard(b"3", HOST, last=True)
    assert walk.way == ("r1", "r2")


@given(st.lists(st.none() | st.integers(0, 9), max_size=12), st.randoms())
def test_the_order_of_answers_does_not_matter(routers, chance) -> None:
    numbers, walk = count(), Walk(HOST)
    answers = [(b"%d" % next(numbers), router and f"r{ttl}-{router}") for ttl, router in enumerate(routers)]
    for ttl, (number, _router) in enumerate([*answers, (b"end", HOST)], 1):
        walk.ask(number, ttl)
    said = [*answers, (b"end", HOST)]
    chance.shuffle(said)
    for number, router in said:
        if router:
            walk.heard(number, router, last=router == HOST)
    assert walk.arrived
    assert walk.way == tuple(router or None for _number, router in answers)
    assert Path.of([walk], 1.0).silent == walk.way.count(None)
