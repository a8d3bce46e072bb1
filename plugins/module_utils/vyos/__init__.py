# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""VyOS routers: their configuration as lines, and sessions that change it safely over any channel."""

from __future__ import annotations

from .lines import Changes, Scope, difference, parse, wanted
from .session import Channel, ChannelLost, Session, VyosError

__all__ = ["Changes", "Channel", "ChannelLost", "Scope", "Session", "VyosError", "difference", "parse", "wanted"]
