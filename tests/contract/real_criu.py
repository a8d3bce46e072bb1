# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""CRIU as a release of Debian has it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ansible_collections.okiagari.testbed.tests.contract.debian_suite import programs

if TYPE_CHECKING:
    from pathlib import Path


def real_criu(suite: str) -> Path:
    """Give the program of a suite of Debian's."""
    return programs("criu", suite, ["criu"], {"criu": 'exec {program} "$@"'}) / "criu"
