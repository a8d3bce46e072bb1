# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""NETCONF servers, by ncclient: what they have, and changes that they take back by themselves."""

from __future__ import annotations

from .session import NetconfError, NetconfLost, Session, connect

__all__ = ["NetconfError", "NetconfLost", "Session", "connect"]
