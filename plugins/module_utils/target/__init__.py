# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What runs on a target: files, timers, the clock and sockets. `bundle()` gives it as one program."""

from __future__ import annotations

from .pack import bundle, name_of
from .system import command

__all__ = ["bundle", "command", "name_of"]
