# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A drill's report as files: report.json, and report.html and junit.xml that are made from it alone."""

from __future__ import annotations

from .files import link_latest, write_reports
from .html import render_html
from .junit import render_junit

__all__ = ["link_latest", "render_html", "render_junit", "write_reports"]
