# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Streams are taken apart, and put together again, and say of which machine they are."""

from __future__ import annotations

import io
import struct
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
from ansible_collections.okiagari.testbed.plugins.module_utils.checkpoint.mirror import Mirror
from ansible_collections.okiagari.testbed.plugins.module_utils.checkpoint.stream import machine_type, merged, split
from ansible_collections.okiagari.testbed.plugins.module_utils.errors import BadValue
from ansible_collections.okiagari.testbed.tests.unit.plugins.module_utils.checkpoint.conftest import noise
from hypothesis import given, settings
from hypothesis import strategies as st

PAGES = 12
SECTION = struct.pack(">I", 2)
EOS = struct.pack(">Q", 0x10) + b"\x7e" + SECTION
HEAD = b"QEVM\0\0\0\3" + b"\x07config" + b"\x01" + SECTION + b"\x03ram" + struct.pack(">II", 0, 4)
DEVICES = b"\x04" + bytes(range(200)) + b"\0"


def stream(memory: Any, video: Any, name: bytes = b"pc.ram") -> bytes:
    """Give a stream of a guest with that memory, as QEMU writes it: pages in any order, zeros as zeros."""
    blocks = {name: memory, b"vga": video}
    total = sum(len(image) for image in blocks.values()) * 4096
    parts = [HEAD, struct.pack(">Q", total | 0x04)]
    parts += [bytes([len(each)]) + each + struct.pack(">Q", len(image) * 4096) for each, image in blocks.items()]
    parts += [EOS, b"\x02", SECTION]
    for each, image in blocks.items():
        for number, page in enumerate(image):
            flags, content = (0x08, page.tobytes()) if page.any() else (0x02, b"\0")
            parts += [struct.pack(">Q", number * 4096 | flags), bytes([len(each)]), each, content]
    return b"".join([*parts, EOS, DEVICES])


def taken(said: bytes, name: str = "pc.ram") -> tuple[Any, bytes]:
    mirror = Mirror(np.zeros((PAGES, 512), np.uint64))
    devices = split(io.BytesIO(said).readinto, name, mirror)
    return mirror.image, devices


@given(st.lists(st.integers(0, 3), min_size=PAGES, max_size=PAGES), st.lists(st.integers(0, 2), min_size=2, max_size=2))
@settings(max_examples=50, deadline=None)
def test_what_was_taken_apart_is_put_together(kinds: list[int], others: list[int]) -> None:
    memory, video = (
        np.concatenate([noise(seed) if seed else np.zeros((1, 512), np.uint64) for seed in each])
        for each in (kinds, others)
    )
    image, devices = taken(stream(memory, video))
    assert (image == memory).all()
    runs = [(number, image[number : number + 1]) for number in range(PAGES) if image[number].any()]
    for filled in (runs, [(0, image)], [(0, image[:5]), (5, image[5:])], []):
        whole = b"".join(merged(devices, "pc.ram", filled))
        again, left = taken(whole)
        assert (again == (memory if filled or not memory.any() else 0)).all()
        assert left == devices
    assert devices.endswith(DEVICES)


def test_memory_of_another_name_is_put_together_by_it() -> None:
    image, devices = taken(stream(noise(1, PAGES), noise(2), b"ram-node0"), "ram-node0")
    again, _devices = taken(b"".join(merged(devices, "ram-node0", [(0, image)])), "ram-node0")
    assert (again == noise(1, PAGES)).all()


@pytest.mark.parametrize("said", [b"", b"QEVM\0\0\0\3", HEAD, HEAD[:20] + bytes(100)])
def test_what_is_no_stream_is_not_put_together(said: bytes) -> None:
    with pytest.raises(BadValue, match="is no migration stream"):
        list(merged(said, "pc.ram", []))


BEGIN = b"QEVM" + struct.pack(">IB", 3, 7)


def beginning(name: str, size: int | None = None) -> bytes:
    return BEGIN + struct.pack(">I", len(name) if size is None else size) + name.encode()


@pytest.mark.parametrize("name", ["pc-i440fx-7.2", "pc-q35-10.0", "microvm"])
def test_a_stream_says_of_which_machine_it_is(name: str) -> None:
    assert machine_type(beginning(name) + b"\x01\x00\x00\x00\x03ram") == name


@pytest.mark.parametrize(
    "stream",
    [
        b"",
        b"QEVM",
        BEGIN,
        BEGIN + b"\0\0",
        beginning(""),
        beginning("pc,accel=kvm"),
        beginning("pc" * 50),
        b"x" + beginning("pc"),
    ],
)
def test_what_says_no_machine_is_refused(stream: bytes) -> None:
    with pytest.raises(BadValue, match="no migration stream that begins with the type of its machine"):
        machine_type(stream)


@given(st.binary(max_size=40))
def test_whatever_comes_is_a_machine_or_refused(noise: bytes) -> None:
    with suppress(BadValue):
        assert "," not in machine_type(BEGIN + noise)
