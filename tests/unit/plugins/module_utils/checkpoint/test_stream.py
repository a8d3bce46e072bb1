# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a migration stream says in its begin; that whole ones are read is tried with real ones, in tests/contract."""

from __future__ import annotations

import struct
from contextlib import suppress

import pytest
from ansible_collections.okiagari.testbed.plugins.module_utils.checkpoint.stream import machine_type
from ansible_collections.okiagari.testbed.plugins.module_utils.errors import BadValue
from hypothesis import given
from hypothesis import strategies as st

HEAD = b"QEVM" + struct.pack(">IB", 3, 7)


def said(name: str, size: int | None = None) -> bytes:
    return HEAD + struct.pack(">I", len(name) if size is None else size) + name.encode()


@pytest.mark.parametrize("name", ["pc-i440fx-7.2", "pc-q35-10.0", "microvm"])
def test_a_stream_says_of_which_machine_it_is(name: str) -> None:
    assert machine_type(said(name) + b"\x01\x00\x00\x00\x03ram") == name


@pytest.mark.parametrize(
    "stream", [b"", b"QEVM", HEAD, HEAD + b"\0\0", said(""), said("pc,accel=kvm"), said("pc" * 50), b"x" + said("pc")]
)
def test_what_says_no_machine_is_refused(stream: bytes) -> None:
    with pytest.raises(BadValue, match="no migration stream that begins with the type of its machine"):
        machine_type(stream)


@given(st.binary(max_size=40))
def test_whatever_comes_is_a_machine_or_refused(noise: bytes) -> None:
    with suppress(BadValue):
        assert "," not in machine_type(HEAD + noise)
