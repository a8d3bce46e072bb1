# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Projects: what one asks for, what it gets, and where that is written down."""

from __future__ import annotations

from .allocate import allocate
from .decision import Decision
from .registry import Registry

__all__ = ["Decision", "Registry", "allocate"]
