# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Serve from the folder that is named, on the tally's ports."""

from __future__ import annotations

import sys

from .server import Server

Server(sys.argv[1]).run()
