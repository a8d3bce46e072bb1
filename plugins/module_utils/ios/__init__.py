# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Routers with Cisco's IOS-XE and IOS-XR: sessions at their command lines, and changes that they take back."""

from __future__ import annotations

from .session import IosError, Session, XeSession, XrSession

__all__ = ["IosError", "Session", "XeSession", "XrSession"]
