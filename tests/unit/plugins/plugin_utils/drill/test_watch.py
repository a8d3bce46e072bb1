# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What ends a running drill from the controller."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import pytest
from ansible_collections.okiagari.testbed.plugins.plugin_utils.drill.watch import stop_file, watch

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

PIPE, HEARD = 1000, 1001


@pytest.mark.parametrize("appears_at", [1, 2, 50])
def test_the_file_is_seen_at_the_next_look_and_looks_are_frequent(tmp_path: Path, appears_at: int) -> None:
    waits: list[float] = []
    reasons: list[str] = []

    def ready(_of: Sequence[int], seconds: float) -> Sequence[int]:
        waits.append(seconds)
        if len(waits) == appears_at:
            stop_file(tmp_path / "reports").touch()
        return []

    (tmp_path / "reports").mkdir()
    watch(reasons.append, PIPE, HEARD, stop_file(tmp_path / "reports"), ready)
    assert reasons == ["stopped by reports/STOP"]
    assert len(waits) == appears_at
    assert max(waits) <= 0.2


def test_a_signal_comes_first(tmp_path: Path) -> None:
    heard, told = os.pipe()
    os.write(told, bytes([signal.SIGTERM]))
    stop_file(tmp_path).touch()
    reasons: list[str] = []
    watch(reasons.append, PIPE, heard, stop_file(tmp_path), lambda of, _seconds: of)
    os.close(heard)
    os.close(told)
    assert reasons == ["SIGTERM to the engine"]


def test_the_end_of_the_pipe_is_the_end_of_ansible(tmp_path: Path) -> None:
    reasons: list[str] = []
    watch(reasons.append, PIPE, HEARD, stop_file(tmp_path), lambda _of, _seconds: [PIPE])
    assert reasons == ["Ansible has gone away"]
