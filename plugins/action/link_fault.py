# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The part of link_fault that runs on the controller."""

from __future__ import annotations

from ..plugin_utils.fault_task import FaultTask


class ActionModule(FaultTask):
    """As for every fault module."""
