# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The names by which this collection recognises its own work on a target, and by which it sweeps."""

from __future__ import annotations

FAULT_HANDLE = "fa17:"
SCOPED_HANDLE = "fa18:"
CIRCUIT_HANDLE = "c1c:"
ROUTE_PROTOCOL = 187
FRR_MARK = "okiagari-fault"
LEASE_PREFIX = "okiagari-lease-"
DRILL_PREFIX = "okiagari-drill-"
LOAD_PREFIX = "okiagari-load-"
DEVICE_PREFIX = "okiagari-"
GUEST_MARK = "urn:okiagari:fault"

# Daemons number their routes too (187 is IS-IS to some) and install them with metric 20 or more. A fault's route always
# carries the lowest metric of its family, so that it wins over theirs and is never mistaken for one of theirs.
METRICS = {4: 0, 6: 1}
