# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A few random kill points; `make soak` has 200."""

from __future__ import annotations

import os
import random
import shutil
from typing import TYPE_CHECKING

import pytest
from ansible_collections.okiagari.testbed.tests.contract.kill_points import soak

if TYPE_CHECKING:
    from pathlib import Path


def test_five_random_kill_points_leave_nothing(tmp_path: Path) -> None:
    if os.geteuid() != 0 or not shutil.which("ip"):
        pytest.skip("needs root and iproute2, to make network namespaces")
    assert soak(5, random.SystemRandom().randrange(1 << 32), 5, tmp_path).total() > 0
