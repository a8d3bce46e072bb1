# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from ansible_collections.okiagari.testbed.tests.lab.small_lab import SmallLab, without_a_trace

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def small_lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SmallLab]:
    """Give a small lab that isn't up; in the end it is taken down, and nothing of it may be left on the machine."""
    with without_a_trace(SmallLab(tmp_path_factory.mktemp("state"))) as lab:
        yield lab


@pytest.fixture(scope="module")
def running_lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SmallLab]:
    """Give a small lab that was brought up, for tests that leave it up."""
    with without_a_trace(SmallLab(tmp_path_factory.mktemp("state"))) as lab:
        lab.play("lab_up")
        yield lab
