# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""libvirt's pools and networks, through virsh."""

from __future__ import annotations

from .resource import Resource

__all__ = ["Resource"]
