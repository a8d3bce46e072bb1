# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The record of votes: whatever happens to its copies is noticed or harmless, and no vote is given twice in a term."""

from __future__ import annotations

import pytest
from ansible_collections.okiagari.testbed.plugins.module_utils.authority.record import (
    Record,
    Recovery,
    decode,
    encode,
    read,
)
from ansible_collections.okiagari.testbed.plugins.module_utils.errors import BadValue
from hypothesis import given
from hypothesis import strategies as st

hosts = st.sampled_from(["a", "b", "c"])
names = st.text('ab é"\n', max_size=20)
records = st.builds(Record, st.integers(0, 2**63), names)
calls = st.lists(st.tuples(st.integers(0, 4), hosts), max_size=20)


def damaged(copy: bytes, data: st.DataObject) -> bytes | None:
    """Truncate a copy, flip one of its bits, or lose it."""
    place = data.draw(st.integers(0, len(copy) - 1))
    flipped = copy[:place] + bytes([copy[place] ^ 1 << data.draw(st.integers(0, 7))]) + copy[place + 1 :]
    return data.draw(st.sampled_from([copy[:place], flipped, None]))


@given(names, records)
def test_what_was_written_is_read(service, record) -> None:
    assert decode(service, encode(service, record)) == record


@pytest.mark.parametrize("record", [Record(), Record(4711, "hiroshima-kvm1")])
def test_every_truncation_and_every_flipped_bit_is_noticed(record) -> None:
    copy = encode("web", record)
    spoilt = [copy[:place] for place in range(len(copy))]
    for bit in range(8 * len(copy)):
        flipped = bytearray(copy)
        flipped[bit // 8] ^= 1 << bit % 8
        spoilt.append(bytes(flipped))
    for each in spoilt:
        with pytest.raises(BadValue):
            decode("web", each)


@given(calls, st.data())
def test_no_vote_is_given_twice_in_a_term_whatever_becomes_of_one_copy(asked, data) -> None:
    copies: dict[str, bytes | None] = dict.fromkeys("ab", encode("web", Record()))
    given: dict[int, str] = {}
    for term, caller in asked:
        if data.draw(st.booleans()):
            name = data.draw(st.sampled_from("ab"))
            whole = copies[name]
            assert whole is not None
            copies[name] = damaged(whole, data)
        reading = read("web", copies)
        assert reading.record is not None
        assert reading.repair == (copies["a"] != copies["b"])
        voted = reading.record.vote(term, caller)
        copies = dict.fromkeys("ab", encode("web", voted or reading.record))
        if voted:
            assert given.setdefault(term, caller) == caller
            assert term == max(given)


@given(st.integers(1, 9), st.sampled_from("ab"))
def test_a_host_that_dies_between_the_copies_goes_on_with_the_newer_one(term, first) -> None:
    copies: dict[str, bytes | None] = dict.fromkeys("ab", encode("web", Record(term, "a")))
    copies[first] = encode("web", Record(term + 1, "b"))
    assert read("web", copies).record == Record(term + 1, "b")
    assert read("web", copies).repair


@given(st.data())
def test_with_both_copies_damaged_nothing_is_made_up_and_people_are_told(data) -> None:
    copies = {name: damaged(encode("web", Record(4, "a")), data) for name in ("one", "two")}
    reading = read("web", copies)
    assert reading.record is None
    one, two, lost = reading.said
    assert one.startswith("one is ")
    assert two.startswith("two is ")
    assert "the record of web is lost: this host abstains from votes" in lost


def test_the_record_of_another_service_is_not_taken() -> None:
    with pytest.raises(BadValue, match="is the record of mail"):
        decode("web", encode("mail", Record(4, "a")))


def test_a_vote_is_the_same_again_but_never_another_one_nor_an_older_one() -> None:
    record = Record(4, "a")
    assert record.vote(4, "a") is record
    assert record.vote(4, "b") is None
    assert record.vote(3, "a") is None
    assert record.vote(5, "b") == Record(5, "b")


def test_a_lost_record_is_made_anew_when_all_others_have_answered() -> None:
    recovery = Recovery(["a", "b", "c"])
    assert recovery.heard("a", 7) is None
    assert recovery.heard("a", 7) is None
    assert recovery.heard("c", 2) is None
    assert recovery.missing == ("b",)
    made = recovery.heard("b", 5)
    assert made == Record(7)
    assert made.vote(7, "a") is None
