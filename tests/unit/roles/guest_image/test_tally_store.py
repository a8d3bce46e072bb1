# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tally's store against a plain dictionary, and its files against power cuts at the worst moments."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING, Any

import pytest
from ansible_collections.okiagari.testbed.roles.guest_image.files.guest.tally.journal import Journal
from ansible_collections.okiagari.testbed.roles.guest_image.files.guest.tally.store import (
    LONGEST_VALUE,
    MOST_BYTES,
    Damaged,
    Refused,
    Store,
    decode,
    encode,
    load,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

if TYPE_CHECKING:
    from pathlib import Path

KEYS = st.sampled_from(["a", "b", "clé", "d" * 200])
VALUES = st.text(st.characters(blacklist_characters="\r\n", blacklist_categories=["Cs"]), max_size=20)
CHANGES = st.lists(
    st.one_of(
        st.tuples(st.just("incr"), st.integers(-1000, 1000)),
        st.tuples(st.just("set"), KEYS, VALUES),
        st.tuples(st.just("del"), KEYS),
    ),
    max_size=30,
)
on_disk = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


def do(store: Store, change: tuple[Any, ...]) -> bytes:
    """Give the record of a change; none for the removal of what isn't there, which is no change."""
    verb, *arguments = change
    if verb == "del":
        return store.delete(*arguments) if arguments[0] in store.values else b""
    return store.incr(*arguments) if verb == "incr" else store.set(*arguments)


def content(store: Store) -> tuple[int, int, dict[str, str]]:
    return store.sequence, store.count, dict(store.values)


@given(CHANGES)
def test_the_store_does_what_a_dictionary_does(changes: list[tuple[Any, ...]]) -> None:
    store, count, values = Store(), 0, dict[str, str]()
    for change in changes:
        do(store, change)
        if change[0] == "incr":
            count += change[1]
        elif change[0] == "set":
            values[change[1]] = change[2]
        else:
            values.pop(change[1], None)
    assert (store.count, store.values) == (count, values)
    assert content(load(store.snapshot())) == content(store)


@given(CHANGES, st.integers(0, 30), st.data())
def test_a_log_that_is_cut_anywhere_gives_what_stood_there(
    changes: list[tuple[Any, ...]], snapshot_after: int, data: st.DataObject
) -> None:
    store, snapshot, log = Store(), b"", b""
    history = [(0, content(store))]
    for number, change in enumerate(changes):
        log += do(store, change)
        history.append((len(log), content(store)))
        if number == snapshot_after:
            snapshot = store.snapshot()
    cut = data.draw(st.integers(0, len(log)))
    found = load(snapshot)
    floor = content(found)
    good = found.replay(log[:cut])
    whole = [(length, state) for length, state in history if length <= cut]
    assert good == whole[-1][0]
    assert content(found) == max(floor, whole[-1][1], key=lambda state: state[0])


@given(CHANGES, st.data())
def test_a_damaged_end_is_never_believed(changes: list[tuple[Any, ...]], data: st.DataObject) -> None:
    """Pages of a write that wasn't answered may come to the disk in any order, as zeros or as rubbish."""
    store = Store()
    acknowledged = b"".join(do(store, change) for change in changes)
    before = content(store)
    unanswered = bytearray(store.incr(1) + store.set("k", "v" * 50) + store.incr(2))
    at = data.draw(st.integers(0, len(unanswered) - 1))
    length = data.draw(st.integers(1, 40))
    with_damage = bytes(unanswered[:at]) + bytes(length) + bytes(unanswered[at + length :])
    found = Store()
    good = found.replay(acknowledged + with_damage)
    assert good >= len(acknowledged)
    assert before[0] <= found.sequence < before[0] + 3


def test_records_of_another_log_are_passed_over_or_refused() -> None:
    store = Store()
    first, second, third = store.incr(1), store.incr(10), store.incr(100)
    behind = load(encode([1, 1, {}]))
    assert (behind.replay(first + second), behind.count) == (len(first + second), 11)
    assert (behind.replay(third), behind.count) == (len(third), 111)
    gap = Store()
    assert (gap.replay(first + third), gap.count) == (len(first), 1)


@pytest.mark.parametrize("line", [b"", b"\n", b"00000000 []", b"zzzzzzzz []\n", encode([1]) + b"x", b"00000000 1\n"])
def test_what_is_no_record(line: bytes) -> None:
    assert decode(line) is None


def test_a_damaged_snapshot_is_an_error() -> None:
    with pytest.raises(Damaged):
        load(encode([1, 2, {}]).replace(b"2", b"3", 1))


@pytest.mark.parametrize("key", ["", "two words", "new\nline", "a/b", "x" * 201, " "])
def test_bad_keys(key: str) -> None:
    with pytest.raises(Refused, match="a key is one word"):
        Store().set(key, "v")


def test_limits_change_nothing() -> None:
    store = Store()
    store.incr((1 << 63) - 1)
    with pytest.raises(Refused, match="64 bits"):
        store.incr(1)
    with pytest.raises(Refused, match="one line of at most"):
        store.set("k", "x" * (LONGEST_VALUE + 1))
    with pytest.raises(Refused, match="one line"):
        store.set("k", "a\nb")
    full = MOST_BYTES // LONGEST_VALUE
    for number in range(full - 1):
        store.set(f"k{number}", "x" * LONGEST_VALUE)
    sequence = store.sequence
    with pytest.raises(Refused, match="the store is full"):
        store.set("last", "x" * LONGEST_VALUE)
    store.set("k0", "y" * LONGEST_VALUE)
    assert (store.sequence, store.count) == (sequence + 1, (1 << 63) - 1)


@on_disk
@given(st.lists(CHANGES, max_size=6), st.integers(1, 400))
def test_what_is_committed_is_there_after_a_kill(
    tmp_path: Path, batches: list[list[tuple[Any, ...]]], longest: int
) -> None:
    folder = tmp_path / "state"
    shutil.rmtree(folder, ignore_errors=True)
    for batch in batches:
        journal = Journal(str(folder), longest)
        for change in batch:
            journal.add(do(journal.store, change))
        journal.commit()
        expected = content(journal.store)
        # Added, never committed: a client has no answer to it.
        journal.add(journal.store.incr(5))
        journal.close()
        again = Journal(str(folder), longest)
        assert (content(again.store), again.torn) == (expected, 0)
        again.close()


class PowerCut(Exception):  # noqa: N818
    pass


@pytest.mark.parametrize("step", range(6))
def test_a_cut_in_the_middle_of_a_snapshot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    """The power goes before each step that touches the disk, one after the other."""
    journal = Journal(str(tmp_path))
    for change in (("incr", 3), ("set", "k", "v")):
        journal.add(do(journal.store, change))
    journal.commit()
    expected = content(journal.store)
    done = 0

    def counted(function: Any) -> Any:
        def call(*arguments: Any) -> Any:
            nonlocal done
            if done == step:
                raise PowerCut
            done += 1
            return function(*arguments)

        return call

    with monkeypatch.context() as patch:
        for name in ("fsync", "replace", "ftruncate"):
            patch.setattr(os, name, counted(getattr(os, name)))
        try:
            journal.compact()
        except PowerCut:
            assert step < 5
        else:
            assert step == 5
    journal.close()
    again = Journal(str(tmp_path))
    assert content(again.store) == expected
    again.close()


def test_a_torn_end_is_cut_off_and_kept_aside(tmp_path: Path) -> None:
    journal = Journal(str(tmp_path))
    journal.add(journal.store.incr(7))
    journal.commit()
    journal.close()
    with (tmp_path / "log").open("ab") as log:
        log.write(b'12345678 [2,"inc')
    again = Journal(str(tmp_path))
    assert (again.store.count, again.torn) == (7, 16)
    assert (tmp_path / "torn").read_bytes() == b'12345678 [2,"inc'
    again.add(again.store.incr(1))
    again.commit()
    again.close()
    last = Journal(str(tmp_path))
    assert (last.store.count, last.torn) == (8, 0)
    last.close()


def test_an_answer_waits_for_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = Journal(str(tmp_path))
    synced: list[int] = []
    monkeypatch.setattr(os, "fdatasync", lambda _fd: synced.append(len((tmp_path / "log").read_bytes())))
    records = [journal.store.incr(1) for _number in range(3)]
    for record in records:
        journal.add(record)
    journal.commit()
    journal.commit()
    assert synced == [sum(map(len, records))]
    journal.close()
