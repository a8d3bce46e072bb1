# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible_collections.okiagari.testbed.plugins.module_utils.errors import BadValue
from ansible_collections.okiagari.testbed.plugins.module_utils.processes.statistics import dumped, restored
from ansible_collections.okiagari.testbed.tests.unit.plugins.module_utils.processes.simulated_criu import stats
from hypothesis import given
from hypothesis.strategies import binary, integers

# CRIU 4.1.1 has written these.
DUMP = bytes.fromhex(
    "4059105506330957250000000a2308af0a10e6b40118a926209f1628fe0b300038fa0a4000480050105810600068007000"
)
RESTORE = bytes.fromhex("40591055063309571100000012" + "0f08bd0510ef04189a0820825828" + "8b06")


def test_what_criu_wrote() -> None:
    assert dumped(DUMP) == (24.469, 1402)
    assert restored(RESTORE) == pytest.approx(12.316)


@given(integers(0, 2**32), integers(0, 2**32))
def test_any_pause(freezing: int, frozen: int) -> None:
    assert dumped(stats(1, freezing, frozen)).pause_ms == (freezing + frozen) / 1000


@given(binary(max_size=60))
def test_anything_else_is_refused(garbage: bytes) -> None:
    for image in (garbage, DUMP[:12] + garbage):
        try:
            dumped(image)
        except BadValue:
            continue
    for image in (garbage[:5], DUMP[:-10], RESTORE, DUMP[:12] + b"\xff" * 20):
        with pytest.raises(BadValue):
            dumped(image)
