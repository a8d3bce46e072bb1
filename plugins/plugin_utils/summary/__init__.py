# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All runs of a project on one page, and which of their folders are kept."""

from __future__ import annotations

from .files import INDEX, page_of, write_page
from .keeping import outdated, remove

__all__ = ["INDEX", "outdated", "page_of", "remove", "write_page"]
