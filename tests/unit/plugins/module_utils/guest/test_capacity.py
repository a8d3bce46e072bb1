# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible_collections.okiagari.testbed.plugins.module_utils.errors import OkiagariError
from ansible_collections.okiagari.testbed.plugins.module_utils.guest import Capacity, Held, choose_pins, shortages
from hypothesis import given
from hypothesis import strategies as st

HOST = Capacity(8, 1024, 4, tuple(range(2, 10)))


def test_what_is_short_is_named() -> None:
    held = [Held("a", 4, 512), Held("b", 2, 256)]
    asked = [Held("c", 2, 128), Held("d", 1, 256), Held("e", 1, 0)]
    assert [str(problem) for problem in shortages("hiroshima-kvm1", HOST, held, asked)] == [
        "hiroshima-kvm1: 2 of 8 vCPUs are free, 4 asked",
        "hiroshima-kvm1: 256 of 1024 MiB of memory are free, 384 asked",
        "hiroshima-kvm1: 2 of 4 places for guests are free, 3 asked",
    ]
    assert shortages("h", HOST, held, [Held("c", 2, 256)]) == []


def test_a_guest_is_not_counted_twice() -> None:
    held = [Held("a", 4, 512), Held("b", 4, 512)]
    assert shortages("h", HOST, held, held) == []
    assert [str(problem) for problem in shortages("h", HOST, held, [Held("a", 5, 512)])] == [
        "h: 4 of 8 vCPUs are free, 5 asked"
    ]


def test_an_overfull_host_says_that_nothing_is_free() -> None:
    assert str(shortages("h", HOST, [Held("a", 9, 0)], [Held("b", 1, 0)])[0]) == "h: 0 of 8 vCPUs are free, 1 asked"


GUESTS = st.dictionaries(st.sampled_from("abcdefgh"), st.integers(1, 4), max_size=8)


@given(GUESTS, st.lists(st.sampled_from("abcdefgh"), unique=True))
def test_pins_are_never_shared_and_never_move(sizes: dict[str, int], removed: list[str]) -> None:
    held: list[Held] = []
    for name, vcpus in sizes.items():
        asked = [Held(name, vcpus, 1)]
        if not shortages("h", HOST, held, asked):
            held.append(Held(name, vcpus, 1, choose_pins(HOST, held, asked)[name]))
    pinned = [pin for guest in held for pin in guest.pins]
    assert len(pinned) == len(set(pinned)) == sum(guest.vcpus for guest in held)
    assert set(pinned) <= set(HOST.cpus)
    rest = [guest for guest in held if guest.name not in removed]
    assert choose_pins(HOST, rest, rest) == {guest.name: guest.pins for guest in rest}


def test_without_pinning_nobody_is_pinned() -> None:
    assert choose_pins(Capacity(8, 1, 1), [Held("a", 1, 1)], [Held("b", 2, 1)]) == {"b": ()}


def test_a_guest_that_grows_gets_other_processors() -> None:
    held = [Held("a", 1, 1, (2,)), Held("b", 1, 1, (3,))]
    assert choose_pins(HOST, held, [Held("a", 2, 1)]) == {"a": (2, 4)}


def test_facts() -> None:
    assert Capacity.from_dict({"vcpus": "8", "memory_mib": 1024, "guests": 4, "pool": "x"}) == Capacity(8, 1024, 4)
    with pytest.raises(OkiagariError, match="run the role kvm_host"):
        Capacity.from_dict({"vcpus": 8})
