# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The shared volume as a test asks after it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ansible_collections.okiagari.testbed.tests.lab.small_lab import SmallLab


def complete(lab: SmallLab) -> bool:
    """Say whether every brick answers and nothing waits for self-heal."""
    said = lab.ssh("b-kvm1", "gluster volume heal shared info summary", timeout=60).stdout
    return said.count("Status: Connected") == 3 and said.count("Total Number of entries: 0") == 3
