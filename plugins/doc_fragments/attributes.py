# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every module says of its attributes; a module adds how far it supports them."""

from __future__ import annotations


class ModuleDocFragment:
    """The descriptions of a module's attributes."""

    DOCUMENTATION = r"""
options: {}
attributes:
  check_mode:
    description: Can run in check mode and say what it would do, without changing anything.
  diff_mode:
    description: Shows in diff mode what it changes, or would change.
  platform:
    description: Where it runs.
"""
