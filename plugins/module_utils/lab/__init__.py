# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The embedded lab: a testbed of whole Debian nodes on one Linux machine, apart from the machine's own network."""

from __future__ import annotations

from .plan import Disk, LabPlan, NodePlan, Tap, plan_lab

__all__ = ["Disk", "LabPlan", "NodePlan", "Tap", "plan_lab"]
