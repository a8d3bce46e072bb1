# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Guests of a KVM host: what a machine is, its domain and its seed, what a host can carry. Pure but for the runner."""

from __future__ import annotations

from .capacity import Capacity, Held, choose_pins, shortages
from .machine import Machine, Network, read_machines

__all__ = ["Capacity", "Held", "Machine", "Network", "choose_pins", "read_machines", "shortages"]
