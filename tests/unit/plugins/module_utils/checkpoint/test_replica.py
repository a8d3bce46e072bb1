# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ansible_collections.okiagari.testbed.plugins.module_utils.checkpoint import replica as replicas
from ansible_collections.okiagari.testbed.plugins.module_utils.checkpoint.replica import (
    Glance,
    Missing,
    Refused,
    Replica,
)
from ansible_collections.okiagari.testbed.plugins.module_utils.errors import BadValue, OkiagariError
from ansible_collections.okiagari.testbed.tests.unit.plugins.module_utils.checkpoint.conftest import (
    KEY,
    Holder,
    noise,
    opened,
)
from hypothesis import given, settings
from hypothesis import strategies as st


class PowerCut(BaseException):
    """Nothing of the process goes on after it."""


def states(number: int) -> list[dict[str, Any]]:
    """Give states of a guest, each a little different from the last one."""
    found = [{"ram": np.concatenate([noise(1, 4), np.zeros((4, 512), np.uint64)]), "disk0": noise(2, 3)}]
    for seed in range(number - 1):
        ram, disk = found[-1]["ram"].copy(), found[-1]["disk0"].copy()
        ram[seed % 8] = noise(100 + seed)[0]
        ram[(seed + 3) % 8] = 0
        ram[(seed + 5) % 8, 17] += 1
        disk[seed % 3, 5] = seed
        found.append({"ram": ram, "disk0": disk})
    return found


def content(replica: Replica) -> dict[str, Any]:
    return {name: np.fromfile(replica.image(name), np.uint64).reshape(-1, 512) for name in ("ram", "disk0")}


def same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    return all((one[name] == other[name]).all() for name in one)


def test_a_replica_follows_its_service(tmp_path: Path, holder: Holder) -> None:
    replica = Replica(tmp_path, "tally", KEY)
    assert replica.head is None
    for state in states(6):
        epoch = replica.take(opened(holder.pack(state)))
        assert same(content(replica), state)
        assert epoch.root == holder.parent
    replica.close()
    again = Replica(tmp_path, "tally", KEY)
    assert again.head == epoch
    assert same(content(again), state)
    again.close()


def test_a_zero_page_takes_no_room(tmp_path: Path, holder: Holder) -> None:
    replica = Replica(tmp_path, "tally", KEY)
    replica.take(opened(holder.pack({"ram": np.zeros((5000, 512), np.uint64)})))
    assert replica.image("ram").stat().st_blocks < 100
    replica.close()


def test_two_epochs_can_be_gone_back_and_no_more_is_kept(tmp_path: Path, holder: Holder) -> None:
    replica, roots = Replica(tmp_path, "tally", KEY), []
    for state in states(5):
        replica.take(opened(holder.pack(state)))
        roots.append(holder.parent)
    assert [epoch.root for epoch in replica.back] == [roots[3], roots[2]]
    with pytest.raises(Refused, match="isn't kept here any more"):
        replica.go_back(roots[1])
    replica.go_back(roots[2])
    assert same(content(replica), states(5)[2])
    assert list((tmp_path / "undo").iterdir()) == []
    replica.close()


def test_a_first_pack_begins_anew_and_can_be_gone_back_from(tmp_path: Path, holder: Holder) -> None:
    replica = Replica(tmp_path, "tally", KEY)
    one, two = states(2)
    replica.take(opened(holder.pack(one)))
    before, holder.parent = holder.parent, ""
    replica.take(opened(holder.pack(two)))
    assert same(content(replica), two)
    replica.go_back(before)
    assert same(content(replica), one)
    assert [path.name for path in tmp_path.glob("[0-9]*")] == ["1"]
    replica.close()


def test_the_names_of_new_images_are_on_the_disk_before_they_are_referred_to(
    tmp_path: Path, holder: Holder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not every file system has a new file's name on the disk when the file is."""
    done: list[str] = []
    monkeypatch.setattr(replicas, "sync_names", lambda folder: done.append(str(folder.relative_to(tmp_path))))
    monkeypatch.setattr(replicas, "write_safely", lambda path, _content: done.append(path.name))
    replica = Replica(tmp_path, "tally", KEY)
    replica.take(opened(holder.pack({"ram": noise(1)})))
    assert done == ["1/images", "1/digests", "1", "head.json"]
    replica.close()


@pytest.mark.parametrize("kept", [0, 1, 5])
def test_what_it_was_is_copied_without_going_back(tmp_path: Path, holder: Holder, kept: int) -> None:
    """Also across a first pack, which is beside what was there."""
    replica, roots, wanted = Replica(tmp_path / "replica", "tally", KEY, kept=kept), [], states(6)
    for number, state in enumerate(wanted):
        if number == 3:
            holder.parent = ""
        replica.take(opened(holder.pack(state)))
        roots.append(holder.parent)
    assert [epoch.root for epoch in replica.back] == roots[-2::-1][:kept]
    for number, root in enumerate(roots):
        path = tmp_path / f"{number}"
        if number < len(wanted) - 1 - kept:
            with pytest.raises(Refused, match="isn't kept here any more"):
                replica.copy(root, "ram", path)
            continue
        for name in ("ram", "disk0"):
            replica.copy(root, name, path)
            assert (np.fromfile(path, np.uint64).reshape(-1, 512) == wanted[number][name]).all()
            path.unlink()
    assert same(content(replica), wanted[-1])
    replica.close()


def test_a_mirror_over_an_image_does_not_change_it(tmp_path: Path, holder: Holder) -> None:
    replica, (one, two) = Replica(tmp_path, "tally", KEY), states(2)
    replica.take(opened(holder.pack(one)))
    mirror, blocks = replica.mirror_over("disk0"), list[bytes]()
    mirror.begin(blocks.append)
    mirror.look(0, two["disk0"])
    mirror.end()
    assert (mirror.image == two["disk0"]).all()
    assert (len(blocks), same(content(replica), one)) == (1, True)
    replica.close()


def test_the_next_holder_goes_on_from_what_was_committed(tmp_path: Path, holder: Holder) -> None:
    replica = Replica(tmp_path, "tally", KEY)
    one, two, three, four = states(4)
    replica.take(opened(holder.pack(one)))
    successor = holder.successor()
    lost = [holder.pack(two), holder.pack(three)]
    replica.take(opened(lost[0]))
    replica.take(opened(successor.pack(four)))
    assert same(content(replica), four)
    with pytest.raises(Refused, match="of term 1, older than 2: its holder has lost the service since"):
        replica.take(opened(lost[1]))
    replica.close()


def test_whoever_is_fenced_off_is_refused_also_after_a_restart(tmp_path: Path, holder: Holder) -> None:
    replica = Replica(tmp_path, "tally", KEY)
    replica.raise_fence(3)
    replica.raise_fence(2)
    replica.close()
    again = Replica(tmp_path, "tally", KEY)
    with pytest.raises(Refused, match="of term 1, older than 3"):
        again.take(opened(holder.pack(states(1)[0])))
    again.close()


def test_going_back_lets_no_older_holder_in_again(tmp_path: Path, holder: Holder) -> None:
    replica = Replica(tmp_path, "tally", KEY)
    one, two, three = states(3)
    replica.take(opened(holder.pack(one)))
    successor = holder.successor()
    replica.take(opened(successor.pack(two)))
    replica.go_back(holder.parent)
    with pytest.raises(Refused, match="of term 1, older than 2"):
        replica.take(opened(holder.pack(three)))
    replica.close()


def test_packs_that_come_late_twice_or_out_of_order(tmp_path: Path, holder: Holder) -> None:
    replica = Replica(tmp_path, "tally", KEY)
    found = [holder.pack(state) for state in states(4)]
    with pytest.raises(Missing) as missing:
        replica.take(opened(found[1]))
    replica.take(opened(found[0]))
    assert replica.head
    assert missing.value.parent == replica.head.root
    replica.take(opened(found[1]))
    with pytest.raises(Missing):
        replica.take(opened(found[3]))
    for late in found[:2]:
        with pytest.raises(Refused, match="that is here, or a later one"):
            replica.take(opened(late))
    assert same(content(replica), states(4)[1])
    replica.close()


def test_a_pack_that_lies_about_where_it_leads_changes_nothing(tmp_path: Path, holder: Holder) -> None:
    replica = Replica(tmp_path, "tally", KEY)
    one, two, three = states(3)
    replica.take(opened(holder.pack(one)))
    liar = Holder()
    liar.images, liar.parent, liar.epoch = dict(holder.images), holder.parent, holder.epoch
    with pytest.raises(Refused, match="leads to another state than it says"):
        replica.take(opened(liar.pack(two, root="0" * 64)))
    assert same(content(replica), one)
    replica.take(opened(holder.pack(three)))
    assert same(content(replica), three)
    replica.close()


@pytest.mark.parametrize("name", ["../ram", "", "a" * 40, "Ram"])
def test_an_image_with_an_improper_name_is_refused(tmp_path: Path, holder: Holder, name: str) -> None:
    replica = Replica(tmp_path, "tally", KEY)
    with pytest.raises(Refused, match="without a proper name"):
        replica.take(opened(holder.pack({name: noise(1)})))
    replica.close()


def test_another_services_pack_is_refused(tmp_path: Path) -> None:
    replica = Replica(tmp_path, "tally", KEY)
    with pytest.raises(Refused, match="a pack of mail, not of tally"):
        replica.take(opened(Holder("mail").pack(states(1)[0])))
    replica.close()


def test_whoever_only_looks_sees_what_is_there_and_nothing_that_changes(tmp_path: Path, holder: Holder) -> None:
    assert Glance(tmp_path).head is None
    seen: list[bool] = []
    replica = Replica(tmp_path, "tally", KEY, lambda: seen.append(Glance(tmp_path).head is None))
    replica.take(opened(holder.pack({"ram": noise(1)})))
    assert not seen[-1]
    glance = Glance(tmp_path)
    assert (glance.head, glance.image("ram")) == (replica.head, replica.image("ram"))
    assert glance.page_count("ram") == 1
    seen.clear()
    replica.take(opened(holder.pack({"ram": noise(2)})))
    assert any(seen)
    assert not seen[-1]
    replica.close()
    with pytest.raises(OkiagariError, match="no state"):
        Glance(tmp_path / "nowhere").image("ram")


def test_one_process_at_a_time(tmp_path: Path) -> None:
    replica = Replica(tmp_path, "tally", KEY)
    with pytest.raises(OkiagariError, match="in use by another process"):
        Replica(tmp_path, "tally", KEY)
    replica.close()


def test_a_full_disk_leaves_it_as_it_was_and_it_goes_on_when_there_is_room(
    tmp_path: Path, holder: Holder, monkeypatch: pytest.MonkeyPatch
) -> None:
    replica = Replica(tmp_path, "tally", KEY)
    one, two = states(2)
    replica.take(opened(holder.pack(one)))
    said = holder.pack(two)
    written = iter([True, True])

    def full(*_arguments: Any) -> int:
        if next(written, False):
            return os.write(os.open(os.devnull, os.O_WRONLY), b"")
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(replicas.os, "pwrite", full)
        with pytest.raises(OSError, match="No space left"):
            replica.take(opened(said))
    replica.take(opened(said))
    assert same(content(replica), two)
    replica.close()


@settings(max_examples=100)
@given(st.integers(0, 80), st.integers(0, 12), st.booleans())
def test_a_power_cut_at_any_instant_leaves_the_state_before_or_after(cut: int, again: int, back: bool) -> None:
    holder, found = Holder(), states(4)
    packs = [holder.pack(state) for state in found]
    with tempfile.TemporaryDirectory() as folder:
        left = cut

        def step() -> None:
            nonlocal left
            left -= 1
            if left < 0:
                raise PowerCut

        replica, taken = None, -1
        try:
            replica = Replica(Path(folder), "tally", KEY, step)
            for number, said in enumerate(packs):
                replica.take(opened(said))
                taken = number
            if back:
                replica.go_back(replica.back[-1].root)
                taken = 1
        except PowerCut:
            pass
        finally:
            if replica:
                replica.close()
        left = again
        with suppress(PowerCut):
            Replica(Path(folder), "tally", KEY, step).close()
        left = 10**6
        replica = Replica(Path(folder), "tally", KEY, step)
        if replica.head is None:
            assert taken == -1
        else:
            here = replica.head.epoch - 1
            assert here in ((taken, taken + 1) if taken < 3 or not back else (3, 2, 1))
            assert same(content(replica), found[here])
            for said in packs[here + 1 :]:
                replica.take(opened(said))
            assert same(content(replica), found[-1])
        replica.close()


@given(st.data())
def test_a_damaged_pack_changes_nothing(data: st.DataObject) -> None:
    holder, (one, two) = Holder(), states(2)
    first, second = holder.pack(one), holder.pack(two)
    place = data.draw(st.integers(0, len(second) - 1))
    damaged = bytearray(second)
    damaged[place] ^= data.draw(st.integers(1, 255))
    with tempfile.TemporaryDirectory() as folder:
        replica = Replica(Path(folder), "tally", KEY)
        replica.take(opened(first))
        with pytest.raises(BadValue):
            replica.take(opened(bytes(damaged)))
        assert same(content(replica), one)
        replica.close()
