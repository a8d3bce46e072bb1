# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import io

import pytest
from ansible_collections.okiagari.testbed.plugins.module_utils.checkpoint.pack import Pack, Writer
from ansible_collections.okiagari.testbed.plugins.module_utils.checkpoint.pages import outcome, read
from ansible_collections.okiagari.testbed.plugins.module_utils.errors import BadValue
from ansible_collections.okiagari.testbed.tests.unit.plugins.module_utils.checkpoint.conftest import (
    KEY,
    Holder,
    noise,
    opened,
    verify,
)
from hypothesis import given
from hypothesis import strategies as st

SECRET = b"a guest's secret " * 241


def test_what_goes_in_comes_out(holder: Holder) -> None:
    ram, disk = noise(1, 3), noise(2, 2)
    pack = opened(holder.pack({"ram": ram, "disk0": disk}))
    pack.check()
    assert (pack.label.service, pack.label.term, pack.label.epoch, pack.label.parent) == ("tally", 1, 1, "")
    assert pack.label.machine == {"memory": "ram"}
    found = {image.name: read(said, image.pages) for image, said in pack.blocks(KEY)}
    assert (outcome(ram * 0, found["ram"]) == ram).all()
    assert (outcome(disk * 0, found["disk0"]) == disk).all()


def test_nobody_without_the_key_reads_a_guests_memory() -> None:
    file = io.BytesIO()
    writer = Writer(file, KEY)
    writer.add(SECRET)
    assert b"secret" not in file.getvalue()


def test_another_services_key_opens_nothing(holder: Holder) -> None:
    pack = opened(holder.pack({"ram": noise(1)}))
    with pytest.raises(BadValue, match="sealed by another key than this service's"):
        list(pack.blocks(bytes(32)))


def test_a_key_of_another_length_is_refused(holder: Holder) -> None:
    with pytest.raises(BadValue, match="has 5 bytes, not 32: run playbooks"):
        Writer(io.BytesIO(), b"short")


def test_two_packs_of_the_same_state_are_sealed_differently() -> None:
    one, other = Holder().pack({"ram": noise(1)}), Holder().pack({"ram": noise(1)})
    assert one[8:1000] != other[8:1000]


@given(st.data())
def test_whatever_is_damaged_is_told_before_anything_of_it_is_used(data: st.DataObject) -> None:
    said = Holder().pack({"ram": noise(1, 2)})
    place = data.draw(st.integers(0, len(said) - 1))
    damage = data.draw(st.sampled_from(["flipped", "cut", "longer"]))
    damaged = {
        "flipped": said[:place] + bytes([said[place] ^ data.draw(st.integers(1, 255))]) + said[place + 1 :],
        "cut": said[:place],
        "longer": said + b"x",
    }[damage]
    with pytest.raises(BadValue):
        opened(damaged).check()


def test_a_label_that_somebody_else_wrote_is_refused(holder: Holder) -> None:
    file = io.BytesIO(holder.pack({"ram": noise(1)}))
    forged = file.getvalue().replace(b'"term":1', b'"term":9')
    with pytest.raises(BadValue, match="is not signed by a"):
        Pack(io.BytesIO(forged), verify)


@pytest.mark.parametrize("said", [b"", b"okipack1", b"x" * 100])
def test_what_is_no_pack_is_refused(said: bytes) -> None:
    with pytest.raises(BadValue, match="is no pack"):
        opened(said)
