# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What keeps the faults of devices from outside: their journals, and the logins to them."""

from __future__ import annotations

from .devices import DEVICE_SPEC, open_proxy, places_of
from .keeper import Proxy
from .maker import DeviceMaker

__all__ = ["DEVICE_SPEC", "DeviceMaker", "Proxy", "open_proxy", "places_of"]
