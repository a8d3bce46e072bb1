# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Drills that run unattended: what shall run when, and the systemd units that make it so. Pure."""

from __future__ import annotations

from .request import Schedule, ScheduledDrill, read
from .units import PRUNE, files, timer_name

__all__ = ["PRUNE", "Schedule", "ScheduledDrill", "files", "read", "timer_name"]
