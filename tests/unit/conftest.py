# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from hypothesis import settings

# What else the machine does is no error of what is tested.
settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")
