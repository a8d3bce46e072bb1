# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The resident agent (P1.5 to P1.8, P2.7): one process a host, which keeps services going with no controller.

Here is everything of it that touches sockets, processes and disks; what it decides, it has from `authority`,
`election`, `watch` and `logpool`, which do none of that. What it needs beside the standard library, it imports where
it uses it: its role installs that into the agent's own folder.
"""
