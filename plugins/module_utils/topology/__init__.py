# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The testbed: its description is loaded and derived here, and questions about its graph are answered."""

from __future__ import annotations

from .derive import Testbed
from .graph import Graph
from .load import load, loads

__all__ = ["Graph", "Testbed", "load", "loads"]
