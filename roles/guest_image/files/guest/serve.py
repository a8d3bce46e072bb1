# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run the tally over the folder that is named."""

from __future__ import annotations

import sys

from tally.server import Server  # type: ignore[import-not-found] # beside this file

Server(sys.argv[1]).run()
